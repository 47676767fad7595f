// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

// journal keeps batches by their names, as the API server does, and fails as a test wants.
type journal struct {
	mu      sync.Mutex
	batches map[string]revocation.Batch
	writes  int
	// fail returns whether a write fails, by how many there were: before it is kept, or after
	// it.
	fail func(write int) (before, after error)
}

func (j *journal) WriteRevocations(_ context.Context, name string, batch revocation.Batch) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.writes++
	var before, after error
	if j.fail != nil {
		before, after = j.fail(j.writes)
	}
	if before != nil {
		return before
	}
	if kept, there := j.batches[name]; !there {
		j.batches[name] = revocation.Batch{Tokens: slices.Clone(batch.Tokens), Assertions: slices.Clone(batch.Assertions), Clients: slices.Clone(batch.Clients)}
	} else if !slices.Equal(kept.Tokens, batch.Tokens) || !slices.Equal(kept.Assertions, batch.Assertions) {
		return errors.New("one name, two batches")
	}
	return after
}

// kept is everything that would be there after a restart of every replica.
func (j *journal) kept() (tokens, assertions map[revocation.ID]bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	tokens, assertions = map[revocation.ID]bool{}, map[revocation.ID]bool{}
	for batch := range maps.Values(j.batches) {
		for _, r := range batch.Tokens {
			tokens[r.ID] = true
		}
		for _, r := range batch.Assertions {
			assertions[r.ID] = true
		}
	}
	return tokens, assertions
}

func (j *journal) failing(fail func(write int) (before, after error)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.fail = fail
}

func away(int) (before, after error) { return errAway, nil }

// newRevokingWorld is a fixture whose revocations are written.
func newRevokingWorld(t *testing.T) (w *world, kept *journal) {
	t.Helper()
	kept = &journal{batches: map[string]revocation.Batch{}}
	w = newWorld(t, func(c *settings) { c.store = kept })
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { w.journal.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return w, kept
}

func (w *world) revoke(id, token string) *httptest.ResponseRecorder {
	w.t.Helper()
	return w.do(call{path: oauth2.RevocationPath, basic: id, body: "token=" + token})
}

// active asks about a token as the client that it was issued to.
func (w *world) active(id, token string) bool {
	w.t.Helper()
	answer := w.do(call{path: oauth2.IntrospectionPath, basic: id, body: "token=" + token})
	if answer.Code != http.StatusOK {
		w.t.Fatalf("introspection: %d %s", answer.Code, answer.Body)
	}
	return answer.Body.String() != inactive
}

func (w *world) idOf(token string) revocation.ID {
	w.t.Helper()
	claims, err := w.validate(token, w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	return revocation.IDOf(claims.ID)
}

func TestARevokedTokenIsRefusedEverywhereAndKeptForGood(t *testing.T) {
	w, kept := newRevokingWorld(t)
	token, other := w.token(reporting), w.token(reporting)
	if !w.active(reporting, token) {
		t.Fatal("the token is not good to begin with")
	}
	answer := w.revoke(reporting, token)
	if answer.Code != http.StatusOK || answer.Body.Len() != 0 {
		t.Fatalf("got %d %q", answer.Code, answer.Body)
	}
	line := w.lastAudit()
	if line["outcome"] != "revoked" || line["jti"] != w.idOf(token).String() || line["client_id"] != reporting {
		t.Errorf("audit line %v", line)
	}
	if tokens, _ := kept.kept(); !tokens[w.idOf(token)] || len(tokens) != 1 {
		t.Errorf("kept: %v", tokens)
	}
	if w.active(reporting, token) || !w.active(reporting, other) {
		t.Error("introspection does not tell the revoked token from the other one")
	}
	if line := w.introspected(reporting, token); line["token_denial"] != "TokenRevoked" {
		t.Errorf("audit line %v", line)
	}
	asked := call{
		method: http.MethodGet, path: oauth2.ForwardAuthPath + "?audience=" + testIssuer + "/ns/shop",
		header: http.Header{"Authorization": {"Bearer " + token}},
	}
	if answer := w.do(asked); answer.Code != http.StatusUnauthorized {
		t.Errorf("forward-auth: %d", answer.Code)
	}
	asked.header = http.Header{"Authorization": {"Bearer " + other}}
	if answer := w.do(asked); answer.Code != http.StatusOK {
		t.Errorf("forward-auth of the other token: %d", answer.Code)
	}
	if answer := w.revoke(reporting, token); answer.Code != http.StatusOK {
		t.Errorf("revoked again: %d", answer.Code)
	}
}

func (w *world) introspected(id, token string) map[string]any {
	w.t.Helper()
	w.active(id, token)
	return w.lastAudit()
}

func TestRevocationRequests(t *testing.T) {
	w, kept := newRevokingWorld(t)
	expired := w.token(billing)
	w.now = w.now.Add(30 * time.Minute)
	late := w.token(billing)
	w.now = w.now.Add(30 * time.Minute)
	token, foreign := w.token(reporting), w.token(stranger)
	long := strings.Repeat("a", 10<<20)
	for _, c := range []struct {
		name, body string
		as         string
		code       int
		error      string
		outcome    string
		reason     string
		denial     string
	}{
		{name: "no token", as: reporting, code: 400, error: "invalid_request", reason: "MalformedRequest", outcome: "refused"},
		{name: "an empty token", as: reporting, body: "token=", code: 400, error: "invalid_request", reason: "MalformedRequest", outcome: "refused"},
		{name: "two tokens", as: reporting, body: "token=a&token=b", code: 400, error: "invalid_request", reason: "MalformedRequest", outcome: "refused"},
		{name: "nobody", body: "token=" + token, code: 401, error: "invalid_client", reason: "NoCredentials", outcome: "refused"},
		{name: "a token that is none", as: reporting, body: "token=nonsense", code: 200, outcome: "allowed", denial: "TokenMalformed"},
		{name: "a token of a changed byte", as: reporting, body: "token=" + token[:len(token)-8] + "AAAAAAAA", code: 200, outcome: "allowed", denial: "TokenSignatureInvalid"},
		{name: "a token that has expired", as: billing, body: "token=" + expired, code: 200, outcome: "allowed", denial: "TokenExpired"},
		{name: "a token of another client", as: reporting, body: "token=" + foreign, code: 400, error: "unauthorized_client", reason: "TokenOfAnotherClient", outcome: "refused"},
		{name: "a token of another client of the namespace", as: reporting, body: "token=" + late, code: 400, error: "unauthorized_client", reason: "TokenOfAnotherClient", outcome: "refused"},
		{name: "ten megabytes", as: reporting, body: "token=" + long, code: 413, error: "invalid_request", reason: "MalformedRequest", outcome: "refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer := w.do(call{path: oauth2.RevocationPath, basic: c.as, body: c.body})
			if answer.Code != c.code || c.error != "" && !strings.Contains(answer.Body.String(), `"error":"`+c.error+`"`) {
				t.Errorf("got %d %s", answer.Code, answer.Body)
			}
			if c.code == 200 && answer.Body.Len() != 0 {
				t.Errorf("a body: %q", answer.Body)
			}
			line := w.lastAudit()
			for key, want := range map[string]string{"outcome": c.outcome, "reason": c.reason, "token_denial": c.denial} {
				if got, _ := line[key].(string); got != want {
					t.Errorf("%s is %q in %v", key, got, line)
				}
			}
			if strings.Contains(w.audit.String(), token) {
				t.Error("the audit line has the token")
			}
		})
	}
	if answer := w.do(call{method: http.MethodGet, path: oauth2.RevocationPath, basic: reporting}); answer.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", answer.Code)
	}
	if !w.active(reporting, token) || !w.active(stranger, foreign) || !w.active(billing, late) {
		t.Error("something was revoked")
	}
	if kept.writes != 0 {
		t.Errorf("%d writes for nothing", kept.writes)
	}
	for _, hint := range []string{"access_token", "refresh_token", "nonsense"} {
		answer := w.do(call{path: oauth2.RevocationPath, body: w.post(reporting) + "&token_type_hint=" + hint + "&token=" + w.token(reporting)})
		if answer.Code != http.StatusOK || w.lastAudit()["outcome"] != "revoked" {
			t.Errorf("hint %s: %d %s", hint, answer.Code, answer.Body)
		}
	}
}

func TestTheTokenOfAFormerClientOfTheNameIsNotRevoked(t *testing.T) {
	w, kept := newRevokingWorld(t)
	token := w.token(reporting)
	made := *w.dir.known[reporting].Client
	w.dir.known[reporting].Owner.UID, made.UID = "another", "another"
	made.Credentials.Verifiers = slices.Clone(made.Credentials.Verifiers)
	made.Credentials.Verifiers[0].Digest = oauth2.DigestSecret("another", oauth2.NewSecret(w.secrets[reporting]))
	w.dir.known[reporting] = oauth2.Record{Client: &made, Owner: w.dir.known[reporting].Owner}
	if answer := w.revoke(reporting, token); answer.Code != http.StatusOK || kept.writes != 0 || w.lastAudit()["token_denial"] != "TokenClientChanged" {
		t.Errorf("got %d %s, %d writes", answer.Code, answer.Body, kept.writes)
	}
}

func TestWhatComesTogetherIsWrittenTogether(t *testing.T) {
	w, kept := newRevokingWorld(t)
	const callers = 40
	tokens := make([]string, callers)
	for i := range tokens {
		tokens[i] = w.token(reporting)
	}
	w.revoke(reporting, w.token(reporting)) // the first is written at once
	var revoking sync.WaitGroup
	for _, token := range tokens {
		revoking.Go(func() {
			if answer := w.revoke(reporting, token); answer.Code != http.StatusOK {
				t.Errorf("got %d %s", answer.Code, answer.Body)
			}
		})
	}
	revoking.Wait()
	kept.mu.Lock()
	defer kept.mu.Unlock()
	if kept.writes > 3 {
		t.Errorf("%d revocations took %d writes", callers+1, kept.writes)
	}
}

func TestAnAPIServerThatIsAwayMakesNoPromise(t *testing.T) {
	w, kept := newRevokingWorld(t)
	token, other := w.token(reporting), w.token(reporting)
	kept.failing(away)
	for _, revoked := range []string{token, other} {
		answer := w.revoke(reporting, revoked)
		if answer.Code != http.StatusServiceUnavailable || answer.Header().Get("Retry-After") == "" {
			t.Errorf("got %d %s", answer.Code, answer.Body)
		}
		if line := w.lastAudit(); line["reason"] != "RevocationNotDurable" || line["outcome"] != "refused" {
			t.Errorf("audit line %v", line)
		}
		if w.active(reporting, revoked) {
			t.Error("it does not hold at this replica")
		}
	}
	kept.failing(nil)
	w.eventually("both are written by themselves", func() bool {
		tokens, _ := kept.kept()
		return tokens[w.idOf(token)] && tokens[w.idOf(other)]
	})
	if answer := w.revoke(reporting, token); answer.Code != http.StatusOK {
		t.Errorf("asked again: %d %s", answer.Code, answer.Body)
	}
}

// eventually polls until something is true.
func (w *world) eventually(what string, holds func() bool) {
	w.t.Helper()
	deadline := time.After(3 * time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			w.t.Fatalf("not in time: %s", what)
		}
	}
}

// With errors before and after the storage of a batch, a caller that got 200 finds the token
// revoked after a restart of everything.
func TestNo200IsFalse(t *testing.T) {
	w, kept := newRevokingWorld(t)
	kept.failing(func(write int) (before, after error) {
		switch write % 12 {
		case 2, 5, 7:
			return errAway, nil
		case 3, 6, 8:
			return nil, errAway
		}
		return nil, nil
	})
	const callers = 60
	tokens := make([]string, callers)
	for i := range tokens {
		tokens[i] = w.token(reporting)
	}
	var mu sync.Mutex
	yes, no := 0, 0
	var revoking sync.WaitGroup
	for i := range 20 {
		revoking.Go(func() {
			for _, token := range tokens[i*callers/20 : (i+1)*callers/20] {
				w.eventually("asked again and again, the answer is 200", func() bool {
					code := w.revoke(reporting, token).Code
					tokens, _ := kept.kept()
					mu.Lock()
					defer mu.Unlock()
					switch {
					case code == http.StatusOK && tokens[w.idOf(token)]:
						yes++
					case code == http.StatusOK:
						t.Error("200, and it is not kept")
					case code == http.StatusServiceUnavailable:
						no++
					default:
						t.Errorf("got %d", code)
					}
					return code == http.StatusOK
				})
			}
		})
	}
	revoking.Wait()
	if yes != callers || no == 0 {
		t.Errorf("%d times 200 and %d times 503: nothing was shown", yes, no)
	}
	w.eventually("all are written in the end", func() bool { tokens, _ := kept.kept(); return len(tokens) == callers })
}

func TestAFullQueueMakesNoPromise(t *testing.T) {
	const queued = 8 * revocation.MaxBatch // as many as a Journal takes
	kept := &journal{batches: map[string]revocation.Batch{}}
	w := newWorld(t, func(c *settings) { c.store = kept }) // no process writes
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for i := range queued {
		of := revocation.Client{ID: "app", Namespace: fmt.Sprint("tenant", i%1000)}
		// it waits for nothing
		_ = w.journal.Revoke(gone, revocation.NewEntry(revocation.IDOf(fmt.Sprint(i)), noon.Add(time.Hour)), of)
	}
	token := w.token(reporting)
	if answer := w.revoke(reporting, token); answer.Code != http.StatusServiceUnavailable {
		t.Errorf("got %d %s", answer.Code, answer.Body)
	}
	if w.active(reporting, token) {
		t.Error("it does not hold at this replica")
	}
	w.journal.Run(gone)
	if tokens, _ := kept.kept(); len(tokens) != queued || kept.writes != queued/revocation.MaxBatch {
		t.Errorf("the end of the server wrote %d in %d batches", len(tokens), kept.writes)
	}
}

// Each token of an OAuth2Token that lives for months leaves a revocation for as long.
func TestANamespaceRevokesSoManyTokensThatLiveLong(t *testing.T) {
	w, _ := newRevokingWorld(t)
	const uid = "01234567-89ab-cdef-0123-456789abcdef"
	value, minted, err := oauth2.IssueOpaque(oauth2.Grant{Audience: "a", TokenUID: uid, Lifetime: 90 * 24 * time.Hour}, w.now, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	client := w.dir.Record(reporting).Client
	w.dir.minted = map[string]oauth2.MintedRecord{oauth2.OpaqueID(uid): {
		Minted: &oauth2.Minted{
			UID: uid, Namespace: client.Namespace, Name: "printer", ClientID: client.ID, ClientUID: client.UID, ClientName: client.Name, Opaque: true,
			Tokens: []oauth2.MintedToken{minted},
		},
		Owner: &oauth2.MintedOwner{UID: uid, ClientName: client.Name},
	}}
	of, lasting := revocation.Client{ID: "shop.other", Namespace: client.Namespace}, revocation.NewEntry(revocation.ID{}, minted.ExpiresAt)
	for n := 0; n < 1<<17 && w.dir.revoked.Room(lasting, of) == nil; n++ {
		w.dir.revoked.Revoke(lasting, of, w.now)
		lasting.ID = revocation.IDOf(fmt.Sprint(n))
	}
	answer := w.revoke(reporting, value.Reveal())
	if answer.Code != http.StatusServiceUnavailable || !strings.Contains(answer.Body.String(), "delete its OAuth2Token") || w.lastAudit()["reason"] != "RevocationNotDurable" {
		t.Errorf("beyond the bound: %d %s", answer.Code, answer.Body)
	}
	if answer := w.revoke(reporting, w.token(reporting)); answer.Code != http.StatusOK {
		t.Errorf("a token of an hour: %d %s", answer.Code, answer.Body)
	}
}

func TestAnAssertionIsUsedOnceByAllReplicas(t *testing.T) {
	w, kept := newRevokingWorld(t)
	signer := newSigner(t, jws.ES256)
	w.registerKeys(keyed, signer)
	assertion := w.assertion(signer, "JWT", map[string]any{"jti": "once"})
	if answer := w.do(call{body: withAssertion(assertion)}); answer.Code != http.StatusOK {
		t.Fatalf("got %d %s", answer.Code, answer.Body)
	}
	id := revocation.AssertionIDOf(keyed, "once")
	w.eventually("the assertion is written", func() bool { _, assertions := kept.kept(); return assertions[id] })
	// Another replica, which has read what was written.
	other := newWorld(t)
	other.dir.ring = w.dir.ring
	other.registerKeys(keyed, signer)
	for _, batch := range kept.batches {
		other.dir.revoked.Learn(batch, other.now)
	}
	if answer := other.do(call{body: withAssertion(assertion)}); answer.Code != http.StatusUnauthorized || other.lastAudit()["reason"] != "AssertionReplayed" {
		t.Errorf("at another replica: %d %s", answer.Code, answer.Body)
	}
	other.now = other.now.Add(2 * time.Minute)
	if answer := other.do(call{body: withAssertion(other.assertion(signer, "JWT", map[string]any{"jti": "once"}))}); answer.Code != http.StatusOK {
		t.Errorf("after it has expired: %d %s", answer.Code, answer.Body)
	}
}

func TestASelectorTakesBackWhatWasIssuedBefore(t *testing.T) {
	for name, selector := range map[string]revocation.Selector{
		"by client": {ClientID: reporting}, "by namespace": {Namespace: "shop"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			token, foreign := w.token(reporting), w.token(stranger)
			w.now = w.now.Add(400 * time.Millisecond)
			selector.IssuedBefore = oauth2.CutBack(w.now.Add(time.Hour), w.now)
			w.dir.revoked.Select("all", selector)
			if w.active(reporting, token) || !w.active(stranger, foreign) {
				t.Error("introspection does not tell apart what is taken back")
			}
			if !w.active(reporting, w.token(reporting)) {
				t.Error("a token of a moment later is taken back too")
			}
		})
	}
}
