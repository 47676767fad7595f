// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

const (
	resourceRevocations = "tokenrevocations"
	// sweepInterval is how often revocations that have expired are dropped from memory, and keepUpInterval how often it is looked
	// whether something is due.
	sweepInterval  = time.Minute
	keepUpInterval = time.Second
	// annotationWritten is when a batch was written, to the millisecond: what the API server notes is to the second.
	annotationWritten = "hallpass.dev/written-at"
	writtenFormat     = "2006-01-02T15:04:05.000Z07:00"
)

// The token servers write what is revoked and what was used, and never change or delete it.
//
// +kubebuilder:rbac:namespace=hallpass-registry,groups=hallpass.dev,resources=tokenrevocations,verbs=list;watch;create

// Revocations are what was taken back, as far as memory knows.
func (d *Directory) Revocations() *revocation.State { return &d.revocations }

// WriteRevocations keeps a batch for good: no error means that the API server has it. A name is used for one batch only, so one
// that is there already holds it.
func (d *Directory) WriteRevocations(ctx context.Context, name string, batch revocation.Batch) error {
	object := &v1alpha1.TokenRevocation{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:   d.namespace,
			Name:        name,
			Labels:      map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelRevocationBatch: name},
			Annotations: map[string]string{annotationWritten: time.Now().UTC().Format(writtenFormat)},
		},
		Spec: v1alpha1.TokenRevocationSpec{Batch: v1alpha1.RevocationBatch{
			Tokens:     v1alpha1.RevocationEntries(revocation.Encode(batch.Tokens)),
			Assertions: v1alpha1.RevocationEntries(revocation.Encode(batch.Assertions)),
			ExpiresAt:  new(metav1.NewTime(batch.ExpiresAt())),
		}},
	}
	err := d.hallpass.Post().Namespace(d.namespace).Resource(resourceRevocations).Body(object).Do(ctx).Error()
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("write revocations %s: %w", name, err)
	}
	return nil
}

// keepUp does what comes with time: it drops what has expired, and acts upon a notice that waits.
func (d *Directory) keepUp(ctx context.Context) {
	ticker := time.NewTicker(keepUpInterval)
	defer ticker.Stop()
	for swept := d.now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		d.actOnWaiting()
		if now := d.now(); elapsed(swept, now) >= sweepInterval {
			d.release()
			d.revocations.Sweep(now)
			swept = now
		}
	}
}

// clientEpochs are the instants before which OAuth2Clients take their tokens back, by the names of their registrations. Decisions read the
// registration itself; these are for the feed.
type clientEpochs struct {
	mu     sync.Mutex
	byName map[string]revocation.Selector
}

// put notes what a registration says; one that says nothing, or nil, is forgotten.
func (e *clientEpochs) put(name string, c *oauth2.Client) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if c == nil || c.RevokedBefore.IsZero() {
		delete(e.byName, name)
		return
	}
	if e.byName == nil {
		e.byName = map[string]revocation.Selector{}
	}
	e.byName[name] = revocation.Selector{ClientUID: c.UID, IssuedBefore: c.RevokedBefore}
}

// keep forgets what is not listed.
func (e *clientEpochs) keep(listed map[string]bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for name := range e.byName {
		if !listed[name] {
			delete(e.byName, name)
		}
	}
}

// ClientEpochs are the instants before which OAuth2Clients take their tokens back.
func (d *Directory) ClientEpochs() []revocation.Selector {
	d.clientEpochs.mu.Lock()
	defer d.clientEpochs.mu.Unlock()
	return slices.Collect(maps.Values(d.clientEpochs.byName))
}

// lightRevocation is what is left of a TokenRevocation: one of batch and selector, or why it cannot be read.
type lightRevocation struct {
	metav1.ObjectMeta

	batch    revocation.Batch
	selector *revocation.Selector
	written  time.Time
	version  uint64
	err      error
}

// readRevocation reads a TokenRevocation.
func readRevocation(object *v1alpha1.TokenRevocation) *lightRevocation {
	read := &lightRevocation{ObjectMeta: lightMeta(object)}
	read.version, _ = strconv.ParseUint(object.ResourceVersion, 10, 64) // one that is no number is none that the feed can tell
	selector, batch := object.Spec.Selector, object.Spec.Batch
	read.selector, read.batch, read.err = revocation.Stored{
		ClientID: selector.ClientID, Namespace: selector.Namespace, IssuedBefore: ptr.Deref(selector.IssuedBefore, metav1.Time{}).Time,
		CreatedAt: object.CreationTimestamp.Time, Tokens: string(batch.Tokens), Assertions: string(batch.Assertions),
	}.Read()
	if batch.ExpiresAt != nil {
		if written, err := time.Parse(writtenFormat, object.Annotations[annotationWritten]); err == nil {
			read.written = written
		}
	}
	return read
}

// revocationStore is where the watch of TokenRevocations arrives.
type revocationStore struct{ *Directory }

// Transformer implements cache.TransformingStore.
func (s revocationStore) Transformer() cache.TransformFunc {
	return func(object any) (any, error) {
		if revocation, ok := object.(*v1alpha1.TokenRevocation); ok {
			return readRevocation(revocation), nil
		}
		return object, nil
	}
}

func (s revocationStore) Add(object any) error {
	read, err := light(object)
	if err != nil {
		return err
	}
	s.take(read)
	if !read.written.IsZero() && s.revocationSeen != nil {
		s.revocationSeen(time.Since(read.written))
	}
	return nil
}

func (s revocationStore) Update(object any) error {
	read, err := light(object)
	if err == nil {
		s.take(read)
	}
	return err
}

// Delete forgets a selector. What a batch said stays until it expires: the manager deletes a batch when another one has it all.
func (s revocationStore) Delete(object any) error {
	named, ok := object.(metav1.Object)
	if !ok {
		return fmt.Errorf("%T is not a TokenRevocation", object)
	}
	s.revocations.Deselect(named.GetName())
	return nil
}

// Replace takes a whole list.
func (s revocationStore) Replace(objects []any, version string) error {
	listed := make(map[string]bool, len(objects))
	list := make([]*lightRevocation, len(objects))
	for i, object := range objects {
		var err error
		if list[i], err = light(object); err != nil {
			return err
		}
		listed[list[i].Name] = true
	}
	if at, err := strconv.ParseUint(version, 10, 64); err == nil {
		s.revocations.Rewind(at)
	}
	// A list is in the order of names, and the feed in that of versions.
	slices.SortFunc(list, func(a, b *lightRevocation) int { return cmp.Compare(a.version, b.version) })
	for _, read := range list {
		s.take(read)
	}
	s.revocations.KeepSelected(listed)
	tidy()
	return nil
}

func (s revocationStore) Resync() error { return nil }

// light is a TokenRevocation as it was read.
func light(object any) (*lightRevocation, error) {
	switch object := object.(type) {
	case *lightRevocation:
		return object, nil
	case *v1alpha1.TokenRevocation:
		return readRevocation(object), nil
	}
	return nil, fmt.Errorf("%T is not a TokenRevocation", object)
}

// take lets a TokenRevocation take effect.
func (s revocationStore) take(read *lightRevocation) {
	if read.err != nil {
		s.log.Error("cannot read a TokenRevocation; what it takes back stays valid", "name", read.Name, "error", read.err)
		return
	}
	if read.selector != nil {
		s.revocations.Select(read.Name, *read.selector)
	}
	// What token servers write says when, and a merged batch does not.
	s.revocations.LearnAt(read.version, read.batch, read.written.IsZero(), s.now())
}
