// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package trustedissuer

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/attempt"
	"github.com/hallpass-dev/hallpass/internal/controller/issuerkeys"
	"github.com/hallpass-dev/hallpass/internal/jws"
)

// When keys are fetched again: a key that an issuer publishes two minutes before it signs is known
// by then, and one without lead soon after.
const (
	interval   = time.Minute
	firstRetry = 10 * time.Second
	// LastRetry is the longest time between two fetches that fail.
	LastRetry = 5 * time.Minute
)

// fetches are the last fetch of the keys of each issuer. Events of other objects wake an issuer,
// too, and do not have its keys fetched more often. The zero value is ready to use.
type fetches struct {
	// retries spaces the fetches after one that brought no keys.
	retries attempt.Backoff

	mu   sync.Mutex
	last map[types.UID]fetch
}

// fetch is the result of the last one, with the last keys that there were.
type fetch struct {
	source keySource
	keys   jws.PackedKeys
	// at is when there were keys; zero if there never were.
	at     time.Time
	failed *issuerkeys.Error
	next   time.Time
}

// keys returns the last fetch, after another one if that is due. One issuer is reconciled by one
// worker at a time.
func (f *fetches) keys(ctx context.Context, uid types.UID, source keySource, by keyReader, now clock.PassiveClock) fetch {
	f.mu.Lock()
	last := f.last[uid]
	f.mu.Unlock()
	if !reflect.DeepEqual(last.source, source) {
		last = fetch{source: source}
		f.retries.End(keyOf(uid))
	}
	if now.Now().Before(last.next) {
		return last
	}
	last = last.after(ctx, by, now)
	last.next = now.Now().Add(f.pause(uid, last, now.Now()))
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.last == nil {
		f.last = map[types.UID]fetch{}
	}
	f.last[uid] = last
	return last
}

// pause is in what time keys are fetched again. The API server can be asked more often than an
// issuer that is away.
func (f *fetches) pause(uid types.UID, last fetch, now time.Time) time.Duration {
	switch {
	case last.failed == nil:
		f.retries.End(keyOf(uid))
		return interval
	case last.source.configMap != "":
		return firstRetry
	}
	f.retries.FailedWithin(keyOf(uid), attempt.State{}, attempt.State{}, now, attempt.Bounds{First: firstRetry, Last: LastRetry})
	return f.retries.Wait(keyOf(uid), attempt.State{}, now)
}

func keyOf(uid types.UID) types.NamespacedName { return types.NamespacedName{Name: string(uid)} }

// after fetches once more.
func (f fetch) after(ctx context.Context, by keyReader, now clock.PassiveClock) fetch {
	at := now.Now().UTC().Truncate(time.Second)
	set, err := by.Read(ctx, f.source)
	if err == nil {
		f.keys, err = jws.PackKeys(set.Keys...)
	}
	f.failed = nil
	if err == nil {
		f.at = at
		return f
	}
	if !errors.As(err, &f.failed) {
		f.failed = &issuerkeys.Error{Reason: v1alpha1.ReasonKeysNotFetched, What: "the JWK set has a key that cannot be used"}
	}
	return f
}

// forget drops what is known of an issuer that is gone.
func (f *fetches) forget(uid types.UID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.last, uid)
	f.retries.End(keyOf(uid))
}
