// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/usage"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// store is an API server that keeps reports.
type store struct {
	reports map[string]*v1alpha1.UsageReport
	version int
	writes  []string
	// away answers with an error; silent does what it is asked to and then answers with one.
	away, silent bool
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, name, _ := strings.Cut(r.URL.Path, "/usagereports")
	name = strings.TrimPrefix(name, "/")
	fail := func(code int, reason metav1.StatusReason) {
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(metav1.Status{ //nolint:errchkjson // as below
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: int32(code), Reason: reason, //nolint:gosec // a status
		})
	}
	var sent v1alpha1.UsageReport
	if r.Method != http.MethodGet {
		_ = json.NewDecoder(r.Body).Decode(&sent)
		name = sent.Name
	}
	stored := s.reports[name]
	switch {
	case s.away:
		fail(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable)
		return
	case r.Method == http.MethodGet && stored == nil, r.Method == http.MethodPut && stored == nil:
		fail(http.StatusNotFound, metav1.StatusReasonNotFound)
		return
	case r.Method == http.MethodGet:
		_ = json.NewEncoder(w).Encode(stored) //nolint:errchkjson // of a test: what does not arrive is noticed
		return
	case r.Method == http.MethodPost && stored != nil:
		fail(http.StatusConflict, metav1.StatusReasonAlreadyExists)
		return
	case r.Method == http.MethodPut && stored.ResourceVersion != sent.ResourceVersion:
		fail(http.StatusConflict, metav1.StatusReasonConflict)
		return
	}
	s.version++
	s.writes = append(s.writes, name)
	sent.ResourceVersion = strconv.Itoa(s.version)
	s.reports[name] = &sent
	if s.silent {
		fail(http.StatusInternalServerError, metav1.StatusReasonInternalError)
		return
	}
	_ = json.NewEncoder(w).Encode(sent) //nolint:errchkjson // as above
}

// world is a reporter at a moment, and what it has stored.
type world struct {
	t        *testing.T
	now      time.Time
	gathered *Gatherer
	store    *store
	reporter *Reporter
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: noon, gathered: NewGatherer(usage.MinuteOf(noon), MaxBytes), store: &store{reports: map[string]*v1alpha1.UsageReport{}}}
	server := httptest.NewServer(w.store)
	t.Cleanup(server.Close)
	var err error
	w.reporter, err = New(Config{
		REST: &rest.Config{Host: server.URL}, Namespace: "hallpass-registry", Host: "Pod_1.example", Usage: w.gathered, Interval: time.Minute, MaxStaleness: 24 * time.Hour,
		Log: slog.New(slog.NewJSONHandler(io.Discard, nil)), Now: func() time.Time { return w.now }, //nolint:sloglint // of a test
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) open() {
	w.t.Helper()
	if err := w.reporter.write(w.t.Context(), 0, v1alpha1.UsageServing, w.reporter.look()); err != nil {
		w.t.Fatal(err)
	}
	w.reporter.opened.Store(true)
	w.store.writes = nil
}

// walk lets time pass, and returns what was written meanwhile.
func (w *world) walk(length time.Duration) (writes []string) {
	w.t.Helper()
	for end := w.now.Add(length); w.now.Before(end); {
		w.now = w.now.Add(15 * time.Second)
		_ = w.reporter.step(w.t.Context())
	}
	defer func() { w.store.writes = nil }()
	return w.store.writes
}

func (w *world) use(uid string) {
	w.gathered.Note(oauth2.Use{Subject: uid, At: w.now, Credential: "abcdefghijkl", Issued: true})
}

func (w *world) first() *v1alpha1.UsageReport { return w.store.reports[w.reporter.replica] }

// told is the content of all parts together.
func (w *world) told() map[usage.Key]usage.Seen {
	w.t.Helper()
	all := map[usage.Key]usage.Seen{}
	for _, report := range w.store.reports {
		entries, _, err := usage.Decode(report.Spec.Uses)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, e := range entries {
			seen := all[e.Key]
			seen.Merge(e.Seen, usage.MinuteOf(w.now))
			all[e.Key] = seen
		}
	}
	return all
}

func TestTheNameOfAReplicaIsTheHostsAndItsOwn(t *testing.T) {
	one, two := replicaName("Pod_1.example"), replicaName("Pod_1.example")
	if !strings.HasPrefix(one, "pod1example-") || one == two {
		t.Errorf("%s and %s", one, two)
	}
	if long := replicaName(strings.Repeat("x", 500)); len(long) > 200 {
		t.Errorf("a name of %d characters", len(long))
	}
}

func TestNothingButSignsOfLifeIsWrittenWhileNothingIsUsed(t *testing.T) {
	w := newWorld(t)
	w.open()
	if writes := w.walk(9 * time.Minute); len(writes) > 0 {
		t.Errorf("wrote %v", writes)
	}
	if writes := w.walk(time.Hour); len(writes) != 6 {
		t.Errorf("wrote %d times in an hour, want a sign of life every ten minutes", len(writes))
	}
}

func TestAReplicaVouchesForWhatIsHeardOf(t *testing.T) {
	w := newWorld(t)
	vouches := func(when string, want bool) {
		t.Helper()
		if got := w.reporter.Reporting(); got != want {
			t.Errorf("%s: %t", when, got)
		}
	}
	vouches("before the report is there", false)
	w.open()
	vouches("once it is", true)
	w.walk(48 * time.Hour)
	vouches("while it is written", true)
	w.store.away = true
	w.walk(23 * time.Hour)
	vouches("for a while without the API server", true)
	if w.reporter.Close(t.Context()); w.reporter.Closed() {
		t.Error("a report that cannot be written is closed")
	}
	w.walk(2 * time.Hour)
	vouches("when that is over", false)
	w.store.away = false
	w.walk(time.Minute)
	vouches("once it is written again", true)
	if limit := w.first().Spec.MaxStalenessSeconds; limit != 24*60*60 {
		t.Errorf("the report says that the limit is %d s", limit)
	}
	if w.reporter.Close(t.Context()); !w.reporter.Closed() {
		t.Error("a report that was closed is not")
	}
}

func TestAUseIsToldWithinAnIntervalAndOnceAnInterval(t *testing.T) {
	w := newWorld(t)
	w.open()
	w.walk(5 * time.Minute)
	w.use("one")
	if writes := w.walk(15 * time.Second); len(writes) != 1 {
		t.Fatalf("wrote %v, want the first use after a pause at once", writes)
	}
	writes := 0
	for range 40 { // ten minutes of constant use
		w.use("one")
		writes += len(w.walk(15 * time.Second))
	}
	if writes < 9 || writes > 10 {
		t.Errorf("%d writes in ten minutes, want one a minute", writes)
	}
	if seen := w.told()[usage.KeyOf("one")]; seen.Issued < usage.MinuteOf(w.now.Add(-2*time.Minute)) {
		t.Errorf("told %s at %s", seen.Issued.Time(), w.now)
	}
}

func TestTheSpanThatIsCoveredLacksNothing(t *testing.T) {
	w := newWorld(t)
	w.open()
	if from := w.first().Spec.CoveredFrom; !from.Time.Equal(noon) || !w.first().Spec.CoveredUntil.Time.IsZero() {
		t.Errorf("covered from %s until %s, want from the start on and nothing yet", from, w.first().Spec.CoveredUntil)
	}
	w.use("one")
	w.walk(time.Minute)
	w.walk(6 * time.Hour)
	if until := w.first().Spec.CoveredUntil.Time; until.After(w.now.Add(-settling)) || until.Before(noon) {
		t.Errorf("at %s covered until %s", w.now, until)
	}
}

func TestManyClientsAreToldInPartsAFewAnInterval(t *testing.T) {
	w := newWorld(t)
	w.open()
	w.use("early")
	w.walk(time.Minute)
	const clients = 30_000
	for i := range clients {
		w.use(fmt.Sprint("client-", i))
	}
	for range 4 {
		w.store.writes = nil
		if writes := w.walk(time.Minute); len(writes) > writesPerInterval {
			t.Errorf("%d writes in an interval", len(writes))
		}
		if seen := w.told()[usage.KeyOf("early")]; seen.Issued == 0 {
			t.Fatal("what was told is lost while parts become more")
		}
	}
	told := w.told()
	if len(told) != clients+1 || len(w.store.reports) < 2 {
		t.Errorf("%d clients are told of in %d parts", len(told), len(w.store.reports))
	}
	for name, report := range w.store.reports {
		if len(report.Spec.Uses) > usage.MaxReport || int(report.Spec.Parts) != len(w.store.reports) {
			t.Errorf("%s has %d bytes and says it is one of %d", name, len(report.Spec.Uses), report.Spec.Parts)
		}
	}
	if until := w.first().Spec.CoveredUntil.Time; until.After(w.now.Add(-settling)) {
		t.Errorf("covered until %s at %s", until, w.now)
	}
}

func TestWritingGoesOnAfterTheAPIServerWasAway(t *testing.T) {
	cases := []struct {
		name    string
		disturb func(w *world)
	}{
		{"it was away", func(w *world) { w.store.away = true }},
		{"its answers were lost", func(w *world) { w.store.silent = true }},
		{"somebody deleted the report", func(w *world) { clear(w.store.reports) }},
		{"somebody changed the report", func(w *world) { w.first().ResourceVersion = "9999" }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.open()
			c.disturb(w)
			w.use("one")
			w.walk(3 * time.Minute)
			w.store.away, w.store.silent = false, false
			w.walk(2 * time.Minute)
			if seen := w.told()[usage.KeyOf("one")]; seen.Issued != usage.MinuteOf(noon) {
				t.Errorf("told %+v", seen)
			}
			if writes := w.walk(5 * time.Minute); len(writes) > 0 {
				t.Errorf("it goes on writing: %v", writes)
			}
		})
	}
}

func TestAReplicaThatStopsTellsTheRest(t *testing.T) {
	w := newWorld(t)
	w.open()
	w.use("one")
	w.now = w.now.Add(time.Second)
	w.reporter.Close(t.Context())
	report := w.first()
	if report.Spec.State != v1alpha1.UsageStopped || !report.Spec.CoveredUntil.Time.Equal(w.now) {
		t.Errorf("%s, covered until %s, want Stopped and all of it", report.Spec.State, report.Spec.CoveredUntil)
	}
	if seen := w.told()[usage.KeyOf("one")]; seen.Issued != usage.MinuteOf(noon) {
		t.Errorf("told %+v", seen)
	}
}
