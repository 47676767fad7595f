// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"encoding/binary"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/wire"
)

// usedID is a made-up id; ids are spread evenly.
func usedID(n int) (id ID) {
	binary.BigEndian.PutUint64(id[:], uint64(n)*0x9E3779B97F4A7C15) //nolint:gosec // any bits will do
	return id
}

// accepting is a State, and the assertions that it accepted and that no other one has learned.
type accepting struct {
	State

	unwritten Batch
	numbers   numbers
}

// use uses an assertion, and reports whether there was room.
func (r *accepting) use(t *testing.T, n int, namespace string, now time.Time) bool {
	t.Helper()
	used := NewEntry(usedID(n), now.Add(time.Minute))
	fresh, room := r.Use(used, namespace, now, now)
	if fresh != room {
		t.Fatalf("assertion %d of %s: fresh %t, room %t", n, namespace, fresh, room)
	}
	if room {
		if r.numbers == nil {
			r.numbers = numbers{}
		}
		used.Client = r.numbers.of(Client{Namespace: namespace}, &r.unwritten)
		r.unwritten.Assertions = append(r.unwritten.Assertions, used)
	}
	return room
}

// exchange has all replicas learn what the others accepted, as it is stored.
func exchange(t *testing.T, replicas []*accepting, now time.Time) {
	t.Helper()
	for _, from := range replicas {
		batch, err := UnpackBatch(from.unwritten.Pack())
		if err != nil {
			t.Fatal(err)
		}
		from.unwritten, from.numbers = Batch{}, nil
		for _, to := range replicas {
			to.Learn(batch, now)
		}
	}
}

func TestUsedAssertionsAreBoundedHoweverManyReplicasThereAre(t *testing.T) {
	const round = 4096
	// if each had a bound of its own, four would accept more than is refused below
	replicas := make([]*accepting, 4)
	for i := range replicas {
		replicas[i] = &accepting{}
	}
	n, accepted := 0, 0
	for more := true; more; exchange(t, replicas, noon) {
		more = false
		for _, r := range replicas {
			for range round {
				n++
				if !r.use(t, n, "evil", noon) {
					break
				}
				accepted, more = accepted+1, true
			}
		}
		if accepted > 2*maxUsed {
			t.Fatal("a namespace that spreads over all replicas has no bound")
		}
	}
	// what is accepted while the last rounds are on their way may be beyond it
	if most := usedLent + usedShare + len(replicas)*round; accepted < usedLent || accepted > most {
		t.Errorf("%d of a namespace were accepted, want at most %d", accepted, most)
	}
	for i, r := range replicas {
		if _, used := r.Len(); used != accepted || r.assertions.users.all != accepted {
			t.Errorf("replica %d has %d and counts %d, want %d", i, used, r.assertions.users.all, accepted)
		}
		if fresh, room := r.Use(NewEntry(usedID(1), noon.Add(time.Minute)), "evil", noon, noon); fresh || !room {
			t.Errorf("replica %d: one that another replica knows: fresh %t, room %t", i, fresh, room)
		}
	}
	for honest := range 255 { // every one has its share, at whichever replica
		for i := range usedShare {
			n++
			if r := replicas[i%len(replicas)]; !r.use(t, n, "honest-"+strconv.Itoa(honest), noon) {
				t.Fatalf("assertion %d of honest namespace %d was refused", i, honest)
			}
		}
	}
}

// A replica learns what others accepted while they did not know of each other, and it takes no
// share of another namespace.
func TestWhatIsLearnedBeyondTheBoundTakesNoShare(t *testing.T) {
	learned := func(namespace string) (r *accepting) {
		r = &accepting{}
		batch := Batch{Clients: []Client{{Namespace: namespace}}}
		for n := range maxUsed + 1 {
			used := NewEntry(usedID(n), noon.Add(time.Minute))
			if namespace != "" {
				used.Client = 1
			}
			batch.Assertions = append(batch.Assertions, used)
		}
		r.Learn(batch, noon)
		return r
	}
	for name, namespace := range map[string]string{"of one namespace": "evil", "of a build that stores no namespaces": ""} {
		r := learned(namespace)
		if r.assertions.users.all != maxUsed+1 || !r.Used(usedID(maxUsed), noon) {
			t.Errorf("%s: %d are learned", name, r.assertions.users.all)
		}
		if namespace != "" && r.use(t, 1<<30, namespace, noon) {
			t.Errorf("%s: one more was accepted", name)
		}
		for i := range usedShare {
			if !r.use(t, 2<<30+i, "honest", noon) {
				t.Fatalf("%s: assertion %d of an honest namespace was refused", name, i)
			}
		}
		if r.use(t, 3<<30, "honest", noon) {
			t.Errorf("%s: an honest namespace borrowed what there is not", name)
		}
	}
}

func TestUsedAssertionsGiveTheirPlacesBackWhenTheyExpire(t *testing.T) {
	r := &accepting{}
	n := 0
	for r.use(t, n, "evil", noon) {
		n++
	}
	if n != usedLent+usedShare {
		t.Errorf("%d of one namespace, want %d", n, usedLent+usedShare)
	}
	for ns := 0; r.assertions.users.all < maxUsed; ns++ {
		for range usedShare {
			if n++; r.assertions.users.all < maxUsed && !r.use(t, n, "ns"+strconv.Itoa(ns), noon) {
				t.Fatalf("no room for the share of namespace %d", ns)
			}
		}
	}
	if r.use(t, n+1, "one more", noon) {
		t.Error("there is room where all shares are taken")
	}
	later := noon.Add(time.Minute)
	ahead := NewEntry(usedID(n+2), later.Add(time.Minute))
	if _, room := r.Use(ahead, "one more", later, noon); room {
		t.Error("what has expired by a clock that was set ahead is forgotten")
	}
	if !r.use(t, 0, "evil", later) || r.assertions.users.all != 1 || r.assertions.set.Len() != 1 {
		t.Errorf("when all have expired, %d are remembered", r.assertions.users.all)
	}
	for i := 1; i < usedShare; i++ {
		if !r.use(t, i, "evil", later) {
			t.Fatal("a place was not given back")
		}
	}
	r.Sweep(later.Add(time.Hour))
	r.Sweep(later.Add(time.Hour)) // numbers are free after all entries are gone
	if r.assertions.users.all != 0 || r.assertions.users.borrowed != 0 || len(r.assertions.users.numbers) != 1 {
		t.Errorf("after all, %d are counted, %d borrowed, %d namespaces", r.assertions.users.all, r.assertions.users.borrowed, len(r.assertions.users.numbers))
	}
}

func TestAnExpiredAssertionThatIsStillRememberedIsFresh(t *testing.T) {
	var r State
	use := func(until, now time.Time, want bool) {
		t.Helper()
		if fresh, room := r.Use(NewEntry(ID{1}, until), "shop", now, noon); fresh != want || !room {
			t.Errorf("fresh %t, room %t", fresh, room)
		}
	}
	later := noon.Add(time.Minute)
	use(later, noon, true)
	use(later, noon, false)
	use(later.Add(time.Minute), later, true)
	use(later.Add(time.Minute), later, false)
	if r.assertions.users.all != 1 {
		t.Errorf("%d are counted", r.assertions.users.all)
	}
}

// readTokens reads origins as builds do that know only those of tokens.
func readTokens(t *testing.T, origins []byte) (clients []Client, tokens int) {
	t.Helper()
	r := wire.NewReader(string(origins))
	if r.Byte() != originsVersion {
		t.Fatal("another version")
	}
	for range r.Count() {
		clients = append(clients, Client{ID: r.Text(), Namespace: r.Text()})
		for range r.Count() {
			r.Raw(4)
			tokens++
		}
	}
	if !r.Done() {
		t.Fatalf("%x is not what such a build reads", origins)
	}
	return clients, tokens
}

func TestTheNamespacesOfAssertionsAreReadAsTheyWereWritten(t *testing.T) {
	of := func(n byte, client uint32) Entry {
		r := NewEntry(ID{n}, noon)
		r.Client = client
		return r
	}
	token := revokedToken(1, noon)
	token.Client = 1
	b := Batch{
		Tokens: []Entry{token}, Assertions: []Entry{of(1, 0), of(2, 3), of(3, 2), of(4, 3)},
		Clients: []Client{shopApp, {Namespace: "shop"}, {Namespace: "orders"}},
	}
	stored := stored{Name: "batch-a"}
	stored.Tokens, stored.Assertions, stored.Origins, _ = b.Encode()
	_, got, err := Read(stored)
	if err != nil {
		t.Fatal(err)
	}
	want := Batch{Tokens: b.Tokens, Assertions: []Entry{of(3, 2), of(2, 3), of(4, 3), of(1, 0)}, Clients: b.Clients}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if clients, tokens := readTokens(t, stored.Origins); clients[0] != shopApp || tokens != 1 {
		t.Errorf("a build that knows only tokens reads %d of %v", tokens, clients)
	}
	merged := Merge(Margins{}, func(Entry, Client) bool { return false }, got, Batch{Assertions: []Entry{of(9, 1)}, Clients: []Client{{Namespace: "orders"}}})
	byNamespace := map[string]int{}
	for _, r := range merged.Assertions {
		byNamespace[merged.clientOf(r).Namespace]++
	}
	if diff := cmp.Diff(map[string]int{"": 1, "shop": 1, "orders": 3}, byNamespace); diff != "" {
		t.Errorf("merged (-want +got):\n%s", diff)
	}
	for name, id := range map[string]string{"more than there are": ofUsers + "5", "no number": ofUsers + "x", "none": ofUsers} {
		var w wire.Writer
		w.Text(id)
		w.Text("shop")
		w.Varint(0)
		origins := append(binary.AppendVarint([]byte{originsVersion}, 1), w.Bytes...)
		if _, err := unpackOrigins(nil, []Entry{of(1, 0)}, origins); err == nil {
			t.Errorf("%s: read", name)
		}
	}
}

// A snapshot has the parts of a State. Who restarts from it counts as before.
func TestNamespacesOutliveARestart(t *testing.T) {
	before, after := &accepting{}, &accepting{}
	for n := range usedShare + 10 {
		before.use(t, n, "shop", noon)
		before.use(t, 1<<20+n, "orders", noon)
	}
	for i := range Parts {
		part, err := UnpackBatch(before.Part(i).Pack())
		if err != nil {
			t.Fatal(err)
		}
		after.Learn(part, noon)
	}
	if after.assertions.users.borrowed != 20 || after.assertions.users.all != before.assertions.users.all || len(after.assertions.users.numbers) != 3 {
		t.Errorf("%d, %d borrowed, of %d", after.assertions.users.all, after.assertions.users.borrowed, len(after.assertions.users.numbers)-1)
	}
}

func TestAPartNamesSoManyNamespaces(t *testing.T) {
	r := &accepting{}
	for n := range MaxClients + 10 {
		// all in one part
		used := NewEntry(ID{0, 0, byte(n >> 8), byte(n)}, noon.Add(time.Minute))
		if _, room := r.Use(used, "ns"+strconv.Itoa(n), noon, noon); !room {
			t.Fatal("no room")
		}
	}
	part := r.Part(0)
	if len(part.Clients) != MaxClients || len(part.Assertions) != MaxClients+10 {
		t.Errorf("%d namespaces of %d assertions", len(part.Clients), len(part.Assertions))
	}
}

func TestTheJournalWritesTheNamespacesOfAssertions(t *testing.T) {
	j, _ := newJournal(&memoryStore{}, func() time.Time { return noon })
	for n := range 100 {
		j.Use(NewEntry(usedID(n), noon.Add(time.Minute)), "shop")
		j.Use(NewEntry(usedID(1<<20+n), noon.Add(time.Minute)), "orders")
	}
	byNamespace, written := map[string]int{}, j.seal().batch
	for _, r := range written.Assertions {
		byNamespace[written.clientOf(r).Namespace]++
	}
	if diff := cmp.Diff(map[string]int{"shop": 100, "orders": 100}, byNamespace); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
