// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package apiclock_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/apiclock"
)

var noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// clocks are how far each clock is off after a time, beside the one that runs evenly.
type clocks struct {
	after      time.Duration
	ours, apis time.Duration
}

func (c clocks) instant() apiclock.Instant {
	return apiclock.Instant{Wall: noon.Add(c.after + c.ours), Run: c.after}
}

func TestWhatIsCertainOfTheTime(t *testing.T) {
	const hour, day = time.Hour, 24 * time.Hour
	for name, c := range map[string]struct {
		responses []clocks
		now       clocks
		// of the present time, off noon and the time that has passed
		earliest time.Duration
		latest   time.Duration
		agreed   bool
	}{
		"without a response":                  {now: clocks{after: hour}},
		"without one, our clock is set ahead": {now: clocks{after: hour, ours: day}, latest: day},
		"without one, our clock is set back":  {now: clocks{after: hour, ours: -day}, earliest: -day, latest: -day},
		"one response agrees":                 {responses: []clocks{{}}, now: clocks{}},
		"two responses at once agree":         {responses: []clocks{{}, {after: 59 * time.Second}}, now: clocks{after: time.Minute}},
		"two responses a minute apart agree": {
			responses: []clocks{{}, {after: time.Minute}}, now: clocks{after: time.Minute}, agreed: true,
		},
		"so they do hours later": {
			responses: []clocks{{}, {after: time.Minute}}, now: clocks{after: 5 * hour}, agreed: true,
		},
		"they agree within half a minute, and our clock counts": {
			responses: []clocks{{apis: -30 * time.Second}, {after: time.Minute, apis: -30 * time.Second}}, now: clocks{after: time.Minute}, agreed: true,
		},
		"beyond half a minute they do not": {
			responses: []clocks{{apis: -31 * time.Second}, {after: time.Minute, apis: -31 * time.Second}}, now: clocks{after: time.Minute},
			earliest: -31 * time.Second,
		},
		"our clock is ahead from the start": {
			responses: []clocks{{ours: 31 * day}, {after: time.Minute, ours: 31 * day}}, now: clocks{after: time.Minute, ours: 31 * day}, latest: 31 * day,
		},
		"our clock is behind from the start": {
			responses: []clocks{{ours: -hour}, {after: time.Minute, ours: -hour}}, now: clocks{after: 2 * time.Minute, ours: -hour}, earliest: -hour,
		},
		"our clock is set ahead after the last response": {
			responses: []clocks{{}, {after: time.Minute}}, now: clocks{after: 2 * time.Minute, ours: day}, latest: day,
		},
		"our clock was ahead for a while": {
			responses: []clocks{{}, {after: time.Minute}}, now: clocks{after: hour}, agreed: true,
		},
		"both clocks were ahead until a minute ago": {
			responses: []clocks{{ours: day, apis: day}, {after: time.Minute, ours: day, apis: day}, {after: 2 * time.Minute}}, now: clocks{after: 2 * time.Minute},
		},
		"both clocks are set, and a minute is over": {
			responses: []clocks{{ours: day, apis: day}, {after: time.Minute}, {after: 2 * time.Minute}}, now: clocks{after: 2 * time.Minute}, agreed: true,
		},
		"one API server of two is wrong": {
			responses: []clocks{{}, {after: time.Minute}, {after: 2 * time.Minute, apis: -hour}}, now: clocks{after: 2 * time.Minute}, earliest: -hour,
		},
		"our clock is right again, and two responses say so": {
			responses: []clocks{{ours: day}, {after: time.Minute}}, now: clocks{after: time.Minute}, agreed: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			compared := apiclock.From(noon, clocks{}.instant())
			for _, r := range c.responses {
				compared = compared.With(noon.Add(r.after+r.apis), r.instant())
			}
			present := noon.Add(c.now.after)
			want := apiclock.Time{Earliest: present.Add(c.earliest), Latest: present.Add(c.latest), Agreed: c.agreed}
			got := compared.Time(c.now.instant())
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if past := got.Past(); past.IsZero() == c.agreed {
				t.Errorf("past %s", past)
			}
		})
	}
}

// answers is an API server.
type answers struct {
	status int
	date   string
	err    error
}

func (a answers) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: a.status, Header: http.Header{"Date": {a.date}}}, a.err
}

func TestResponsesTellTheTime(t *testing.T) {
	behind := noon.Add(-time.Hour).Format(http.TimeFormat)
	for name, c := range map[string]struct {
		answers
		known bool
	}{
		"a response":                          {answers{status: http.StatusOK, date: behind}, true},
		"a refusal":                           {answers{status: http.StatusForbidden, date: behind}, true},
		"a response of a load balancer":       {answers{status: http.StatusBadGateway, date: behind}, false},
		"a response without a date":           {answers{status: http.StatusOK}, false},
		"a response with a date of no format": {answers{status: http.StatusOK, date: "noon"}, false},
		"no response":                         {answers{err: errors.New("refused")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			clock := apiclock.NewBy(func() apiclock.Instant { return apiclock.Instant{Wall: noon} })
			var date time.Time
			request, err := http.NewRequestWithContext(apiclock.WithDate(t.Context(), &date), http.MethodGet, "https://apiserver", nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := clock.Transport(c.answers).RoundTrip(request) //nolint:bodyclose // there is none
			if !errors.Is(err, c.err) || response.StatusCode != c.status {
				t.Errorf("%v (%v)", response, err)
			}
			ahead, known := clock.Ahead()
			if known != c.known || known && ahead != time.Hour || date.IsZero() == c.known {
				t.Errorf("ahead by %s, known %t, date %s", ahead, known, date)
			}
			if now := clock.Now(); known && !now.Equal(noon.Add(-time.Hour)) || !known && !now.Equal(noon) {
				t.Errorf("now %s", now)
			}
		})
	}
}

func TestAClockResumesFromASnapshot(t *testing.T) {
	run := time.Duration(0)
	clock := apiclock.NewBy(func() apiclock.Instant { return apiclock.Instant{Wall: noon.Add(run), Run: run} })
	clock.Resume(noon.Add(-time.Hour))
	run = time.Minute
	if got, want := clock.Time(), (apiclock.Time{Earliest: noon.Add(-59 * time.Minute), Latest: noon.Add(time.Minute)}); got != want {
		t.Errorf("%v, want %v", got, want)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://apiserver", nil)
	if err != nil {
		t.Fatal(err)
	}
	answered := clock.Transport(answers{status: http.StatusOK, date: noon.Add(run).Format(http.TimeFormat)})
	if _, err := answered.RoundTrip(request); err != nil { //nolint:bodyclose // there is none
		t.Fatal(err)
	}
	clock.Resume(noon.Add(-time.Hour))
	if got, want := clock.Now(), noon.Add(time.Minute); !got.Equal(want) {
		t.Errorf("after a response %s, want %s", got, want)
	}
}

func TestTheClockOfTheMachineRuns(t *testing.T) {
	clock := apiclock.New()
	before := time.Now()
	if now := clock.Now(); now.Before(before) || clock.Since(before) < 0 {
		t.Errorf("%s is before %s", now, before)
	}
}
