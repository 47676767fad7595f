// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"time"

	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/budget"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

const (
	// DefaultClientRate is how many tokens a second one client may fetch.
	DefaultClientRate  = 500
	clientBurstSeconds = 10 // a client that was quiet may fetch as many seconds' worth at once
	lentClients        = 4  // as many clients' worth is lent to namespaces beyond their shares
)

// clientRate limits the requests of each client at an endpoint. A public client has as much for
// each person.
type clientRate struct {
	budget *budget.Budget
	// levels is one, or two if the level of all clients is limited too.
	levels int
	// refusal is what a client learns that is too fast.
	refusal string
}

// Allow implements auth.Rate.
func (r *clientRate) Allow(client *oauth2.Client, person oauth2.Person, at time.Time) error {
	keys := [...]budget.Key{{Who: client.ID, What: person.String()}, {Level: 1, Who: client.Namespace}}
	if d := r.budget.Take(at, keys[:r.levels]...); !d.OK {
		return auth.Throttled(d.Wait, r.refusal)
	}
	return nil
}

func levelOf(rate int) budget.Level {
	return budget.Level{Burst: clientBurstSeconds * rate, Interval: time.Second / time.Duration(rate)}
}

// issues limits the tokens of one client, and those of all: a signature is most of what a request
// costs, and a namespace may have thousands of clients. Each namespace is guaranteed as much as one
// client may have, and borrows the rest from what lentClients may have.
func issues(rate int) *clientRate {
	each := levelOf(rate)
	return &clientRate{budget.New(each, budget.Level{
		Burst: lentClients * each.Burst, Interval: max(1, each.Interval/lentClients), Shared: true,
		Shares: []budget.Share{{Burst: each.Burst, Interval: each.Interval}},
	}), 2, "this client fetches tokens faster than it may; keep a token until it expires"}
}

// revokes limits the revocations of one client.
func revokes(rate int) *clientRate {
	return &clientRate{budget.New(levelOf(rate)), 1, "this client revokes tokens faster than it may; try again after Retry-After"}
}

// pages limits the pages of the feed that one client reads.
func pages(level budget.Level) *clientRate {
	return &clientRate{budget.New(level), 1, "this client reads the feed faster than it may; try again after Retry-After"}
}
