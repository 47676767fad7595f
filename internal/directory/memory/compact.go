// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"maps"
	"strings"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// texts copies the texts of a record into one string, and its lists into one list. A record of a
// resource names up to thousands of namespaces, and a text in memory of its own takes up to three
// times as much.
type texts struct {
	all   strings.Builder
	lists []string
}

// compact returns a copy of a record in three pieces of memory: the record, its texts, its lists.
func compact[R any](record R, copyTo func(R, *texts) R) *R {
	var size, into texts
	copyTo(record, &size)
	into.all.Grow(size.all.Len())
	into.lists = make([]string, 0, len(size.lists))
	return new(copyTo(record, &into))
}

func (t *texts) text(s string) string {
	begin := t.all.Len()
	t.all.WriteString(s)
	return t.all.String()[begin:]
}

func (t *texts) list(list []string) []string {
	if list == nil {
		return nil
	}
	begin := len(t.lists)
	for _, s := range list {
		t.lists = append(t.lists, t.text(s))
	}
	return t.lists[begin:len(t.lists):len(t.lists)]
}

func copyResource(r oauth2.Resource, t *texts) oauth2.Resource {
	r.Identifier, r.UID, r.Namespace, r.Name, r.DisplayName = t.text(r.Identifier), t.text(r.UID), t.text(r.Namespace), t.text(r.Name), t.text(r.DisplayName)
	r.Scopes = t.list(r.Scopes)
	r.Consents, r.Users = copyConsents(r.Consents, t), copyConsents(r.Users, t)
	r.Exchanged, r.ExchangedUsers = copyConsents(r.Exchanged, t), copyConsents(r.ExchangedUsers, t)
	introspectors := r.Introspectors
	r.Introspectors = nil
	if len(introspectors) > 0 {
		r.Introspectors = make([]oauth2.ObjectName, len(introspectors))
	}
	for i, name := range introspectors {
		r.Introspectors[i] = oauth2.ObjectName{Namespace: t.text(name.Namespace), Name: t.text(name.Name)}
	}
	descriptions := r.Descriptions
	r.Descriptions = nil
	if len(descriptions) > 0 {
		r.Descriptions = make([]oauth2.Description, len(descriptions))
	}
	for i, d := range descriptions {
		r.Descriptions[i] = oauth2.Description{Scope: t.text(d.Scope), Text: t.text(d.Text)}
	}
	return r
}

func copyConsents(consents []oauth2.Consent, t *texts) []oauth2.Consent {
	if len(consents) == 0 {
		return nil
	}
	copied := make([]oauth2.Consent, len(consents))
	for i, c := range consents {
		labels := maps.Clone(c.ClientLabels)
		clear(labels)
		for key, value := range c.ClientLabels {
			labels[t.text(key)] = t.text(value)
		}
		copied[i] = oauth2.Consent{Namespaces: t.list(c.Namespaces), ClientLabels: labels, Scopes: t.list(c.Scopes)}
	}
	return copied
}

func copyMinted(m oauth2.Minted, t *texts) oauth2.Minted {
	m.UID, m.Namespace, m.Name = t.text(m.UID), t.text(m.Namespace), t.text(m.Name)
	m.ClientID, m.ClientUID, m.ClientName = t.text(m.ClientID), t.text(m.ClientUID), t.text(m.ClientName)
	tokens := m.Tokens
	m.Tokens = nil
	if len(tokens) > 0 {
		m.Tokens = make([]oauth2.MintedToken, len(tokens))
	}
	for i, token := range tokens {
		token.ID, token.KeyID, token.Audience, token.Scopes = t.text(token.ID), t.text(token.KeyID), t.text(token.Audience), t.list(token.Scopes)
		m.Tokens[i] = token
	}
	return m
}
