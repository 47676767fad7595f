// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package memory is a whole token server for tests that need no cluster: the real one, with clients
// and keys that a test puts into memory.
package memory

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallpass-dev/hallpass/internal/audit"
	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/revocation"
	"github.com/hallpass-dev/hallpass/internal/seal"
	"github.com/hallpass-dev/hallpass/internal/tokenserver"
)

// Server is a token server that is not listening yet.
type Server struct {
	// Handler is that of the public port. Authority and Auditor answer to ext_authz.
	Handler   http.Handler
	Authority *auth.Authority
	Auditor   *audit.Auditor
	// Audience is the audience of the namespace of all clients.
	Audience string
	// Audit has the audit lines.
	Audit *Log

	t         testing.TB
	directory *directory
	cluster   *cluster
	secrets   map[string]string
}

// Namespace is that of all clients.
const Namespace = "shop"

// New makes a token server of that issuer without clients. Plain http is fine as an issuer here.
func New(t testing.TB, issuer string) *Server {
	t.Helper()
	parsed, err := oauth2.ParseIssuer(issuer, true)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.New(time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	// with the next key, as every installation has one
	ring = rotate(t, ring, time.Now().Add(-time.Minute), "")
	s := &Server{
		t: t, Audience: parsed.NamespaceAudience(Namespace), Audit: &Log{}, secrets: map[string]string{},
		directory: &directory{ring: ring, records: map[string]oauth2.Record{}}, cluster: newCluster(t),
	}
	log, metrics := slog.New(slog.NewJSONHandler(s.Audit, nil)), audit.NewMetrics(prometheus.NewRegistry())
	journal := revocation.NewJournal(nil, time.Now, metrics.Wrote, log) // it does not run
	s.Authority = auth.New(auth.Config{Issuer: parsed, Directory: s.directory, Cluster: s.cluster, Journal: journal, Random: rand.Reader})
	s.Auditor = audit.New(audit.Config{Lines: s.Audit, Log: log, Metrics: metrics})
	s.Handler = tokenserver.New(tokenserver.Config{Authority: s.Authority, Auditor: s.Auditor})
	return s
}

// Register adds a client of that name with those scopes, and returns its client_id.
func (s *Server) Register(name string, scopes ...string) string {
	s.t.Helper()
	id := Namespace + "." + name
	secret, err := oauth2.NewClientSecret(rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	s.secrets[id] = secret.Value.Reveal()
	s.directory.set(id, oauth2.Record{
		Client: &oauth2.Client{
			ID: id, UID: UID(id), Namespace: Namespace, Name: name, Scopes: scopes,
			Tokens: oauth2.TokenForm{
				Lifetime: time.Hour, Claims: []oauth2.Claim{{Name: "team", Value: "blue"}, {Name: "regions", Values: []string{"eu", "us"}}},
			},
			Credentials: oauth2.Credentials{Verifiers: []oauth2.Verifier{{ID: secret.ID, Digest: oauth2.DigestSecret(UID(id), secret.Value), CreatedAt: time.Now()}}},
		},
		Owner: &oauth2.Owner{UID: UID(id)},
	})
	return id
}

// Change changes what is registered of a client.
func (s *Server) Change(clientID string, change func(*oauth2.Client)) {
	record := s.directory.Record(clientID)
	changed := *record.Client
	change(&changed)
	s.directory.set(clientID, oauth2.Record{Client: &changed, Owner: record.Owner})
}

// SetClaims makes these the custom claims of a client.
func (s *Server) SetClaims(clientID string, claims []oauth2.Claim) {
	s.Change(clientID, func(c *oauth2.Client) { c.Tokens.Claims = claims })
}

// SetTokenLifetime makes this the lifetime of the tokens of a client.
func (s *Server) SetTokenLifetime(clientID string, lifetime time.Duration) {
	s.Change(clientID, func(c *oauth2.Client) { c.Tokens.Lifetime = lifetime })
}

// Declare adds a resource.
func (s *Server) Declare(resource oauth2.Resource) {
	s.directory.mu.Lock()
	defer s.directory.mu.Unlock()
	s.directory.resources = append(s.directory.resources, &resource)
}

// Introspect asks, as a client, what a token is worth.
func (s *Server) Introspect(clientID, token string) []byte {
	s.t.Helper()
	form := url.Values{"token": {token}}.Encode()
	r := httptest.NewRequestWithContext(s.t.Context(), http.MethodPost, oauth2.IntrospectionPath, strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(clientID, s.secrets[clientID])
	w := httptest.NewRecorder()
	s.Handler.ServeHTTP(w, r)
	return w.Body.Bytes()
}

// UID is the UID that a client has here.
func UID(clientID string) string { return "uid-of-" + clientID }

// Secret is the secret of a client.
func (s *Server) Secret(clientID string) string { return s.secrets[clientID] }

// Suspend takes the client and all its tokens out of service.
func (s *Server) Suspend(clientID string) {
	record := s.directory.Record(clientID)
	s.directory.set(clientID, oauth2.Record{Client: record.Client, Owner: &oauth2.Owner{UID: record.Owner.UID, Suspended: true}})
}

// Token fetches a token for a client, with all its scopes.
func (s *Server) Token(clientID string) string {
	s.t.Helper()
	return s.fetch(clientID, url.Values{})
}

// TokenFor fetches a token for a resource that was declared.
func (s *Server) TokenFor(clientID, resource string) string {
	s.t.Helper()
	return s.fetch(clientID, url.Values{"resource": {resource}})
}

func (s *Server) fetch(clientID string, form url.Values) string {
	s.t.Helper()
	form.Set("grant_type", "client_credentials")
	r := httptest.NewRequestWithContext(s.t.Context(), http.MethodPost, oauth2.TokenPath, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(clientID, s.secrets[clientID])
	w := httptest.NewRecorder()
	s.Handler.ServeHTTP(w, r)
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer.Token == "" {
		s.t.Fatalf("no token for %s: %d %s", clientID, w.Code, w.Body)
	}
	return answer.Token
}

// Sign signs claims with the key that tokens are signed with, as another type of token or with
// other claims than those that are ever issued.
func (s *Server) Sign(typ, claims string) string {
	s.t.Helper()
	key, err := s.directory.Ring().SigningKey(time.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	token, err := key.Sign(typ, []byte(claims))
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

// RotateKeys has tokens signed by the key that was published as the next one. The key of before
// still verifies.
func (s *Server) RotateKeys() {
	s.t.Helper()
	d := s.directory
	d.mu.Lock()
	defer d.mu.Unlock()
	rotated := rotate(s.t, d.ring, time.Now(), time.Now().String())
	former, formerErr := d.ring.SigningKey(time.Now())
	current, currentErr := rotated.SigningKey(time.Now())
	if formerErr != nil || currentErr != nil || former.ID() == current.ID() {
		s.t.Fatalf("no other key signs: %v, %v", formerErr, currentErr)
	}
	d.ring = rotated
}

// rotate advances the keys, and carries out an order to rotate if it is not empty.
func rotate(t testing.TB, ring keyring.Ring, now time.Time, order string) keyring.Ring {
	t.Helper()
	policy := keyring.DefaultPolicy(time.Hour)
	policy.Lead, policy.Skew = time.Second, 0
	rotated, err := keyring.Rotate(ring, keyring.At(now), policy, keyring.Order{Rotation: order}, keyring.Generate)
	if err != nil {
		t.Fatal(err)
	}
	return rotated.Ring
}

// directory is a directory whose memory is its source.
type directory struct {
	mu        sync.Mutex
	ring      keyring.Ring
	records   map[string]oauth2.Record
	resources []*oauth2.Resource
	issuers   map[string]*oauth2.TrustedIssuer
	revoked   revocation.State
}

func (d *directory) set(clientID string, record oauth2.Record) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.records[clientID] = record
}

func (d *directory) Record(clientID string) oauth2.Record {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.records[clientID]
}

func (d *directory) LookUp(_ context.Context, clientID string) (oauth2.Record, error) {
	return d.Record(clientID), nil
}

func (d *directory) ClientsOf(workload oauth2.Workload) []oauth2.Record {
	d.mu.Lock()
	defer d.mu.Unlock()
	var found []oauth2.Record
	for _, r := range d.records {
		if r.Names(workload) && len(found) < 2 {
			found = append(found, r)
		}
	}
	return found
}

func (d *directory) LookUpClientsOf(_ context.Context, workload oauth2.Workload) ([]string, error) {
	var ids []string
	for _, r := range d.ClientsOf(workload) {
		ids = append(ids, r.Client.ID)
	}
	return ids, nil
}

func (d *directory) resource(is func(*oauth2.Resource) bool) *oauth2.Resource {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i := slices.IndexFunc(d.resources, is); i >= 0 {
		return d.resources[i]
	}
	return nil
}

func (d *directory) Resource(name oauth2.ObjectName) *oauth2.Resource {
	return d.resource(func(r *oauth2.Resource) bool { return name == oauth2.ObjectName{Namespace: r.Namespace, Name: r.Name} })
}

func (d *directory) ResourceByIdentifier(identifier string) *oauth2.Resource {
	return d.resource(func(r *oauth2.Resource) bool { return r.Identifier == identifier })
}

func (d *directory) LookUpResource(_ context.Context, identifier string) (*oauth2.Resource, error) {
	return d.ResourceByIdentifier(identifier), nil
}

func (*directory) Minted(string) oauth2.MintedRecord { return oauth2.MintedRecord{} }

func (*directory) LookUpMinted(context.Context, string) (oauth2.MintedRecord, error) {
	return oauth2.MintedRecord{}, nil
}

func (d *directory) Ring() keyring.Ring {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ring
}

func (*directory) ClientEpochs() iter.Seq[revocation.Selector] {
	return func(func(revocation.Selector) bool) {}
}

// No person logs in here.

func (*directory) LoginIssuers(string) []*oauth2.TrustedIssuer { return nil }

func (*directory) MetadataClients() bool { return false }

func (*directory) Sealing() seal.Ring { return seal.Ring{} }

func (*directory) RestoredBefore() time.Time { return time.Time{} }

func (*directory) Redeem(context.Context, revocation.Redemption) (bool, error) { return false, nil }

func (d *directory) Revocations() *revocation.State { return &d.revoked }

func (d *directory) LookUpRing(context.Context) (keyring.Ring, error) { return d.Ring(), nil }

// Log is what a server wrote.
type Log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write adds a line.
func (l *Log) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

// String is everything so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Reset forgets what was written.
func (l *Log) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
}
