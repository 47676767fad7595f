// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command floor is the least that a token server in Go can cost: a bare net/http server that parses
// the form and the Basic header, makes one SHA-256 and one comparison in constant time, and one
// signature over a prepared payload in the ordinary way, and gives an answer of the same bytes as
// the token server's. If the request has a signature, it verifies that too, and for a code it
// creates one object at the API server. It decides nothing, logs nothing, counts nothing and has no
// time-outs. What Hallpass costs is measured as a ratio to it.
package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/hallpass-dev/hallpass/test/bench/population"
)

func main() {
	file := flag.String("fixture", "", "what the driver has prepared")
	listen := flag.String("listen", "", "address of plain HTTP")
	listenTLS := flag.String("listen-tls", "", "address of HTTPS")
	certificate := flag.String("tls-cert-file", "", "certificate of HTTPS")
	key := flag.String("tls-key-file", "", "its key")
	flag.Parse()
	if err := run(*file, *listen, *listenTLS, *certificate, *key); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

func run(file, listen, listenTLS, certificate, key string) error {
	fixture, err := population.ReadFixture(file)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(fixture.CA)
	f := &floor{Fixture: fixture, client: &http.Client{Transport: &http.Transport{
		ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
	}}}
	private, err := x509.ParsePKCS8PrivateKey(f.PKCS8)
	if err != nil {
		return err
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return errors.New("the key does not sign")
	}
	f.key = signer
	if f.platform, err = x509.ParsePKIXPublicKey(f.Platform); err != nil {
		return err
	}
	handler := f.routes()
	failed := make(chan error, 2)
	go func() { failed <- http.ListenAndServe(listen, handler) }() //nolint:gosec // bare on purpose
	if listenTLS != "" {
		server := &http.Server{Addr: listenTLS, Handler: handler, TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12}} //nolint:gosec // bare on purpose
		go func() { failed <- server.ListenAndServeTLS(certificate, key) }()
	}
	return <-failed
}

// floor is what the answers are made from.
type floor struct {
	population.Fixture

	key      crypto.Signer
	platform crypto.PublicKey
	client   *http.Client // of the API server
}

func (f *floor) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /oauth2/token", f.token)
	mux.HandleFunc("POST /oauth2/introspect", f.introspectSeen)
	mux.HandleFunc("POST /verify", f.introspectVerified)
	mux.HandleFunc("POST /federated", f.federated)
	mux.HandleFunc("POST /exchange", f.exchange(f.Saw))
	mux.HandleFunc("POST /exchange-verified", f.exchange(f.verify))
	mux.HandleFunc("POST /redeem", f.redeem)
	mux.HandleFunc("POST /refresh", f.refresh)
	mux.HandleFunc("GET /forward-auth", f.forwardAuth)
	mux.HandleFunc("GET /oauth2/jwks", func(w http.ResponseWriter, _ *http.Request) { public(w, "application/jwk-set+json", f.JWKS) })
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", func(w http.ResponseWriter, _ *http.Request) {
		public(w, "application/json", f.Metadata)
	})
	return mux
}

// authenticated is what no token server can leave out.
func (f *floor) authenticated(r *http.Request) bool {
	if r.ParseForm() != nil {
		return false
	}
	id, secret, ok := r.BasicAuth()
	digest := sha256.Sum256([]byte(secret))
	return ok && subtle.ConstantTimeCompare(digest[:], f.Clients[id]) == 1
}

func (f *floor) token(w http.ResponseWriter, r *http.Request) {
	if !f.authenticated(r) || r.Form.Get("grant_type") != "client_credentials" {
		http.Error(w, "refused", http.StatusUnauthorized)
		return
	}
	f.issue(w, f.SigningInput, tokenRest)
}

// tokenRest is what the answer has after an access token.
const tokenRest = `","token_type":"Bearer","expires_in":3600,"scope":"read write"}`

// issue signs a prepared payload and answers with the token.
func (f *floor) issue(w http.ResponseWriter, input, rest string) {
	signature, err := f.sign(input)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	body := make([]byte, 0, 2048)
	body = append(body, `{"access_token":"`...)
	body = append(body, input...)
	body = append(body, '.')
	body = base64.RawURLEncoding.AppendEncode(body, signature)
	answer(w, append(body, rest...))
}

// federated verifies the signature of the platform on the assertion of a job.
func (f *floor) federated(w http.ResponseWriter, r *http.Request) {
	if r.ParseForm() != nil || r.Form.Get("client_id") == "" || !verified(f.platform, r.Form.Get("client_assertion")) {
		http.Error(w, "refused", http.StatusUnauthorized)
		return
	}
	f.issue(w, f.SigningInput, tokenRest)
}

// exchange issues a token for another one that is good.
func (f *floor) exchange(good func(token string) bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !f.authenticated(r) || !good(r.Form.Get("subject_token")) {
			http.Error(w, "refused", http.StatusUnauthorized)
			return
		}
		f.issue(w, f.Exchanged, f.ExchangedRest)
	}
}

// redeem creates an object at the API server, and issues a token.
func (f *floor) redeem(w http.ResponseWriter, r *http.Request) {
	if !f.authenticated(r) || r.Form.Get("code") == "" {
		http.Error(w, "refused", http.StatusUnauthorized)
		return
	}
	if err := f.create(r.Context()); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	f.issue(w, f.Redeemed, f.RedeemedRest)
}

// create creates the object of a redemption, and reads the answer.
func (f *floor) create(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, f.Revocations, bytes.NewReader(f.Redemption))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	response, err := f.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.ReadAll(response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusCreated {
		return errors.New(response.Status)
	}
	return nil
}

// refresh issues a token for a refresh token.
func (f *floor) refresh(w http.ResponseWriter, r *http.Request) {
	if !f.authenticated(r) || r.Form.Get("refresh_token") == "" {
		http.Error(w, "refused", http.StatusUnauthorized)
		return
	}
	f.issue(w, f.Refreshed, f.RefreshedRest)
}

// sign signs a prepared payload the ordinary way, with randomness.
func (f *floor) sign(input string) ([]byte, error) {
	if key, ok := f.key.(ed25519.PrivateKey); ok {
		return ed25519.Sign(key, []byte(input)), nil
	}
	digest := sha256.Sum256([]byte(input))
	signature, err := f.key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if _, ok := f.key.(*ecdsa.PrivateKey); !ok || err != nil {
		return signature, err
	}
	return rawFromDER(signature), nil
}

// introspectSeen looks the hash of the token up in a map.
func (f *floor) introspectSeen(w http.ResponseWriter, r *http.Request) {
	if !f.authenticated(r) {
		http.Error(w, "refused", http.StatusUnauthorized)
		return
	}
	if f.Saw(r.Form.Get("token")) {
		answer(w, []byte(f.Active))
		return
	}
	answer(w, []byte(`{"active":false}`))
}

// introspectVerified verifies the token's signature.
func (f *floor) introspectVerified(w http.ResponseWriter, r *http.Request) {
	if !f.authenticated(r) {
		http.Error(w, "refused", http.StatusUnauthorized)
		return
	}
	if f.verify(r.Form.Get("token")) {
		answer(w, []byte(f.Active))
		return
	}
	answer(w, []byte(`{"active":false}`))
}

func (f *floor) verify(token string) bool { return verified(f.key.Public(), token) }

// verified reports whether a JWT has the signature of a key.
func verified(public crypto.PublicKey, token string) bool {
	end := strings.LastIndexByte(token, '.')
	if end < 0 {
		return false
	}
	signature, err := base64.RawURLEncoding.DecodeString(token[end+1:])
	if err != nil {
		return false
	}
	input := []byte(token[:end])
	switch key := public.(type) {
	case *rsa.PublicKey:
		digest := sha256.Sum256(input)
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) == nil
	case ed25519.PublicKey:
		return ed25519.Verify(key, input, signature)
	case *ecdsa.PublicKey:
		digest := sha256.Sum256(input)
		return len(signature) == 64 &&
			ecdsa.Verify(key, digest[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
	}
	return false
}

func (f *floor) forwardAuth(w http.ResponseWriter, r *http.Request) {
	token, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !found || r.URL.Query().Get("audience") == "" || !f.Saw(token) {
		http.Error(w, "refused", http.StatusUnauthorized)
		return
	}
	for name, value := range f.Identity {
		w.Header().Set(name, value)
	}
	answer(w, nil)
}

// rawFromDER is the JOSE form of an ECDSA signature on P-256.
func rawFromDER(der []byte) []byte {
	raw := make([]byte, 64)
	r := der[4 : 4+int(der[3])]
	s := der[6+len(r):]
	new(big.Int).SetBytes(r).FillBytes(raw[:32])
	new(big.Int).SetBytes(s).FillBytes(raw[32:])
	return raw
}

// answer writes the headers that the token server's answers have.
func answer(w http.ResponseWriter, body []byte) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Pragma", "no-cache")
	header.Set("Vary", "Authorization")
	write(w, "application/json", body)
}

func public(w http.ResponseWriter, contentType, body string) {
	w.Header().Set("Cache-Control", "public, max-age=900")
	write(w, contentType, []byte(body))
}

func write(w http.ResponseWriter, contentType string, body []byte) {
	header := w.Header()
	header.Set("Content-Type", contentType)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Request-ID", "AAAAAAAAAAAAAAAAAAAAAAAAAA")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}
