// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/client/token"
	"github.com/hallpass-dev/hallpass/client/verify"
)

const (
	issuerURL = "https://hallpass.test"
	audience  = issuerURL + "/resources/orders/orders-api"
)

// signingKey is a key of an issuer.
type signingKey struct {
	algorithm, id string
	signer        crypto.Signer
}

func newKey(t testing.TB, algorithm, id string) signingKey {
	t.Helper()
	k := signingKey{algorithm: algorithm, id: id}
	var err error
	switch algorithm {
	case "ES256":
		k.signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "RS256", "PS256":
		k.signer, err = rsa.GenerateKey(rand.Reader, 2048)
	default:
		_, k.signer, err = ed25519.GenerateKey(rand.Reader)
	}
	must(t, err)
	return k
}

func encode(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

func (k signingKey) jwk() map[string]any {
	members := map[string]any{"kid": k.id, "use": "sig", "alg": k.algorithm}
	switch key := k.signer.Public().(type) {
	case *ecdsa.PublicKey:
		point, _ := key.Bytes()
		members["kty"], members["crv"], members["x"], members["y"] = "EC", "P-256", encode(point[1:33]), encode(point[33:])
	case *rsa.PublicKey:
		members["kty"], members["n"], members["e"] = "RSA", encode(key.N.Bytes()), "AQAB"
	case ed25519.PublicKey:
		members["kty"], members["crv"], members["x"] = "OKP", "Ed25519", encode(key)
	}
	return members
}

// sign signs anything as a JWS.
func (k signingKey) sign(t testing.TB, header, payload string) string {
	t.Helper()
	input := encode([]byte(header)) + "." + encode([]byte(payload))
	digest := sha256.Sum256([]byte(input))
	var signature []byte
	var err error
	switch k.algorithm {
	case "ES256":
		var der []byte
		der, err = k.signer.Sign(rand.Reader, digest[:], crypto.SHA256)
		must(t, err)
		var numbers struct{ R, S *big.Int }
		_, err = asn1.Unmarshal(der, &numbers)
		signature = append(numbers.R.FillBytes(make([]byte, 32)), numbers.S.FillBytes(make([]byte, 32))...)
	case "RS256":
		signature, err = k.signer.Sign(rand.Reader, digest[:], crypto.SHA256)
	case "PS256":
		signature, err = k.signer.Sign(rand.Reader, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256})
	default:
		signature, err = k.signer.Sign(rand.Reader, []byte(input), crypto.Hash(0))
	}
	must(t, err)
	return input + "." + encode(signature)
}

func (k signingKey) header() string {
	return fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"at+jwt"}`, k.algorithm, k.id)
}

// token signs claims that are good, but for the changes; a nil removes a claim.
func (k signingKey) token(t testing.TB, changes map[string]any) string {
	t.Helper()
	return k.sign(t, k.header(), payload(t, changes))
}

func payload(t testing.TB, changes map[string]any) string {
	t.Helper()
	now := time.Now()
	claims := map[string]any{
		"iss": issuerURL, "sub": "shop.reporting", "aud": audience, "client_id": "shop.reporting", "client_uid": "uid-1",
		"scope": "orders.read orders.write", "jti": "jti-1", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	encoded, err := json.Marshal(claims)
	must(t, err)
	return string(encoded)
}

// issuer answers as the token server does, without a network.
type issuer struct {
	mu           sync.Mutex
	keys         []signingKey
	cacheControl string
	away         bool
	fetches      []time.Time
	others       []string // requests to other hosts

	pages []string // of the feed, by the position since
	asked []string // the positions that were asked for
}

func newIssuer(keys ...signingKey) *issuer {
	return &issuer{keys: keys, cacheControl: "public, max-age=900"}
}

func (i *issuer) set(change func(*issuer)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change(i)
}

func (i *issuer) fetched() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.fetches)
}

// RoundTrip implements http.RoundTripper.
func (i *issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	w := httptest.NewRecorder()
	switch {
	case r.URL.Host != "hallpass.test":
		i.others = append(i.others, r.URL.String())
		w.WriteHeader(http.StatusNotFound)
	case r.URL.Path == "/oauth2/jwks":
		i.fetches = append(i.fetches, time.Now())
		if i.away {
			return nil, errors.New("connection refused")
		}
		set := []map[string]any{}
		for _, key := range i.keys {
			set = append(set, key.jwk())
		}
		w.Header().Set("Cache-Control", i.cacheControl)
		must(nil, json.NewEncoder(w).Encode(map[string]any{"keys": set}))
	case r.URL.Path == "/oauth2/revocations":
		if i.away {
			return nil, errors.New("connection refused")
		}
		i.feed(w, r)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
	return w.Result(), nil
}

// feed answers with the pages by their number; the position of the first is empty.
func (i *issuer) feed(w *httptest.ResponseRecorder, r *http.Request) {
	if _, secret, _ := r.BasicAuth(); r.Method != http.MethodPost || secret != "secret" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	since := r.FormValue("since")
	i.asked = append(i.asked, since)
	at := 0
	if since != "" {
		if _, err := fmt.Sscan(since, &at); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.WriteString(`{"error":"invalid_request"}`)
			return
		}
	}
	if at < len(i.pages) {
		_, _ = w.WriteString(i.pages[at])
		return
	}
	_, _ = fmt.Fprintf(w, `{"tokens":[],"issued_before":[],"next":"%d","more":false}`, at)
}

func (i *issuer) client() *http.Client { return &http.Client{Transport: i} }

func (i *issuer) verifier(t testing.TB, options ...verify.Option) *verify.Verifier {
	t.Helper()
	v, err := verify.New(issuerURL, audience, append(options, verify.WithHTTPClient(i.client()))...)
	must(t, err)
	return v
}

// source is one that reads the feed.
func (i *issuer) source(t testing.TB) *token.Source {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"client_id": "orders.orders-api", "client_secret": "secret", "token_url": issuerURL + "/oauth2/token"} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	source, err := token.New(token.Secret(dir), token.WithHTTPClient(i.client()))
	must(t, err)
	return source
}

func must(t testing.TB, err error) {
	if err != nil {
		if t == nil {
			panic(err)
		}
		t.Helper()
		t.Fatal(err)
	}
}

func decode(t testing.TB, text string) []byte {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(text)
	must(t, err)
	return raw
}
