// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package attention lists what needs attention: what is not ready, not granted, refused, due
// or unused. It reads what the manager has written into status. The package is pure: objects
// and the time are arguments.
package attention

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/show"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/verdict"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

const (
	// UnusedFor is after how long an object counts as unused.
	UnusedFor = 90 * 24 * time.Hour
	// EndsWithin is how long before the end of a token, or before a rotation, it is reported.
	EndsWithin = 14 * 24 * time.Hour
)

// people is how a time is written in a sentence.
const people = "2 January 2006 at 15:04 UTC"

// Topic is why something needs attention.
type Topic string

// The topics, the most urgent first.
const (
	NotReady     Topic = "NotReady"
	StaleUse     Topic = "StaleUse"
	Refused      Topic = "Refused"
	MissingGrant Topic = "MissingGrant"
	TokenEnds    Topic = "TokenEnds"
	RotationDue  Topic = "RotationDue"
	Unused       Topic = "Unused"
)

// Topics are all topics, the most urgent first.
func Topics() []Topic {
	return []Topic{NotReady, StaleUse, Refused, MissingGrant, TokenEnds, RotationDue, Unused}
}

// Item is one object that needs attention.
type Item struct {
	Topic Topic `json:"topic"`
	// Kind is the noun of the object: clients, tokens or resources.
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Sentence  string `json:"sentence"`
	// Do is the next step; empty if the sentence has it, as messages of conditions do.
	Do string `json:"do,omitempty"`
}

// Find returns what needs attention, the most urgent topic first.
func Find(clients []v1alpha1.OAuth2Client, resources []v1alpha1.OAuth2Resource, tokens []v1alpha1.OAuth2Token, now time.Time) []Item {
	var items []Item
	for i := range clients {
		items = append(items, ofClient(&clients[i], now)...)
	}
	for i := range resources {
		r := &resources[i]
		if health := show.ResourceHealth(r); !fine(health) {
			items = append(items, Item{
				Topic: NotReady, Kind: "resources", Namespace: r.Namespace, Name: r.Name,
				Sentence: show.Conditions(r.DeletionTimestamp != nil, r.Generation, r.Status.ObservedGeneration, r.Status.Conditions)[0].Text,
			})
		}
	}
	for i := range tokens {
		items = append(items, ofToken(&tokens[i], now)...)
	}
	since := now.Add(-UnusedFor)
	for _, c := range show.UnusedClients(clients, since) {
		items = append(items, unused("clients", c.Namespace, c.Name, "Suspend it first: that takes nothing away. Delete it when no software misses it."))
	}
	for _, t := range show.UnusedTokens(tokens, since) {
		items = append(items, unused("tokens", t.Namespace, t.Name, "Delete it, which revokes the token, when no software needs it."))
	}
	order := Topics()
	slices.SortStableFunc(items, func(a, b Item) int { return slices.Index(order, a.Topic) - slices.Index(order, b.Topic) })
	return items
}

// fine reports whether a health needs no attention: an object that the manager is about to handle,
// or that a person has suspended, does not.
func fine(health string) bool {
	return slices.Contains([]string{"Ready", "Pending", "Deleting", v1alpha1.ReasonSuspended, v1alpha1.ReasonProgressing}, health)
}

func unused(kind, namespace, name, do string) Item {
	return Item{Topic: Unused, Kind: kind, Namespace: namespace, Name: name, Sentence: "It was not used for 90 days.", Do: do}
}

func ofClient(c *v1alpha1.OAuth2Client, now time.Time) []Item {
	item := func(topic Topic, sentence, do string) Item {
		return Item{Topic: topic, Kind: "clients", Namespace: c.Namespace, Name: c.Name, Sentence: sentence, Do: do}
	}
	var items []Item
	if health := show.ClientHealth(c); !fine(health) {
		v := verdict.OfClient(c, verdict.Request{})
		items = append(items, item(NotReady, v.Sentence, v.Do))
	}
	for _, use := range c.Status.StaleUses {
		items = append(items, item(StaleUse, show.StaleUse(use)+".", "Give the software at that address the present secret or a new token."))
	}
	for _, r := range c.Status.Refusals {
		items = append(items, item(Refused, r.Reason+".", r.Text()))
	}
	items = append(items, missing(c, item)...)
	switch rotation := c.Status.Rotation; {
	case rotation.Reason != "":
		items = append(items, item(RotationDue, fmt.Sprintf("A rotation waits, reason %s.", rotation.Reason), rotation.Message))
	case !rotation.NextAt.IsZero() && rotation.NextAt.Sub(now) < EndsWithin:
		items = append(items, item(RotationDue, fmt.Sprintf("Its secret is rotated on %s.", rotation.NextAt.UTC().Format(people)),
			"Check that its software reads the Secret again, or restart it after that."))
	}
	return items
}

// missing is one item for the scopes that the client lacks at each API.
func missing(c *v1alpha1.OAuth2Client, item func(topic Topic, sentence, do string) Item) []Item {
	var items []Item
	for _, g := range c.Status.Grants {
		var lacks []verdict.Verdict
		for _, s := range g.Scopes {
			if s.Decision != string(oauth2.Granted) {
				lacks = append(lacks, verdict.OfScope(c, g, s))
			}
		}
		if len(lacks) == 0 {
			continue
		}
		sentence := lacks[0].Sentence
		if more := len(lacks) - 1; more > 0 {
			sentence = strings.TrimSuffix(sentence, ".") + fmt.Sprintf(", and %d more are missing there.", more)
		}
		items = append(items, item(MissingGrant, sentence, lacks[0].Do))
	}
	return items
}

func ofToken(t *v1alpha1.OAuth2Token, now time.Time) []Item {
	item := func(topic Topic, sentence, do string) Item {
		return Item{Topic: topic, Kind: "tokens", Namespace: t.Namespace, Name: t.Name, Sentence: sentence, Do: do}
	}
	var items []Item
	health := show.TokenHealth(t)
	if !fine(health) && health != v1alpha1.ReasonExpired {
		items = append(items, item(NotReady, show.Conditions(t.DeletionTimestamp != nil, t.Generation, t.Status.ObservedGeneration, t.Status.Conditions)[0].Text, ""))
	}
	for _, use := range t.Status.StaleUses {
		items = append(items, item(StaleUse, show.StaleUse(use)+".", "Create a new token and give it to the software at that address."))
	}
	if left := t.Status.ExpiresAt.Sub(now); t.Spec.Mode == v1alpha1.TokenFixed && !t.Status.ExpiresAt.IsZero() && left > 0 && left < EndsWithin {
		items = append(items, item(TokenEnds, fmt.Sprintf("The token expires on %s.", t.Status.ExpiresAt.UTC().Format(people)),
			"Create a new token, give it to the software that uses this one, and delete this one."))
	}
	return items
}
