// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"sync"

	"github.com/hallpass-dev/hallpass/internal/budget"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// inFlight limits the requests that are worked on at once. A request is that of its source, until a
// client authenticates: from then on it is the client's, and its namespace's.
type inFlight struct {
	// payers are the requests by source or namespace. The networks of sources have shares too.
	payers *budget.Places
	// clients are those of them that are clients', by client. Less is lent of them, so that one
	// client does not use up what its namespace may have.
	clients *budget.Places
	places  sync.Pool // of *Place
}

// placeShare is the part of all places that is guaranteed to each client and to each payer: 4 of
// 512. What is not lent is enough for the shares of 32 payers.
const placeShare = 128

func newInFlight(limit int, sources budget.Sources) *inFlight {
	share := max(1, limit/placeShare)
	return &inFlight{
		payers: budget.NewSourcePlaces(limit, limit*3/4, share, sources), clients: budget.NewPlaces(limit, limit/2, share),
		places: sync.Pool{New: func() any { return &Place{} }},
	}
}

// Place is that of a request among those that are worked on.
type Place struct {
	inFlight *inFlight
	// payer and client have the place; client is the UID of a client that authenticated.
	payer, client string
}

// Enter admits a request of a source to be worked on, or refuses it. An admitted request has to
// leave its place.
func (a *Authority) Enter(source string) (*Place, error) {
	if !a.inFlight.payers.Enter(source) {
		return nil, Overloaded()
	}
	place, _ := a.inFlight.places.Get().(*Place)
	*place = Place{inFlight: a.inFlight, payer: source}
	return place, nil
}

// assign makes the place that of a client, or refuses it if the client or its namespace has too
// many.
func (p *Place) assign(client *oauth2.Client) error {
	if p == nil {
		return nil
	}
	if !p.inFlight.clients.Enter(client.UID) {
		return Overloaded()
	}
	if !p.inFlight.payers.Move(p.payer, client.Namespace) {
		p.inFlight.clients.Leave(client.UID)
		return Overloaded()
	}
	p.payer, p.client = client.Namespace, client.UID
	return nil
}

// Leave ends what Enter began. The place must not be used afterwards.
func (p *Place) Leave() {
	p.inFlight.payers.Leave(p.payer)
	if p.client != "" {
		p.inFlight.clients.Leave(p.client)
	}
	p.inFlight.places.Put(p)
}
