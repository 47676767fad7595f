// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/inventory"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

const (
	// Gather is how long room that was freed waits for more.
	Gather = 500 * time.Millisecond
	// lookAgain is how often waiting objects are looked for room for, although none was freed:
	// an object that was woken may not have taken its room.
	lookAgain = time.Minute
)

// ErrNoRoom means that a record was not written, because its namespace may not have as many bytes
// in the memory of the token servers.
var ErrNoRoom = errors.New("the records of the namespace would take more memory of the token servers than they may")

// Bounds are those of the records of all namespaces, in the bytes of registration.Weigh.
type Bounds struct {
	// All bounds the records of all namespaces, and Namespace those of one.
	All, Namespace int
	// Guaranteed are guaranteed to each namespace, from Reserved, which is not lent. What is
	// beyond is lent.
	Guaranteed, Reserved int
}

// BoundsOf are those of an installation: what the records of all namespaces may take, and those of
// one.
func BoundsOf(all, namespace int) Bounds {
	return Bounds{
		All: all, Namespace: namespace, Guaranteed: registration.GuaranteedRecords, Reserved: registration.ReservedRecords * all / registration.MaxRecords,
	}
}

// Room bounds what records take in the memory of the token servers, by the namespaces of their
// owners. It counts the records in the cache, and those being written. A nil Room has no bound.
type Room struct {
	bounds Bounds
	// synced reports whether the records that the cache had at first are counted.
	synced toolscache.InformerSynced

	mu      sync.Mutex
	records map[string]record
	held    map[string]int
	// within and beyond add up what the namespaces hold within what is guaranteed, and beyond.
	within, beyond int
	waiting        map[waiter]wait
	arrivals       int
	// freed is signalled when a record has become smaller.
	freed chan struct{}
	woken map[string]chan event.GenericEvent
}

// record is what is counted of a record.
type record struct {
	namespace string
	// stored is the weight of what is stored, and writing that of what is being written.
	stored, writing int
}

func (r record) weight() int { return max(r.stored, r.writing) }

// waiter is an object that waits for room.
type waiter struct {
	kind string
	types.NamespacedName
}

// wait is for what an object waits: for room for its record.
type wait struct {
	record  string
	weight  int
	arrived int
}

// NewRoom returns an empty Room.
func NewRoom(bounds Bounds) *Room {
	return &Room{
		bounds: bounds, synced: func() bool { return true }, records: map[string]record{}, held: map[string]int{}, waiting: map[waiter]wait{},
		freed: make(chan struct{}, 1), woken: map[string]chan event.GenericEvent{},
	}
}

// Follow begins to count the records of a registry as the cache brings them.
func (r *Room) Follow(ctx context.Context, from cache.Cache, registryNamespace string) error {
	informer, err := from.GetInformer(ctx, &corev1.Secret{}, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("count the bytes of records: %w", err)
	}
	record := func(o any) (*corev1.Secret, bool) {
		secret, ok := o.(*corev1.Secret)
		return secret, ok && secret.Namespace == registryNamespace && namespaceOf(secret.Annotations) != ""
	}
	stored := func(o any) {
		if secret, ok := record(o); ok {
			r.settle(secret.Name, namespaceOf(secret.Annotations), registration.Weigh(string(secret.Type), secret.Data))
		}
	}
	following, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: stored, UpdateFunc: func(_, after any) { stored(after) },
		DeleteFunc: func(o any) {
			if last, unknown := o.(toolscache.DeletedFinalStateUnknown); unknown {
				o = last.Obj
			}
			if secret, ok := record(o); ok {
				r.settle(secret.Name, namespaceOf(secret.Annotations), 0)
			}
		},
	})
	if err != nil {
		return fmt.Errorf("count the bytes of records: %w", err)
	}
	r.synced = following.HasSynced
	return nil
}

// namespaceOf is the namespace of the owner of a record, as its annotations name it.
func namespaceOf(annotations map[string]string) string {
	return cmp.Or(annotations[v1alpha1.AnnotationClientNamespace], annotations[v1alpha1.AnnotationResourceNamespace],
		annotations[v1alpha1.AnnotationTokenNamespace])
}

// Woken is where a controller gets the objects of a kind that there is room for now.
func (r *Room) Woken(kind string) chan event.GenericEvent {
	if r == nil {
		return make(chan event.GenericEvent)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.woken[kind] == nil {
		r.woken[kind] = make(chan event.GenericEvent)
	}
	return r.woken[kind]
}

// Allowance is what there is room for. The zero Allowance has no bound.
type Allowance struct {
	// Record is what the record may weigh, and Namespace what those of its namespace weigh.
	Record, Namespace int
	Bounds            Bounds
}

// Fits reports whether there is room for a record that weighs so much.
func (a Allowance) Fits(weight int) bool { return a.Bounds == Bounds{} || weight <= a.Record }

// Condition is that of an object whose record weighs more than it may.
func (a Allowance) Condition(weight int, held bool) metav1.Condition {
	return v1alpha1.TooManyBytes(v1alpha1.Bytes{
		Record: int64(weight), Held: int64(a.Namespace), Limit: int64(a.Bounds.Namespace), Guaranteed: int64(a.Bounds.Guaranteed),
	}, held)
}

// Allowance returns what a record of a namespace may weigh. It waits until the records that the
// cache had at first are counted.
func (r *Room) Allowance(ctx context.Context, name, namespace string) (Allowance, error) {
	if r == nil {
		return Allowance{}, nil
	}
	if !r.synced() && !toolscache.WaitForCacheSync(ctx.Done(), r.synced) {
		return Allowance{}, fmt.Errorf("count the bytes of records: %w", ctx.Err())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return Allowance{r.allowed(name, namespace), r.held[namespace], r.bounds}, nil
}

// allowed is what a record may weigh: as much as it does, and what may be added.
func (r *Room) allowed(name, namespace string) int {
	held, weight := r.held[namespace], 0
	if known := r.records[name]; known.namespace == namespace {
		weight = known.weight()
	}
	reserved := max(0, r.bounds.Reserved-r.within)
	lent := max(0, r.bounds.All-r.bounds.Reserved-r.beyond-max(0, r.within-r.bounds.Reserved))
	room := min(reserved, max(0, r.bounds.Guaranteed-held)) + lent
	return weight + max(0, min(room, r.bounds.Namespace-held))
}

// set counts a record, and reports whether its namespace, or that of another record of its name,
// holds less than before.
func (r *Room) set(name string, next record) (freed bool) {
	before := r.records[name]
	r.add(before.namespace, -before.weight())
	r.add(next.namespace, next.weight())
	if r.records[name] = next; next.weight() == 0 {
		delete(r.records, name)
	}
	return next.weight() < before.weight() || before.namespace != next.namespace && before.namespace != ""
}

func (r *Room) add(namespace string, weight int) {
	if weight == 0 {
		return
	}
	before := r.held[namespace]
	after := before + weight
	if r.held[namespace] = after; after == 0 {
		delete(r.held, namespace)
	}
	guaranteed := r.bounds.Guaranteed
	r.within += min(after, guaranteed) - min(before, guaranteed)
	r.beyond += max(0, after-guaranteed) - max(0, before-guaranteed)
}

// take counts a record that is about to be written, if there is room for it. A forced one is
// written anyway.
func (r *Room) take(name, namespace string, weight int, forced bool) bool {
	if r == nil {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !forced && weight > r.allowed(name, namespace) {
		return false
	}
	next := record{namespace: namespace, writing: weight}
	if known := r.records[name]; known.namespace == namespace {
		next.stored = known.stored
	}
	if r.set(name, next) {
		r.signal()
	}
	return true
}

// settle counts a record as it is stored now; 0 means that it is not.
func (r *Room) settle(name, namespace string, weight int) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	next := record{namespace: namespace, stored: weight}
	if known := r.records[name]; known.writing > 0 && known.namespace == namespace {
		next.writing = known.writing
	} else if known.namespace != namespace && (known.writing > 0 || weight == 0) {
		return // an object of another namespace takes the name, or has it
	}
	if r.set(name, next) {
		r.signal()
	}
}

// written counts a record whose write has ended: weight is that of what is stored then.
func (r *Room) written(name, namespace string, weight int, err error) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	next := r.records[name]
	if next.writing = 0; err == nil {
		next.namespace, next.stored = namespace, weight
	}
	if r.set(name, next) {
		r.signal()
	}
}

// Bytes returns what the records of all namespaces weigh, and what they may weigh.
func (r *Room) Bytes() (held, limit int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.within + r.beyond, r.bounds.All
}

// Heaviest returns the namespaces whose records weigh the most, that many at most, the heaviest
// first.
func (r *Room) Heaviest(most int) []inventory.NamespaceBytes {
	r.mu.Lock()
	all := make([]inventory.NamespaceBytes, 0, len(r.held))
	for namespace, held := range r.held {
		all = append(all, inventory.NamespaceBytes{Namespace: namespace, Bytes: held})
	}
	r.mu.Unlock()
	slices.SortFunc(all, func(a, b inventory.NamespaceBytes) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Namespace, b.Namespace))
	})
	return all[:min(most, len(all))]
}

func (r *Room) signal() {
	select {
	case r.freed <- struct{}{}:
	default: // it is signalled already
	}
}

// Wait has an object woken once there is room for its record, and reports whether there is none
// now.
func (r *Room) Wait(kind string, object types.NamespacedName, name string, weight int) bool {
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if weight <= r.allowed(name, object.Namespace) {
		delete(r.waiting, waiter{kind, object})
		return false
	}
	known, there := r.waiting[waiter{kind, object}]
	if !there {
		r.arrivals++
		known.arrived = r.arrivals
	}
	known.record, known.weight = name, weight
	r.waiting[waiter{kind, object}] = known
	return true
}

// Done means that an object does not wait, or is deleted.
func (r *Room) Done(kind string, object types.NamespacedName) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.waiting, waiter{kind, object})
}

// Start wakes objects when there is room for them, until the context ends.
func (r *Room) Start(ctx context.Context) error {
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-again.C:
		case <-r.freed:
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(Gather):
			}
		}
		for _, found := range r.fitting() {
			select {
			case r.Woken(found.kind) <- event.GenericEvent{Object: &metav1.PartialObjectMetadata{
				ObjectMeta: metav1.ObjectMeta{Namespace: found.Namespace, Name: found.Name},
			}}:
			case <-ctx.Done():
				return nil
			}
		}
	}
}

// fitting returns the objects that there is room for together: first those of the namespaces that
// hold the least, and of one namespace those that came first. They do not wait any more.
func (r *Room) fitting() (found []waiter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]waiter, 0, len(r.waiting))
	for w := range r.waiting {
		all = append(all, w)
	}
	slices.SortFunc(all, func(a, b waiter) int {
		return cmp.Or(cmp.Compare(r.held[a.Namespace], r.held[b.Namespace]), cmp.Compare(a.Namespace, b.Namespace),
			cmp.Compare(r.waiting[a].arrived, r.waiting[b].arrived))
	})
	before := map[string]record{}
	for _, w := range all {
		wants := r.waiting[w]
		if wants.weight > r.allowed(wants.record, w.Namespace) {
			continue
		}
		if _, there := before[wants.record]; !there {
			before[wants.record] = r.records[wants.record]
		}
		r.set(wants.record, record{namespace: w.Namespace, writing: wants.weight})
		delete(r.waiting, w)
		found = append(found, w)
	}
	for name, was := range before {
		r.set(name, was)
	}
	return found
}
