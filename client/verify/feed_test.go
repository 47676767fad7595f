// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hallpass-dev/hallpass/client/verify"
)

// answers is a server with one answer.
type answers string

func (a answers) RoundTrip(*http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	_, _ = w.WriteString(string(a))
	return w.Result(), nil
}

func watch(t *testing.T, v *verify.Verifier, i *issuer) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- v.Watch(ctx, i.source(t)) }()
	synctest.Wait()
	return func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}

func TestTheFeedRevokes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := newKey(t, "EdDSA", "one")
		i := newIssuer(key)
		v := i.verifier(t, verify.FailClosed(time.Minute))
		defer watch(t, v, i)()
		issued := time.Now().Unix()
		raw := map[string]string{}
		for name, claims := range map[string]map[string]any{
			"token": {"jti": "revoked"}, "client": {"sub": "shop.a", "client_id": "shop.a", "client_uid": "uid-a"}, "uid": {"client_uid": "uid-b"}, "both": {"sub": "shop.d", "client_id": "shop.d", "client_uid": "uid-d"}, "another uid": {"sub": "shop.d", "client_id": "shop.d", "client_uid": "uid-e"},
			"namespace": {"sub": "team.c", "client_id": "team.c"}, "another namespace": {"sub": "teams.c", "client_id": "teams.c"}, "another": {},
		} {
			if claims["jti"] == nil {
				claims["jti"] = "jti of " + name
			}
			raw[name] = key.token(t, claims)
			if _, err := v.Verify(t.Context(), raw[name]); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		// Two pages, whose entries belong together.
		i.set(func(i *issuer) {
			i.pages = []string{
				fmt.Sprintf(`{"tokens":[{"jti":"revoked","exp":%d}],"issued_before":[{"client_id":"shop.a","before":%d}],"next":"1","more":true}`, issued+3600, issued+1),
				fmt.Sprintf(`{"tokens":[],"issued_before":[{"client_id":"shop.d","client_uid":"uid-d","before":%[1]d},{"client_uid":"uid-b","before":%[1]d},{"namespace":"team","before":%[1]d},{"namespace":"teams","before":%[2]d}],"next":"1","more":false}`, issued+1, issued),
			}
		})
		time.Sleep(6 * time.Second)
		for name, token := range raw {
			_, err := v.Verify(t.Context(), token)
			if fine := strings.HasPrefix(name, "another"); fine != (err == nil) || !fine && (!errors.Is(err, verify.ErrRevoked) || !errors.Is(err, verify.ErrInvalidToken)) {
				t.Errorf("%s: %v", name, err)
			}
		}
		// A selector that was deleted gives the tokens back; a token that was revoked stays
		// so.
		i.set(func(i *issuer) { i.pages[1] = `{"tokens":[],"issued_before":[],"next":"1","more":false}` })
		time.Sleep(6 * time.Second)
		if _, err := v.Verify(t.Context(), raw["client"]); err != nil {
			t.Error(err)
		}
		if _, err := v.Verify(t.Context(), raw["token"]); !errors.Is(err, verify.ErrRevoked) {
			t.Error(err)
		}
		younger := key.token(t, map[string]any{"sub": "shop.a", "client_id": "shop.a"})
		if _, err := v.Verify(t.Context(), younger); err != nil {
			t.Errorf("a younger token: %v", err)
		}
	})
}

// What revokes an ancestor revokes the token.
func TestTheFeedRevokesAncestors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := newKey(t, "EdDSA", "one")
		i := newIssuer(key)
		raw := key.token(t, map[string]any{
			"sub": "shop.frontend", "act": map[string]any{"sub": "shop.reporting", "act": map[string]any{"sub": "edge.gateway"}},
			"ancestors": []any{ancestor("edge.gateway"), ancestor("shop.frontend")},
		})
		now := time.Now().Unix()
		for name, c := range map[string]struct {
			page string
			good bool
		}{
			"nothing":                     {`"tokens":[],"issued_before":[]`, true},
			"the first token":             {fmt.Sprintf(`"tokens":[{"jti":"jti of shop.frontend","exp":%d}],"issued_before":[]`, now+3600), false},
			"the second token":            {fmt.Sprintf(`"tokens":[{"jti":"jti of edge.gateway","exp":%d}],"issued_before":[]`, now+3600), false},
			"the first client":            {fmt.Sprintf(`"tokens":[],"issued_before":[{"client_id":"shop.frontend","before":%d}]`, now+1), false},
			"the UID of the second":       {fmt.Sprintf(`"tokens":[],"issued_before":[{"client_uid":"uid of edge.gateway","before":%d}]`, now+1), false},
			"the namespace of the second": {fmt.Sprintf(`"tokens":[],"issued_before":[{"namespace":"edge","before":%d}]`, now+1), false},
			"what came before the first":  {fmt.Sprintf(`"tokens":[],"issued_before":[{"client_id":"shop.frontend","before":%d}]`, now), true},
			"another client":              {fmt.Sprintf(`"tokens":[],"issued_before":[{"client_id":"edge.other","before":%d}]`, now+1), true},
		} {
			// a whole reading, so that nothing is left of the one before
			i.set(func(i *issuer) { i.pages = []string{"{" + c.page + `,"next":"0","more":false}`} })
			v := i.verifier(t, verify.FailClosed(time.Minute), verify.AllowExchanged())
			stop := watch(t, v, i)
			_, err := v.Verify(t.Context(), raw)
			if (err == nil) != c.good || err != nil && !errors.Is(err, verify.ErrRevoked) {
				t.Errorf("%s: %v", name, err)
			}
			stop()
		}
	})
}

// The end of a grant ends its tokens, and what was exchanged for them.
func TestTheFeedEndsGrants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := newKey(t, "EdDSA", "one")
		i := newIssuer(key)
		now := time.Now().Unix()
		i.pages = []string{fmt.Sprintf(`{"tokens":[{"jti":"BAQEBAQEBAQEBAQEBAQEBA","exp":%d}],"issued_before":[],"next":"1","more":false}`, now+3600)}
		v := i.verifier(t, verify.FailClosed(time.Minute), verify.AllowUsers(), verify.AllowExchanged())
		defer watch(t, v, i)()
		person := func(more map[string]any) string {
			claims := map[string]any{"sub": "user:corp:U1", "sub_type": "user"}
			maps.Copy(claims, more)
			return key.token(t, claims)
		}
		exchanged := map[string]any{"act": map[string]any{"sub": "shop.reporting"}, "ancestors": []any{ancestor("edge.gateway")}, "grant_id": "BAQEBAQEBAQEBAQEBAQEBA"}
		for name, c := range map[string]struct {
			token string
			ended bool
		}{
			"a token of the grant":       {person(map[string]any{"jti": "a", "grant_id": "BAQEBAQEBAQEBAQEBAQEBA"}), true},
			"what was exchanged for one": {person(exchanged), true},
			"a token of another grant":   {person(map[string]any{"jti": "b", "grant_id": "BQUFBQUFBQUFBQUFBQUFBQ"}), false},
			"a token of no grant":        {person(map[string]any{"jti": "c"}), false},
		} {
			if _, err := v.Verify(t.Context(), c.token); c.ended != errors.Is(err, verify.ErrRevoked) || !c.ended && err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := v.Verify(t.Context(), person(map[string]any{"jti": "d", "grant_id": 7})); !errors.Is(err, verify.ErrInvalidToken) {
			t.Errorf("a grant_id that is no text: %v", err)
		}
	})
}

func TestTheFeedIsReadFromTheBeginningNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(newKey(t, "EdDSA", "one"))
		i.pages = []string{`{"tokens":[],"issued_before":[],"next":"1","more":false}`}
		v := i.verifier(t, verify.FailOpen())
		defer watch(t, v, i)()
		time.Sleep(44 * time.Minute)
		i.mu.Lock()
		defer i.mu.Unlock()
		whole := 0
		for _, since := range i.asked {
			if since == "" {
				whole++
			}
		}
		if whole != 3 || len(i.asked) < 44*12 {
			t.Errorf("%d of %d readings were from the beginning", whole, len(i.asked))
		}
	})
}

func TestAPositionThatIsNoneAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := newKey(t, "EdDSA", "one")
		i := newIssuer(key)
		i.pages = []string{`{"tokens":[{"jti":"jti-1","exp":99999999999}],"issued_before":[],"next":"none","more":false}`}
		v := i.verifier(t, verify.FailClosed(20*time.Second))
		defer watch(t, v, i)()
		time.Sleep(time.Minute)
		if _, err := v.Verify(t.Context(), key.token(t, nil)); !errors.Is(err, verify.ErrRevoked) {
			t.Error(err)
		}
	})
}

func TestAFeedThatIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := newKey(t, "EdDSA", "one")
		i := newIssuer(key)
		open, closed, without := i.verifier(t, verify.FailOpen()), i.verifier(t, verify.FailClosed(time.Minute)), i.verifier(t)
		raw := key.token(t, nil)
		check := func(when string, want error) {
			t.Helper()
			for range 2 {
				if _, err := closed.Verify(t.Context(), raw); !errors.Is(err, want) || err != nil && !errors.Is(err, verify.ErrUnavailable) {
					t.Errorf("%s: %v", when, err)
				}
				for _, v := range []*verify.Verifier{open, without} {
					if _, err := v.Verify(t.Context(), raw); err != nil {
						t.Errorf("%s: %v", when, err)
					}
				}
			}
			// Who has no token does not learn of it.
			if _, err := closed.Verify(t.Context(), raw+"x"); !errors.Is(err, verify.ErrInvalidToken) {
				t.Errorf("%s: %v", when, err)
			}
		}
		check("before it was read", verify.ErrFeedLate)
		defer watch(t, open, i)()
		defer watch(t, closed, i)()
		check("read", nil)
		i.set(func(i *issuer) { i.away = true })
		time.Sleep(50 * time.Second)
		check("late by less than FailClosed", nil)
		time.Sleep(15 * time.Second)
		check("late", verify.ErrFeedLate)
		i.set(func(i *issuer) { i.away = false })
		time.Sleep(61 * time.Second)
		check("read again", nil)
	})
}

// What a newer server lists may be about tokens of persons.
func TestTheFeedRevokesThePersonsOfAnIssuer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := newKey(t, "EdDSA", "one")
		i := newIssuer(key)
		person := func(sub string) string {
			return key.token(t, map[string]any{"sub": sub, "sub_type": "user", "jti": "jti of " + sub})
		}
		raw := map[string]string{
			"the person": person("user:corp:U1"), "another person": person("user:corp:U2"), "a person of the other issuer": person("user:school:U1"),
			"passed on": key.token(t, map[string]any{
				"sub": "user:corp:U1", "sub_type": "user", "act": map[string]any{"sub": "shop.reporting"}, "ancestors": []any{ancestor("edge.gateway")}, "jti": "jti of it",
			}),
		}
		now := time.Now().Unix()
		for name, c := range map[string]struct {
			entry string
			ended []string
		}{
			"nothing":         {"", nil},
			"the person":      {fmt.Sprintf(`{"sub_hash":"GSNev5sD2y2whQqe4vzhmTMcv4BO_C2gjB7OQwumeXw","before":%d}`, now+1), []string{"the person", "passed on"}},
			"the issuer":      {fmt.Sprintf(`{"issuer_name":"school","before":%d}`, now+1), []string{"a person of the other issuer"}},
			"a moment before": {fmt.Sprintf(`{"issuer_name":"corp","before":%d}`, now), nil},
		} {
			i.set(func(i *issuer) {
				i.pages = []string{`{"tokens":[],"issued_before":[` + c.entry + `],"next":"1","more":false}`}
			})
			v := i.verifier(t, verify.FailClosed(time.Minute), verify.AllowUsers(), verify.AllowExchanged())
			stop := watch(t, v, i)
			for of, token := range raw {
				_, err := v.Verify(t.Context(), token)
				if want := slices.Contains(c.ended, of); want != errors.Is(err, verify.ErrRevoked) || !want && err != nil {
					t.Errorf("%s, of %s: %v", name, of, err)
				}
			}
			stop()
		}
	})
}

func TestAnEntryThatSelectsInAnUnknownWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := newKey(t, "EdDSA", "one")
		i := newIssuer(key)
		i.pages = []string{`{"tokens":[],"issued_before":[{"person":"user:corp:x","before":99999999999}],"next":"1","more":false}`}
		clients, people := i.verifier(t, verify.FailClosed(time.Minute)), i.verifier(t, verify.FailClosed(time.Minute), verify.AllowUsers())
		defer watch(t, clients, i)()
		defer watch(t, people, i)()
		raw := key.token(t, nil)
		if _, err := clients.Verify(t.Context(), raw); err != nil {
			t.Error(err)
		}
		if _, err := people.Verify(t.Context(), raw); !errors.Is(err, verify.ErrFeedLate) {
			t.Error(err)
		}
	})
}

func TestWatchWantsAChoice(t *testing.T) {
	i := newIssuer(newKey(t, "EdDSA", "one"))
	if err := i.verifier(t).Watch(t.Context(), i.source(t)); err == nil || !strings.Contains(err.Error(), "FailOpen") {
		t.Error(err)
	}
	if err := i.verifier(t, verify.FailOpen()).Watch(t.Context(), nil); err == nil {
		t.Error("without a source")
	}
}
