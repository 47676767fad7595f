// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hallpass-dev/hallpass/client/verify"
)

var algorithms = []string{"ES256", "RS256", "PS256", "EdDSA"}

func TestAGoodTokenAndItsClaims(t *testing.T) {
	for _, algorithm := range algorithms {
		key := newKey(t, algorithm, "one")
		v := newIssuer(newKey(t, "RS256", "zero"), key).verifier(t)
		for range 2 {
			raw := key.token(t, map[string]any{"https://example.com/tier": "gold", "token_uid": "uid-2"})
			for range 2 { // the second time it was seen before
				claims, err := v.Verify(t.Context(), raw)
				must(t, err)
				id, isClient := claims.Client()
				_, _, isUser := claims.User()
				if claims.Subject != "shop.reporting" || claims.ClientUID != "uid-1" || claims.ID != "jti-1" || claims.Audience != audience ||
					!reflect.DeepEqual(claims.Scopes, []string{"orders.read", "orders.write"}) || time.Until(claims.Expiry) < 59*time.Minute ||
					!claims.HasScopes("orders.read") || claims.HasScopes("orders.read", "orders") || id != "shop.reporting" || !isClient || isUser ||
					!reflect.DeepEqual(claims.Extra, map[string]any{"https://example.com/tier": "gold", "token_uid": "uid-2"}) {
					t.Errorf("%s: %+v", algorithm, claims)
				}
			}
		}
	}
}

func TestBadTokens(t *testing.T) {
	key, other := newKey(t, "ES256", "one"), newKey(t, "ES256", "one")
	far := time.Now().Add(30 * time.Minute).Unix()
	for name, raw := range map[string]string{
		"nothing": "", "nonsense": "a.b.c", "two parts": "a.b", "four parts": key.token(t, nil) + ".a", "too long": strings.Repeat("a", 9000),
		"another key":          other.token(t, nil),
		"another issuer":       key.token(t, map[string]any{"iss": "https://evil.test"}),
		"the issuer, a slash":  key.token(t, map[string]any{"iss": issuerURL + "/"}),
		"another audience":     key.token(t, map[string]any{"aud": issuerURL + "/ns/orders"}),
		"two audiences":        key.token(t, map[string]any{"aud": []string{audience, "urn:b"}}),
		"expired":              key.token(t, map[string]any{"iat": time.Now().Add(-time.Hour).Unix(), "exp": time.Now().Add(-31 * time.Second).Unix()}),
		"of the future":        key.token(t, map[string]any{"iat": time.Now().Add(6 * time.Minute).Unix()}),
		"nbf of the future":    key.token(t, map[string]any{"nbf": time.Now().Add(6 * time.Minute).Unix()}),
		"a long life":          key.token(t, map[string]any{"exp": time.Now().Add(2 * time.Hour).Unix()}),
		"no exp":               key.token(t, map[string]any{"exp": nil}),
		"exp is a text":        key.token(t, map[string]any{"exp": fmt.Sprint(far)}),
		"no iat":               key.token(t, map[string]any{"iat": nil}),
		"no jti":               key.token(t, map[string]any{"jti": nil}),
		"no sub":               key.token(t, map[string]any{"sub": nil}),
		"no client_id":         key.token(t, map[string]any{"client_id": nil}),
		"no aud":               key.token(t, map[string]any{"aud": nil}),
		"a scope that is none": key.token(t, map[string]any{"scope": []string{"orders.read"}}),
		"a claim twice":        key.sign(t, key.header(), strings.Replace(payload(t, nil), `{`, `{"aud":"urn:b",`, 1)),
		"another type":         key.sign(t, `{"alg":"ES256","kid":"one","typ":"JWT"}`, payload(t, nil)),
		"no type":              key.sign(t, `{"alg":"ES256","kid":"one"}`, payload(t, nil)),
		"crit":                 key.sign(t, `{"alg":"ES256","kid":"one","typ":"at+jwt","crit":["b64"],"b64":true}`, payload(t, nil)),
		"a key in the header":  key.sign(t, `{"alg":"ES256","kid":"one","typ":"at+jwt","jwk":{}}`, payload(t, nil)),
		"jku":                  key.sign(t, `{"alg":"ES256","kid":"one","typ":"at+jwt","jku":"https://evil.test/jwks"}`, payload(t, nil)),
		"alg none":             encode([]byte(`{"alg":"none","kid":"one","typ":"at+jwt"}`)) + "." + encode([]byte(payload(t, nil))) + ".",
		"alg of another kind":  key.sign(t, `{"alg":"RS256","kid":"one","typ":"at+jwt"}`, payload(t, nil)),
		"no kid":               key.sign(t, `{"alg":"ES256","typ":"at+jwt"}`, payload(t, nil)),
		"a member twice":       key.sign(t, `{"alg":"ES256","kid":"one","kid":"two","typ":"at+jwt"}`, payload(t, nil)),
		"a psychic signature":  key.token(t, nil)[:strings.LastIndexByte(key.token(t, nil), '.')+1] + encode(make([]byte, 64)),
		"a line break":         key.token(t, nil)[:20] + "\n" + key.token(t, nil)[20:],
		"padding":              key.token(t, nil) + "=",
	} {
		v := newIssuer(key).verifier(t)
		for range 2 {
			if claims, err := v.Verify(t.Context(), raw); !errors.Is(err, verify.ErrInvalidToken) || claims != nil {
				t.Errorf("%s: %v, %v", name, claims, err)
			}
		}
		if _, err := v.Verify(t.Context(), key.token(t, nil)); err != nil {
			t.Errorf("a good token after %s: %v", name, err)
		}
	}
}

// TestForgeriesAreRefused mutates good tokens at random, while the good ones are in memory.
func TestForgeriesAreRefused(t *testing.T) {
	mutations := 20_000
	if testing.Short() {
		mutations = 2_000
	}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // mutations are to be repeatable
	for _, algorithm := range algorithms {
		key := newKey(t, algorithm, "one")
		good, other := key.token(t, nil), key.token(t, map[string]any{"scope": "orders.admin", "jti": "jti-2"})
		v := newIssuer(key).verifier(t)
		for _, raw := range []string{good, other} {
			if _, err := v.Verify(t.Context(), raw); err != nil {
				t.Fatal(err)
			}
		}
		for range mutations {
			forged := mutate(random, good, other)
			if forged == good || forged == other {
				continue
			}
			if claims, err := v.Verify(t.Context(), forged); err == nil {
				t.Fatalf("%s: accepted as %+v: %s", algorithm, claims, forged)
			}
		}
	}
}

// mutate changes some characters of a token, or joins the head of one to the tail of another.
func mutate(random *rand.Rand, token, other string) string {
	if random.IntN(4) == 0 {
		at := random.IntN(min(len(token), len(other)))
		return token[:at] + other[at:]
	}
	forged := []byte(token)
	for range 1 + random.IntN(3) {
		forged[random.IntN(len(forged))] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."[random.IntN(65)]
	}
	return string(forged)
}

// TestNoOtherStringIsTheToken changes each character of a token to each other one, and each bit.
func TestNoOtherStringIsTheToken(t *testing.T) {
	key := newKey(t, "EdDSA", "one")
	good := key.token(t, nil)
	v := newIssuer(key).verifier(t)
	for i := range good {
		for bit := range 8 {
			forged := []byte(good)
			forged[i] ^= 1 << bit
			if _, err := v.Verify(t.Context(), string(forged)); err == nil {
				t.Fatalf("accepted with bit %d of character %d changed", bit, i)
			}
		}
		if _, err := v.Verify(t.Context(), good[:i]); err == nil {
			t.Fatalf("accepted with %d characters", i)
		}
	}
}

// TestAPublicKeyIsNoSharedSecret signs with HS256 and every form of the public key: CVE-2015-9235.
func TestAPublicKeyIsNoSharedSecret(t *testing.T) {
	for _, algorithm := range algorithms {
		key := newKey(t, algorithm, "one")
		v := newIssuer(key).verifier(t)
		der, err := x509.MarshalPKIXPublicKey(key.signer.Public())
		must(t, err)
		set, err := json.Marshal(map[string]any{"keys": []any{key.jwk()}})
		must(t, err)
		for _, secret := range [][]byte{der, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), set, {}} {
			for _, named := range []string{"HS256", algorithm} {
				input := encode([]byte(`{"alg":"`+named+`","kid":"one","typ":"at+jwt"}`)) + "." + encode([]byte(payload(t, nil)))
				mac := hmac.New(sha256.New, secret)
				mac.Write([]byte(input))
				if _, err := v.Verify(t.Context(), input+"."+encode(mac.Sum(nil))); err == nil {
					t.Errorf("%s: accepted as %s", algorithm, named)
				}
			}
		}
	}
}

// ancestor is a token of a client that another one was exchanged for.
func ancestor(client string) map[string]any {
	return map[string]any{"jti": "jti of " + client, "client_id": client, "client_uid": "uid of " + client, "kid": "one", "iat": time.Now().Unix()}
}

// Time stands still: a token that was made a second after its ancestors would outlive them.
func TestForWhomATokenMayAct(t *testing.T) { synctest.Test(t, checkForWhomATokenMayAct) }

func checkForWhomATokenMayAct(t *testing.T) {
	t.Helper()
	person := map[string]any{"sub": "user:corp:U019:x", "sub_type": "user"}
	act := map[string]any{"sub": "shop.reporting", "act": map[string]any{"sub": "shop.gateway"}}
	from := []any{ancestor("shop.gateway"), ancestor("shop.frontend")}
	exchanged := map[string]any{"sub": "shop.frontend", "act": act, "ancestors": from}
	both := map[string]any{"sub": "user:corp:U019", "act": map[string]any{"sub": "shop.reporting"}, "ancestors": from[:1]}
	late := ancestor("shop.gateway")
	late["iat"] = time.Now().Add(-time.Minute).Unix()
	unknown := ancestor("shop.gateway")
	unknown["kid"] = "withdrawn"
	more := ancestor("shop.gateway")
	more["grant_id"] = "g"
	users, exchange := verify.AllowUsers(), verify.AllowExchanged()
	for name, c := range map[string]struct {
		claims  map[string]any
		options []verify.Option
		ok      bool
	}{
		"a person":                        {person, nil, false},
		"a person, allowed":               {person, []verify.Option{users}, true},
		"a person, exchanges allowed":     {person, []verify.Option{exchange}, false},
		"exchanged":                       {exchanged, nil, false},
		"exchanged, allowed":              {exchanged, []verify.Option{exchange}, true},
		"exchanged, people allowed":       {exchanged, []verify.Option{users}, false},
		"exchanged for a person":          {both, []verify.Option{users, exchange}, true},
		"the same, people only":           {both, []verify.Option{users}, false},
		"the same, exchanges only":        {both, []verify.Option{exchange}, false},
		"another subject, no act":         {map[string]any{"sub": "shop.frontend"}, []verify.Option{users, exchange}, false},
		"an actor that is not the client": {map[string]any{"sub": "shop.frontend", "act": map[string]any{"sub": "shop.other"}}, []verify.Option{users, exchange}, false},
		"an exchange for itself":          {map[string]any{"act": map[string]any{"sub": "shop.reporting"}}, nil, false},
		"half a person":                   {map[string]any{"sub": "user:corp"}, []verify.Option{users, exchange}, false},
		"a client named as a person":      {map[string]any{"sub": "User:corp:x", "client_id": "User:corp:x"}, []verify.Option{users, exchange}, false},
		"a client named as a component":   {map[string]any{"sub": "system:admin", "client_id": "system:admin"}, []verify.Option{users, exchange}, false},
		"exchanged, no ancestors":         {map[string]any{"sub": "shop.frontend", "act": act}, []verify.Option{exchange}, false},
		"an ancestor too few":             {map[string]any{"sub": "shop.frontend", "act": act, "ancestors": from[:1]}, []verify.Option{exchange}, false},
		"ancestors of another subject":    {map[string]any{"sub": "shop.other", "act": act, "ancestors": from}, []verify.Option{exchange}, false},
		"it outlives an ancestor":         {map[string]any{"sub": "shop.frontend", "act": act, "ancestors": []any{late, from[1]}}, []verify.Option{exchange}, false},
		"an ancestor's key is withdrawn":  {map[string]any{"sub": "shop.frontend", "act": act, "ancestors": []any{unknown, from[1]}}, []verify.Option{exchange}, false},
		"an ancestor of a later version":  {map[string]any{"sub": "shop.frontend", "act": act, "ancestors": []any{more, from[1]}}, []verify.Option{exchange}, false},
		"ancestors are a text":            {map[string]any{"sub": "shop.frontend", "act": act, "ancestors": "shop.gateway"}, []verify.Option{exchange}, false},
		"ancestors of a client":           {map[string]any{"ancestors": from}, []verify.Option{exchange}, false},
		"an exchange for itself, allowed": {map[string]any{"act": map[string]any{"sub": "shop.reporting"}, "ancestors": []any{ancestor("shop.reporting")}}, []verify.Option{exchange}, false},
		"act is a text":                   {map[string]any{"act": "shop.reporting"}, []verify.Option{users, exchange}, false},
	} {
		key := newKey(t, "EdDSA", "one")
		v := newIssuer(key).verifier(t, c.options...)
		raw := key.token(t, c.claims)
		for range 2 {
			claims, err := v.Verify(t.Context(), raw)
			if (err == nil) != c.ok || err != nil && !errors.Is(err, verify.ErrInvalidToken) {
				t.Errorf("%s: %v", name, err)
			}
			if err != nil {
				continue
			}
			if _, isClient := claims.Client(); isClient {
				t.Errorf("%s: it seems to be a client of its own", name)
			}
		}
	}
	key := newKey(t, "EdDSA", "one")
	claims, err := newIssuer(key).verifier(t, users).Verify(t.Context(), key.token(t, person))
	must(t, err)
	if from, subject, ok := claims.User(); from != "corp" || subject != "U019:x" || !ok {
		t.Errorf("%q %q %v", from, subject, ok)
	}
	claims, err = newIssuer(key).verifier(t, exchange).Verify(t.Context(), key.token(t, exchanged))
	must(t, err)
	if !reflect.DeepEqual(claims.Actors, []string{"shop.reporting", "shop.gateway"}) {
		t.Error(claims.Actors)
	}
}

func TestATokenEndsAfterItsLeeway(t *testing.T) {
	for leeway, options := range map[time.Duration][]verify.Option{30 * time.Second: nil, 0: {verify.WithLeeway(0)}, time.Minute: {verify.WithLeeway(time.Minute)}} {
		synctest.Test(t, func(t *testing.T) {
			key := newKey(t, "EdDSA", "one")
			v := newIssuer(key).verifier(t, options...)
			raw := key.token(t, nil)
			for _, seen := range []bool{false, true} {
				_, err := v.Verify(t.Context(), raw)
				must(t, err)
				if !seen {
					time.Sleep(time.Hour + leeway - time.Second)
				}
			}
			time.Sleep(time.Second)
			for range 2 { // as a token that was seen, and as one that was dropped
				if _, err := v.Verify(t.Context(), raw); !errors.Is(err, verify.ErrExpired) || !errors.Is(err, verify.ErrInvalidToken) {
					t.Errorf("%s: %v", leeway, err)
				}
			}
		})
	}
}

func TestKeysAreKeptAsTheAnswerSays(t *testing.T) {
	for cacheControl, want := range map[string]time.Duration{
		"public, max-age=900": 15 * time.Minute, "": 15 * time.Minute, "no-store": time.Minute, "max-age=5": time.Minute, "max-age=31536000": 24 * time.Hour, `max-age="120"`: 2 * time.Minute,
	} {
		synctest.Test(t, func(t *testing.T) {
			key := newKey(t, "EdDSA", "one")
			i := newIssuer(key)
			i.cacheControl = cacheControl
			v := i.verifier(t)
			begin := time.Now()
			for time.Since(begin) < want-time.Second {
				if _, err := v.Verify(t.Context(), key.token(t, nil)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(min(30*time.Second, want/4))
			}
			synctest.Wait()
			before := i.fetched()
			time.Sleep(2 * time.Second)
			_, err := v.Verify(t.Context(), key.token(t, nil))
			must(t, err)
			synctest.Wait()
			if before != 1 || i.fetched() != 2 {
				t.Errorf("%s: %d requests before %s, %d after it", cacheControl, before, want, i.fetched())
			}
		})
	}
}

// A key that was withdrawn takes its tokens along, also those that were seen before.
func TestAWithdrawnKeyEndsItsTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, next := newKey(t, "ES256", "old"), newKey(t, "ES256", "next")
		i := newIssuer(old, next)
		v := i.verifier(t)
		raw := old.token(t, nil)
		_, err := v.Verify(t.Context(), raw)
		must(t, err)
		i.set(func(i *issuer) { i.keys = []signingKey{next} })
		time.Sleep(15 * time.Minute)
		_, err = v.Verify(t.Context(), raw) // it renews the keys beside
		must(t, err)
		synctest.Wait()
		if _, err := v.Verify(t.Context(), raw); !errors.Is(err, verify.ErrInvalidToken) {
			t.Errorf("accepted after its key was withdrawn: %v", err)
		}
		other := newKey(t, "ES256", "next") // the same kid, another key
		good := next.token(t, nil)
		_, err = v.Verify(t.Context(), good)
		must(t, err)
		i.set(func(i *issuer) { i.keys = []signingKey{other} })
		time.Sleep(16 * time.Minute)
		_, _ = v.Verify(t.Context(), good)
		synctest.Wait()
		if _, err := v.Verify(t.Context(), good); !errors.Is(err, verify.ErrInvalidToken) {
			t.Errorf("accepted after its key was replaced: %v", err)
		}
	})
}

func TestAnUnknownKidIsLookedUpOnceInTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, next := newKey(t, "ES256", "old"), newKey(t, "ES256", "next")
		i := newIssuer(old)
		v := i.verifier(t)
		_, err := v.Verify(t.Context(), old.token(t, nil))
		must(t, err)
		forged := newKey(t, "ES256", "made-up").token(t, nil)
		begin := time.Now()
		for time.Since(begin) < time.Minute {
			if _, err := v.Verify(t.Context(), forged); !errors.Is(err, verify.ErrInvalidToken) {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if i.fetched() != 1+6 {
			t.Errorf("%d requests in a minute", i.fetched())
		}
		i.set(func(i *issuer) { i.keys = append(i.keys, next) })
		time.Sleep(10 * time.Second)
		if _, err := v.Verify(t.Context(), next.token(t, nil)); err != nil {
			t.Errorf("a new key: %v", err)
		}
		if len(i.others) > 0 {
			t.Errorf("asked %v", i.others)
		}
	})
}

func TestManyTokensAtOnceCauseOneRequestForKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := newKey(t, "EdDSA", "one")
		i := newIssuer(key)
		v := i.verifier(t)
		raw := key.token(t, nil)
		var group sync.WaitGroup
		for range 1000 {
			group.Go(func() {
				if _, err := v.Verify(t.Context(), raw); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if i.fetched() != 1 {
			t.Errorf("%d requests", i.fetched())
		}
	})
}

func TestWhileTheTokenServerIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := newKey(t, "EdDSA", "one")
		i := newIssuer(key)
		i.away = true
		v := i.verifier(t)
		if _, err := v.Verify(t.Context(), key.token(t, nil)); !errors.Is(err, verify.ErrUnavailable) || errors.Is(err, verify.ErrInvalidToken) {
			t.Errorf("without keys: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := v.Verify(ctx, key.token(t, nil)); !errors.Is(err, verify.ErrUnavailable) {
			t.Error(err)
		}
		i.set(func(i *issuer) { i.away = false })
		time.Sleep(time.Second)
		_, err := v.Verify(t.Context(), key.token(t, nil))
		must(t, err)
		i.set(func(i *issuer) { i.away = true })
		before := i.fetched()
		for range 23 {
			for range 60 {
				time.Sleep(time.Minute)
				if _, err := v.Verify(t.Context(), key.token(t, nil)); err != nil {
					t.Fatalf("with keys of the last day: %v", err)
				}
			}
		}
		synctest.Wait()
		if asked := i.fetched() - before; asked < 1000 || asked > 23*60 {
			t.Errorf("%d requests in 23 hours", asked)
		}
		// An unknown kid cannot be decided.
		if _, err := v.Verify(t.Context(), newKey(t, "EdDSA", "two").token(t, nil)); !errors.Is(err, verify.ErrUnavailable) {
			t.Error(err)
		}
		time.Sleep(time.Hour)
		if _, err := v.Verify(t.Context(), key.token(t, nil)); !errors.Is(err, verify.ErrUnavailable) {
			t.Errorf("with keys older than a day: %v", err)
		}
	})
}

func TestKeySets(t *testing.T) {
	key, weak := newKey(t, "ES256", "one"), newKey(t, "RS256", "weak")
	twice := key.jwk()
	for name, c := range map[string]struct {
		keys []any
		ok   bool
	}{
		"the key":                  {[]any{key.jwk()}, true},
		"beside unusable ones":     {[]any{map[string]any{"kty": "oct", "k": "AAAA", "kid": "x"}, with(weak.jwk(), "n", "AQAB"), with(weak.jwk(), "e", "Aw"), with(key.jwk(), "use", "enc"), key.jwk()}, true},
		"none":                     {nil, false},
		"twice":                    {[]any{key.jwk(), twice}, false},
		"for encryption":           {[]any{with(key.jwk(), "use", "enc")}, false},
		"another algorithm":        {[]any{with(key.jwk(), "alg", "ES384")}, false},
		"not on the curve":         {[]any{with(key.jwk(), "y", encode(make([]byte, 32)))}, false},
		"without a kid":            {[]any{with(key.jwk(), "kid", "")}, false},
		"a coordinate too short":   {[]any{with(key.jwk(), "x", "AQAB")}, false},
		"more keys than one reads": {make([]any, 101), false},
	} {
		set := c.keys
		for i, k := range set {
			if k == nil {
				set[i] = with(key.jwk(), "kid", fmt.Sprint(i))
			}
		}
		body, err := json.Marshal(map[string]any{"keys": set})
		must(t, err)
		v, err := verify.New(issuerURL, audience, verify.WithHTTPClient(&http.Client{Transport: answers(string(body))}))
		must(t, err)
		if _, err := v.Verify(t.Context(), key.token(t, nil)); (err == nil) != c.ok || err != nil && !errors.Is(err, verify.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func with(members map[string]any, name, value string) map[string]any {
	members[name] = value
	return members
}

func TestBadInputIsRefusedWithWhatToDo(t *testing.T) {
	for name, c := range map[string]struct {
		issuer, audience string
		options          []verify.Option
	}{
		"no issuer": {"", audience, nil}, "a path": {issuerURL + "/", audience, nil}, "plain http": {"http://hallpass.test", audience, nil},
		"plain http for keys": {issuerURL, audience, []verify.Option{verify.WithKeysURL("http://hallpass.test/jwks")}},
		"no audience":         {issuerURL, "", nil}, "no client": {issuerURL, audience, []verify.Option{verify.WithHTTPClient(nil)}},
		"too much leeway":    {issuerURL, audience, []verify.Option{verify.WithLeeway(6 * time.Minute)}},
		"closed at once":     {issuerURL, audience, []verify.Option{verify.FailClosed(time.Second)}},
		"open and closed":    {issuerURL, audience, []verify.Option{verify.FailOpen(), verify.FailClosed(time.Minute)}},
		"keys nowhere":       {issuerURL, audience, []verify.Option{verify.WithKeysURL("jwks")}},
		"metadata in quotes": {issuerURL, audience, []verify.Option{verify.WithResourceMetadata(`"`)}},
	} {
		if _, err := verify.New(c.issuer, c.audience, c.options...); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := verify.New("http://hallpass.test", audience, verify.WithPlainHTTP()); err != nil {
		t.Error(err)
	}
}
