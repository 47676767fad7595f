// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package servingcert

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/apiclock"
)

// wrongBy is what is certain of the time when our clock is wrong and the API server's is right.
func wrongBy(by time.Duration) func(time.Time) apiclock.Time {
	return func(right time.Time) apiclock.Time {
		if by < 0 {
			return apiclock.Time{Earliest: right.Add(by), Latest: right}
		}
		return apiclock.Time{Earliest: right, Latest: right.Add(by)}
	}
}

var wrong = []time.Duration{-4000 * day, -2500 * day, -100 * day, -31 * day, -time.Hour, time.Hour, 7 * day, 31 * day, 61 * day, 400 * day, 2500 * day, 4000 * day}

func TestALookByAWrongClockKeepsTheTrustOfCallers(t *testing.T) {
	for _, by := range wrong {
		for _, after := range []time.Duration{10 * day, authorityLife*2/3 - day, authorityLife*2/3 + authorityLead/2} {
			t.Run(fmt.Sprint(by, after), func(t *testing.T) {
				i := newIssuer()
				i.step(t)
				i.clock.SetTime(start.Add(min(after, authorityLife*2/3)))
				i.step(t)
				i.clock.SetTime(start.Add(after))
				i.step(t)
				trusted, authority := i.bundle(t), i.secret(t, AuthoritySecretName)
				i.time = wrongBy(by)
				if wait := i.step(t); wait > apiclock.Apart {
					t.Errorf("it looks again in %s", wait)
				}
				if err := i.trusts(t, trusted); err != nil {
					t.Errorf("while the clock is wrong: %v", err)
				}
				i.time = apiclock.At
				i.clock.SetTime(i.clock.Now().Add(time.Minute))
				i.step(t)
				if err := i.trusts(t, trusted); err != nil {
					t.Errorf("when it is right again: %v", err)
				}
				if !maps.EqualFunc(authority.Data, i.secret(t, AuthoritySecretName).Data, slices.Equal) {
					t.Error("the authority has changed")
				}
				if serving := mustPair(t, i.secret(t, ServingSecretName)); serving.certificate.NotAfter.After(i.clock.Now().Add(servingLife + backdate)) {
					t.Errorf("the certificate that is served ends at %s", serving.certificate.NotAfter)
				}
			})
		}
	}
}

func TestALookWithBothClocksBehindEndsNothing(t *testing.T) {
	i := newIssuer()
	i.step(t)
	before := i.secret(t, AuthoritySecretName)
	i.time = func(now time.Time) apiclock.Time {
		return apiclock.Time{Earliest: now.Add(-2500 * day), Latest: now.Add(-2500 * day)}
	}
	i.step(t)
	if !maps.EqualFunc(before.Data, i.secret(t, AuthoritySecretName).Data, slices.Equal) {
		t.Error("the authority has changed")
	}
	if err := i.trusts(t, i.bundle(t)); err != nil {
		t.Error(err)
	}
}

func TestACertificateIsRenewedWhileTheClocksDiffer(t *testing.T) {
	for _, by := range []time.Duration{-400 * day, 400 * day} {
		t.Run(fmt.Sprint(by), func(t *testing.T) {
			i := newIssuer()
			i.time = wrongBy(by)
			for week := range 100 {
				i.clock.SetTime(start.Add(time.Duration(week) * 7 * day))
				i.step(t)
				if err := i.trusts(t, i.bundle(t)); err != nil {
					t.Fatalf("week %d: %v", week, err)
				}
			}
		})
	}
}

func TestACertificateThatIsNotYetValidIsNotKept(t *testing.T) {
	for _, days := range []int{7, 31, 61, 400, 2500} {
		t.Run(fmt.Sprintf("both clocks were ahead by %d days", days), func(t *testing.T) {
			i := newIssuer()
			i.step(t)
			i.clock.SetTime(start.Add(10 * day))
			i.step(t)
			trusted := i.bundle(t)
			i.clock.SetTime(start.Add(10*day + time.Duration(days)*day))
			i.step(t)
			i.clock.SetTime(start.Add(10*day + time.Minute))
			i.step(t)
			if err := i.trusts(t, trusted); err != nil {
				t.Error(err)
			}
			if newest := mustPair(t, i.secret(t, AuthoritySecretName)); newest.certificate.NotBefore.After(i.clock.Now()) {
				t.Errorf("the authority is valid from %s on", newest.certificate.NotBefore)
			}
		})
	}
}

func TestTheFirstAuthorityIsMadeByAnyClock(t *testing.T) {
	for _, by := range wrong {
		t.Run(fmt.Sprint(by), func(t *testing.T) {
			i := newIssuer()
			i.time = wrongBy(by)
			i.step(t)
			if err := i.trusts(t, i.bundle(t)); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("both clocks ahead", func(t *testing.T) {
		i := newIssuer()
		i.clock.SetTime(start.Add(400 * day))
		i.step(t)
		i.clock.SetTime(start)
		i.step(t)
		if err := i.trusts(t, i.bundle(t)); err != nil {
			t.Error(err)
		}
	})
}

func TestAnEndedAuthorityStaysUntilTheClocksAgree(t *testing.T) {
	i := newIssuer()
	i.step(t)
	i.clock.SetTime(start.Add(authorityLife * 2 / 3))
	i.step(t)
	for _, c := range []struct {
		after time.Duration
		entry string
	}{{authorityLife*2/3 + authorityLead, formerKeyKey}, {authorityLife, formerCertKey}} {
		i.clock.SetTime(start.Add(c.after))
		i.time = func(now time.Time) apiclock.Time { return apiclock.Time{Earliest: now, Latest: now} }
		i.step(t)
		if _, there := i.secret(t, AuthoritySecretName).Data[c.entry]; !there {
			t.Errorf("before the clocks agree %s is gone", c.entry)
		}
		i.time = apiclock.At
		i.step(t)
		if _, there := i.secret(t, AuthoritySecretName).Data[c.entry]; there {
			t.Errorf("the clocks agree, and %s is there", c.entry)
		}
	}
}

func TestTheLeadOfAnAuthorityBeginsByTheLaterClock(t *testing.T) {
	for name, c := range map[string]struct {
		made, after apiclock.Time
		want        bool // that the one before issues
	}{
		"made by a clock that was behind, and the other was right": {wrongBy(-40 * day)(start), apiclock.At(start.Add(authorityLead - day)), true},
		"the lead is over": {wrongBy(-40 * day)(start), apiclock.At(start.Add(authorityLead)), false},
		"made by a clock that was ahead, and the other was right": {wrongBy(400 * day)(start), apiclock.At(start.Add(authorityLead)), false},
	} {
		t.Run(name, func(t *testing.T) {
			lives := Lives{}.withDefaults()
			before := authorities{newest: authority(t, start.Add(-authorityLife*2/3-50*day))}
			made, err := before.advance(c.made, lives, nil)
			if err != nil {
				t.Fatal(err)
			}
			read, err := parseAuthorities(made.data())
			if err != nil {
				t.Fatal(err)
			}
			advanced, err := read.advance(c.after, lives, nil)
			if err != nil {
				t.Fatal(err)
			}
			if issuer := advanced.issuer(c.after.Earliest, lives); string(issuer.certPEM) == string(before.newest.certPEM) != c.want {
				t.Errorf("issued by %s", issuer.certificate.NotBefore)
			}
		})
	}
}
