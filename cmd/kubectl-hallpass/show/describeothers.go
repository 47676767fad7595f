// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package show

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// DescribeResource describes an OAuth2Resource in plain words.
func DescribeResource(r *v1alpha1.OAuth2Resource, now time.Time) string {
	p := &page{}
	p.heading("API %s in namespace %s", r.Name, r.Namespace)
	p.conditions(r.DeletionTimestamp != nil, r.Generation, r.Status.ObservedGeneration, r.Status.Conditions)
	clients := ""
	if r.Status.Clients != nil {
		clients = strconv.Itoa(int(*r.Status.Clients))
	}
	p.pairs(
		[2]string{"identifier (aud)", r.Status.Identifier},
		[2]string{"display name", r.Spec.DisplayName},
		[2]string{"clients with a scope", clients},
		[2]string{"tokens", tokensOf(r)},
		[2]string{"created", since(r.CreationTimestamp, now)},
	)
	p.heading("Scopes")
	if len(r.Spec.Scopes) == 0 {
		p.say("None, so no client can be granted anything.")
		p.next(fmt.Sprintf("add some to spec.scopes: kubectl edit hpr %s --namespace %s", r.Name, r.Namespace))
	}
	holders := map[v1alpha1.Scope]string{}
	for _, h := range r.Status.Scopes {
		if h.Clients != nil {
			holders[h.Name] = " (" + Counted(int(*h.Clients), "client") + ")"
		}
	}
	for _, s := range r.Spec.Scopes {
		text := string(s.Name) + holders[s.Name]
		if s.Description != "" {
			text += ": " + s.Description
		}
		p.say("%s", text)
	}
	p.mayBeCalledBy(r)
	return p.String()
}

// Counted is a number of things: 1 client, 2 clients.
func Counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

func tokensOf(r *v1alpha1.OAuth2Resource) string {
	valid := string(r.Spec.TokenLifetime)
	if valid == "" {
		valid = defaultLifetime
	}
	text := "valid for " + valid + " at most"
	if r.Spec.MaxFixedTokenLifetime != "" {
		text += "; tokens with a chosen end for " + string(r.Spec.MaxFixedTokenLifetime) + " at most"
	}
	return text
}

func (p *page) mayBeCalledBy(r *v1alpha1.OAuth2Resource) {
	p.heading("May be called by")
	if len(r.Spec.Grants) == 0 {
		p.say("No client: nothing is granted.")
		p.next(fmt.Sprintf("kubectl hallpass grant %s --namespace %s --to NAMESPACE --scopes SCOPE", r.Name, r.Namespace))
	}
	for _, g := range r.Spec.Grants {
		p.say("%s: %s", Callers(g), strings.Join(texts(g.Scopes), ", "))
	}
	if inspectors := r.Spec.Introspection.Clients; len(inspectors) > 0 {
		var all []string
		for _, c := range inspectors {
			all = append(all, string(c.Namespace)+"/"+c.Name)
		}
		p.say("Its tokens may be introspected by: %s", strings.Join(all, ", "))
	} else {
		p.say("Its tokens may be introspected by all clients of namespace %s.", r.Namespace)
	}
}

// Callers are the clients that a grant is for, in words.
func Callers(g v1alpha1.ResourceGrant) string {
	who := "clients of namespaces " + strings.Join(sources(g.From), ", ")
	switch {
	case len(g.From.Namespaces) == 1:
		who = "clients of namespace " + string(g.From.Namespaces[0])
	case len(g.From.Namespaces) == 0:
		who = "clients of namespaces with the labels " + labels(g.From.NamespaceSelector)
	}
	if len(g.From.ClientSelector.MatchLabels) > 0 {
		who += " that have the labels " + labels(g.From.ClientSelector)
	}
	acting := actingFor(g)
	switch {
	case !g.For(v1alpha1.SubjectClient) && len(acting) == 1:
		return who + ", " + acting[0] + " alone"
	case len(acting) == 1:
		return who
	}
	return who + ", " + strings.Join(acting[:len(acting)-1], ", ") + " and " + acting[len(acting)-1]
}

// actingFor is for whom the clients of a grant act, in words: there is at least one. A subject that
// a newer version has is named as it is.
func actingFor(g v1alpha1.ResourceGrant) (words []string) {
	known := []v1alpha1.GrantSubject{v1alpha1.SubjectClient, v1alpha1.SubjectUser, v1alpha1.SubjectExchanged}
	for i, subject := range known {
		if g.For(subject) {
			words = append(words, [...]string{"for themselves", "for persons", "by exchanged tokens"}[i])
		}
	}
	for _, subject := range g.Subjects {
		if !slices.Contains(known, subject) {
			words = append(words, "for "+string(subject))
		}
	}
	return words
}

// DescribeToken describes an OAuth2Token in plain words.
func DescribeToken(t *v1alpha1.OAuth2Token, now time.Time) string {
	p := &page{}
	p.heading("Token %s in namespace %s", t.Name, t.Namespace)
	p.conditions(t.DeletionTimestamp != nil, t.Generation, t.Status.ObservedGeneration, t.Status.Conditions)
	mode := "Refreshing: the Secret gets another token before this one expires"
	if t.Spec.Mode == v1alpha1.TokenFixed {
		mode = "Fixed: valid until its end, and never replaced"
	}
	expires := ""
	if !t.Status.ExpiresAt.IsZero() {
		expires = fmt.Sprintf("%s, at %s", until(t.Status.ExpiresAt, now), stamp(t.Status.ExpiresAt))
	}
	p.pairs(
		[2]string{"notes", t.Spec.Description},
		[2]string{"client", t.Spec.ClientRef.Name},
		[2]string{"client_id", t.Status.ClientID},
		[2]string{"mode", mode},
		[2]string{"for (aud)", t.Status.Audience},
		[2]string{"scopes", strings.Join(texts(t.Status.Scopes), ", ")},
		[2]string{"secret", t.Status.Secret.Name},
		[2]string{"token id (jti)", t.Status.TokenID},
		[2]string{"expires", expires},
		[2]string{"created", since(t.CreationTimestamp, now)},
		[2]string{"last used", since(t.Status.LastUsedAt, now)},
	)
	if len(t.Status.StaleUses) > 0 {
		p.heading("Used too late")
		p.staleUses(t.Status.StaleUses, now)
	}
	return p.String()
}
