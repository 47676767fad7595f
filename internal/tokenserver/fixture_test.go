// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"iter"
	"log/slog"
	"maps"
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
)

const testIssuer = "https://hallpass.test"

// noon is when the clock of the tests begins.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// The limits that the tests are about.
const (
	failureBurst    = 8
	failureInterval = time.Second
	lookupTotal     = 100
	lookupRetry     = 2 * time.Second
	keyInterval     = 10 * time.Second
	memoryLag       = 10 * time.Second
	reviewFresh     = 5 * time.Second
	reviewAway      = 5 * time.Second
)

// memory is a directory with a memory and a source that a test fills each on its own.
type memory struct {
	mu     sync.Mutex
	known  map[string]oauth2.Record
	source map[string]oauth2.Record
	asked  []string // client_ids that were looked up at the source
	// resources are those in memory, and those at the source beside them.
	resources, resourcesAtSource []*oauth2.Resource
	// minted are the OAuth2Tokens in memory, by the id in their opaque tokens, and
	// mintedAtSource those at the source.
	minted, mintedAtSource map[string]oauth2.MintedRecord
	// issuers are the trusted issuers in memory, issuersAtSource those at the source, and
	// issuersAsked the names that were looked up there.
	issuers, issuersAtSource map[string]*oauth2.TrustedIssuer
	issuersAsked             []string
	failing                  error
	ring                     keyring.Ring
	// later is the ring at the source, if it is another one; keysAsked counts who asked for it.
	later     keyring.Ring
	keysAsked int
	revoked   revocation.State
	epochs    []revocation.Selector
	// sealing are the sealing keys, and redeemed the attempts by which codes were redeemed.
	// live bounds how many there are.
	sealing  seal.Ring
	redeemed map[string]string
	live     revocation.Redemptions
	// writing, if it is there, gets a value from each redemption, which waits until it is
	// closed.
	writing chan chan struct{}
	// published means that a client for persons has an https URL as its client_id.
	published bool
}

func (m *memory) LoginIssuers(namespace string) (found []*oauth2.TrustedIssuer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, issuer := range m.issuers {
		if issuer.LoginDenial(namespace) == "" {
			found = append(found, issuer)
		}
	}
	return found
}

func (m *memory) MetadataClients() bool   { return m.published }
func (m *memory) Sealing() seal.Ring      { return m.sealing }
func (*memory) RestoredBefore() time.Time { return time.Time{} }

func (m *memory) Redeem(_ context.Context, r revocation.Redemption) (bool, error) {
	if m.writing != nil {
		wait := make(chan struct{})
		m.writing <- wait
		<-wait
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failing != nil {
		return false, oauth2.Unavailable(time.Second)
	}
	if err := m.live.Reserve(r.Name(), r.Client); err != nil {
		return false, err
	}
	attempt, there := m.redeemed[r.CodeID]
	if !there {
		if m.redeemed == nil {
			m.redeemed = map[string]string{}
		}
		m.redeemed[r.CodeID] = r.Attempt
	}
	return !there || attempt == r.Attempt, nil
}

func (m *memory) Record(clientID string) oauth2.Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.known[clientID]
}

func (m *memory) ClientsOf(workload oauth2.Workload) []oauth2.Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []oauth2.Record
	for _, r := range m.known {
		if r.Names(workload) && len(found) < 2 {
			found = append(found, r)
		}
	}
	return found
}

func (m *memory) LookUpClientsOf(_ context.Context, workload oauth2.Workload) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = append(m.asked, workload.Namespace+"/"+cmp.Or(workload.Account, workload.Subject))
	var ids []string
	for id, r := range m.source {
		if r.Names(workload) && len(ids) < 2 {
			ids = append(ids, id)
		}
	}
	return ids, m.failing
}

func (m *memory) Resource(name oauth2.ObjectName) *oauth2.Resource {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.resources {
		if name == (oauth2.ObjectName{Namespace: r.Namespace, Name: r.Name}) {
			return r
		}
	}
	return nil
}

func (m *memory) ResourceByIdentifier(identifier string) *oauth2.Resource {
	m.mu.Lock()
	defer m.mu.Unlock()
	return find(m.resources, identifier)
}

func find(resources []*oauth2.Resource, identifier string) *oauth2.Resource {
	for _, r := range resources {
		if r.Identifier == identifier {
			return r
		}
	}
	return nil
}

func (m *memory) Minted(opaqueID string) oauth2.MintedRecord {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.minted[opaqueID]
}

func (m *memory) LookUpMinted(_ context.Context, opaqueID string) (oauth2.MintedRecord, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = append(m.asked, opaqueID)
	return m.mintedAtSource[opaqueID], m.failing
}

func (m *memory) TrustedIssuer(name string) *oauth2.TrustedIssuer {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.issuers[name]
}

func (m *memory) TrustedIssuerOf(iss string) *oauth2.TrustedIssuer {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, issuer := range m.issuers {
		if issuer.Issuer == iss {
			return issuer
		}
	}
	return nil
}

func (m *memory) LookUpIssuer(_ context.Context, name string) (*oauth2.TrustedIssuer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.issuersAsked = append(m.issuersAsked, name)
	return m.issuersAtSource[name], m.failing
}

func (m *memory) LookUpIssuerOf(_ context.Context, iss string) (*oauth2.TrustedIssuer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, issuer := range m.issuersAtSource {
		if issuer.Issuer == iss {
			return issuer, m.failing
		}
	}
	return nil, m.failing
}

func (m *memory) LookUpResource(_ context.Context, identifier string) (*oauth2.Resource, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if found := find(m.resourcesAtSource, identifier); found != nil {
		return found, m.failing
	}
	return find(m.resources, identifier), m.failing
}

func (m *memory) Ring() keyring.Ring { return m.ring }

func (m *memory) ClientEpochs() iter.Seq[revocation.Selector] { return slices.Values(m.epochs) }

func (m *memory) Revocations() *revocation.State { return &m.revoked }

func (m *memory) LookUp(_ context.Context, clientID string) (oauth2.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = append(m.asked, clientID)
	return m.source[clientID], m.failing
}

func (m *memory) LookUpRing(context.Context) (keyring.Ring, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keysAsked++
	if m.failing == nil && !m.later.Empty() {
		m.ring = keyring.Merge(m.later, m.ring, noon)
	}
	return m.ring, m.failing
}

func (m *memory) lookedUp() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.asked)
}

// world is a server with its clients, its clock and what it leaves behind.
type world struct {
	t         testing.TB
	dir       *memory
	issuer    oauth2.Issuer
	authority *auth.Authority
	journal   *revocation.Journal
	handler   http.Handler
	auditor   *audit.Auditor
	audit     *auditLog
	registry  *prometheus.Registry
	now       time.Time
	secrets   map[string]string // by client_id
}

// The clients of every fixture. reporting and billing share a namespace; stranger is of another
// one.
const (
	reporting = "shop.reporting"
	billing   = "shop.billing"
	stranger  = "orders.stranger"
	suspended = "shop.suspended"
	unheardOf = "shop.unheard-of"
)

// settings are what a test configures.
type settings struct {
	Config

	auth  auth.Config
	audit audit.Config
	store revocation.Store
}

func newWorld(t testing.TB, configure ...func(*settings)) *world {
	t.Helper()
	ring, err := keyring.New(noon.Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	issuer, err := oauth2.ParseIssuer(testIssuer, false)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, now: noon, issuer: issuer, audit: &auditLog{}, registry: prometheus.NewRegistry(), secrets: map[string]string{},
		dir: &memory{known: map[string]oauth2.Record{}, source: map[string]oauth2.Record{}, ring: ring},
	}
	for _, id := range []string{reporting, billing, stranger, suspended} {
		w.register(id)
	}
	w.dir.known[suspended].Owner.Suspended = true
	maps.Copy(w.dir.source, w.dir.known)
	now := func() time.Time { return w.now }
	log := slog.New(slog.NewJSONHandler(w.audit, nil))
	c := settings{
		auth:  auth.Config{Issuer: issuer, Directory: w.dir, Random: rand.Reader, Now: now},
		audit: audit.Config{Lines: w.audit, Log: log, Metrics: audit.NewMetrics(w.registry), Now: now},
	}
	for _, change := range configure {
		change(&c)
	}
	w.journal = revocation.NewJournal(c.store, now, c.audit.Metrics.Wrote, log)
	c.auth.Journal, c.auth.Reviewed = w.journal, c.audit.Metrics.Reviewed
	w.authority = auth.New(c.auth)
	w.auditor = audit.New(c.audit)
	c.Authority, c.Auditor = w.authority, w.auditor
	w.handler = New(c.Config)
	return w
}

// register makes a client with one secret and puts it into memory.
func (w *world) register(id string) {
	w.t.Helper()
	namespace, name, _ := strings.Cut(id, ".")
	secret, err := oauth2.NewClientSecret(rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	uid := "uid-of-" + id
	w.secrets[id] = secret.Value.Reveal()
	w.dir.known[id] = oauth2.Record{
		Client: &oauth2.Client{
			ID: id, UID: uid, Namespace: namespace, Name: name, Scopes: []string{"read", "write"}, Tokens: oauth2.TokenForm{Lifetime: time.Hour},
			Credentials: oauth2.Credentials{Verifiers: []oauth2.Verifier{{ID: secret.ID, Digest: oauth2.DigestSecret(uid, secret.Value), CreatedAt: noon}}},
		},
		Owner: &oauth2.Owner{UID: uid},
	}
}

// onlyAtSource makes memory forget a client that the source still has.
func (w *world) onlyAtSource(id string) {
	w.dir.source[id] = w.dir.known[id]
	delete(w.dir.known, id)
}

// call is one request.
type call struct {
	method string // POST unless set
	path   string // the token endpoint unless set
	basic  string // client_id whose right secret goes into a Basic header
	header http.Header
	body   string
	source string // host:port
}

func (w *world) do(c call) *httptest.ResponseRecorder {
	w.t.Helper()
	method, path := c.method, c.path
	if method == "" {
		method = http.MethodPost
	}
	if path == "" {
		path = oauth2.TokenPath
	}
	r := httptest.NewRequestWithContext(w.t.Context(), method, path, strings.NewReader(c.body))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if c.basic != "" {
		r.SetBasicAuth(c.basic, w.secrets[c.basic])
	}
	maps.Copy(r.Header, c.header)
	if c.source != "" {
		r.RemoteAddr = c.source
	}
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, r)
	return recorder
}

// validate verifies a token as the server does, at an instant.
func (w *world) validate(token string, at time.Time) (*oauth2.Claims, error) {
	verified, err := w.issuer.Verify(token, w.dir.ring, at)
	if err != nil {
		return nil, err
	}
	return verified.Claims, verified.Check(w.dir.ring, at)
}

// token fetches a token for a client.
func (w *world) token(id string) string {
	w.t.Helper()
	answer := w.do(call{basic: id, body: "grant_type=client_credentials"})
	var body struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &body); err != nil || body.Token == "" {
		w.t.Fatalf("no token for %s: %d %s", id, answer.Code, answer.Body)
	}
	return body.Token
}

// post are the parameters that authenticate a client in the body.
func (w *world) post(id string) string {
	return "client_id=" + id + "&client_secret=" + url.QueryEscape(w.secrets[id])
}

// auditLog has the audit lines and the log. Requests and the journal write at any time.
type auditLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *auditLog) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *auditLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *auditLog) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
}

// lastAudit is the last audit line. Only these have an outcome.
func (w *world) lastAudit() map[string]any {
	w.t.Helper()
	lines := slices.DeleteFunc(strings.Split(w.audit.String(), "\n"), func(line string) bool { return !strings.Contains(line, `"outcome":`) })
	if len(lines) == 0 {
		w.t.Fatal("there is no audit line")
	}
	var line map[string]any
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &line); err != nil {
		w.t.Fatalf("audit line %q: %v", lines[len(lines)-1], err)
	}
	return line
}

var errAway = errors.New("the API server is away")
