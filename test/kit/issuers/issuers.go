// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package issuers has issuers outside of Hallpass for tests: servers with a discovery document and
// a JWK set, in a network of their own in which each has a public address.
package issuers

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/controller/issuerkeys"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/outbound"
)

// Network is the names and the addresses of issuers. Its zero value has none.
type Network struct {
	mu    sync.Mutex
	hosts map[string]netip.Addr
	local map[netip.Addr]string
}

// Fetcher fetches keys in the network.
func (n *Network) Fetcher() issuerkeys.Fetcher {
	return issuerkeys.Fetcher{Network: n.Outbound()}
}

// Outbound connects in the network.
func (n *Network) Outbound() outbound.Network {
	return outbound.Network{Resolve: n.resolve, Dial: n.dial}
}

// Add gives a host a public address, at which a local one answers.
func (n *Network) Add(host, local string) { n.add(host, local) }

// Local is the local address that answers for a host.
func (n *Network) Local(host string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.local[n.hosts[host]]
}

var errUnknown = errors.New("no such host")

func (n *Network) resolve(_ context.Context, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	address, there := n.hosts[host]
	if !there {
		return nil, errUnknown
	}
	return []netip.Addr{address}, nil
}

func (n *Network) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	parsed, err := netip.ParseAddr(host)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	local, there := n.local[parsed]
	n.mu.Unlock()
	if !there {
		return nil, errUnknown
	}
	return new(net.Dialer).DialContext(ctx, network, local)
}

// Move gives a host another address.
func (n *Network) Move(host, address string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	was, is := n.hosts[host], netip.MustParseAddr(address)
	n.hosts[host], n.local[is] = is, n.local[was]
}

func (n *Network) add(host, local string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.hosts == nil {
		n.hosts, n.local = map[string]netip.Addr{}, map[netip.Addr]string{}
	}
	address := netip.AddrFrom4([4]byte{9, 9, 9, byte(len(n.local) + 1)}) //nolint:gosec // tests have few issuers
	n.hosts[host], n.local[address] = address, local
}

// Issuer is an issuer of JWTs.
type Issuer struct {
	// URL is its iss, and CA the authority of its certificate in PEM.
	URL string
	CA  []byte
	// Signer signs its JWTs.
	Signer *jws.Signer

	t       testing.TB
	mu      sync.Mutex
	keys    []jws.PublicKey
	answers map[string]http.HandlerFunc
	asked   int
}

// Start starts the issuer of a URL. It ends with the test.
func Start(t testing.TB, network *Network, issuer string, algorithm jws.Algorithm) *Issuer {
	t.Helper()
	u, err := url.Parse(issuer)
	check(t, err)
	i := &Issuer{URL: issuer, t: t, answers: map[string]http.HandlerFunc{}}
	i.Rotate(algorithm)
	server := httptest.NewUnstartedServer(http.HandlerFunc(i.serve))
	var certificate tls.Certificate
	certificate, i.CA = newCertificate(t, u.Hostname())
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	network.add(u.Hostname(), server.Listener.Addr().String())
	return i
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newCertificate(t testing.TB, host string) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	check(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// NewSigner makes a key.
func NewSigner(t testing.TB, algorithm jws.Algorithm) *jws.Signer {
	t.Helper()
	key, err := generate(algorithm)
	check(t, err)
	signer, err := jws.NewSigner(algorithm, key)
	check(t, err)
	return signer
}

// Rotate makes a new key that signs from now on, and publishes it alone. It returns the former one.
func (i *Issuer) Rotate(algorithm jws.Algorithm) *jws.Signer {
	i.t.Helper()
	before := i.Signer
	i.Signer = NewSigner(i.t, algorithm)
	i.Publish(i.Signer)
	return before
}

// Publish publishes the keys of these signers alone.
func (i *Issuer) Publish(signers ...*jws.Signer) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = nil
	for _, signer := range signers {
		i.keys = append(i.keys, signer.Public())
	}
}

// Answer has another answer for a path below the issuer, such as /keys; nil for its own.
func (i *Issuer) Answer(path string, with http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answers[path] = with
}

// Asked is how many requests there were.
func (i *Issuer) Asked() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked
}

// Sign signs claims.
func (i *Issuer) Sign(claims map[string]any) string {
	i.t.Helper()
	payload, err := json.Marshal(claims)
	check(i.t, err)
	token, err := i.Signer.Sign("JWT", payload)
	check(i.t, err)
	return token
}

// The paths below the issuer. BundlePath has the keys as those of JWT-SVIDs of a SPIFFE bundle,
// beside one of X.509-SVIDs.
const (
	DiscoveryPath = "/.well-known/openid-configuration"
	KeysPath      = "/keys"
	BundlePath    = "/bundle"
)

// bundle renders keys as a SPIFFE bundle.
func bundle(keys jws.PackedKeys) ([]byte, error) {
	set, other := keys.JWKs(), keys.JWKs()
	for i := range set {
		set[i].Use, other[i].Use, other[i].KeyID = "jwt-svid", "x509-svid", ""
	}
	return json.Marshal(map[string]any{"spiffe_sequence": 1, "spiffe_refresh_hint": 300, "keys": append(other, set...)})
}

// must reports an error from a handler, whose goroutine is not that of the test.
func (i *Issuer) must(err error) {
	if err != nil {
		i.t.Error(err)
	}
}

func (i *Issuer) serve(w http.ResponseWriter, r *http.Request) {
	u, _ := url.Parse(i.URL)
	path := strings.TrimPrefix(r.URL.Path, strings.TrimSuffix(u.Path, "/"))
	i.mu.Lock()
	i.asked++
	other := i.answers[path]
	keys, err := jws.PackKeys(i.keys...)
	i.mu.Unlock()
	i.must(err)
	discovery, err := json.Marshal(map[string]string{"issuer": i.URL, "jwks_uri": strings.TrimSuffix(i.URL, "/") + KeysPath})
	i.must(err)
	set, err := json.Marshal(map[string][]jws.JWK{"keys": keys.JWKs()})
	i.must(err)
	ofSPIFFE, err := bundle(keys)
	i.must(err)
	w.Header().Set("Content-Type", "application/json")
	switch {
	case other != nil:
		other(w, r)
	case path == DiscoveryPath:
		_, _ = w.Write(discovery)
	case path == KeysPath:
		_, _ = w.Write(set)
	case path == BundlePath:
		_, _ = w.Write(ofSPIFFE)
	default:
		http.NotFound(w, r)
	}
}
