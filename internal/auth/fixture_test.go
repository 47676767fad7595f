// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/revocation"
	"github.com/hallpass-dev/hallpass/internal/seal"
)

var (
	noon    = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	errAway = errors.New("the API server is away")
)

// records are what a memory or its source has.
type records struct {
	clients   map[string]oauth2.Record
	resources []*oauth2.Resource
	issuers   map[string]*oauth2.TrustedIssuer
	minted    map[string]oauth2.MintedRecord
	ring      keyring.Ring
}

func (r records) clone() records {
	return records{maps.Clone(r.clients), slices.Clone(r.resources), maps.Clone(r.issuers), maps.Clone(r.minted), r.ring}
}

// fake is a memory, its source and a cluster. Each look-up takes a time, in which the clock
// advances.
type fake struct {
	memory, source records
	revoked        revocation.State
	trust, trusted oauth2.Cluster // in memory, and at the source
	verdict        oauth2.Verdict

	// sealing are the sealing keys, restored when a backup was, and redeemed the attempts by
	// which codes were redeemed.
	sealing  seal.Ring
	restored time.Time
	redeemed map[string]string

	now       time.Time
	took      time.Duration
	away      error
	questions []string
}

func (f *fake) ask(question string) error {
	f.questions = append(f.questions, question)
	f.now = f.now.Add(f.took)
	return f.away
}

func (f *fake) Record(id string) oauth2.Record       { return f.memory.clients[id] }
func (f *fake) Ring() keyring.Ring                   { return f.memory.ring }
func (f *fake) Minted(id string) oauth2.MintedRecord { return f.memory.minted[id] }
func (f *fake) Revocations() *revocation.State       { return &f.revoked }
func (f *fake) ClientEpochs() iter.Seq[revocation.Selector] {
	return func(func(revocation.Selector) bool) {}
}
func (f *fake) Trust() oauth2.Cluster { return f.trust }
func (f *fake) identified(r []*oauth2.Resource, identifier string) *oauth2.Resource {
	if i := slices.IndexFunc(r, func(r *oauth2.Resource) bool { return r.Identifier == identifier }); i >= 0 {
		return r[i]
	}
	return nil
}

func (f *fake) ResourceByIdentifier(identifier string) *oauth2.Resource {
	return f.identified(f.memory.resources, identifier)
}

func (f *fake) Resource(name oauth2.ObjectName) *oauth2.Resource {
	if i := slices.IndexFunc(f.memory.resources, func(r *oauth2.Resource) bool {
		return name == oauth2.ObjectName{Namespace: r.Namespace, Name: r.Name}
	}); i >= 0 {
		return f.memory.resources[i]
	}
	return nil
}

func (f *fake) LookUp(_ context.Context, id string) (oauth2.Record, error) {
	err := f.ask("client " + id)
	return f.source.clients[id], err
}

func (f *fake) ClientsOf(workload oauth2.Workload) []oauth2.Record {
	var found []oauth2.Record
	for _, r := range f.memory.clients {
		if r.Names(workload) && len(found) < 2 {
			found = append(found, r)
		}
	}
	return found
}

func (f *fake) LookUpClientsOf(_ context.Context, workload oauth2.Workload) ([]string, error) {
	err := f.ask("clients of " + workload.Namespace + "/" + cmp.Or(workload.Account, workload.Subject))
	var ids []string
	for id, r := range f.source.clients {
		if r.Names(workload) && len(ids) < 2 {
			ids = append(ids, id)
		}
	}
	return ids, err
}

func (f *fake) LookUpRing(context.Context) (keyring.Ring, error) {
	err := f.ask("keys")
	if err == nil {
		f.memory.ring = f.source.ring
	}
	return f.memory.ring, err
}

func (f *fake) LookUpResource(_ context.Context, identifier string) (*oauth2.Resource, error) {
	err := f.ask("resource " + identifier)
	return f.identified(f.source.resources, identifier), err
}

func (f *fake) TrustedIssuer(name string) *oauth2.TrustedIssuer { return f.memory.issuers[name] }

func (f *fake) TrustedIssuerOf(iss string) *oauth2.TrustedIssuer {
	for _, issuer := range f.memory.issuers {
		if issuer.Issuer == iss {
			return issuer
		}
	}
	return nil
}

func (f *fake) LookUpIssuer(_ context.Context, name string) (*oauth2.TrustedIssuer, error) {
	err := f.ask("issuer " + name)
	return f.source.issuers[name], err
}

func (f *fake) LookUpIssuerOf(_ context.Context, iss string) (*oauth2.TrustedIssuer, error) {
	err := f.ask("issuer of " + iss)
	for _, issuer := range f.source.issuers {
		if issuer.Issuer == iss {
			return issuer, err
		}
	}
	return nil, err
}

func (f *fake) LookUpMinted(_ context.Context, id string) (oauth2.MintedRecord, error) {
	err := f.ask("token " + id)
	return f.source.minted[id], err
}

func (f *fake) LookUpTrust(context.Context) error {
	err := f.ask("cluster")
	if err == nil {
		f.trust = f.trusted
	}
	return err
}

func (f *fake) Review(context.Context, oauth2.Secret, oauth2.UsedAccountToken, string) oauth2.Verdict {
	_ = f.ask("review")
	return f.verdict
}

func (f *fake) LoginIssuers(namespace string) (found []*oauth2.TrustedIssuer) {
	for _, issuer := range f.memory.issuers {
		if issuer.LoginDenial(namespace) == "" {
			found = append(found, issuer)
		}
	}
	return found
}

func (f *fake) MetadataClients() bool     { return false }
func (f *fake) Sealing() seal.Ring        { return f.sealing }
func (f *fake) RestoredBefore() time.Time { return f.restored }

func (f *fake) Redeem(_ context.Context, r revocation.Redemption) (bool, error) {
	if f.away != nil {
		return false, oauth2.Unavailable(time.Second)
	}
	attempt, there := f.redeemed[r.CodeID]
	if !there {
		f.redeemed[r.CodeID] = r.Attempt
	}
	return !there || attempt == r.Attempt, nil
}

const (
	reporting     = "shop.reporting" // by secret
	keyed         = "shop.keyed"     // by private_key_jwt
	podded        = "shop.podded"    // by a service account's token
	gateway       = "orders.gateway" // serves ordersAPI
	clusterIssuer = "https://kubernetes.default.svc"
)

// world is an Authority whose memory and source are the same until a test changes one of them.
type world struct {
	*fake
	*auth.Authority

	t         testing.TB
	secrets   map[string]string
	signer    *jws.Signer // of keyed, and of the cluster
	ordersAPI string
}

func newWorld(t testing.TB, configure ...func(*auth.Config)) *world {
	t.Helper()
	issuer, err := oauth2.ParseIssuer("https://hallpass.test", false)
	must(t, err)
	ring, err := keyring.New(noon.Add(-time.Hour))
	must(t, err)
	signer := newSigner(t)
	w := &world{
		t: t, secrets: map[string]string{}, signer: signer, ordersAPI: issuer.ResourceIdentifier(oauth2.ObjectName{Namespace: "orders", Name: "api"}),
		fake: &fake{now: noon, verdict: oauth2.Honoured, memory: records{clients: map[string]oauth2.Record{}, minted: map[string]oauth2.MintedRecord{}, ring: ring}, redeemed: map[string]string{}},
	}
	w.sealing, _, err = seal.Ring{}.Rotate(noon.Add(-time.Hour), noon.Add(-time.Hour), rand.Reader)
	must(t, err)
	w.trust = oauth2.Cluster{Issuer: clusterIssuer, Keys: jws.KeySet{Keys: []jws.PublicKey{signer.Public()}}}
	w.trusted = w.trust
	for _, id := range []string{reporting, keyed, podded, gateway} {
		w.register(id)
	}
	keys, err := jws.PackKeys(signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	w.memory.clients[keyed].Client.Credentials.KeysOnly, w.memory.clients[keyed].Client.Credentials.Keys = true, keys
	w.memory.clients[podded].Client.Credentials.ServiceAccount = &oauth2.ServiceAccount{Name: "worker", UID: "worker-uid"}
	w.memory.resources = []*oauth2.Resource{{
		Identifier: w.ordersAPI, UID: "r-uid", Namespace: "orders", Name: "api", Scopes: []string{"orders.read"},
		Consents: []oauth2.Consent{{Namespaces: []string{"shop"}, Scopes: []string{"orders.read"}}},
	}}
	w.source = w.memory.clone()
	now := func() time.Time { return w.now }
	config := auth.Config{
		Issuer: issuer, Directory: w.fake, Cluster: w.fake, Random: rand.Reader, Now: now,
		// it does not run
		Journal: revocation.NewJournal(nil, now, func(bool, int) {}, slog.New(slog.DiscardHandler)),
	}
	for _, c := range configure {
		c(&config)
	}
	w.Authority = auth.New(config)
	return w
}

func newSigner(t testing.TB) *jws.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	signer, err := jws.NewSigner(jws.ES256, key)
	must(t, err)
	return signer
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// register makes a client with a secret, the scopes read and write, and orders.read of the API of
// orders.
func (w *world) register(id string) {
	w.t.Helper()
	namespace, name, _ := strings.Cut(id, ".")
	secret, err := oauth2.NewClientSecret(rand.Reader)
	must(w.t, err)
	uid := "uid-of-" + id
	w.secrets[id] = secret.Value.Reveal()
	w.memory.clients[id] = oauth2.Record{Owner: &oauth2.Owner{UID: uid}, Client: &oauth2.Client{
		ID: id, UID: uid, Namespace: namespace, Name: name, Scopes: []string{"read", "write"}, Tokens: oauth2.TokenForm{Lifetime: time.Hour},
		Access:      []oauth2.Access{{Resource: oauth2.ObjectName{Namespace: "orders", Name: "api"}, Scopes: []string{"orders.read"}}},
		Credentials: oauth2.Credentials{Verifiers: []oauth2.Verifier{{ID: secret.ID, Digest: oauth2.DigestSecret(uid, secret.Value), CreatedAt: noon.Add(-time.Hour)}}},
	}}
}

// change gives memory another record of a client; the source keeps the one it has.
func (w *world) change(id string, change func(*oauth2.Client, *oauth2.Owner)) {
	record := w.memory.clients[id]
	client, owner := *record.Client, *record.Owner
	change(&client, &owner)
	w.memory.clients[id] = oauth2.Record{Client: &client, Owner: &owner}
}

// form are the parameters of a request.
func form(t testing.TB, body string) oauth2.Form {
	t.Helper()
	parsed, err := oauth2.ParseForm(body)
	must(t, err)
	return parsed
}

// credentials are those of a client in a form, from an address.
func (w *world) credentials(id, secret, source string) auth.Credentials {
	w.t.Helper()
	return auth.Credentials{Form: form(w.t, "client_id="+id+"&client_secret="+secret), Source: source, At: w.now}
}

// caller authenticates a client by its secret.
func (w *world) caller(id string) auth.Caller {
	w.t.Helper()
	caller, err := w.Authenticate(w.t.Context(), w.credentials(id, w.secrets[id], "192.0.2.1"))
	must(w.t, err)
	return caller
}

const assertionType = "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion="

func (w *world) sign(signer *jws.Signer, claims map[string]any) string {
	w.t.Helper()
	payload, err := json.Marshal(claims)
	must(w.t, err)
	signed, err := signer.Sign("JWT", payload)
	must(w.t, err)
	return signed
}

// assertion are credentials of keyed.
func (w *world) assertion(jti string) auth.Credentials {
	signed := w.sign(w.signer, map[string]any{
		"iss": keyed, "sub": keyed, "aud": w.Issuer.String(), "jti": jti, "iat": w.now.Unix(), "exp": w.now.Add(time.Minute).Unix(),
	})
	return auth.Credentials{Form: form(w.t, "client_id="+keyed+assertionType+signed), At: w.now}
}

// pod are credentials of podded: a token of its service account, signed with a key.
func (w *world) pod(signer *jws.Signer, jti string) auth.Credentials {
	return auth.Credentials{Form: form(w.t, "client_id="+podded+assertionType+w.sign(signer, w.podClaims(jti))), At: w.now}
}

func (w *world) podClaims(jti string) map[string]any {
	return map[string]any{
		"iss": clusterIssuer, "sub": "system:serviceaccount:shop:worker", "aud": []string{w.Issuer.String()}, "jti": jti,
		"iat": w.now.Add(-time.Minute).Unix(), "nbf": w.now.Add(-time.Minute).Unix(), "exp": w.now.Add(59 * time.Minute).Unix(),
		"kubernetes.io": map[string]any{"namespace": "shop", "serviceaccount": map[string]any{"name": "worker", "uid": "worker-uid"}},
	}
}

// token is a token of reporting for an audience, issued at another replica.
func (w *world) token(at time.Time, audience string, scopes ...string) string {
	return w.issued(at, oauth2.Grant{Audience: audience, Scopes: scopes, Lifetime: time.Hour}).Value.Reveal()
}

func (w *world) issued(at time.Time, grant oauth2.Grant) oauth2.Token {
	w.t.Helper()
	key, err := w.source.ring.SigningKey(at)
	must(w.t, err)
	token, err := w.Issuer.Issue(w.source.clients[reporting].Client, grant, key, at, rand.Reader)
	must(w.t, err)
	return token
}

// shop is the audience of the namespace of most clients.
func (w *world) shop() string { return w.Issuer.NamespaceAudience("shop") }

// mint makes an OAuth2Token of reporting, and its token.
func (w *world) mint(opaque bool) string {
	w.t.Helper()
	const uid = "token-uid"
	grant := oauth2.Grant{Audience: w.shop(), Scopes: []string{"read", "write"}, Lifetime: time.Hour, TokenUID: uid}
	record := oauth2.MintedRecord{Owner: &oauth2.MintedOwner{UID: uid, ClientName: "reporting"}, Minted: &oauth2.Minted{
		UID: uid, ClientID: reporting, ClientUID: "uid-of-" + reporting, ClientName: "reporting", Opaque: opaque,
	}}
	var value string
	if opaque {
		secret, minted, err := oauth2.IssueOpaque(grant, w.now, rand.Reader)
		must(w.t, err)
		value, record.Minted.Tokens = secret.Reveal(), []oauth2.MintedToken{minted}
	} else {
		token := w.issued(w.now, grant)
		value, record.Minted.Tokens = token.Value.Reveal(), []oauth2.MintedToken{token.Minted()}
	}
	w.memory.minted[oauth2.OpaqueID(uid)], w.source.minted[oauth2.OpaqueID(uid)] = record, record
	return value
}

// introspect checks a token for a caller.
func (w *world) introspect(id, token string) (auth.Result, error) {
	w.t.Helper()
	return w.Check(w.t.Context(), &auth.Request{Token: token, Payer: auth.PaidBy(w.memory.clients[id].Client), Caller: w.memory.clients[id].Client, At: w.now})
}

// admit checks a token for a proxy that requires an audience and scopes.
func (w *world) admit(token, audience string, scopes ...string) (auth.Result, error) {
	w.t.Helper()
	return w.Admit(w.t.Context(), auth.Attempt{
		Authorization: []string{"Bearer " + token}, Required: oauth2.Requirement{Audience: audience, Scopes: scopes}, Source: "192.0.2.9", At: w.now,
	})
}
