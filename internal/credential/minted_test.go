// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func valueOf(id string) oauth2.Secret { return oauth2.NewSecret("token " + id) }

// madeAt is a token of an hour that was made some minutes after noon.
func madeAt(id string, minutes int) oauth2.MintedToken {
	at := noon.Add(time.Duration(minutes) * time.Minute)
	return oauth2.MintedToken{ID: id, Digest: oauth2.DigestMinted("t", valueOf(id)), Audience: "a", IssuedAt: at, ExpiresAt: at.Add(time.Hour)}
}

func alone(t oauth2.MintedToken) oauth2.MintedToken {
	t.Exclusive = true
	return t
}

func TestTheSecretSaysWhichTokenIsCurrent(t *testing.T) {
	for name, c := range map[string]struct {
		tokens []oauth2.MintedToken
		value  string
		at     int
		found  bool
		kept   string
	}{
		"the only one":                               {[]oauth2.MintedToken{madeAt("a", 0)}, "a", 10, true, "[a]"},
		"one that is renewed goes on":                {[]oauth2.MintedToken{madeAt("a", 0), madeAt("b", 30)}, "b", 31, true, "[a b]"},
		"one that is over is dropped":                {[]oauth2.MintedToken{madeAt("a", 0), madeAt("b", 30)}, "b", 60, true, "[b]"},
		"the one in the Secret is kept to its end":   {[]oauth2.MintedToken{madeAt("a", 0)}, "a", 90, true, "[a]"},
		"one on its way is kept for a while":         {[]oauth2.MintedToken{madeAt("a", 0), madeAt("b", 30)}, "a", 33, true, "[a b]"},
		"one that never came is dropped":             {[]oauth2.MintedToken{madeAt("a", 0), madeAt("b", 30)}, "a", 36, true, "[a]"},
		"one that stands alone ends the others":      {[]oauth2.MintedToken{madeAt("a", 0), alone(madeAt("b", 30))}, "b", 31, true, "[b]"},
		"it ends them only once it is in the Secret": {[]oauth2.MintedToken{madeAt("a", 0), alone(madeAt("b", 30))}, "a", 31, true, "[a b]"},
		"a Secret with something else":               {[]oauth2.MintedToken{madeAt("a", 0)}, "x", 10, false, "[a]"},
		"no Secret":                                  {[]oauth2.MintedToken{madeAt("a", 0)}, "", 10, false, "[a]"},
		"no Secret, and all is over":                 {[]oauth2.MintedToken{madeAt("a", 0)}, "", 60, false, "[]"},
		"of those before it the newest two are kept": {[]oauth2.MintedToken{madeAt("a", 0), madeAt("b", 1), madeAt("c", 2), madeAt("d", 3)}, "d", 4, true, "[b c d]"},
		"those after it push out none before it":     {[]oauth2.MintedToken{madeAt("a", 0), madeAt("b", 1), madeAt("c", 2), madeAt("d", 3)}, "c", 4, true, "[a b c d]"},
	} {
		t.Run(name, func(t *testing.T) {
			value := oauth2.Secret{}
			if c.value != "" {
				value = valueOf(c.value)
			}
			m, current, found := SettleMinted(oauth2.Minted{UID: "t", Tokens: c.tokens}, value, keyring.At(noon.Add(time.Duration(c.at)*time.Minute)))
			ids := []string{}
			for _, token := range m.Tokens {
				ids = append(ids, token.ID)
				if token.Exclusive && token.ID == c.value {
					t.Error("it is to stand alone still")
				}
			}
			if found != c.found || fmt.Sprint(ids) != c.kept || found && current.ID != c.value {
				t.Errorf("found %t %q, kept %v; want %t and %s", found, current.ID, ids, c.found, c.kept)
			}
		})
	}
}

// record is a record of the tokens with these ids, made a minute after one another.
func mintedRecord(ids ...string) oauth2.Minted {
	m := oauth2.Minted{UID: "t"}
	for i, id := range ids {
		m.Tokens = append(m.Tokens, madeAt(id, i))
	}
	return m
}

func idsOf(m oauth2.Minted) string {
	ids := []string{}
	for _, t := range m.Tokens {
		ids = append(ids, t.ID)
	}
	return fmt.Sprint(ids)
}

func TestAProposalPushesOutNothingButProposals(t *testing.T) {
	for name, c := range map[string]struct {
		tokens  []string
		current string
		want    string
	}{
		"there is room":                           {[]string{"a", "b"}, "b", "[a b new]"},
		"the oldest proposal makes room":          {[]string{"a", "p1", "p2", "p3"}, "a", "[a p2 p3 new]"},
		"the only proposal makes room":            {[]string{"a", "b", "c", "p1"}, "c", "[a b c new]"},
		"one that is proposed again stays":        {[]string{"a", "b", "new", "p2"}, "b", "[a b new p2]"},
		"no Secret, and room":                     {[]string{"a", "b", "c"}, "", "[a b c new]"},
		"no Secret: the newest never reached one": {[]string{"a", "b", "c", "p1"}, "", "[a b c new]"},
	} {
		t.Run(name, func(t *testing.T) {
			before := mintedRecord(c.tokens...)
			got := ProposeMinted(before, madeAt("new", 9), c.current)
			if idsOf(got) != c.want || idsOf(before) != fmt.Sprint(c.tokens) {
				t.Errorf("%s, want %s; the argument became %s", idsOf(got), c.want, idsOf(before))
			}
		})
	}
}

func TestWhatWasProposedInVainEndsWithTheNextToken(t *testing.T) {
	for name, c := range map[string]struct {
		tokens      []string
		before, now string
		want        string
	}{
		"the next one was the only proposal": {[]string{"a", "b", "c"}, "b", "c", "[a b c]"},
		"others were proposed before it":     {[]string{"a", "p1", "p2", "c"}, "a", "c", "[a c]"},
		"there was no Secret":                {[]string{"a", "p1", "c"}, "", "c", "[a p1 c]"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := idsOf(CommittedMinted(mintedRecord(c.tokens...), c.before, c.now)); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// The Secret refuses each write for an hour; whatever is proposed meanwhile, by one manager or by
// many that are started anew, the token in the Secret and those before it stay on record to their
// end.
func TestFailedWritesPushNoGoodTokenOffTheRecord(t *testing.T) {
	for name, inSecret := range map[string]bool{"the Secret has the token": true, "the Secret was deleted": false} {
		t.Run(name, func(t *testing.T) {
			m, current, value := mintedRecord("a", "b"), "", oauth2.Secret{}
			if inSecret {
				current, value = "b", valueOf("b")
			}
			for minute := 2; minute < 60; minute++ {
				m, _, _ = SettleMinted(ProposeMinted(m, madeAt(fmt.Sprint("try", minute), minute), current), value, keyring.At(noon.Add(time.Duration(minute)*time.Minute)))
				if len(m.Tokens) > oauth2.MaxMinted || !slices.ContainsFunc(m.Tokens, hasID("a")) || !slices.ContainsFunc(m.Tokens, hasID("b")) {
					t.Fatalf("after %d minutes the record has %s", minute, idsOf(m))
				}
				if last := m.Tokens[len(m.Tokens)-1].ID; last != fmt.Sprint("try", minute) {
					t.Fatalf("after %d minutes the newest on record is %s", minute, last)
				}
			}
		})
	}
}

// A reader that reads the Secret at any instant of fifty renewals never holds a token that has
// expired, also if the manager is away for half of a token's life at the worst moment, which is
// right before it would have renewed it.
func TestAReaderNeverHoldsAnExpiredToken(t *testing.T) {
	for _, away := range []time.Duration{0, time.Minute, 30 * time.Minute} {
		for _, uid := range []string{"a", "b", "4c7b9b4e-3c0f-4a1e-9d8b-0d8f6a3b2c11"} {
			token := oauth2.MintedToken{IssuedAt: noon, ExpiresAt: noon.Add(time.Hour)}
			for range 50 {
				next := Renewal(token, uid)
				if !next.After(token.IssuedAt.Add(time.Hour/3-time.Second)) || next.After(token.IssuedAt.Add(time.Hour/2)) {
					t.Fatalf("%s: renewed %s into its life", uid, next.Sub(token.IssuedAt))
				}
				if replaced := next.Add(away); replaced.After(token.ExpiresAt) {
					t.Fatalf("%s: a reader holds an expired token for %s", uid, replaced.Sub(token.ExpiresAt))
				}
				token = oauth2.MintedToken{IssuedAt: next.Add(away), ExpiresAt: next.Add(away + time.Hour)}
			}
		}
	}
}

func TestTokensThatWereMadeTogetherAreNotRenewedTogether(t *testing.T) {
	token := oauth2.MintedToken{IssuedAt: noon, ExpiresAt: noon.Add(time.Hour)}
	busy := map[time.Time]int{}
	for i := range 1000 {
		busy[Renewal(token, fmt.Sprintf("uid-%d", i)).Truncate(10*time.Second)]++
	}
	most := 0
	for _, count := range busy {
		most = max(most, count)
	}
	// Ten minutes have 60 spans of ten seconds, with 17 tokens each on the average.
	if len(busy) < 55 || most > 40 {
		t.Errorf("%d spans of ten seconds, %d tokens in the fullest", len(busy), most)
	}
}

func TestTheEndOfATokenIsAnnounced(t *testing.T) {
	for life, want := range map[time.Duration]time.Duration{
		90 * 24 * time.Hour: 14 * 24 * time.Hour, 40 * 24 * time.Hour: 10 * 24 * time.Hour, time.Hour: 15 * time.Minute,
	} {
		token := oauth2.MintedToken{IssuedAt: noon, ExpiresAt: noon.Add(life)}
		if ahead := token.ExpiresAt.Sub(Warning(token)); ahead != want {
			t.Errorf("of %s it is announced %s ahead, want %s", life, ahead, want)
		}
	}
}
