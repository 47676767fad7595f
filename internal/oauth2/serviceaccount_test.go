// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2_test

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

const clusterIssuer = "https://kubernetes.default.svc.cluster.local"

// accountToken is the payload of a token as kube-apiserver makes it, issued at 1795435200.
const accountToken = `{"aud":["https://hallpass.test"],"exp":1795438800,"iat":1795435200,"iss":"https://kubernetes.default.svc.cluster.local",` +
	`"jti":"7f2b1d1e-7a1c-4b3c-9c55-0d5a8f1f7a11","kubernetes.io":{"namespace":"shop","node":{"name":"n","uid":"u"},"pod":{"name":"worker-0","uid":"u"},` +
	`"serviceaccount":{"name":"worker","uid":"uid-of-worker"}},"nbf":1795435200,"sub":"system:serviceaccount:shop:worker"}`

// podWorld decides about payloads that the cluster has signed.
type podWorld struct {
	issuer  oauth2.Issuer
	signer  *jws.Signer
	cluster oauth2.Cluster
	record  oauth2.Record
	now     time.Time
}

func newPodWorld(t testing.TB) podWorld {
	t.Helper()
	issuer, err := oauth2.ParseIssuer("https://hallpass.test", false)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jws.NewSigner(jws.EdDSA, ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	return podWorld{
		issuer: issuer, signer: signer, now: time.Unix(1795435260, 0),
		cluster: oauth2.Cluster{Issuer: clusterIssuer, Keys: jws.KeySet{Keys: []jws.PublicKey{signer.Public()}}},
		record: oauth2.Record{
			Client: &oauth2.Client{
				ID: "shop.podded", UID: "uid-1", Namespace: "shop", Name: "podded", Tokens: oauth2.TokenForm{Lifetime: time.Hour},
				Credentials: oauth2.Credentials{ServiceAccount: &oauth2.ServiceAccount{Name: "worker", UID: "uid-of-worker"}},
			},
			Owner: &oauth2.Owner{UID: "uid-1"},
		},
	}
}

func (w podWorld) records(*oauth2.AccountToken) []oauth2.Record { return []oauth2.Record{w.record} }

func (w podWorld) authenticate(t testing.TB, payload string) (oauth2.UsedAccountToken, error) {
	t.Helper()
	token, err := w.signer.Sign("", []byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	presented, err := oauth2.ParsePresented(nil, form(t, "client_id=shop.podded&client_assertion_type="+oauth2.AssertionType+"&client_assertion="+token))
	if err != nil {
		return oauth2.UsedAccountToken{}, err
	}
	if presented.AccountToken == nil {
		_, _, err = w.issuer.AuthenticateAssertion(presented, func(string) oauth2.Record { return w.record }, w.now)
		return oauth2.UsedAccountToken{}, err
	}
	_, used, err := w.issuer.AuthenticateAccount(presented, w.cluster, w.records, w.now)
	return used, err
}

func TestAnAccountTokenSaysWhoseItIs(t *testing.T) {
	got, err := newPodWorld(t).authenticate(t, accountToken)
	if err != nil {
		t.Fatal(err)
	}
	want := oauth2.UsedAccountToken{
		ID: "7f2b1d1e-7a1c-4b3c-9c55-0d5a8f1f7a11", Account: "system:serviceaccount:shop:worker", UID: "uid-of-worker",
		ExpiresAt: time.Unix(1795438800, 0).UTC(),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAnAccountTokenThatSaysOneThingTwiceIsRefused(t *testing.T) {
	w := newPodWorld(t)
	for _, member := range []string{`"aud":`, `"exp":`, `"iss":`, `"sub":`, `"kubernetes.io":`, `"namespace":`, `"serviceaccount":`, `"name":"worker"`, `"uid":"uid-of-worker"`} {
		start := strings.Index(accountToken, member)
		twice := accountToken[:start] + member[:strings.Index(member, ":")+1] + `"x",` + accountToken[start:]
		if _, err := w.authenticate(t, twice); err == nil {
			t.Errorf("%s twice is accepted", member)
		}
	}
}

// TestEveryMutationOfAnAccountTokenIsRefused flips every bit of one token, and cuts it off
// everywhere.
func TestEveryMutationOfAnAccountTokenIsRefused(t *testing.T) {
	w := newPodWorld(t)
	right, err := w.signer.Sign("", []byte(accountToken))
	if err != nil {
		t.Fatal(err)
	}
	letIn := func(token string) bool {
		body := url.Values{"client_id": {"shop.podded"}, "client_assertion_type": {oauth2.AssertionType}, "client_assertion": {token}}
		f, err := oauth2.ParseForm(body.Encode())
		if err != nil {
			return false
		}
		presented, err := oauth2.ParsePresented(nil, f)
		if err != nil || presented.AccountToken == nil {
			return false
		}
		_, _, err = w.issuer.AuthenticateAccount(presented, w.cluster, w.records, w.now)
		return err == nil
	}
	if !letIn(right) {
		t.Fatal("the token itself is refused")
	}
	for i := range len(right) {
		if letIn(right[:i]) || letIn(right[i+1:]) {
			t.Fatalf("cut off at %d it is let in", i)
		}
		for bit := range 8 {
			mutant := []byte(right)
			mutant[i] ^= 1 << bit
			if letIn(string(mutant)) {
				t.Fatalf("with bit %d of byte %d flipped it is let in", bit, i)
			}
		}
	}
	for _, suffix := range []string{".", "=", "A", " ", "\n", "." + right} {
		if letIn(right + suffix) {
			t.Errorf("with %q behind it is let in", suffix)
		}
	}
}

// FuzzAccountToken compares every accepted token, whatever its payload, with the rules read by
// encoding/json.
func FuzzAccountToken(f *testing.F) {
	f.Add(accountToken)
	for _, change := range [][2]string{
		{`["https://hallpass.test"]`, `"https://hallpass.test"`},
		{`["https://hallpass.test"]`, `["https://hallpass.test","https://kubernetes.default.svc.cluster.local"]`},
		{"1795438800", "1795442400"},
		{"1795438800", "1.7954388e9"},
		{`"uid":"uid-of-worker"`, `"uid":null`},
		{"system:serviceaccount:shop:worker", "system:serviceaccount:shop:\\u0077orker"},
		{`"kubernetes.io":{`, `"kubernetes.io":{"serviceaccount":{},`},
	} {
		f.Add(strings.Replace(accountToken, change[0], change[1], 1))
	}
	w := newPodWorld(f)
	f.Fuzz(func(t *testing.T, payload string) {
		if len(payload) > 4096 || payload == "" {
			return
		}
		if _, err := w.authenticate(t, payload); err != nil {
			return
		}
		if err := reference(payload, w.now); err != nil {
			t.Errorf("let in although %v: %q", err, payload)
		}
	})
}

// reference is the rules once more, without any of the code that they are held against. It reads
// into maps, because members of structs are found whatever the case of their letters.
func reference(payload string, now time.Time) error {
	var claims map[string]any
	if err := json.Unmarshal([]byte(payload), &claims); err != nil {
		return fmt.Errorf("it is no JSON: %w", err)
	}
	cluster, _ := claims["kubernetes.io"].(map[string]any)
	account, _ := cluster["serviceaccount"].(map[string]any)
	want := []any{clusterIssuer, "system:serviceaccount:shop:worker", "shop", "worker", "uid-of-worker"}
	if got := []any{claims["iss"], claims["sub"], cluster["namespace"], account["name"], account["uid"]}; !slices.Equal(want, got) {
		return fmt.Errorf("it is of %v", got)
	}
	if list, isList := claims["aud"].([]any); claims["aud"] != "https://hallpass.test" &&
		(!isList || !slices.Equal(list, []any{"https://hallpass.test"})) {
		return fmt.Errorf("aud is %v", claims["aud"])
	}
	expires, hasEnd := claims["exp"].(float64)
	issued, hasIssue := claims["iat"].(float64)
	since, _ := claims["nbf"].(float64)
	limit := float64(now.Unix() + 31)
	if !hasEnd || !hasIssue || expires-issued >= 3602 || expires < float64(now.Unix()) || issued > limit || since > limit {
		return fmt.Errorf("its times are %v, %v, %v", claims["iat"], claims["nbf"], claims["exp"])
	}
	return nil
}

// FuzzParsePassword presents what callers may send with the grant type password. What is read is
// the token of the account that the user name names, and never anything of a person.
func FuzzParsePassword(f *testing.F) {
	w := newPodWorld(f)
	token, err := w.signer.Sign("", []byte(accountToken))
	if err != nil {
		f.Fatal(err)
	}
	for _, user := range []string{"system:serviceaccount:shop:worker", "system:serviceaccount:shop:other", "alice", "", "system:serviceaccount::"} {
		f.Add(user, token, "")
		f.Add(user, "correct horse battery staple", "shop.worker")
	}
	f.Fuzz(func(t *testing.T, user, password, id string) {
		form, err := oauth2.ParseForm(url.Values{"username": {user}, "password": {password}, "client_id": {id}}.Encode())
		if err != nil {
			return
		}
		presented, err := oauth2.ParsePassword(nil, form)
		if err != nil {
			if code := codeOf(err); code != oauth2.InvalidClient && code != oauth2.InvalidRequest {
				t.Errorf("%v is neither invalid_client nor invalid_request", err)
			}
			return
		}
		account := presented.AccountToken
		if account == nil || presented.Method != oauth2.PasswordOfAccount || user != "system:serviceaccount:"+account.Account.Namespace+":"+account.Account.Name {
			t.Errorf("%q is read as %+v", user, presented)
		}
	})
}
