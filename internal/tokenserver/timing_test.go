// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"io"
	"math"
	mathrand "math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/reporter" //nolint:depguard // its time is measured
)

// maxT is beyond what chance gives: the threshold of dudect (Reparaz, Balasch, Verbauwhede: "Dude,
// is my code constant time?").
const maxT = 4.5

// TestTimingTellsRefusalsNothingApart asks by Welch's t-test whether the time of a refusal reveals
// why it was refused. It measures time, so it runs by make timing alone; HALLPASS_TIMING is how
// many samples each kind of refusal gets.
func TestTimingTellsRefusalsNothingApart(t *testing.T) {
	samples, err := strconv.Atoi(os.Getenv("HALLPASS_TIMING"))
	if err != nil {
		t.Skip("make timing runs it")
	}
	w := newWorld(t, func(c *settings) {
		c.audit.Lines, c.audit.Refusals = io.Discard, refusalsByUUID{reporter.NewRefusals()}
	})
	// Of one length and one namespace, so that what was asked for differs as little as can be.
	const wrong, unknown, asleep = "shop.client-a", "shop.client-b", "shop.client-c"
	for _, id := range []string{wrong, asleep, unknown} {
		w.register(id)
	}
	guess := w.secrets[unknown]
	delete(w.dir.known, unknown)
	w.dir.known[asleep].Owner.Suspended = true
	for _, id := range []string{wrong, asleep} {
		w.dir.source[id] = w.dir.known[id]
	}
	kinds := []string{"a wrong secret", "an unknown client", "a suspended client"}
	bodies := []string{}
	for id, secret := range map[string]string{wrong: guess, unknown: guess, asleep: w.secrets[asleep]} {
		bodies = append(bodies, "grant_type=client_credentials&client_id="+id+"&client_secret="+secret)
	}
	slices.Sort(bodies) // by client_id, as the kinds are

	taken := make([][]float64, len(kinds))
	for range samples * len(kinds) {
		kind := mathrand.IntN(len(kinds)) //nolint:gosec // the order is no secret
		w.now = w.now.Add(failureBurst * failureInterval)
		w.dir.asked = w.dir.asked[:0]
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, oauth2.TokenPath, strings.NewReader(bodies[kind]))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		answer := httptest.NewRecorder()
		began := time.Now()
		w.handler.ServeHTTP(answer, r)
		took := time.Since(began)
		if answer.Code != http.StatusUnauthorized || len(w.dir.asked) != 1 {
			t.Fatalf("%s: %d %s, %d look-ups", kinds[kind], answer.Code, answer.Body, len(w.dir.asked))
		}
		taken[kind] = append(taken[kind], float64(took))
	}
	for i, kind := range kinds {
		for j, other := range kinds[:i] {
			// Outliers depend on the machine more than on the code, so times beyond a
			// percentile of all are left out, as dudect does.
			pooled := slices.Sorted(slices.Values(slices.Concat(taken[i], taken[j])))
			for _, percent := range []int{90, 99, 100} {
				limit := pooled[(len(pooled)-1)*percent/100]
				a, b := moments(taken[i], limit), moments(taken[j], limit)
				score := (a.mean - b.mean) / math.Sqrt(a.variance/a.n+b.variance/b.n)
				t.Logf("%s and %s, fastest %d %%: %.0f ns of %.0f and %.0f ns of %.0f, t = %.2f", kind, other, percent, a.mean, a.n, b.mean, b.n, score)
				if math.Abs(score) >= maxT {
					t.Errorf("%s and %s can be told apart", kind, other)
				}
			}
		}
	}
}

// refusalsByUUID takes refusals of clients with UUIDs, as they have in a cluster; the UIDs of this
// package are longer to hash.
type refusalsByUUID struct{ *reporter.Refusals }

func (r refusalsByUUID) Note(refused oauth2.Refused) {
	if refused.Client != "" {
		refused.Client = "6f1d3c1e-0c1b-4a57-9d0a-0a1b2c3d4e5f"
	}
	r.Refusals.Note(refused)
}

// sample is what Welch's test needs of some times.
type sample struct{ n, mean, variance float64 }

func moments(times []float64, limit float64) sample {
	var s sample
	for _, x := range times {
		if x > limit {
			continue
		}
		s.n++
		delta := x - s.mean
		s.mean += delta / s.n
		s.variance += delta * (x - s.mean)
	}
	s.variance /= s.n - 1
	return s
}
