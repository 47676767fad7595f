// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/hallpass-dev/hallpass/internal/restore"
)

// A watch that goes on at a revision which a restored store has not reached is silent: the API server sends nothing until the store has
// been there again, and what happens meanwhile is never told. So nothing that a watch says counts before the store was asked,
// after the watch was opened, how far it is. Whoever restores etcd starts the API servers anew, which ends every watch of before.

// confirmTimeout bounds the question how far the store is.
const confirmTimeout = 5 * time.Second

// errSetBack means that the API server has gone back in time and was not read again since.
var errSetBack = errors.New("the API server has gone back in time, as after a restore of etcd, and was not read again yet")

// run watches until the context ends. A reflector that lost its trust is replaced by a new one, which begins with a list.
func (s *source) run(ctx context.Context) {
	for ctx.Err() == nil {
		life, end := context.WithCancel(ctx)
		s.mu.Lock()
		s.anew = end
		s.mu.Unlock()
		s.reflector().RunWithContext(life)
		end()
	}
}

// reflector fills the store from the API server.
func (s *source) reflector() *cache.Reflector {
	from := s.listWatch()
	return cache.NewReflectorWithOptions(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			if options.ResourceVersion == "0" { // anything that the API server remembers, however old
				options.ResourceVersion = ""
			}
			return from.ListWithContext(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			w, err := from.WatchWithContext(ctx, options)
			if err != nil || options.ResourceVersion == "" { // this one begins with a list
				return w, err //nolint:wrapcheck // a reflector tells errors of the API server apart
			}
			if err := s.confirm(ctx); err != nil {
				w.Stop()
				return nil, err
			}
			return w, nil
		},
	}, s.kind, s, cache.ReflectorOptions{Name: s.resource})
}

func (s *source) listWatch() *cache.ListWatch {
	return cache.NewListWatchFromClient(s.client, s.resource, s.namespace, fields.Everything())
}

// confirm asks how far the store is, by a list of one that no cache may answer from what it had before. An error that says that the
// revision is none any more means that the store was set back.
func (s *source) confirm(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	_, heard, known := s.state() // before the answer, which may be overtaken by events
	list, err := s.listWatch().ListWithContext(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return err //nolint:wrapcheck // a reflector tells errors of the API server apart
	}
	listed, err := meta.ListAccessor(list)
	if err != nil {
		return fmt.Errorf("read how far the API server is: %w", err)
	}
	seen, _ := strconv.ParseUint(listed.GetResourceVersion(), 10, 64) // one that is no number says nothing
	proof := restore.Prove(restore.Facts{Revision: known}, restore.Facts{Revision: seen}, elapsed(heard, s.now()))
	if proof != restore.None {
		s.setBack(notice{by: s, proof: proof, known: known, seen: seen})
	}
	if proof != restore.None || s.isDistrusted() {
		return apierrors.NewResourceExpired(errSetBack.Error()) //nolint:wrapcheck // it is made here
	}
	return nil
}

// distrust lets nothing count any more until the next list, and asks for it.
func (s *source) distrust() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.distrusted = true
	if s.anew != nil {
		s.anew()
	}
}

func (s *source) isDistrusted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.distrusted
}

// current makes sure that the API server, which is being asked something, is not behind what memory knows. That may take it a tenth of a
// second: where it answers lists from a cache, it waits until that has caught up with what was written of other kinds.
func (d *Directory) current(ctx context.Context) error {
	if err := d.trusted(); err != nil {
		return err
	}
	if err := d.source(resourceSecrets).confirm(ctx); err != nil {
		return fmt.Errorf("ask how far the API server is: %w", err)
	}
	return nil
}

// trusted is an error while the API server is known to have gone back in time, and was not read anew.
func (d *Directory) trusted() error {
	// Before the first list there is nothing that it could be behind of; until then nothing is decided.
	for _, s := range d.sources {
		if s.isDistrusted() {
			return errSetBack
		}
	}
	return nil
}

// isNews says of the versions of the registry's Secrets whether they were written after all that memory knows at this moment. A store
// that has such a Secret is not behind, nor did it leap ahead.
func (d *Directory) isNews() func(version string) bool {
	_, heard, known := d.source(resourceSecrets).state()
	return func(version string) bool {
		written, err := strconv.ParseUint(version, 10, 64)
		return err == nil && known > 0 && written > known &&
			restore.Prove(restore.Facts{Revision: known}, restore.Facts{Revision: written}, elapsed(heard, d.now())) == restore.None
	}
}

// source is the watch of a resource, which is one that is watched.
func (d *Directory) source(resource string) *source {
	return d.sources[slices.IndexFunc(d.sources, func(s *source) bool { return s.resource == resource })]
}

// depart takes note that an object is gone for good.
func (d *Directory) depart(resource string, name hash, uid string) {
	if uid != "" {
		d.departed.note(identity(resource, name, uid), d.now())
	}
}

// sighting is an object as a watch, a list or a look-up shows it.
type sighting struct {
	name   hash
	uid    string
	object hash
	state  restore.State
}

// sight is how an object of a resource is seen.
func sight(resource string, name hash, uid string, isTerminating bool) sighting {
	state := restore.Present
	if isTerminating {
		state = restore.Terminating
	}
	return sighting{name: name, uid: uid, object: identity(resource, name, uid), state: state}
}

// proves returns what an object proves beside the state in which it was known.
func (s sighting) proves(known restore.State) restore.Proof {
	return restore.Prove(restore.Facts{Object: known}, restore.Facts{Object: s.state}, 0)
}

// doubts judges an object that was looked up, beside the state in which it was known when the question was asked. Refused says that it only
// denies for now, an error that nothing is decided until the API server was read again.
func (d *Directory) doubts(resource string, seen sighting, known restore.State) (refused bool, err error) {
	proof := seen.proves(known)
	if proof != restore.None && d.setBack(notice{by: d.source(resource), proof: proof}) {
		return true, errSetBack
	}
	return proof != restore.None, nil
}

// knownAt is the state in which memory knew an object at an instant, at which it was terminating or not.
func (d *Directory) knownAt(asked time.Time, seen sighting, wasTerminating bool) restore.State {
	if wasTerminating {
		return restore.Terminating
	}
	return d.departed.state(seen.object, asked)
}

// sighter is a store that knows the objects which were there and are gone.
type sighter interface {
	sight(object any) (seen sighting, ok bool)
	known(seen sighting) restore.State
}

func (s *source) isResurrected(object any) bool {
	store, ok := s.store.(sighter)
	return ok && isResurrected(store, object)
}

func isResurrected(store sighter, object any) bool {
	seen, ok := store.sight(object)
	return ok && seen.proves(store.known(seen)) != restore.None
}

// admit is a change of the store unless the object proves a restore: then nothing that was read counts any more. While the notice of
// that has to wait, the store refuses the object.
func (s *source) admit(change func(any) error) func(any) error {
	return func(object any) error {
		if s.isResurrected(object) && s.setBack(notice{by: s, proof: restore.Resurrected}) {
			return nil
		}
		return change(object)
	}
}

func (s ownerStore) sight(object any) (sighting, bool) {
	read, ok := lightOwnerOf(object).(*lightOwner)
	if !ok {
		return sighting{}, false
	}
	return sight(resourceClients, read.place, read.owner.UID, read.owner.Terminating), true
}

func (s tokenStore) sight(object any) (sighting, bool) {
	read, ok := lightTokenOf(object).(*lightToken)
	if !ok {
		return sighting{}, false
	}
	return sight(resourceTokens, hashOf(ownerName(read.Namespace, read.Name)), read.owner.UID, read.owner.Terminating), true
}

// known is the state in which memory knows an OAuth2Client, as far as it can prove something.
func (s ownerStore) known(seen sighting) restore.State {
	before := s.records.owner(seen.name)
	return s.knownNow(seen, before != nil && before.UID == seen.uid && before.Terminating)
}

// known is the state in which memory knows an OAuth2Token, as far as it can prove something.
func (s tokenStore) known(seen sighting) restore.State {
	before, _ := s.minted.owners.get(seen.name)
	return s.knownNow(seen, before != nil && before.UID == seen.uid && before.Terminating)
}

func (d *Directory) knownNow(seen sighting, isTerminating bool) restore.State {
	switch {
	case isTerminating:
		return restore.Terminating
	case d.departed.has(seen.object):
		return restore.Deleted
	}
	return restore.Unknown
}
