// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// book is an Auditor whose lines are read and whose clock is moved.
type book struct {
	*Auditor

	t       *testing.T
	now     time.Time
	written bytes.Buffer
}

func newBook(t *testing.T) *book {
	t.Helper()
	b := &book{t: t, now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	b.Auditor = New(Config{
		Lines: &b.written, Log: slog.New(slog.DiscardHandler), Metrics: NewMetrics(prometheus.NewRegistry()), Now: func() time.Time { return b.now },
	})
	return b
}

// decide records a decision; an empty reason allows.
func (b *book) decide(source string, reason oauth2.Reason, trail auth.Trail) {
	ctx, record := b.Begin(b.t.Context(), Token, Origin{RemoteAddr: source + ":1"})
	if reason == "" {
		b.End(ctx, record, trail, http.StatusOK, nil)
		return
	}
	b.End(ctx, record, trail, http.StatusUnauthorized, oauth2.Refuse(oauth2.InvalidClient, reason, "refused"))
}

// lines returns the lines since it was called last.
func (b *book) lines() []map[string]any {
	b.t.Helper()
	var lines []map[string]any
	for decoder := json.NewDecoder(&b.written); decoder.More(); {
		var line map[string]any
		if err := decoder.Decode(&line); err != nil {
			b.t.Fatal(err)
		}
		lines = append(lines, line)
	}
	return lines
}

// counts are how many decisions each line stands for.
func counts(lines []map[string]any) []int {
	var counts []int
	for _, line := range lines {
		n, more := line["repeated"].(float64)
		if !more {
			n = 1
		}
		counts = append(counts, int(n))
	}
	return counts
}

const wrong = oauth2.ReasonWrongSecret

func TestAFloodOfRefusalsIsOneLineASecond(t *testing.T) {
	ones := func(n int) (ones []int) {
		for range n {
			ones = append(ones, 1)
		}
		return ones
	}
	type second struct {
		refusals   int
		want, then []int // the lines at once, and when the second is over
	}
	for name, seconds := range map[string][]second{
		"at the rate each has a line":                           {{10, ones(10), nil}, {10, ones(10), nil}, {10, ones(10), nil}},
		"those beyond the rate share a line":                    {{200, ones(10), []int{190}}},
		"one beyond the rate is a line like any other":          {{11, ones(10), ones(1)}},
		"while it lasts it is one line a second":                {{200, ones(10), []int{190}}, {200, nil, []int{200}}, {11, nil, []int{11}}},
		"a second at the rate ends it":                          {{200, ones(10), []int{190}}, {7, nil, []int{7}}, {7, ones(7), nil}},
		"a second without a refusal ends it and has no line":    {{200, ones(10), []int{190}}, {0, nil, nil}, {3, ones(3), nil}},
		"a flood that begins again has ten lines before it":     {{50, ones(10), []int{40}}, {0, nil, nil}, {50, ones(10), []int{40}}},
		"a source that was never refused has no line by itself": {{0, nil, nil}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBook(t)
			for i, s := range seconds {
				for range s.refusals {
					b.decide("192.0.2.1", wrong, auth.Trail{})
				}
				if diff := cmp.Diff(s.want, counts(b.lines())); diff != "" {
					t.Errorf("second %d, at once (-want +got):\n%s", i, diff)
				}
				b.writeHeld(false)
				if early := b.lines(); len(early) > 0 {
					t.Errorf("second %d: %d lines before it is over", i, len(early))
				}
				b.now = b.now.Add(time.Second)
				b.writeHeld(false)
				if diff := cmp.Diff(s.then, counts(b.lines())); diff != "" {
					t.Errorf("second %d, at its end (-want +got):\n%s", i, diff)
				}
			}
		})
	}
}

func TestAFloodHidesNoOtherDecision(t *testing.T) {
	b := newBook(t)
	for range 100 {
		b.decide("192.0.2.1", wrong, auth.Trail{})
	}
	b.lines()
	for range 100 {
		b.decide("192.0.2.1", "", auth.Trail{ClientID: "shop.reporting"}) // allowed
	}
	// of a token, in an answer that is allowed
	b.decide("192.0.2.1", "", auth.Trail{Denial: oauth2.ReasonTokenExpired})
	b.decide("192.0.2.1", oauth2.ReasonUnknownClient, auth.Trail{})
	b.decide("192.0.2.2", wrong, auth.Trail{})
	lines := b.lines()
	if len(lines) != 103 {
		t.Errorf("%d lines, want 103", len(lines))
	}
	for _, line := range lines {
		if _, there := line["repeated"]; there {
			t.Errorf("a decision of its own stands for more: %v", line)
		}
	}
}

// The line of several refusals is that of the first one.
func TestTheLineOfSeveralRefusalsHasTheFieldsOfTheFirst(t *testing.T) {
	b := newBook(t)
	for i := range 30 {
		b.decide("192.0.2.1", wrong, auth.Trail{ClientID: "shop.c" + strconv.Itoa(i)})
	}
	b.lines()
	b.now = b.now.Add(time.Second)
	b.writeHeld(false)
	lines := b.lines()
	if len(lines) != 1 {
		t.Fatalf("%d lines", len(lines))
	}
	delete(lines[0], "request_id")
	if diff := cmp.Diff(map[string]any{
		"time": "2026-11-23T12:00:01Z", "level": "INFO", "msg": "decision", "endpoint": "token", "outcome": "refused", "status": 401.0,
		"source": "192.0.2.1", "reason": "WrongSecret", "client_id": "shop.c10", "repeated": 20.0,
	}, lines[0]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhatIsHeldKeepsNothingOfARequest(t *testing.T) {
	b := newBook(t)
	long := strings.Repeat("x", 60_000)
	for range refusalRate + 1 {
		b.decide("192.0.2.1", wrong, auth.Trail{
			ClientID: long, Credential: long, Token: auth.TokenTrail{ID: long, ClientID: long, Audience: long, Scope: long},
			Required: oauth2.Requirement{Audience: long, Scopes: []string{long, long}}, Used: auth.Used{TokenOf: "uid"},
		})
	}
	held := b.refusals.entries[refusalKey{"192.0.2.1", wrong}].first
	if line := held.line(nil, b.now, http.StatusUnauthorized, 1); len(line) > 1500 {
		t.Errorf("%d bytes are held", len(line))
	}
}

// However many sources there are, no refusal is lost and what is remembered is bounded.
func TestManySourcesAreCountedInBoundedMemory(t *testing.T) {
	const sources = 3 * refusalEntries
	b := newBook(t)
	for i := range sources {
		b.decide("10.0."+strconv.Itoa(i/256)+"."+strconv.Itoa(i%256), wrong, auth.Trail{})
	}
	if n := len(b.refusals.entries); n > refusalEntries+1 {
		t.Errorf("%d are remembered", n)
	}
	b.now = b.now.Add(time.Second)
	b.writeHeld(false)
	stoodFor := 0
	lines := counts(b.lines())
	for _, n := range lines {
		stoodFor += n
	}
	if stoodFor != sources || len(lines) > refusalEntries+refusalRate+1 {
		t.Errorf("%d lines stand for %d refusals of %d", len(lines), stoodFor, sources)
	}
	b.now = b.now.Add(time.Second)
	b.writeHeld(false)
	if n := len(b.refusals.entries); n != 0 {
		t.Errorf("%d are remembered a second later", n)
	}
}

// Who has all addresses of a network fills the table with them, and hides no refusal of others.
func TestTheSourcesOfANetworkHideNoRefusalOfOthers(t *testing.T) {
	b := newBook(t)
	refuse := func(address string) []map[string]any {
		ctx, record := b.Begin(t.Context(), Token, Origin{RemoteAddr: "[" + address + "]:1"})
		b.End(ctx, record, auth.Trail{}, http.StatusUnauthorized, oauth2.Refuse(oauth2.InvalidClient, wrong, "refused"))
		return b.lines()
	}
	for i := range 2 * refusalEntries {
		refuse("2001:db8:" + strconv.FormatInt(int64(i), 16) + "::1")
	}
	for _, honest := range []string{"2001:dba::1", "2001:dbb::1", "fd00::1"} {
		for i := range refusalRate {
			if lines := refuse(honest); len(lines) != 1 {
				t.Fatalf("the %d. refusal of %s has %d lines", i+1, honest, len(lines))
			}
		}
	}
	if lines := refuse("2001:db8:ffff::1"); len(lines) != 0 {
		t.Errorf("another source of the network has a line of its own: %v", lines)
	}
	if n := len(b.refusals.entries); n > refusalEntries {
		t.Errorf("%d are remembered", n)
	}
}

func TestWhatIsHeldIsWrittenWhenTheServerStops(t *testing.T) {
	b := newBook(t)
	for range 25 {
		b.decide("192.0.2.1", wrong, auth.Trail{})
	}
	b.lines()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	b.Run(ctx)
	if diff := cmp.Diff([]int{15}, counts(b.lines())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestALineRepeatsLittleOfARequest(t *testing.T) {
	long := strings.Repeat("x", 2000)
	proven := auth.Trail{ClientID: strings.Repeat("c", 200), Used: auth.Used{Caller: "uid"}}
	b := newBook(t)
	b.decide("192.0.2.1", wrong, auth.Trail{ClientID: long, Required: oauth2.Requirement{Audience: "https://" + long, Scopes: []string{"a", long}}})
	b.decide("192.0.2.1", wrong, auth.Trail{ClientID: strings.Repeat("y", 128)})
	b.decide("192.0.2.1", "", proven)
	lines := b.lines()
	for field, prefix := range map[string]string{"client_id": "xxx", "required_aud": "https://xxx", "required_scope": "a xxx"} {
		got, _ := lines[0][field].(string)
		if len(got) != 128 || !strings.HasPrefix(got, prefix) || !strings.HasSuffix(got, "…") {
			t.Errorf("%s has %d bytes: %q", field, len(got), got)
		}
	}
	if got := lines[1]["client_id"]; got != strings.Repeat("y", 128) {
		t.Errorf("128 bytes become %q", got)
	}
	if got := lines[2]["client_id"]; got != proven.ClientID {
		t.Errorf("a client that authenticated is named %q", got)
	}
}

// A record that waits for its line has short strings of its own: those of the request may be parts
// of a long token.
func TestARecordThatWaitsHasItsOwnSubject(t *testing.T) {
	const records, size = 64, 1 << 20
	kept := make([]Record, records)
	before := heap()
	for i := range kept {
		token := strings.Repeat("x", size) + "user:corp:U1"
		r := Record{subject: token[size:]}
		kept[i] = r.detached()
	}
	if grown := heap() - before; grown > size {
		t.Errorf("%d records keep %d bytes", records, grown)
	}
	runtime.KeepAlive(kept)
}

// heap is what is in use after a collection.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc) //nolint:gosec // far below the limit
}
