// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package golden_test

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"iter"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/hallpass-dev/hallpass/internal/audit"
	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/extauthz"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/revocation"
	"github.com/hallpass-dev/hallpass/internal/seal"
	"github.com/hallpass-dev/hallpass/internal/tokenserver"
)

const (
	issuerOfTests = "https://hallpass.test"
	ordersAPI     = "https://orders.example.com/api"
	shopAudience  = issuerOfTests + "/ns/shop"
)

var errAway = errors.New("the API server is away")

// directoryOfTests is an auth.Directory with records in memory and at the source.
type directoryOfTests struct {
	known, source          map[string]oauth2.Record
	resources              []*oauth2.Resource
	issuers                map[string]*oauth2.TrustedIssuer
	minted, mintedAtSource map[string]oauth2.MintedRecord
	ring                   keyring.Ring
	revoked                revocation.State
	failing                error
	sealing                seal.Ring
	// redeemed and redeeming are the answer about each code.
	redeemed  bool
	redeeming error
}

func (d *directoryOfTests) Record(clientID string) oauth2.Record { return d.known[clientID] }

func (d *directoryOfTests) LookUp(_ context.Context, clientID string) (oauth2.Record, error) {
	return d.source[clientID], d.failing
}

func (d *directoryOfTests) ClientsOf(workload oauth2.Workload) []oauth2.Record {
	var found []oauth2.Record
	for _, r := range d.known {
		if r.Names(workload) && len(found) < 2 {
			found = append(found, r)
		}
	}
	return found
}

func (d *directoryOfTests) LookUpClientsOf(_ context.Context, workload oauth2.Workload) ([]string, error) {
	var ids []string
	for id, r := range d.source {
		if r.Names(workload) && len(ids) < 2 {
			ids = append(ids, id)
		}
	}
	return ids, d.failing
}

func (d *directoryOfTests) Resource(name oauth2.ObjectName) *oauth2.Resource {
	for _, r := range d.resources {
		if name == (oauth2.ObjectName{Namespace: r.Namespace, Name: r.Name}) {
			return r
		}
	}
	return nil
}

func (d *directoryOfTests) ResourceByIdentifier(identifier string) *oauth2.Resource {
	for _, r := range d.resources {
		if r.Identifier == identifier {
			return r
		}
	}
	return nil
}

func (d *directoryOfTests) LookUpResource(_ context.Context, identifier string) (*oauth2.Resource, error) {
	return d.ResourceByIdentifier(identifier), d.failing
}

func (d *directoryOfTests) TrustedIssuer(name string) *oauth2.TrustedIssuer { return d.issuers[name] }

func (d *directoryOfTests) TrustedIssuerOf(iss string) *oauth2.TrustedIssuer {
	for _, issuer := range d.issuers {
		if issuer.Issuer == iss {
			return issuer
		}
	}
	return nil
}

func (d *directoryOfTests) LookUpIssuer(_ context.Context, name string) (*oauth2.TrustedIssuer, error) {
	return d.issuers[name], d.failing
}

func (d *directoryOfTests) LookUpIssuerOf(_ context.Context, iss string) (*oauth2.TrustedIssuer, error) {
	return d.TrustedIssuerOf(iss), d.failing
}

func (d *directoryOfTests) Minted(opaqueID string) oauth2.MintedRecord { return d.minted[opaqueID] }

func (d *directoryOfTests) LookUpMinted(_ context.Context, opaqueID string) (oauth2.MintedRecord, error) {
	return d.mintedAtSource[opaqueID], d.failing
}

func (d *directoryOfTests) Ring() keyring.Ring { return d.ring }

func (d *directoryOfTests) LookUpRing(context.Context) (keyring.Ring, error) {
	return d.ring, d.failing
}

func (d *directoryOfTests) Revocations() *revocation.State { return &d.revoked }

func (d *directoryOfTests) ClientEpochs() iter.Seq[revocation.Selector] {
	return func(func(revocation.Selector) bool) {}
}

func (d *directoryOfTests) LoginIssuers(namespace string) (found []*oauth2.TrustedIssuer) {
	for _, issuer := range d.issuers {
		if issuer.LoginDenial(namespace) == "" {
			found = append(found, issuer)
		}
	}
	return found
}

func (*directoryOfTests) MetadataClients() bool { return false }

func (d *directoryOfTests) Sealing() seal.Ring { return d.sealing }

func (*directoryOfTests) RestoredBefore() time.Time { return time.Time{} }

func (d *directoryOfTests) Redeem(context.Context, revocation.Redemption) (bool, error) {
	return !d.redeemed, d.redeeming
}

// cluster is an auth.Cluster, and journal a revocation.Store.
type cluster struct {
	trust   oauth2.Cluster
	verdict oauth2.Verdict
}

func (c *cluster) Trust() oauth2.Cluster { return c.trust }

func (c *cluster) LookUpTrust(context.Context) error { return nil }

func (c *cluster) Review(context.Context, oauth2.Secret, oauth2.UsedAccountToken, string) oauth2.Verdict {
	return c.verdict
}

type journal struct{ failing error }

func (j journal) WriteRevocations(context.Context, string, revocation.Batch) error {
	return j.failing
}

// auditFixture is a token server with a fixed clock, and the clients and keys of a test case.
type auditFixture struct {
	t       *testing.T
	dir     *directoryOfTests
	cluster *cluster
	auth    auth.Config
	doors   tokenserver.Config
	audit   audit.Config
	store   revocation.Store
	lines   *log
	secrets map[string]string
	issuer  oauth2.Issuer

	handler http.Handler // created by the first request
	login   http.Handler // the port for login, created with it
	envoy   authv3.AuthorizationClient
}

func newAuditFixture(t *testing.T) *auditFixture {
	t.Helper()
	issuer, err := oauth2.ParseIssuer(issuerOfTests, false)
	if err != nil {
		t.Fatal(err)
	}
	w := &auditFixture{
		t: t, lines: &log{}, issuer: issuer, secrets: map[string]string{},
		dir: &directoryOfTests{
			known: map[string]oauth2.Record{}, ring: pinnedRing(t), minted: map[string]oauth2.MintedRecord{}, mintedAtSource: map[string]oauth2.MintedRecord{},
			resources: []*oauth2.Resource{{
				Identifier: ordersAPI, UID: "r-uid", Namespace: "orders", Name: "api", Scopes: []string{"orders.read"},
				Consents: []oauth2.Consent{{Namespaces: []string{"shop"}, Scopes: []string{"orders.read"}}},
			}},
		},
		cluster: &cluster{trust: oauth2.Cluster{Issuer: clusterIssuer, Keys: jws.KeySet{Keys: []jws.PublicKey{}}}, verdict: oauth2.Honoured},
	}
	w.cluster.trust.Keys.Keys = append(w.cluster.trust.Keys.Keys, w.key(jws.RS256).Public())
	random := &counting{}
	for _, id := range []string{"shop.reporting", "shop.billing", "orders.gateway"} {
		secret, err := oauth2.NewClientSecret(random)
		if err != nil {
			t.Fatal(err)
		}
		w.secrets[id] = secret.Value.Reveal()
		c := w.client(id)
		c.Credentials.Verifiers = []oauth2.Verifier{{ID: secret.ID, Digest: oauth2.DigestSecret(c.UID, secret.Value), CreatedAt: noon.Add(-time.Hour)}}
	}
	w.client("shop.keys").Credentials.KeysOnly = true
	w.dir.known["shop.keys"].Client.Credentials.Keys, err = jws.PackKeys(w.key(jws.EdDSA).Public())
	if err != nil {
		t.Fatal(err)
	}
	w.client("shop.pod").Credentials.ServiceAccount = &oauth2.ServiceAccount{Name: "worker", UID: "worker-uid"}
	w.client("shop.ci").Credentials.Federated = &oauth2.Federated{
		IssuerName: "github", Subject: "repo:octo-org/octo-repo:environment:prod", Claims: []oauth2.RequiredClaim{{Name: "repository_id", Values: []string{"74"}}},
	}
	issuerKeys, err := jws.PackKeys(w.key(jws.RS256).Public())
	if err != nil {
		t.Fatal(err)
	}
	w.dir.issuers = map[string]*oauth2.TrustedIssuer{"github": {
		Name: "github", UID: "i-uid", Issuer: "https://issuer.test", Keys: oauth2.IssuerKeys{Set: issuerKeys, FetchedAt: noon, Until: noon.Add(time.Hour)},
		Delegations: []oauth2.Delegation{{Namespaces: []string{"shop"}}},
	}}
	w.dir.source = maps.Clone(w.dir.known)
	now := func() time.Time { return noon }
	w.auth = auth.Config{Issuer: issuer, Directory: w.dir, Cluster: w.cluster, Random: random, Now: now}
	w.audit = audit.Config{
		Lines: w.lines, Log: slog.New(slog.DiscardHandler), Metrics: audit.NewMetrics(prometheus.NewRegistry()), Now: now,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")},
	}
	w.store = journal{}
	return w
}

// client adds a client to memory and to the source.
func (w *auditFixture) client(id string) *oauth2.Client {
	namespace, name, _ := strings.Cut(id, ".")
	c := &oauth2.Client{
		ID: id, UID: "uid-of-" + id, Namespace: namespace, Name: name, Scopes: []string{"read", "write"}, Tokens: oauth2.TokenForm{Lifetime: time.Hour},
		Access: []oauth2.Access{{Resource: oauth2.ObjectName{Namespace: "orders", Name: "api"}, Scopes: []string{"orders.read"}}},
	}
	w.dir.known[id] = oauth2.Record{Client: c, Owner: &oauth2.Owner{UID: c.UID}}
	if w.dir.source != nil {
		w.dir.source[id] = w.dir.known[id]
	}
	return c
}

// reporting is the record of the client of most cases.
func (w *auditFixture) reporting() oauth2.Record { return w.dir.known["shop.reporting"] }

// forget replaces the record of reporting in memory and at the source.
func (w *auditFixture) forget(record oauth2.Record) {
	w.dir.known["shop.reporting"], w.dir.source["shop.reporting"] = record, record
}

// key is the active key of an algorithm.
func (w *auditFixture) key(algorithm jws.Algorithm) *keyring.SigningKey {
	w.t.Helper()
	key, err := w.dir.ring.SigningKeyFor(algorithm, noon)
	if err != nil {
		w.t.Fatal(err)
	}
	return key
}

func (w *auditFixture) sign(key *keyring.SigningKey, typ, payload string) string {
	w.t.Helper()
	signed, err := key.Sign(typ, []byte(payload))
	if err != nil {
		w.t.Fatal(err)
	}
	return signed
}

// issue issues a token for reporting.
func (w *auditFixture) issue(at time.Time, grant oauth2.Grant) string {
	return w.issued(at, grant).Value.Reveal()
}

func (w *auditFixture) issued(at time.Time, grant oauth2.Grant) oauth2.Token {
	w.t.Helper()
	grant.Lifetime = time.Hour
	token, err := w.issuer.Issue(w.reporting().Client, grant, w.key(jws.ES256), at, &counting{next: 100})
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

// token is a valid token for the audience of the namespace.
func (w *auditFixture) token() string {
	return w.issue(noon.Add(-time.Minute), oauth2.Grant{Audience: shopAudience, Scopes: []string{"read", "write"}})
}

// start creates the server on the first request, when the case has changed the configuration.
func (w *auditFixture) start() {
	if w.handler == nil {
		w.auth.Journal = revocation.NewJournal(w.store, w.auth.Now, w.audit.Metrics.Wrote, w.audit.Log)
		w.doors.Authority, w.doors.Auditor = auth.New(w.auth), audit.New(w.audit)
		w.handler = tokenserver.New(w.doors)
		w.login = tokenserver.NewLogin(tokenserver.LoginConfig{
			Authority: w.doors.Authority, Auditor: w.doors.Auditor, Account: oauth2.ObjectName{Namespace: "hallpass-login", Name: "login"},
		})
		inBackground(w.t, w.auth.Journal.Run)
	}
}

// request is an HTTP request.
type request struct {
	method, path string
	header       http.Header
	form         url.Values // in the body of a POST, in the query otherwise
	body         string     // in the place of form
}

const sourceOfTests = "192.0.2.7:1234"

func (w *auditFixture) send(r request) *httptest.ResponseRecorder {
	w.t.Helper()
	w.start()
	target, body := r.path, r.body
	if r.method == http.MethodPost && body == "" {
		body = r.form.Encode()
	} else if r.method != http.MethodPost && len(r.form) > 0 {
		target += "?" + r.form.Encode()
	}
	made := httptest.NewRequestWithContext(w.t.Context(), r.method, target, strings.NewReader(body))
	made.RemoteAddr = sourceOfTests
	if r.method == http.MethodPost {
		made.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	maps.Copy(made.Header, r.header)
	if address := made.Header.Get("Test-Remote-Addr"); address != "" {
		made.Header.Del("Test-Remote-Addr")
		made.RemoteAddr = address
	}
	answer := httptest.NewRecorder()
	w.handler.ServeHTTP(answer, made)
	return answer
}

// ask sends a Check request over gRPC.
func (w *auditFixture) ask(extensions, header map[string]string) {
	w.t.Helper()
	w.start()
	if w.envoy == nil {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			w.t.Fatal(err)
		}
		server := extauthz.NewServer(w.doors.Authority, w.doors.Auditor, nil)
		go func() { _ = server.Serve(listener) }()
		w.t.Cleanup(server.Stop)
		connection, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			w.t.Fatal(err)
		}
		w.t.Cleanup(func() { _ = connection.Close() })
		w.envoy = authv3.NewAuthorizationClient(connection)
	}
	if _, err := w.envoy.Check(w.t.Context(), &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		ContextExtensions: extensions,
		Request:           &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{Method: "GET", Path: "/orders", Headers: header}},
	}}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *auditFixture) basic(id string) http.Header { return basic(id, w.secrets[id]) }

func basic(id, secret string) http.Header {
	return http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))}}
}

// requestID matches the only random field of an audit line.
var requestID = regexp.MustCompile(`"request_id":"[A-Z2-7]{26}"`)

// written are the audit lines with a placeholder for the request ids.
func (w *auditFixture) written() string {
	text := w.lines.text()
	if ids := requestID.FindAllString(text, -1); len(ids) != strings.Count(text, "\n") {
		w.t.Errorf("%d lines with %d request ids:\n%s", strings.Count(text, "\n"), len(ids), text)
	}
	return requestID.ReplaceAllString(text, `"request_id":"REQUEST"`)
}

// noAuthorities is an empty pool, which accepts no certificate.
func noAuthorities() *x509.CertPool { return x509.NewCertPool() }
