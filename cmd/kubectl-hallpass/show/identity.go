// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package show

import "strings"

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
}

// DescribeIdentity describes who a user is.
func DescribeIdentity(i Identity) string {
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
