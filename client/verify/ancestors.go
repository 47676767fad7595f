// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/hallpass-dev/hallpass/client/internal/strictjson"
)

// ancestor is a token that another one was exchanged for. Whatever ends it ends the other one.
type ancestor struct {
	id, clientID, clientUID, keyID string
	issuedAt                       time.Time
}

var errAncestors = errors.New("ancestors are no list of tokens")

// parseAncestors reads the ancestors. A member that this version does not know may be a reason why
// the token has ended, so it makes the token unreadable.
func parseAncestors(raw string) ([]ancestor, error) {
	if raw == "" {
		return nil, nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal([]byte(raw), &list); err != nil || len(list) == 0 || len(list) > maxActors {
		return nil, errAncestors
	}
	ancestors := make([]ancestor, len(list))
	for i, element := range list {
		var err error
		if ancestors[i], err = parseAncestor(element); err != nil {
			return nil, errAncestors
		}
	}
	return ancestors, nil
}

func parseAncestor(raw []byte) (a ancestor, err error) {
	const members = 5
	object, err := strictjson.ParseObject(string(raw))
	if err != nil || len(object) != members {
		return a, errAncestors
	}
	for name, into := range map[string]*string{"jti": &a.id, "client_id": &a.clientID, "client_uid": &a.clientUID, "kid": &a.keyID} {
		if *into, err = object.String(name); err != nil {
			return a, err
		}
	}
	issued, err := object.Seconds("iat")
	a.issuedAt = time.Unix(issued, 0)
	return a, err
}

// soundAncestors reports whether each actor has the token that was exchanged, which was issued to
// the actor before and not later than an hour before the end of this one. The first was issued to
// the subject, unless that is a person.
func (c *Claims) soundAncestors(person bool) bool {
	if len(c.ancestors) != len(c.Actors) {
		return false
	}
	for i, a := range c.ancestors {
		last := i == len(c.ancestors)-1
		if !last && a.clientID != c.Actors[i+1] || last && !person && a.clientID != c.Subject || c.Expiry.Sub(a.issuedAt) > maxLife {
			return false
		}
	}
	return true
}

// ancestorKeys refuses a token whose ancestor is signed by a key that is not published any more.
func (v *Verifier) ancestorKeys(ctx context.Context, c *Claims, now time.Time) error {
	for i := range c.ancestors {
		if _, err := v.keys.key(ctx, c.ancestors[i].keyID, now); err != nil {
			return err
		}
	}
	return nil
}
