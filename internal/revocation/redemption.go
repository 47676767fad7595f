// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"
	"sync"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Redemption is that an authorization code was redeemed. It is stored as an object of its own whose
// name is derived from the code, so that of several attempts one is the first.
type Redemption struct {
	// CodeID is the id of the code. It is not stored: the name is derived from it.
	CodeID string
	// GrantID is the id of the grant that the code began, and Attempt that of the request that
	// redeems it.
	GrantID, Attempt string
	Client           Client
	// ExpiresAt is when the code expires.
	ExpiresAt time.Time
}

// Name returns the name of the TokenRevocation of the redemption.
func (r Redemption) Name() string {
	sum := sha256.Sum256([]byte("hallpass redeemed code\x00" + r.CodeID))
	return redeemed + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:20]))
}

// redeemed begins the names of redemptions.
const redeemed = "redeemed-"

// RedemptionMargin is how long a redemption is kept after the code has expired: the clock of a
// token server may be behind.
const RedemptionMargin = 5 * time.Minute

// The bounds of the redemptions that exist. A redemption exists until RedemptionMargin after its
// code has expired, some six minutes, so ten logins a second are 3,700.
const (
	// maxRedeemed is how many there are in all, those of 22 logins a second: 1 MiB of memory,
	// and 8 MiB of etcd. Namespaces have lentRedeemed of them beyond their shares of
	// redeemedShare each: what is not lent is enough for 16 whole shares, and for parts of
	// shares beyond.
	maxRedeemed   = 1 << 13
	lentRedeemed  = maxRedeemed * 5 / 8
	redeemedShare = 1 << 7
	// maxRedeemedOfClient is how many a client has.
	maxRedeemedOfClient = maxRedeemed / 2
	// redeemRetry is the Retry-After where there is no room.
	redeemRetry = 10 * time.Second
)

var redeemedBounds = bounds{maxRedeemed, lentRedeemed, redeemedShare, maxRedeemed / 8, false} //nolint:gochecknoglobals // a constant

// Redemptions counts the redemptions that exist, by client, by namespace and in all: those that a
// watch has brought, and those that this process is creating. The zero Redemptions are empty. They
// are safe for concurrent use.
type Redemptions struct {
	mu      sync.Mutex
	byName  map[string]*redeemer
	clients map[Client]*redeemer
	shares  shares
}

// redeemer is a client, and how many redemptions it has.
type redeemer struct {
	Client

	count int
}

// Reserve counts a redemption that is about to be created. It returns its refusal if there is no
// room for it.
func (r *Redemptions) Reserve(name string, of Client) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, there := r.byName[name]; there {
		return nil
	}
	by := r.clients[of]
	if by != nil && by.count >= maxRedeemedOfClient || !r.shares.room(of.Namespace, redeemedBounds) {
		return &oauth2.Error{
			Code: oauth2.TemporarilyUnavailable, Reason: oauth2.ReasonGrantNotDurable, RetryAfter: redeemRetry,
			Description: "too many persons have logged in at this client or in its namespace within the last minutes; try again after Retry-After",
		}
	}
	r.add(name, of)
	return nil
}

// Add counts a redemption that exists, whatever room there is.
func (r *Redemptions) Add(name string, of Client) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, there := r.byName[name]; !there {
		r.add(name, of)
	}
}

func (r *Redemptions) add(name string, of Client) {
	if r.byName == nil {
		r.byName, r.clients = map[string]*redeemer{}, map[Client]*redeemer{}
	}
	by := r.clients[of]
	if by == nil {
		// a request and an object have them as parts of something larger
		by = &redeemer{Client: Client{strings.Clone(of.ID), strings.Clone(of.Namespace)}}
		r.clients[by.Client] = by
	}
	by.count++
	r.byName[strings.Clone(name)] = by
	r.shares.add(by.Namespace, redeemedBounds)
}

// Remove stops counting a redemption that was deleted, or not created; it is a no-op if there is
// none.
func (r *Redemptions) Remove(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remove(name)
}

func (r *Redemptions) remove(name string) {
	by := r.byName[name]
	if by == nil {
		return
	}
	delete(r.byName, name)
	if by.count--; by.count == 0 {
		delete(r.clients, by.Client)
	}
	r.shares.remove(by.Namespace, redeemedBounds)
	if len(r.byName) == 0 {
		r.byName, r.clients = nil, nil // a map does not shrink
	}
}

// Keep stops counting the redemptions that are not listed.
func (r *Redemptions) Keep(listed map[string]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name := range r.byName {
		if !listed[name] {
			r.remove(name)
		}
	}
}

// Len returns how many redemptions exist.
func (r *Redemptions) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.byName)
}
