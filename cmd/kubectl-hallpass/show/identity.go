// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package show

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// Identity is who a user is for a cluster, and what the user may do.
type Identity struct {
	User      string   `json:"user"`
	Groups    []string `json:"groups,omitempty"`
	Context   string   `json:"context"`
	Cluster   string   `json:"cluster"`
	Namespace string   `json:"namespace"`
	// May and MayNot are what commands need, in words.
	May    []string `json:"may,omitempty"`
	MayNot []string `json:"mayNot,omitempty"`
	// Logins are those of the user at clients of the cluster, on this machine.
	Logins []Login `json:"logins,omitempty"`
}

// Login is a login of a person at a client, without its tokens.
type Login struct {
	Person    string    `json:"person"`
	Namespace string    `json:"namespace"`
	Client    string    `json:"client"`
	ClientID  string    `json:"clientID"`
	Audience  string    `json:"audience,omitempty"`
	Scope     string    `json:"scope,omitempty"`
	ExpiresAt time.Time `json:"expiresAt"`
	// Renewed is whether token fetches the next one without a login.
	Renewed bool `json:"renewed"`
}

func (l Login) line(now time.Time) string {
	text := fmt.Sprintf("%s at client %s/%s", cmp.Or(l.Person, "a person"), l.Namespace, l.Client)
	if l.Audience != "" {
		text += " for " + l.Audience
	}
	if l.Scope != "" {
		text += " with " + l.Scope
	}
	switch end := l.ExpiresAt.UTC().Format(time.RFC3339); {
	case l.Renewed && now.Before(l.ExpiresAt):
		return text + ", until " + end + " and renewed by token"
	case l.Renewed:
		return text + ", renewed by token"
	case now.Before(l.ExpiresAt):
		return text + ", until " + end
	default:
		return text + ", expired at " + end + ": log in again"
	}
}

// DescribeIdentity describes who a user is.
func DescribeIdentity(i Identity, now time.Time) string {
	p := &page{}
	p.heading("You are %s", i.User)
	p.pairs(
		[2]string{"groups", strings.Join(i.Groups, ", ")},
		[2]string{"context", i.Context},
		[2]string{"cluster", i.Cluster},
		[2]string{"namespace", i.Namespace},
	)
	p.list("In namespace "+i.Namespace+" you may", i.May)
	p.list("You may not", i.MayNot)
	logins := make([]string, 0, len(i.Logins))
	for _, login := range i.Logins {
		logins = append(logins, login.line(now))
	}
	p.list("You are logged in as", logins)
	return p.String()
}

// list writes a section with one text a line; none without a text.
func (p *page) list(heading string, all []string) {
	if len(all) == 0 {
		return
	}
	p.heading("%s", heading)
	for _, text := range all {
		p.say("%s", text)
	}
}
