// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package attempt

import (
	"context"
	"errors"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// freeRepairs are made at once. After those each waits twice as long as the one before:
	// lastRepairPause at most, so that an object costs twelve writes an hour at most.
	freeRepairs      = 5
	firstRepairPause = time.Second
	lastRepairPause  = 5 * time.Minute
	// repairHolds is how long a repair has to hold for those before to be forgotten.
	repairHolds = 2 * lastRepairPause
)

// Repairs damps the repairs of objects whose repairs do not hold, because something else writes
// them too. A change of the owner begins anew. It remembers as many owners as Proposals does. The
// zero Repairs is ready to use.
type Repairs struct {
	made Proposals[repairs]
}

// repairs are those that were made of one object.
type repairs struct {
	owner string
	count int
	last  time.Time
}

// ErrDamped means that the repair of an object waits.
var ErrDamped = errors.New("what is repaired is changed each time; the next repair waits")

// Damping is how often an object was repaired, the pause before the next repair, and what is left
// of it.
type Damping struct {
	Count       int
	Pause, Wait time.Duration
	// holds is how long the last repair still has to hold for all to be forgotten.
	holds time.Duration
}

// Again is in what time the repairs continue, or are forgotten.
func (d *Damping) Again() time.Duration {
	if d.Wait > 0 {
		return d.Wait
	}
	return max(d.holds, time.Second)
}

// Damping returns how the repairs of what is written for an owner are damped; nil if they are not.
func (r *Repairs) Damping(owner client.Object, now time.Time) *Damping {
	made, young := r.made.Get(owner.GetUID(), now)
	if !young || made.owner != StateOf(owner).Object || made.count < freeRepairs {
		return nil
	}
	pause := doubled(firstRepairPause, lastRepairPause, made.count-freeRepairs)
	// also if the clock was turned back
	wait := min(max(made.last.Add(pause).Sub(now), 0), pause)
	return &Damping{Count: made.count, Pause: pause, Wait: wait, holds: made.last.Add(repairHolds).Sub(now)}
}

// Check returns ErrDamped while the next repair waits.
func (r *Repairs) Check(owner client.Object, now time.Time) error {
	if damping := r.Damping(owner, now); damping != nil && damping.Wait > 0 {
		return ErrDamped
	}
	return nil
}

// Made counts a repair.
func (r *Repairs) Made(owner client.Object, now time.Time) {
	made, _ := r.made.Get(owner.GetUID(), now)
	if state := StateOf(owner).Object; made.owner != state {
		made = repairs{owner: state}
	}
	made.count++
	made.last = now
	r.made.Put(owner, made, now.Add(repairHolds))
}

// Drop forgets an owner that is gone.
func (r *Repairs) Drop(owner client.Object) { r.made.Drop(owner.GetUID()) }

// Client returns a client whose writes are repairs of what is written for an owner.
func (r *Repairs) Client(c client.Client, owner client.Object, now func() time.Time) client.Client {
	return damped{c, r, owner, now}
}

type damped struct {
	client.Client

	repairs *Repairs
	owner   client.Object
	now     func() time.Time
}

func (d damped) Create(ctx context.Context, o client.Object, options ...client.CreateOption) error {
	return d.write(func() error { return d.Client.Create(ctx, o, options...) })
}

func (d damped) Update(ctx context.Context, o client.Object, options ...client.UpdateOption) error {
	return d.write(func() error { return d.Client.Update(ctx, o, options...) })
}

func (d damped) write(do func() error) error {
	if err := d.repairs.Check(d.owner, d.now()); err != nil {
		return err
	}
	err := do()
	if err == nil {
		d.repairs.Made(d.owner, d.now())
	}
	return err
}
