// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenrevocation

import (
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

const (
	// tokenMargin and assertionMargin are how long entries are kept after their token or
	// assertion has expired: the clock of a token server may be behind.
	tokenMargin     = 5 * time.Minute
	assertionMargin = 5 * time.Minute
	// mergeFrom is how many small batches are worth a bigger one; with fewer of them, nothing
	// is written.
	mergeFrom = 16
	// small is how few live entries a batch has that is merged with others: then no entry is
	// written more than about ten times.
	small = revocation.MaxBatch / 2
	// redemptionsTogether is how long the deletion of a redemption waits for others: people log
	// in several times a second.
	redemptionsTogether = 10 * time.Second
)

// plan is what is to be done with the TokenRevocations that there are.
type plan struct {
	// merges are done first, each whole.
	merges []merge
	// expired are those that matter no more, superseded the selectors of token servers that a
	// newer one of the same client includes.
	expired, superseded []v1alpha1.TokenRevocation
	// next is when the next one expires; zero if there is none.
	next time.Time
}

// merge is a bigger batch in the place of smaller ones.
type merge struct {
	batch revocation.Batch
	from  []v1alpha1.TokenRevocation
}

// name is a digest of the batch and of the objects that it is made of: every merge of the same
// batches makes the same object, and no batch is made of itself in however many steps.
func (m merge) name() string {
	sum := sha256.New()
	for i := range m.from {
		_, _ = fmt.Fprintf(sum, "%s %s\n", m.from[i].Name, m.from[i].UID)
	}
	for _, list := range [][]revocation.Entry{m.batch.Tokens, m.batch.Assertions} {
		_, _ = fmt.Fprintf(sum, "%d\n", len(list))
		_, _ = sum.Write(revocation.Pack(list))
	}
	_, _ = sum.Write(m.batch.PackGenerations())
	text := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum.Sum(nil))
	return "merged-" + strings.ToLower(text[:32])
}

type read struct {
	object v1alpha1.TokenRevocation
	batch  revocation.Batch
}

// decide looks through all TokenRevocations. lifetime is the longest that a token lives. It leaves
// alone what cannot be read, and what a newer version wrote.
func decide(objects []v1alpha1.TokenRevocation, lifetime time.Duration, now time.Time) plan {
	var p plan
	var candidates []read
	l := look{newest: newestOf(objects), lifetime: lifetime, now: now}
	for i := range objects {
		batch, end, err := l.read(&objects[i])
		switch {
		case err != nil:
		case !now.Before(end):
			p.expired = append(p.expired, objects[i])
		case l.newest.supersede(&objects[i]):
			p.superseded = append(p.superseded, objects[i])
		default:
			if p.next.IsZero() || end.Before(p.next) {
				p.next = end
			}
			if live := batch.Len(); live > 0 && live <= small {
				candidates = append(candidates, read{objects[i], batch})
			}
		}
	}
	p.merges = l.merges(candidates)
	return p
}

// newest are the newest selectors that token servers wrote in the place of single revocations, one
// for each client and each namespace.
type newest map[target]collapsed

// target is what such a selector names: a client or a namespace.
type target struct{ clientID, namespace string }

type collapsed struct {
	name   string
	before time.Time
}

// newestOf finds them. What people wrote is none of them: see revocation.Selector.Name.
func newestOf(objects []v1alpha1.TokenRevocation) newest {
	n := newest{}
	for i := range objects {
		selector := revocation.ReadSelector(&objects[i])
		if selector == nil || !selector.Collapses {
			continue
		}
		of, found := target{selector.ClientID, selector.Namespace}, collapsed{objects[i].Name, selector.IssuedBefore}
		if before := n[of]; cmp.Or(found.before.Compare(before.before), cmp.Compare(found.name, before.name)) > 0 {
			n[of] = found
		}
	}
	return n
}

// supersede reports whether a newer selector of a token server revokes all that this one of a token
// server revokes.
func (n newest) supersede(object *v1alpha1.TokenRevocation) bool {
	selector := revocation.ReadSelector(object)
	return selector != nil && selector.Collapses && n[target{selector.ClientID, selector.Namespace}].name != object.Name
}

// revoke reports whether a selector of a token server revokes a token of a client.
func (n newest) revoke(token revocation.Entry, of revocation.Client) bool {
	issued := time.Unix(int64(token.IssuedAt), 0)
	return issued.Before(n[target{clientID: of.ID}].before) || issued.Before(n[target{namespace: of.Namespace}].before)
}

// errSaysNothing is about a TokenRevocation whose only fields are those of a newer version.
var errSaysNothing = errors.New("it has neither a selector nor a batch nor a redemption that this version knows")

// look is what one pass over all TokenRevocations depends on.
type look struct {
	newest   newest
	lifetime time.Duration
	now      time.Time
}

// read reads what is still of importance in a TokenRevocation, and until when it is.
func (l look) read(object *v1alpha1.TokenRevocation) (batch revocation.Batch, end time.Time, err error) {
	if err := revocation.CheckWrite(object); err != nil {
		return batch, end, fmt.Errorf("read %s: %w", object.Name, err)
	}
	if redeemed := revocation.ReadRedemption(object); redeemed != nil {
		return batch, redeemed.ExpiresAt.Add(revocation.RedemptionMargin + redemptionsTogether).Truncate(redemptionsTogether), nil
	}
	selected, all, err := revocation.Read(object)
	if err == nil && selected == nil && all.Len() == 0 {
		err = errSaysNothing
	}
	if selected != nil {
		return batch, selected.IssuedBefore.Add(l.lifetime + tokenMargin), nil
	}
	if err != nil {
		return batch, end, fmt.Errorf("read %s: %w", object.Name, err)
	}
	batch = l.live(all)
	end = revocation.Batch{Tokens: batch.Tokens, Generations: batch.Generations}.ExpiresAt().Add(tokenMargin)
	if used := (revocation.Batch{Assertions: batch.Assertions}).ExpiresAt().Add(assertionMargin); used.After(end) {
		end = used
	}
	return batch, end, nil
}

// live is what is still of importance in some batches, each entry once.
func (l look) live(batches ...revocation.Batch) revocation.Batch {
	return revocation.Merge(revocation.Margins{Tokens: l.now.Add(-tokenMargin), Assertions: l.now.Add(-assertionMargin)}, l.newest.revoke, batches...)
}

// merges puts small batches together, the oldest first, as many as fit into one.
func (l look) merges(candidates []read) []merge {
	slices.SortFunc(candidates, func(a, b read) int {
		return cmp.Or(a.object.CreationTimestamp.Compare(b.object.CreationTimestamp.Time), cmp.Compare(a.object.Name, b.object.Name))
	})
	var found []merge
	for len(candidates) > 0 {
		n := fitting(candidates)
		if n >= mergeFrom {
			batches, from := make([]revocation.Batch, n), make([]v1alpha1.TokenRevocation, n)
			for i, c := range candidates[:n] {
				batches[i], from[i] = c.batch, c.object
			}
			found = append(found, merge{batch: l.live(batches...), from: from})
		}
		candidates = candidates[n:]
	}
	return found
}

// fitting returns how many of the first batches fit into one, at least one.
func fitting(candidates []read) int {
	tokens, assertions, generations, clients := 0, 0, 0, map[revocation.Client]bool{}
	for n, c := range candidates {
		tokens += len(c.batch.Tokens)
		assertions += len(c.batch.Assertions)
		generations += len(c.batch.Generations)
		for _, client := range c.batch.Clients {
			clients[client] = true
		}
		full := max(tokens, assertions) > revocation.MaxBatch || generations > revocation.MaxGenerations || len(clients) > revocation.MaxClients
		if n > 0 && full {
			return n
		}
	}
	return len(candidates)
}
