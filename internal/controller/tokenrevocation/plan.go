// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenrevocation

import (
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

const (
	// tokenMargin and assertionMargin are how long entries are kept after their token or assertion has
	// expired: the clock of a token server may be behind.
	tokenMargin     = 5 * time.Minute
	assertionMargin = 5 * time.Minute
	// mergeFrom is how many small batches are worth a bigger one; with fewer of them, nothing is written.
	mergeFrom = 16
	// small is how few live entries a batch has that is merged with others: then no entry is written more than about ten times.
	small = revocation.MaxBatch / 2
)

// plan is what is to be done with the TokenRevocations that there are.
type plan struct {
	// merges are done first, each whole.
	merges []merge
	// expired are those that matter no more.
	expired []v1alpha1.TokenRevocation
	// next is when the next one expires; zero if there is none.
	next time.Time
}

// merge is a bigger batch in the place of smaller ones.
type merge struct {
	batch revocation.Batch
	from  []v1alpha1.TokenRevocation
}

// name is a digest of the batch and of the objects that it is made of: whoever merges the same makes the
// same object, and no batch is made of itself in however many steps.
func (m merge) name() string {
	sum := sha256.New()
	for i := range m.from {
		_, _ = fmt.Fprintf(sum, "%s %s\n", m.from[i].Name, m.from[i].UID)
	}
	for _, list := range [][]revocation.Entry{m.batch.Tokens, m.batch.Assertions} {
		_, _ = fmt.Fprintf(sum, "%d\n", len(list))
		_, _ = sum.Write(revocation.Pack(list))
	}
	text := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum.Sum(nil))
	return "merged-" + strings.ToLower(text[:32])
}

type read struct {
	object v1alpha1.TokenRevocation
	batch  revocation.Batch
}

// decide looks through all TokenRevocations. lifetime is the longest that a token lives. What cannot be read it leaves alone.
func decide(objects []v1alpha1.TokenRevocation, lifetime time.Duration, now time.Time) plan {
	var p plan
	var candidates []read
	for i := range objects {
		batch, end, err := readObject(&objects[i], lifetime, now)
		switch {
		case err != nil:
		case !now.Before(end):
			p.expired = append(p.expired, objects[i])
		default:
			if p.next.IsZero() || end.Before(p.next) {
				p.next = end
			}
			if live := batch.Len(); live > 0 && live <= small {
				candidates = append(candidates, read{objects[i], batch})
			}
		}
	}
	p.merges = merges(candidates, now)
	return p
}

// readObject reads what is still of importance in a TokenRevocation, and until when it is.
func readObject(object *v1alpha1.TokenRevocation, lifetime time.Duration, now time.Time) (batch revocation.Batch, end time.Time, err error) {
	selected, all, err := revocation.Read(object)
	if selected != nil {
		return batch, selected.IssuedBefore.Add(lifetime + tokenMargin), nil
	}
	if err != nil {
		return batch, end, fmt.Errorf("read %s: %w", object.Name, err)
	}
	end = revocation.Batch{Tokens: all.Tokens}.ExpiresAt().Add(tokenMargin)
	if used := (revocation.Batch{Assertions: all.Assertions}).ExpiresAt().Add(assertionMargin); used.After(end) {
		end = used
	}
	return live(now, all), end, nil
}

// live is what is still of importance in some batches, each entry once.
func live(now time.Time, batches ...revocation.Batch) revocation.Batch {
	tokens, assertions := make([][]revocation.Entry, len(batches)), make([][]revocation.Entry, len(batches))
	for i, b := range batches {
		tokens[i], assertions[i] = b.Tokens, b.Assertions
	}
	return revocation.Batch{
		Tokens:     revocation.Merge(now.Add(-tokenMargin), tokens...),
		Assertions: revocation.Merge(now.Add(-assertionMargin), assertions...),
	}
}

// merges puts small batches together, the oldest first, as many as fit into one.
func merges(candidates []read, now time.Time) []merge {
	slices.SortFunc(candidates, func(a, b read) int {
		return cmp.Or(a.object.CreationTimestamp.Compare(b.object.CreationTimestamp.Time), cmp.Compare(a.object.Name, b.object.Name))
	})
	var found []merge
	for len(candidates) > 0 {
		n, tokens, assertions := 0, 0, 0
		for n < len(candidates) {
			tokens += len(candidates[n].batch.Tokens)
			assertions += len(candidates[n].batch.Assertions)
			if max(tokens, assertions) > revocation.MaxBatch {
				break
			}
			n++
		}
		if n >= mergeFrom {
			batches, from := make([]revocation.Batch, n), make([]v1alpha1.TokenRevocation, n)
			for i, c := range candidates[:n] {
				batches[i], from[i] = c.batch, c.object
			}
			found = append(found, merge{batch: live(now, batches...), from: from})
		}
		candidates = candidates[n:]
	}
	return found
}
