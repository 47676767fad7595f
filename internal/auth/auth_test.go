// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

func TestAuthenticationLeavesATrail(t *testing.T) {
	wrong := strings.Repeat("x", 43)
	for name, c := range map[string]struct {
		prepare     func(w *world)
		credentials func(w *world) auth.Credentials
		reason      oauth2.Reason
		want        func(w *world) auth.Trail
	}{
		"the right secret": {
			nil, secretOf(reporting), "", func(w *world) auth.Trail {
				id := w.memory.clients[reporting].Client.Credentials.Verifiers[0].ID
				return auth.Trail{
					ClientID: reporting, Namespace: "shop", Method: oauth2.ClientSecretPost, Credential: id, Used: auth.Used{Caller: "uid-of-" + reporting, Secret: id},
				}
			},
		},
		"a secret that was replaced": {
			func(w *world) {
				w.memory.clients[reporting].Client.Credentials.Verifiers[0].ExpiresAt = noon.Add(time.Hour)
			},
			secretOf(reporting), "", func(w *world) auth.Trail {
				id := w.memory.clients[reporting].Client.Credentials.Verifiers[0].ID
				return auth.Trail{
					ClientID: reporting, Namespace: "shop", Method: oauth2.ClientSecretPost, Credential: id,
					Used: auth.Used{Caller: "uid-of-" + reporting, Secret: id, Replaced: true},
				}
			},
		},
		"the wrong secret says nothing of its use": {
			nil, func(w *world) auth.Credentials { return w.credentials(reporting, wrong, "") }, oauth2.ReasonWrongSecret,
			func(*world) auth.Trail {
				return auth.Trail{ClientID: reporting, Namespace: "shop", Method: oauth2.ClientSecretPost}
			},
		},
		"a secret in the place of the client_id is not named": {
			nil, func(w *world) auth.Credentials { return w.credentials(w.secrets[reporting], wrong, "") }, oauth2.ReasonUnknownClient,
			func(*world) auth.Trail { return auth.Trail{Method: oauth2.ClientSecretPost} },
		},
		"no credentials": {
			nil, func(*world) auth.Credentials { return auth.Credentials{} }, oauth2.ReasonNoCredentials, func(*world) auth.Trail { return auth.Trail{} },
		},
		"an assertion": {
			nil, func(w *world) auth.Credentials { return w.assertion("a") }, "", func(*world) auth.Trail {
				return auth.Trail{
					ClientID: keyed, Namespace: "shop", Method: oauth2.PrivateKeyJWT, Used: auth.Used{Caller: "uid-of-" + keyed},
				}
			},
		},
		"a service account's token": {
			nil, func(w *world) auth.Credentials { return w.pod(w.signer, "from-the-cluster") }, "", func(*world) auth.Trail {
				return auth.Trail{
					ClientID: podded, Namespace: "shop", Method: oauth2.ServiceAccountJWT, Credential: "from-the-cluster", Used: auth.Used{Caller: "uid-of-" + podded},
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if c.prepare != nil {
				c.prepare(w)
			}
			caller, err := w.Authenticate(t.Context(), c.credentials(w))
			if oauth2.ReasonOf(err) != c.reason || (caller.Client == nil) != (err != nil) {
				t.Errorf("%v, client %v", err, caller.Client)
			}
			want := c.want(w)
			if want.Namespace != "" {
				want.ClientUID = "uid-of-" + want.ClientID
			}
			if want.Method == oauth2.PrivateKeyJWT { // the thumbprint of the key
				want.Credential = caller.Trail.Credential
				if len(want.Credential) != 43 {
					t.Errorf("credential %q", want.Credential)
				}
			}
			if diff := cmp.Diff(want, caller.Trail); diff != "" {
				t.Error("(-want +got):\n" + diff)
			}
		})
	}
}

// Any caller can send the token of some pod with the client_id of any client. A caller whose
// credential is of another kind does not learn what is wrong with the token.
func TestThePodsTokenForAClientOfAnotherKindIsTheWrongMethod(t *testing.T) {
	for name, c := range map[string]struct {
		claim    string
		value    any
		otherKey bool
		reason   oauth2.Reason // for a client of that kind
	}{
		"a good token":           {},
		"a token that is over":   {claim: "exp", value: noon.Add(-time.Second).Unix(), reason: oauth2.ReasonAssertionExpired},
		"a token for another":    {claim: "aud", value: []string{"https://elsewhere.test"}, reason: oauth2.ReasonAssertionAudience},
		"a token for years":      {claim: "exp", value: noon.Add(9999 * time.Hour).Unix(), reason: oauth2.ReasonAssertionTooLong},
		"a token of an issuer":   {claim: "iss", value: "https://elsewhere.test", reason: oauth2.ReasonWrongAssertion},
		"a token of another key": {otherKey: true, reason: oauth2.ReasonAssertionKeyUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			answers, unknown := map[string]bool{}, c.reason
			if unknown == "" {
				unknown = oauth2.ReasonUnknownClient
			}
			for id, want := range map[string]oauth2.Reason{
				podded: c.reason, reporting: oauth2.ReasonWrongMethod, keyed: oauth2.ReasonWrongMethod, "shop.unknown": unknown,
			} {
				// the API server is asked once for the keys of pods
				w := newWorld(t)
				signer, claims := w.signer, w.podClaims("a")
				if c.otherKey {
					signer = newSigner(t)
				}
				if c.claim != "" {
					claims[c.claim] = c.value
				}
				_, err := w.Authenticate(t.Context(), auth.Credentials{Form: form(t, "client_id="+id+assertionType+w.sign(signer, claims)), At: w.now})
				if oauth2.ReasonOf(err) != want {
					t.Errorf("%s is refused for %q, want %q", id, oauth2.ReasonOf(err), want)
				}
				if err != nil {
					answers[err.Error()] = true
				}
			}
			if len(answers) != 1 {
				t.Errorf("the answers differ: %v", answers)
			}
		})
	}
}

func TestAWatchedSecretIsAcceptedOnlyIfItsUseIsReported(t *testing.T) {
	reports := false
	w := newWorld(t, func(c *auth.Config) { c.Reports = func() bool { return reports } })
	w.memory.clients[reporting].Client.Credentials.Verifiers[0].WatchedSince = noon
	for _, want := range []oauth2.Reason{"UseUnreported", ""} {
		caller, err := w.Authenticate(t.Context(), secretOf(reporting)(w))
		if oauth2.ReasonOf(err) != want || (caller.Trail.Used.Caller != "") != (err == nil) {
			t.Errorf("%v, trail %+v; want %q", err, caller.Trail, want)
		}
		reports = true
	}
}

func TestAnAssertionIsUsedOnce(t *testing.T) {
	w := newWorld(t)
	authenticate := func(c auth.Credentials) oauth2.Reason {
		_, err := w.Authenticate(t.Context(), c)
		return oauth2.ReasonOf(err)
	}
	once := w.assertion("a")
	for i, want := range []oauth2.Reason{"", oauth2.ReasonAssertionReplayed, oauth2.ReasonAssertionReplayed} {
		if got := authenticate(once); got != want {
			t.Errorf("time %d: %q", i+1, got)
		}
	}
	w.now = w.now.Add(2 * time.Minute)
	if got := authenticate(w.assertion("a")); got != "" {
		t.Errorf("an id of an assertion that has expired: %q", got)
	}
	w.revoked.Learn(revocation.Batch{Assertions: []revocation.Entry{
		revocation.NewEntry(revocation.AssertionIDOf(keyed, "elsewhere"), w.now.Add(time.Minute)),
	}}, w.now)
	if got := authenticate(w.assertion("elsewhere")); got != oauth2.ReasonAssertionReplayed {
		t.Errorf("one that was used at another replica: %q", got)
	}
}

// TestVerdictsOfTheCluster walks through reviews of one token. A verdict counts for five seconds.
func TestVerdictsOfTheCluster(t *testing.T) {
	reviewed := 0
	w := newWorld(t, func(c *auth.Config) { c.Reviewed = func(oauth2.Verdict) { reviewed++ } })
	token := w.pod(w.signer, "a")
	for i, step := range []struct {
		after   time.Duration
		verdict oauth2.Verdict
		want    oauth2.Reason
		reviews int
	}{
		{0, oauth2.Undecided, oauth2.ReasonLookupUnavailable, 1},
		{0, oauth2.Unreachable, "", 2}, // verified here, and asked again in five seconds
		{4 * time.Second, oauth2.Dishonoured, "", 2},
		{time.Second, oauth2.Dishonoured, oauth2.ReasonAccountTokenEnded, 3},
		{4 * time.Second, oauth2.Honoured, oauth2.ReasonAccountTokenEnded, 3},
		// the last verdict
		{time.Second, oauth2.Unreachable, oauth2.ReasonAccountTokenEnded, 4},
		{5 * time.Second, oauth2.Honoured, "", 5},
		{5 * time.Second, oauth2.Undecided, oauth2.ReasonLookupUnavailable, 6},
		{0, oauth2.Unreachable, "", 7},
	} {
		w.now, w.verdict = w.now.Add(step.after), step.verdict
		token.At = w.now
		caller, err := w.Authenticate(t.Context(), token)
		if oauth2.ReasonOf(err) != step.want || reviewed != step.reviews || err == nil && !caller.At.Equal(w.now) {
			t.Errorf("step %d: %v after %d reviews", i, err, reviewed)
		}
	}
}

func TestWithoutAClusterNoPodIsAuthenticated(t *testing.T) {
	w := newWorld(t, func(c *auth.Config) { c.Cluster = nil })
	if _, err := w.Authenticate(t.Context(), w.pod(w.signer, "a")); oauth2.ReasonOf(err) != oauth2.ReasonAssertionKeyUnknown {
		t.Error(err)
	}
}

// What is wrong with the token of a service account itself causes no look-up, but a failure.
func TestATokenThatNoClientCouldUseIsNotLookedUp(t *testing.T) {
	w := newWorld(t)
	token := w.pod(w.signer, "a")
	w.now = w.now.Add(2 * time.Hour)
	token.At = w.now
	for i := range 9 {
		_, err := w.Authenticate(t.Context(), token)
		if want := map[bool]oauth2.Reason{false: oauth2.ReasonAssertionExpired, true: oauth2.ReasonThrottled}[i == 8]; oauth2.ReasonOf(err) != want {
			t.Errorf("attempt %d: %v", i, err)
		}
	}
	if len(w.questions) > 0 {
		t.Errorf("asked %v", w.questions)
	}
}

// That a signature was found good before makes no token good.
func TestADenialEndsATokenWhateverIsRemembered(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *world)
		denial oauth2.Reason
	}{
		"its time is over": {func(w *world) { w.now = noon.Add(time.Hour) }, oauth2.ReasonTokenExpired},
		"its client is suspended": {
			func(w *world) { w.change(reporting, func(_ *oauth2.Client, o *oauth2.Owner) { o.Suspended = true }) }, oauth2.ReasonSuspended,
		},
		"its client is being deleted": {
			func(w *world) { w.change(reporting, func(_ *oauth2.Client, o *oauth2.Owner) { o.Terminating = true }) }, oauth2.ReasonOwnerGone,
		},
		"its client is gone": {
			func(w *world) { forget(reporting)(w); delete(w.source.clients, reporting) }, oauth2.ReasonUnknownClient,
		},
		"its client revoked what was issued before": {
			func(w *world) {
				w.change(reporting, func(_ *oauth2.Client, o *oauth2.Owner) { o.RevokedBefore = noon.Add(time.Second) })
			},
			oauth2.ReasonTokenRevoked,
		},
		"its key was withdrawn": {func(w *world) {
			key, err := w.memory.ring.SigningKey(w.now)
			must(w.t, err)
			rotation, err := keyring.Rotate(w.memory.ring, keyring.At(w.now), keyring.DefaultPolicy(time.Hour), keyring.Order{Taint: []string{key.ID()}}, keyring.Generate)
			must(w.t, err)
			w.memory.ring = rotation.Ring
		}, oauth2.ReasonTokenKeyWithdrawn},
	} {
		for memory, remember := range map[string]func(w *world) string{
			"it is remembered since it was issued": func(w *world) string {
				request, err := oauth2.ParseTokenRequest(form(t, "grant_type=client_credentials"))
				must(t, err)
				issued, err := w.Issue(t.Context(), new(w.caller(reporting)), request)
				must(t, err)
				return issued.Value.Reveal()
			},
			"it is remembered since it was introspected": func(w *world) string {
				token := w.token(noon, w.shop(), "read", "write")
				_, err := w.introspect(reporting, token)
				must(t, err)
				return token
			},
			"it is not remembered": func(w *world) string { return w.token(noon, w.shop(), "read", "write") },
		} {
			t.Run(name+", "+memory, func(t *testing.T) {
				w := newWorld(t)
				token := remember(w)
				c.change(w)
				result, err := w.introspect(keyed, token) // a neighbour
				if err != nil || result.Denial != c.denial {
					t.Errorf("%q, %v; want %q", result.Denial, err, c.denial)
				}
				if id := result.Trail.Token.ClientID; (id == reporting) != (c.denial != oauth2.ReasonTokenKeyWithdrawn || memory != "it is not remembered") {
					t.Errorf("the trail names client %q", id)
				}
			})
		}
	}
}

func TestARevokedTokenIsDenied(t *testing.T) {
	w := newWorld(t)
	token := w.issued(noon, oauth2.Grant{Audience: w.shop(), Scopes: []string{"read"}, Lifetime: time.Hour})
	w.revoked.Revoke(revocation.NewEntry(revocation.IDOf(token.Claims.ID), token.Claims.ExpiresAt), revocation.Client{}, noon)
	if result, err := w.introspect(reporting, token.Value.Reveal()); err != nil || result.Denial != oauth2.ReasonTokenRevoked {
		t.Errorf("%q, %v", result.Denial, err)
	}
	// Read does not ask whether a token was revoked.
	if result, err := w.Read(t.Context(), &auth.Request{Token: token.Value.Reveal(), At: noon}); err != nil || result.Denial != "" || result.Claims.ID != token.Claims.ID {
		t.Errorf("%q, %v", result.Denial, err)
	}
	if result, err := w.Read(t.Context(), &auth.Request{Token: "a.b.c", At: noon}); err != nil || result.Denial != oauth2.ReasonTokenMalformed {
		t.Errorf("%q, %v", result.Denial, err)
	}
}

func TestMintedTokensSayWhatTheirRecordsSay(t *testing.T) {
	for _, opaque := range []bool{true, false} {
		w := newWorld(t)
		token := w.mint(opaque)
		w.memory.clients[reporting].Client.Tokens.Claims = []oauth2.Claim{{Name: "tier", Value: "gold"}}
		result, err := w.introspect(reporting, token)
		if err != nil || result.Denial != "" || result.Trail.Used.Token != "token-uid" || (len(result.Claims.Custom) > 0) != opaque {
			t.Errorf("opaque %t: %+v, %v", opaque, result, err)
		}
		for id, record := range w.memory.minted {
			owner := *record.Owner
			owner.Scopes = []string{"read"}
			w.memory.minted[id] = oauth2.MintedRecord{Minted: record.Minted, Owner: &owner}
		}
		if result, err = w.introspect(reporting, token); err != nil || cmp.Diff([]string{"read"}, result.Claims.Scopes) != "" {
			t.Errorf("opaque %t, fewer scopes: %+v, %v", opaque, result, err)
		}
		for id, record := range w.memory.minted {
			w.memory.minted[id] = oauth2.MintedRecord{Minted: record.Minted, Owner: &oauth2.MintedOwner{UID: record.Owner.UID, ClientName: "reporting", Terminating: true}}
		}
		if result, err = w.introspect(reporting, token); err != nil || result.Denial != oauth2.ReasonTokenOwnerGone || len(w.questions) > 0 {
			t.Errorf("opaque %t, its object is deleted: %q, %v", opaque, result.Denial, err)
		}
	}
}

func TestWhoMayIntrospect(t *testing.T) {
	w := newWorld(t)
	token := w.token(noon, w.ordersAPI, "orders.read")
	for caller, want := range map[string]oauth2.Reason{reporting: "", gateway: "", keyed: oauth2.ReasonNotForCaller} {
		if result, err := w.introspect(caller, token); err != nil || result.Denial != want {
			t.Errorf("%s: %q, %v", caller, result.Denial, err)
		}
	}
}

func TestAdmission(t *testing.T) {
	good := func(w *world) string { return "Bearer " + w.token(noon, w.shop(), "read") }
	required := func(w *world) oauth2.Requirement {
		return oauth2.Requirement{Audience: w.shop(), Scopes: []string{"read"}}
	}
	malformed := oauth2.Refuse(oauth2.InvalidRequest, oauth2.ReasonRequirementMalformed, "")
	stale := func(c *auth.Config) { c.Stale = func() bool { return true } }
	for name, c := range map[string]struct {
		configure func(*auth.Config)
		bearer    func(w *world) string
		required  func(w *world) oauth2.Requirement
		malformed error
		reason    oauth2.Reason
		named     string // the client in the trail
	}{
		"a good token":        {nil, good, required, nil, "", reporting},
		"no token":            {nil, func(*world) string { return "Basic YTpi" }, required, nil, oauth2.ReasonNoCredentials, ""},
		"a token of nobody's": {nil, func(*world) string { return "Bearer a.b.c" }, required, nil, oauth2.ReasonTokenMalformed, ""},
		"an expired token":    {nil, func(w *world) string { return "Bearer " + w.token(noon.Add(-time.Hour), w.shop(), "read") }, required, nil, oauth2.ReasonTokenExpired, ""},
		"another audience":    {nil, good, func(w *world) oauth2.Requirement { return oauth2.Requirement{Audience: w.ordersAPI} }, nil, oauth2.ReasonWrongAudience, ""},
		"a scope that is missing": {nil, good, func(w *world) oauth2.Requirement {
			return oauth2.Requirement{Audience: w.shop(), Scopes: []string{"write"}}
		}, nil, oauth2.ReasonInsufficientScope, reporting},
		"a malformed requirement":   {nil, good, required, malformed, oauth2.ReasonRequirementMalformed, ""},
		"a memory that is too old":  {stale, good, required, nil, "DirectoryStale", ""},
		"too many requests at once": {func(c *auth.Config) { c.MaxInFlight = -1 }, good, required, nil, "Overloaded", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(config *auth.Config) {
				if c.configure != nil {
					c.configure(config)
				}
			})
			result, err := w.Admit(t.Context(), auth.Attempt{
				Authorization: []string{c.bearer(w)}, Required: c.required(w), RequirementError: c.malformed, Source: "192.0.2.9", At: w.now,
			})
			if oauth2.ReasonOf(err) != c.reason || result.Trail.ClientID != c.named {
				t.Errorf("%v, trail %+v", err, result.Trail)
			}
			if err == nil && (result.Client.ID != reporting || result.Trail.Token.Scope != "read" || result.Trail.Used.TokenOf != "uid-of-"+reporting) {
				t.Errorf("admitted %+v", result)
			}
		})
	}
}

func TestEnterBoundsWhatIsInFlight(t *testing.T) {
	w := newWorld(t, func(c *auth.Config) { c.MaxInFlight = 1 })
	place, err := w.Enter("192.0.2.1")
	must(t, err)
	if _, err := w.Enter("192.0.2.2"); oauth2.ReasonOf(err) != "Overloaded" {
		t.Errorf("a second request: %v", err)
	}
	place.Leave()
	_, err = w.Enter("192.0.2.2")
	must(t, err)
}

func TestTheMetadataOfADeclaredResource(t *testing.T) {
	w := newWorld(t)
	for audience, want := range map[string]string{w.ordersAPI: "https://hallpass.test/.well-known/oauth-protected-resource/resources/orders/api", w.shop(): ""} {
		if got := w.ResourceMetadata(audience); got != want {
			t.Errorf("%s: %q", audience, got)
		}
	}
}

func TestIssuing(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(w *world)
		random  bool
		want    oauth2.Reason
		fault   bool
	}{
		"a token": {prepare: func(w *world) {
			w.memory.clients[reporting].Client.Tokens.Claims = []oauth2.Claim{{Name: "teams", Values: []string{"a", "b"}}, {Name: "tier", Value: "gold"}}
		}},
		"an algorithm that is not enabled": {
			prepare: func(w *world) { w.memory.clients[reporting].Client.Tokens.Algorithm = "RS256" }, want: oauth2.ReasonAlgorithmNotEnabled,
		},
		"a revocation of what is issued for a while": {
			prepare: func(w *world) { w.memory.clients[reporting].Owner.RevokedBefore = noon.Add(time.Hour) }, want: oauth2.ReasonTokenRevoked,
		},
		"no randomness": {random: true, fault: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(config *auth.Config) {
				if c.random {
					config.Random = iotest.ErrReader(errAway)
				}
			})
			if c.prepare != nil {
				c.prepare(w)
			}
			request, err := oauth2.ParseTokenRequest(form(t, "grant_type=client_credentials&scope=read"))
			must(t, err)
			caller := w.caller(reporting)
			before := caller.Trail
			issued, err := w.Issue(t.Context(), &caller, request)
			if (err != nil) != (c.want != "" || c.fault) || !c.fault && oauth2.ReasonOf(err) != c.want {
				t.Fatalf("%v, want %q", err, c.want)
			}
			if err != nil {
				if diff := cmp.Diff(before, issued.Trail); diff != "" {
					t.Error("the trail of a refusal (-caller +got):\n" + diff)
				}
				return
			}
			trail := issued.Trail
			if trail.Token.Scope != "read" || trail.Token.Audience != w.shop() || trail.Token.ID != issued.Claims.ID || trail.Used != before.Used || !issued.At.Equal(noon) {
				t.Errorf("trail %+v", trail)
			}
			token := issued.Value.Reveal()
			if result, err := w.introspect(reporting, token); err != nil || result.Denial != "" {
				t.Errorf("the token: %q, %v", result.Denial, err)
			}
			// What is remembered of it is what can be read of it, and of no other
			// token.
			read, err := w.Issuer.Verify(token, w.memory.ring, noon)
			if diff := cmp.Diff(read, issued.Verified); err != nil || diff != "" {
				t.Errorf("%v (-read +remembered):\n%s", err, diff)
			}
			other := w.token(noon, w.shop(), "read")
			mixed := token[:strings.LastIndexByte(token, '.')] + other[strings.LastIndexByte(other, '.'):]
			for name, variant := range map[string]string{"another signature": mixed, "a longer one": token + "A", "a shorter one": token[:len(token)-1]} {
				if result, err := w.introspect(reporting, variant); err != nil || result.Denial == "" || result.Trail.Token.ID != "" {
					t.Errorf("%s: %+v, %v", name, result, err)
				}
			}
		})
	}
}

// held is a source that answers when it is released.
type held struct {
	*fake

	release chan struct{}
	asked   int
}

func (h *held) LookUp(ctx context.Context, id string) (oauth2.Record, error) {
	h.asked++
	<-h.release
	return h.source.clients[id], ctx.Err()
}

// Requests at once share a look-up, and one that hangs up does not end it for the others. Those
// that come while it is under way share the next one.
func TestRequestsAtOnceShareAQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &held{release: make(chan struct{})}
		w := newWorld(t, func(c *auth.Config) {
			source.fake, _ = c.Directory.(*fake)
			c.Directory = source
		})
		credentials := secretOf(reporting)(w)
		forget(reporting)(w)
		first, hangUp := context.WithCancel(t.Context())
		var running sync.WaitGroup
		authenticate := func(ctx context.Context) {
			if _, err := w.Authenticate(ctx, credentials); err != nil {
				t.Error(err)
			}
		}
		running.Go(func() { authenticate(first) })
		synctest.Wait()
		for range 7 {
			running.Go(func() { authenticate(t.Context()) })
		}
		synctest.Wait()
		hangUp()
		close(source.release)
		running.Wait()
		if source.asked != 2 {
			t.Errorf("%d questions, want 1, and 1 for those that came meanwhile", source.asked)
		}
	})
}

// TestMemoryAllocatesLittle pins what a decision by memory allocates, so that no request pays for
// the look-ups of others.
func TestMemoryAllocatesLittle(t *testing.T) {
	w := newWorld(t)
	token := w.token(noon, w.shop(), "read")
	request := auth.Request{Token: token, Payer: auth.PaidBy(w.memory.clients[reporting].Client), Caller: w.memory.clients[reporting].Client, At: noon}
	if n := testing.AllocsPerRun(100, func() {
		if result, err := w.Check(t.Context(), &request); err != nil || result.Denial != "" {
			t.Fatal(result.Denial, err)
		}
	}); n > 2 {
		t.Errorf("a check allocates %v times, want at most 2", n)
	}
}
