// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package issuerkeys_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/issuerkeys"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/test/kit/issuers"
)

const issuerURL = "https://gitlab.example.com/ci"

func answer(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, body) }
}

func TestKeysAreFetched(t *testing.T) {
	for _, algorithm := range []jws.Algorithm{jws.RS256, jws.ES256, jws.EdDSA} {
		network := &issuers.Network{}
		issuer := issuers.Start(t, network, issuerURL, algorithm)
		for name, source := range map[string]issuerkeys.Source{
			"by discovery": {Issuer: issuerURL, CABundle: issuer.CA},
			"by URL":       {Issuer: "https://elsewhere.example.com", URL: issuerURL + issuers.KeysPath, CABundle: issuer.CA},
		} {
			set, err := network.Fetcher().Fetch(t.Context(), source)
			if err != nil || len(set.Keys) != 1 || set.Keys[0].ID != issuer.Signer.Public().ID {
				t.Errorf("%s, %s: %v, %v", algorithm, name, set, err)
			}
		}
	}
}

// secretOfAnswer stands for what an issuer answers, which no error quotes.
const secretOfAnswer = "content-of-the-answer"

func TestKeysAreNotFetched(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	weakSet := fmt.Sprintf(`{"keys":[{"kty":"RSA","kid":"weak","e":"AQAB","n":%q}]}`, base64.RawURLEncoding.EncodeToString(weak.N.Bytes()))
	discovery := func(document string) func(*issuers.Issuer, *issuers.Network, *issuerkeys.Source) {
		return func(i *issuers.Issuer, _ *issuers.Network, _ *issuerkeys.Source) {
			i.Answer(issuers.DiscoveryPath, answer(document))
		}
	}
	keys := func(document string) func(*issuers.Issuer, *issuers.Network, *issuerkeys.Source) {
		return func(i *issuers.Issuer, _ *issuers.Network, _ *issuerkeys.Source) {
			i.Answer(issuers.KeysPath, answer(document))
		}
	}
	moved := func(address string) func(*issuers.Issuer, *issuers.Network, *issuerkeys.Source) {
		return func(_ *issuers.Issuer, n *issuers.Network, _ *issuerkeys.Source) {
			n.Move("gitlab.example.com", address)
		}
	}
	for name, c := range map[string]struct {
		change func(*issuers.Issuer, *issuers.Network, *issuerkeys.Source)
		reason string
		what   string
	}{
		"a document of another issuer":     {discovery(`{"issuer":"https://` + secretOfAnswer + `","jwks_uri":"https://x.test"}`), v1alpha1.ReasonIssuerMismatch, "another issuer"},
		"an issuer with a slash more":      {discovery(`{"issuer":"` + issuerURL + `/","jwks_uri":"https://x.test"}`), v1alpha1.ReasonIssuerMismatch, "byte for byte"},
		"a document without an issuer":     {discovery(`{"jwks_uri":"https://x.test"}`), v1alpha1.ReasonKeysNotFetched, "names no issuer"},
		"a document that is no JSON":       {discovery("<html>" + secretOfAnswer), v1alpha1.ReasonKeysNotFetched, "not a JSON object"},
		"a document with a member twice":   {discovery(`{"issuer":"` + issuerURL + `","issuer":"x"}`), v1alpha1.ReasonKeysNotFetched, "distinct members"},
		"keys without TLS":                 {discovery(`{"issuer":"` + issuerURL + `","jwks_uri":"http://gitlab.example.com/keys"}`), v1alpha1.ReasonKeysNotFetched, "jwks_uri"},
		"keys at an address with a user":   {discovery(`{"issuer":"` + issuerURL + `","jwks_uri":"https://u:p@gitlab.example.com/keys"}`), v1alpha1.ReasonKeysNotFetched, "jwks_uri"},
		"keys at the metadata of a cloud":  {discovery(`{"issuer":"` + issuerURL + `","jwks_uri":"https://169.254.169.254/keys"}`), v1alpha1.ReasonAddressNotAllowed, "not public"},
		"keys at loopback":                 {discovery(`{"issuer":"` + issuerURL + `","jwks_uri":"https://[::1]/keys"}`), v1alpha1.ReasonAddressNotAllowed, "not public"},
		"keys at a name that there is not": {discovery(`{"issuer":"` + issuerURL + `","jwks_uri":"https://nowhere.example.com/keys"}`), v1alpha1.ReasonKeysNotFetched, "resolved"},
		"a weak key":                       {keys(weakSet), v1alpha1.ReasonWeakKey, "2048 bits"},
		"a private key":                    {keys(`{"keys":[{"kty":"EC","crv":"P-256","d":"` + secretOfAnswer + `"}]}`), v1alpha1.ReasonKeysNotFetched, "public keys"},
		"no key":                           {keys(`{"keys":[]}`), v1alpha1.ReasonKeysNotFetched, "public keys"},
		"no key that is supported":         {keys(`{"keys":[{"kty":"EC","crv":"P-521","x":"a","y":"b"}]}`), v1alpha1.ReasonKeysNotFetched, "RS256"},
		"a set of 10 MB":                   {keys(`{"keys":["` + strings.Repeat("x", 10<<20) + `"]}`), v1alpha1.ReasonKeysNotFetched, "larger than 64 KiB"},
		"a redirect": {func(i *issuers.Issuer, _ *issuers.Network, _ *issuerkeys.Source) {
			i.Answer(issuers.KeysPath, http.RedirectHandler("/other", http.StatusFound).ServeHTTP)
		}, v1alpha1.ReasonKeysNotFetched, "redirect"},
		"a refusal": {func(i *issuers.Issuer, _ *issuers.Network, _ *issuerkeys.Source) {
			i.Answer(issuers.DiscoveryPath, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, secretOfAnswer, http.StatusForbidden) })
		}, v1alpha1.ReasonKeysNotFetched, "status 403"},
		"an answer that breaks off": {func(i *issuers.Issuer, _ *issuers.Network, _ *issuerkeys.Source) {
			i.Answer(issuers.KeysPath, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		}, v1alpha1.ReasonKeysNotFetched, "not answered"},
		"a certificate that is not trusted": {func(_ *issuers.Issuer, _ *issuers.Network, s *issuerkeys.Source) { s.CABundle = nil }, v1alpha1.ReasonKeysNotFetched, "not trusted"},
		"a bundle that is none":             {func(_ *issuers.Issuer, _ *issuers.Network, s *issuerkeys.Source) { s.CABundle = []byte("x") }, v1alpha1.ReasonKeysNotFetched, "PEM"},
		"a private address":                 {moved("10.20.0.7"), v1alpha1.ReasonAddressNotAllowed, "allowedCIDRs"},
		"a private address in IPv6":         {moved("fd00::7"), v1alpha1.ReasonAddressNotAllowed, "allowedCIDRs"},
		"loopback, although it is allowed": {func(_ *issuers.Issuer, n *issuers.Network, s *issuerkeys.Source) {
			n.Move("gitlab.example.com", "127.0.0.1")
			s.Allowed = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		}, v1alpha1.ReasonAddressNotAllowed, "not public"},
	} {
		t.Run(name, func(t *testing.T) {
			network := &issuers.Network{}
			issuer := issuers.Start(t, network, issuerURL, jws.ES256)
			source := issuerkeys.Source{Issuer: issuerURL, CABundle: issuer.CA}
			c.change(issuer, network, &source)
			_, err := network.Fetcher().Fetch(t.Context(), source)
			failure, ok := errors.AsType[*issuerkeys.Error](err)
			if !ok || failure.Reason != c.reason || !strings.Contains(failure.What, c.what) {
				t.Fatalf("got %v, want %s: …%s…", err, c.reason, c.what)
			}
			if strings.Contains(failure.What, secretOfAnswer) {
				t.Errorf("it quotes the answer: %s", failure.What)
			}
		})
	}
}

func TestAPrivateAddressIsUsedWhereItIsAllowed(t *testing.T) {
	network := &issuers.Network{}
	issuer := issuers.Start(t, network, issuerURL, jws.ES256)
	network.Move("gitlab.example.com", "10.20.0.7")
	source := issuerkeys.Source{Issuer: issuerURL, CABundle: issuer.CA, Allowed: []netip.Prefix{netip.MustParsePrefix("10.20.0.0/16")}}
	if _, err := network.Fetcher().Fetch(t.Context(), source); err != nil {
		t.Error(err)
	}
}

func TestAnIssuerThatDoesNotAnswerIsNotWaitedForLong(t *testing.T) {
	network := &issuers.Network{}
	issuer := issuers.Start(t, network, issuerURL, jws.ES256)
	ctx, cancel := context.WithCancel(t.Context())
	issuer.Answer(issuers.KeysPath, func(http.ResponseWriter, *http.Request) { cancel() })
	if _, err := network.Fetcher().Fetch(ctx, issuerkeys.Source{Issuer: issuerURL, CABundle: issuer.CA}); err == nil {
		t.Error("it was waited for")
	}
}

// FuzzWhatAnIssuerServes: nothing that an issuer serves panics, and what is accepted is sound.
func FuzzWhatAnIssuerServes(f *testing.F) {
	f.Add([]byte(`{"issuer":"https://a.test","jwks_uri":"https://a.test/keys"}`))
	f.Add([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}`))
	f.Add([]byte(`{"spiffe_sequence":1,"keys":[{"use":"jwt-svid","kid":"a","kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`))
	f.Add([]byte(`{"issuer":"https://a.test","jwks_uri":"https://a.test:x/keys"}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		if address, err := issuerkeys.ParseDiscovery(document, "https://a.test"); err == nil && !strings.HasPrefix(strings.ToLower(address), "https://") {
			t.Errorf("the keys are at %q", address)
		}
		for _, parse := range []func([]byte) (jws.KeySet, error){issuerkeys.ParseKeys, issuerkeys.ParseBundle} {
			set, err := parse(document)
			if err != nil {
				continue
			}
			if _, err := jws.PackKeys(set.Keys...); err != nil || len(set.Keys) == 0 {
				t.Errorf("%d keys that cannot be used: %v", len(set.Keys), err)
			}
		}
	})
}
