// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"crypto"
	"fmt"
	"slices"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
)

// maxPublished bounds the keys of one algorithm: one retired, one active, one published.
const maxPublished = 3

// Order is what an administrator orders beside the policy.
type Order struct {
	// Rotation orders a rotation if it is not empty and not the last one that was carried out.
	Rotation string
	// Taint are the kids of keys to withdraw with all tokens that they signed. Unknown ones are
	// ignored.
	Taint []string
}

// Rotation is the result of Rotate.
type Rotation struct {
	Ring Ring
	// Changed means that Ring is a new one, which has to be written.
	Changed bool
	// Changes are the transitions since the last rotation that changed something.
	Changes []Change
	// Next is the instant of the next change.
	Next time.Time
	// Waits means that an ordered rotation is not carried out yet: an algorithm has no next
	// key, or the clocks differ. Ordered means that it is carried out by this Rotation.
	Waits, Ordered bool
}

// Time is the present time as far as it is known, because a clock may be wrong for a while.
type Time struct {
	// Earliest and Latest bound it. What is due is due by Earliest, and waits begin at Latest.
	Earliest, Latest time.Time
	// Agreed means that the clocks agree for long enough to remove keys.
	Agreed bool
}

// Past returns the instant of which it is certain that it is over; zero if there is none.
func (t Time) Past() time.Time {
	if !t.Agreed {
		return time.Time{}
	}
	return t.Earliest
}

// At is the present time where all clocks agree on it.
func At(now time.Time) Time { return Time{Earliest: now, Latest: now, Agreed: true} }

// Rotate advances the lives of keys to now. It is idempotent, and two callers that begin with one
// ring conflict when they write it. If it is called late, the active key signs until there is a
// successor. A clock that is wrong removes no key, and if no key signs, one is made to sign.
func Rotate(ring Ring, now Time, policy Policy, order Order, generate func(jws.Algorithm) (crypto.Signer, error)) (Rotation, error) {
	if err := policy.consistent(); err != nil {
		return Rotation{}, fmt.Errorf("rotate signing keys: %w", err)
	}
	d := draft{Ring: ring, now: instant(now.Earliest), latest: instant(now.Latest), agreed: now.Agreed, policy: policy, generate: generate}
	d.keys, d.tainted = slices.Clone(ring.keys), slices.Clone(ring.tainted)
	d.keep = policy.Lead + policy.Retirement
	d.removeGone()
	for _, kid := range order.Taint {
		d.taint(kid)
	}
	d.prolong()
	d.mend()
	bare := !d.signs()
	for _, algorithm := range policy.Algorithms {
		if err := d.advance(algorithm, bare || slices.Contains(d.orphaned, algorithm)); err != nil {
			return Rotation{}, fmt.Errorf("rotate signing keys: %w", err)
		}
	}
	if order.Rotation != "" && order.Rotation != ring.rotation {
		d.rotateNow(order.Rotation)
		// the next key becomes the active one, and needs one after it
		for _, algorithm := range policy.Algorithms {
			if err := d.advance(algorithm, false); err != nil {
				return Rotation{}, fmt.Errorf("rotate signing keys: %w", err)
			}
		}
	}
	d.withdraw()
	result := d.finish(ring)
	if order.Rotation != "" && order.Rotation != ring.rotation {
		result.Ordered = order.Rotation == d.rotation
		result.Waits = !result.Ordered
	}
	return result, nil
}

// draft is a ring that is being changed.
type draft struct {
	Ring

	// now and latest bound the present time. Without agreed, no key is removed and no line
	// ends.
	now, latest time.Time
	agreed      bool
	policy      Policy
	generate    func(jws.Algorithm) (crypto.Signer, error)
	// orphaned are the algorithms whose signing key was withdrawn without a successor.
	orphaned []jws.Algorithm
}

// removeGone removes the keys that are gone for certain.
func (d *draft) removeGone() {
	if d.agreed {
		d.keys = slices.DeleteFunc(d.keys, func(k *SigningKey) bool { return k.State(d.now) == Gone })
	}
}

// mend makes published keys sign until one does: the default algorithm's first. A ring without a
// key that signs was written by a clock that was ahead, or has lost its key.
func (d *draft) mend() {
	for i := 0; i < len(d.keys) && !d.signs(); i++ {
		d.promote(i)
	}
}

// line returns the indices of the keys of an algorithm, by ActiveAt.
func (d *draft) line(algorithm jws.Algorithm) []int {
	var line []int
	for i, key := range d.keys {
		if key.Algorithm() == algorithm {
			line = append(line, i)
		}
	}
	slices.SortStableFunc(line, func(a, b int) int { return d.keys[a].ActiveAt.Compare(d.keys[b].ActiveAt) })
	return line
}

// advance gives an algorithm a key that signs and has no end, and publishes the next one once that
// signs.
func (d *draft) advance(algorithm jws.Algorithm, bare bool) error {
	line := d.line(algorithm)
	if len(line) > 0 {
		d.reopen(line)
		if d.keys[line[len(line)-1]].RetiredAt.IsZero() {
			return d.publishNext(algorithm)
		}
	}
	if bare { // no verifier has an active key: there is nothing to wait for
		since := d.now.Add(-d.policy.Skew)
		if err := d.publish(algorithm, since); err != nil {
			return err
		}
		return d.publishNext(algorithm)
	}
	return d.publish(algorithm, d.fresh(d.line(algorithm)))
}

// reopen cancels the end of a line that has not come yet.
func (d *draft) reopen(line []int) {
	last := d.keys[line[len(line)-1]]
	if last.RetiredAt.IsZero() || last.hasRetired(d.now) {
		return
	}
	d.keys[line[len(line)-1]] = last.living(Life{PublishedAt: last.PublishedAt, ActiveAt: last.ActiveAt})
	if len(line) > 1 && d.keys[line[len(line)-2]].State(d.now) == Active {
		d.retire(line[len(line)-2], last.ActiveAt)
	}
}

// publishNext publishes the successor of a line's active key.
func (d *draft) publishNext(algorithm jws.Algorithm) error {
	line := d.line(algorithm)
	last := d.keys[line[len(line)-1]]
	if last.State(d.now) != Active {
		return nil
	}
	activeAt := latest(last.ActiveAt.Add(d.policy.Period), d.fresh(line))
	return d.publish(algorithm, activeAt)
}

// fresh returns the first instant at which a key that is published now may sign: every replica and
// verifier has it by then, and the retired keys of the line are gone.
func (d *draft) fresh(line []int) time.Time {
	at := d.latest.Add(d.policy.Lead + d.policy.Skew)
	for _, i := range line {
		at = latest(at, d.keys[i].GoneAt)
	}
	return at
}

// publish makes a key that is active from an instant on, at which its predecessor retires.
func (d *draft) publish(algorithm jws.Algorithm, activeAt time.Time) error {
	line := d.line(algorithm)
	if d.present(line) >= maxPublished {
		return nil // once the oldest is gone
	}
	private, err := d.generate(algorithm)
	if err != nil {
		return err
	}
	key, err := newSigningKey(algorithm, private, Life{PublishedAt: d.now, ActiveAt: instant(activeAt)})
	if err != nil {
		return err
	}
	if key.ActiveAt.Before(key.PublishedAt) {
		key.PublishedAt = key.ActiveAt
	}
	// what has retired does not come back
	if len(line) > 0 && !d.keys[line[len(line)-1]].hasRetired(d.now) {
		d.retire(line[len(line)-1], key.ActiveAt)
	}
	d.keys = append(d.keys, key)
	return nil
}

// retire sets the end of a key's signing. Replicas that are late sign with it for no longer than
// the lead, and it stays until those tokens have expired.
func (d *draft) retire(index int, at time.Time) {
	life := d.keys[index].Life
	life.RetiredAt = latest(at, life.ActiveAt)
	life.GoneAt = latest(life.RetiredAt, d.latest.Add(d.policy.Lead)).Add(d.policy.Retirement)
	d.keys[index] = d.keys[index].living(life)
}

// present is how many keys of a line are not gone.
func (d *draft) present(line []int) int {
	count := 0
	for _, i := range line {
		if d.keys[i].State(d.now) != Gone {
			count++
		}
	}
	return count
}

// prolong extends the lives of signing keys if the policy has made tokens longer.
func (d *draft) prolong() {
	for i, key := range d.keys {
		life := key.Life
		if life.RetiredAt.After(d.now) && life.GoneAt.Before(life.RetiredAt.Add(d.policy.Retirement)) {
			life.GoneAt = life.RetiredAt.Add(d.policy.Retirement)
			d.keys[i] = key.living(life)
		}
	}
}

// signs reports whether any key signs now.
func (d *draft) signs() bool {
	return slices.ContainsFunc(d.keys, func(k *SigningKey) bool { return k.State(d.now) == Active })
}

// rotateNow brings the next keys forward as far as the lead allows: those of all lines, or none as
// long as a line has no next key, or the clocks differ by more than keys allow for.
func (d *draft) rotateNow(request string) {
	if d.latest.Sub(d.now) > d.policy.Skew {
		return
	}
	for _, algorithm := range d.policy.Algorithms {
		line := d.line(algorithm)
		if d.keys[line[len(line)-1]].State(d.now) != Published {
			return
		}
	}
	for _, algorithm := range d.policy.Algorithms {
		line := d.line(algorithm)
		next := d.keys[line[len(line)-1]]
		at := latest(d.latest, next.PublishedAt.Add(d.policy.Lead+d.policy.Skew))
		for _, i := range line[:len(line)-1] {
			if d.keys[i].State(d.now) == Retired {
				at = latest(at, d.keys[i].GoneAt)
			}
		}
		if !at.Before(next.ActiveAt) {
			continue
		}
		d.keys[line[len(line)-1]] = next.living(Life{PublishedAt: next.PublishedAt, ActiveAt: at})
		if len(line) > 1 {
			d.retire(line[len(line)-2], at)
		}
	}
	d.rotation = request
}

// withdraw ends the lines of algorithms that are not enabled, once the default one has a key that
// signs.
func (d *draft) withdraw() {
	end, ends := d.succession()
	var leaving []jws.Algorithm
	for _, algorithm := range d.algorithms {
		line := d.line(algorithm)
		if slices.Contains(d.policy.Algorithms, algorithm) || len(line) == 0 {
			continue
		}
		leaving = append(leaving, algorithm)
		if ends && d.agreed && d.keys[line[len(line)-1]].RetiredAt.IsZero() {
			d.endLine(line, end)
		}
	}
	d.removeGone()
	d.algorithms = append(slices.Clone(d.policy.Algorithms), leaving...)
}

// succession returns the instant from which the default algorithm has a key that signs and has no
// end; false if there is none.
func (d *draft) succession() (time.Time, bool) {
	line := d.line(d.policy.Algorithms[0])
	if len(line) == 0 || !d.keys[line[len(line)-1]].RetiredAt.IsZero() {
		return time.Time{}, false
	}
	for _, i := range line {
		if d.keys[i].State(d.now) == Active {
			return d.now, true
		}
	}
	return d.keys[line[len(line)-1]].ActiveAt, true
}

// endLine retires the keys of a line, and drops a next key that no replica can sign with before it
// sees the new ring.
func (d *draft) endLine(line []int, end time.Time) {
	heard := d.latest.Add(d.policy.Lead)
	for _, i := range line {
		switch life := d.keys[i].Life; {
		case life.hasRetired(d.now):
		case !life.ActiveAt.Before(end) && !life.ActiveAt.Before(heard):
			d.keys[i] = d.keys[i].living(Life{PublishedAt: life.PublishedAt, ActiveAt: d.now, RetiredAt: d.now, GoneAt: d.now})
		case life.RetiredAt.IsZero() || end.Before(life.RetiredAt):
			d.retire(i, end)
		}
	}
}

// taint withdraws a key. If it signed, its successor signs at once, or a new key if there is none:
// clients that ask for the algorithm get no other. If no key signs then, the next one of any
// algorithm does.
func (d *draft) taint(kid string) {
	index := slices.IndexFunc(d.keys, func(k *SigningKey) bool { return k.ID() == kid })
	if index < 0 {
		return
	}
	withdrawn := d.keys[index]
	d.tainted = append(d.tainted, Taint{KeyID: kid, At: d.now})
	d.keys = slices.Delete(d.keys, index, index+1)
	line := d.line(withdrawn.Algorithm())
	if withdrawn.State(d.now) == Active && (len(line) == 0 || d.keys[line[len(line)-1]].hasRetired(d.now)) {
		d.orphaned = append(d.orphaned, withdrawn.Algorithm())
	}
	if len(line) > 0 {
		last := line[len(line)-1]
		switch {
		case withdrawn.State(d.now) == Active:
			d.promote(last)
		case withdrawn.State(d.now) == Published && d.keys[last].State(d.now) == Active:
			// It signs until there is another successor.
			d.keys[last] = d.keys[last].living(Life{PublishedAt: d.keys[last].PublishedAt, ActiveAt: d.keys[last].ActiveAt})
		}
	}
	d.mend()
}

// promote activates a published key.
func (d *draft) promote(index int) {
	key := d.keys[index]
	if key.State(d.now) != Published {
		return
	}
	life := key.Life
	life.ActiveAt = d.now.Add(-d.policy.Skew)
	if life.PublishedAt.After(life.ActiveAt) {
		life.PublishedAt = life.ActiveAt
	}
	d.keys[index] = key.living(life)
}

// finish compares the draft with the ring before.
func (d *draft) finish(before Ring) Rotation {
	after := d.prepared()
	after.asOf = latest(before.asOf, d.now) // another manager's clock may be ahead
	if before.asOf.After(d.latest.Add(d.policy.Skew)) {
		after.asOf = d.now // it was wrong
	}
	changes := changesBetween(before, after)
	if len(changes) == 0 && after.sameAs(before) {
		return Rotation{Ring: before, Next: before.NextChange(d.now)}
	}
	after.revision = before.revision + 1
	return Rotation{Ring: after, Changed: true, Changes: changes, Next: after.NextChange(d.now)}
}

// sameAs compares the stored content, without asOf and revision.
func (r Ring) sameAs(other Ring) bool {
	sameKey := func(a, b *SigningKey) bool { return a.ID() == b.ID() && a.Life == b.Life }
	return slices.EqualFunc(r.keys, other.keys, sameKey) && slices.Equal(r.algorithms, other.algorithms) &&
		slices.Equal(r.tainted, other.tainted) && r.rotation == other.rotation && r.keep == other.keep
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
