// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestAnInstantToComeIsCutBackToTheSecondOfAsking(t *testing.T) {
	asked := noon.Add(300 * time.Millisecond)
	for name, c := range map[string]struct{ before, want time.Time }{
		"one in the past stays":                        {noon.Add(-time.Hour), noon.Add(-time.Hour)},
		"the second of asking stays":                   {noon, noon},
		"one to come takes the whole second of asking": {noon.AddDate(100, 0, 0), noon.Add(time.Second)},
	} {
		if got := CutBack(c.before, asked); !got.Equal(c.want) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestWhoeverSaysItFirstTakesTokensBack(t *testing.T) {
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
	for name, c := range map[string]struct {
		owner, asked, cut, want time.Time
	}{
		"nobody":                  {},
		"the object, in the past": {owner: at(-5), want: at(-5)},
		"the object, to come, before the manager has seen it": {owner: at(600), want: at(600)},
		"the object, to come, cut back by the manager":        {owner: at(600), asked: at(600), cut: at(0), want: at(0)},
		"another value than the manager has seen":             {owner: at(-1), asked: at(600), cut: at(-10), want: at(-1)},
		"an earlier value than the manager has seen":          {owner: at(-20), asked: at(600), cut: at(-10), want: at(-10)},
		"taken out of the object a moment ago":                {asked: at(600), cut: at(-10), want: at(-10)},
	} {
		record := Record{Client: &Client{UID: "u", Revocation: Revocation{Asked: c.asked, Before: c.cut}}, Owner: &Owner{UID: "u", RevokedBefore: c.owner}}
		if got := record.RevokedBefore(); !got.Equal(c.want) {
			t.Errorf("%s: %s", name, got)
		}
		claims := Claims{ClientUID: "u", IssuedAt: c.want}
		if c.want.IsZero() {
			claims.IssuedAt = noon
		}
		if got := record.TokenDenial(&claims); got != "" {
			t.Errorf("%s: a token of that instant: %s", name, got)
		}
		if claims.IssuedAt = c.want.Add(-time.Second); !c.want.IsZero() && record.TokenDenial(&claims) != ReasonTokenRevoked {
			t.Errorf("%s: a token of a second before is not refused", name)
		}
	}
}

func TestANewTokenIsNoneOfThoseTakenBack(t *testing.T) {
	for name, c := range map[string]struct {
		before []time.Time
		want   time.Time
	}{
		"nothing was taken back":          {nil, noon},
		"what was before":                 {[]time.Time{noon.Add(-time.Hour)}, noon},
		"up to the end of this second":    {[]time.Time{{}, noon.Add(time.Second)}, noon.Add(time.Second)},
		"what is to come for a long time": {[]time.Time{noon.Add(time.Hour)}, time.Time{}},
	} {
		got, err := IssueAt(noon, c.before...)
		if !got.Equal(c.want) || (err != nil) != c.want.IsZero() {
			t.Errorf("%s: %s %v", name, got, err)
		}
	}
}
