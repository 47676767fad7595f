// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"iter"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/restore"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

// Client is an OAuth2Client: what it has that can deny.
type Client struct {
	Place     Place
	Tenant    Tenant
	Owner     oauth2.Owner
	ClientID  string
	CreatedAt time.Time
}

// Sighting returns the object without its content.
func (c Client) Sighting() Sighting { return Sighting{c.Place, c.Owner.UID, c.Owner.Terminating} }

// Clients is the store of OAuth2Clients, which own registrations.
type Clients struct {
	objects[packedOwner]

	revoked *revocation.State
}

func (p packedOwner) identity() (uid string, isTerminating bool) {
	if !p.known() {
		return "", false
	}
	owner := p.owner("")
	return owner.UID, owner.Terminating
}

func (p packedOwner) refused() packedOwner {
	owner := p.owner("")
	owner.Terminating = true
	return packOwner(owner, p.from)
}

func (p packedOwner) tenant() Tenant { return p.from }

// Resurrected reports whether an OAuth2Client that was deleted or terminating is there again.
func (c *Clients) Resurrected(client Client) bool { return c.isResurrected(client.Sighting()) }

// Apply stores an OAuth2Client.
func (c *Clients) Apply(client Client) { c.apply(client.Place, packOwner(client.Owner, client.Tenant)) }

// Remove removes an OAuth2Client that was deleted.
func (c *Clients) Remove(client Client) { c.remove(client.Place, client.Tenant, client.Owner.UID) }

// Replace stores a whole list. What is not listed is gone.
func (c *Clients) Replace(list iter.Seq[Client], at restore.List) {
	if !at.Lost.IsZero() {
		c.quarantine(list, at)
	}
	c.replace(func(yield func(Place, packedOwner) bool) {
		list(func(client Client) bool { return yield(client.Place, packOwner(client.Owner, client.Tenant)) })
	}, at.Saved)
}

// quarantine revokes the tokens of resurrected clients, and of those that were refused before.
func (c *Clients) quarantine(list iter.Seq[Client], at restore.List) {
	quarantined, untilNow := map[string]revocation.Selector{}, oauth2.CutBack(c.now().Add(quarantineTime), c.now())
	var back []Client
	for client := range list {
		selector := revocation.Selector{ClientID: client.ClientID}
		switch before := c.at.get(client.Place).owner(""); {
		case c.isResurrected(client.Sighting()):
			selector.IssuedBefore = untilNow
		case before.UID != client.Owner.UID:
			if madeSince(client.CreatedAt, at.Lost) {
				continue
			}
			selector.IssuedBefore = untilNow
		case before.Suspended && !client.Owner.Suspended, before.Terminating && !client.Owner.Terminating:
			selector.IssuedBefore = untilNow
		case before.RevokedBefore.After(client.Owner.RevokedBefore):
			selector.IssuedBefore = oauth2.CutBack(before.RevokedBefore, c.now())
		default:
			continue
		}
		quarantined[quarantinePrefix+"client/"+client.ClientID] = selector
		if !client.Owner.Terminating {
			back = append(back, client)
		}
	}
	c.revoked.Quarantine(quarantined)
	if at.Waiting {
		return // they are refused as a whole
	}
	for _, client := range back {
		c.revive(client.Sighting(), packOwner(client.Owner, client.Tenant))
	}
}
