// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"github.com/hallpass-dev/hallpass/internal/budget"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Payer is who causes a cost and pays for it: the client that authenticated with its namespace, or
// the source of a request that no client has authenticated. It decides nothing but what is paid
// from.
type Payer struct {
	Client, Namespace string
	Source            string
}

// PaidBy is the payer of the requests of an authenticated client.
func PaidBy(client *oauth2.Client) Payer {
	return Payer{Client: client.ID, Namespace: client.Namespace}
}

// The classes of payers. Their shares are in different tables, so that no source takes the entry of
// a namespace.
const (
	bySource = iota
	byNamespace
)

// key is the payer's key at a level: the holder of its share, or the client or source itself.
func (p Payer) key(level int, what string) budget.Key {
	key := p.own()
	key.Level = level
	switch {
	case levels[level].Shared:
		key.Who = p.holder()
	case level != perPayer:
		key.What = what
	}
	return key
}

// own is the key of the client or source itself, at the first level.
func (p Payer) own() budget.Key {
	if p.Client != "" {
		return budget.Key{Class: byNamespace, Who: p.Client}
	}
	return budget.Key{Class: bySource, Who: p.Source}
}

// holder is the holder of the payer's share. The name of a namespace is no address.
func (p Payer) holder() string {
	if p.Client != "" {
		return p.Namespace
	}
	return p.Source
}
