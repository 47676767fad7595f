// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package availability_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

// pairing is which of the two processes are those of the release before.
type pairing struct{ oldManager, oldServer bool }

func (p pairing) String() string {
	name := map[bool]string{true: "before", false: "now"}
	return fmt.Sprintf("the manager of %s and the token server of %s", name[p.oldManager], name[p.oldServer])
}

// TestPairings runs each manager with each token server, of this build and of the release before.
// Everything is on record by the other manager first; then the manager of the pairing leads under
// load, rotates a secret and registers a client, and the other one leads again. So two of the
// pairings are upgrades, and two are rollbacks. No request fails, and nothing is lost. Without
// HALLPASS_PAIRINGS it is the rollback of both processes alone, with fewer requests.
func TestPairings(t *testing.T) {
	old := release(t, firstRelease)
	pairings := []pairing{{true, true}}
	requests := world.Count(t, "HALLPASS_PAIRINGS", 0)
	if requests > 0 {
		pairings = []pairing{{false, false}, {false, true}, {true, false}, {true, true}}
	}
	t.Cleanup(func() {
		if hallpass.StopManager() == nil {
			must(t, hallpass.StartManager(unbounded(t)))
		}
	})
	for i, p := range pairings {
		t.Run(p.String(), func(t *testing.T) { p.run(t, old, fmt.Sprintf("pairing-%d", i), int64(max(requests, 3000))) })
	}
}

func (p pairing) run(t *testing.T, old, where string, requests int64) {
	lead := func(isOld bool) (stop func()) {
		must(t, hallpass.StopManager())
		if isOld {
			return startOldManager(t, old)
		}
		must(t, hallpass.StartManager(unbounded(t)))
		return func() {}
	}
	stop := lead(!p.oldManager)
	m := newMembers(t, where)
	m.rotate(t, "before")

	r := newReplica(t, "v1.0.0", func(r *replica) {
		if p.oldServer {
			r.program = filepath.Join(old, "tokenserver")
		}
	})
	r.waitReady(t)
	load := startTenants(t, r.address, where, nil)
	for _, use := range m.uses(t) {
		load.repeat(t, use)
	}
	goOn := func(share int64) { // as long as it takes
		for load.sent.Load() < requests*share/4 {
			pause(t.Context(), 10*time.Millisecond)
		}
	}
	goOn(1)
	stop()
	stop = lead(p.oldManager)
	m.rotate(t, "meanwhile")
	load.repeat(t, m.bySecret(m.secrets[len(m.secrets)-1]))
	late := newTenant(t, where, "late", teamClaim)
	load.repeat(t, m.bySecret(late))
	goOn(2)
	stop()
	stop = lead(!p.oldManager)
	m.change(t)
	goOn(4)
	load.stop(t)
	m.check(t)
	stop()
	must(t, hallpass.StopManager())
}

// repeat sends requests of one kind one after the other until the load is stopped.
func (l *tenantLoad) repeat(t *testing.T, use func(*call) error) {
	t.Helper()
	c := &call{address: l.address, roots: trusted(t)}
	l.running.Go(func() {
		defer c.close()
		for l.ctx.Err() == nil {
			l.note(use(c))
		}
	})
}

// members are clients of every method, what they may call, and tokens for software that fetches
// none.
type members struct {
	where string
	// secrets are those of one client, the current one last. The others are in their overlap.
	secrets []world.Caller
	// brought is the client whose secret is the user's.
	brought      world.Caller
	signer       *jws.Signer
	account      string
	fixed, fresh string
}

const teamClaim = `[{"name":"https://example.com/team","value":"blue"}]`

func newMembers(t *testing.T, where string) *members {
	t.Helper()
	must(t, client.IgnoreAlreadyExists(cluster.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: where}})))
	m := &members{where: where, secrets: []world.Caller{newTenant(t, where, "secret", teamClaim)}}

	m.brought = world.Caller{ID: where + ".brought", Secret: rand.Text() + rand.Text()}
	must(t, cluster.Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: where, Name: "brought", Labels: map[string]string{v1alpha1.LabelCredentials: "true"}},
		StringData: map[string]string{"client_secret": m.brought.Secret},
	}))
	shared.Apply(t, where, m.client("brought", func(spec *v1alpha1.OAuth2ClientSpec) { spec.Secret.Source = v1alpha1.SecretExisting }))

	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	m.signer, err = jws.NewSigner(jws.ES256, private)
	must(t, err)
	jwk, err := m.signer.Public().JWK()
	must(t, err)
	set, err := json.Marshal(map[string]any{"keys": []any{jwk}})
	must(t, err)
	shared.Apply(t, where, m.client("keyed", func(spec *v1alpha1.OAuth2ClientSpec) {
		spec.Authentication = v1alpha1.AuthenticationSpec{Method: v1alpha1.ByPrivateKeyJWT, PrivateKeyJWT: v1alpha1.PrivateKeyJWTSpec{JWKS: string(set)}}
	}))

	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: where, Name: "worker"}}
	must(t, cluster.Create(t.Context(), account))
	m.account = accountToken(t, account, nil)
	shared.Apply(t, where, m.client("podded", func(spec *v1alpha1.OAuth2ClientSpec) {
		spec.Authentication = v1alpha1.AuthenticationSpec{Method: v1alpha1.ByServiceAccount, ServiceAccount: v1alpha1.ServiceAccountSpec{Name: account.Name}}
	}))

	api := &v1alpha1.OAuth2Resource{ObjectMeta: metav1.ObjectMeta{Namespace: where, Name: "api"}, Spec: v1alpha1.OAuth2ResourceSpec{
		Scopes: []v1alpha1.ResourceScope{{Name: "orders.read"}},
		Grants: []v1alpha1.ResourceGrant{{From: v1alpha1.GrantSource{Namespaces: []v1alpha1.NamespaceName{v1alpha1.NamespaceName(where)}}, Scopes: []v1alpha1.Scope{"orders.read"}}},
	}}
	must(t, cluster.Create(t.Context(), api))
	eventually(t, "the resource is ready", func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(api), api))
		return meta.IsStatusConditionTrue(api.Status.Conditions, v1alpha1.ConditionReady)
	})
	m.fixed, m.fresh = m.token(t, "fixed", v1alpha1.TokenFixed), m.token(t, "fresh", v1alpha1.TokenRefreshing)
	return m
}

// client is a client that may call the resource.
func (m *members) client(name string, change func(*v1alpha1.OAuth2ClientSpec)) *v1alpha1.OAuth2Client {
	c := &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.OAuth2ClientSpec{
		Scopes: []v1alpha1.Scope{"read"},
		Access: []v1alpha1.Access{{ResourceNamespace: v1alpha1.NamespaceName(m.where), ResourceName: "api", Scopes: []v1alpha1.Scope{"orders.read"}}},
	}}
	change(&c.Spec)
	return c
}

// token is the token that an OAuth2Token delivers for the client with the secrets.
func (m *members) token(t *testing.T, name string, mode v1alpha1.TokenMode) string {
	t.Helper()
	object := &v1alpha1.OAuth2Token{ObjectMeta: metav1.ObjectMeta{Namespace: m.where, Name: name}, Spec: v1alpha1.OAuth2TokenSpec{
		ClientRef: v1alpha1.LocalClientReference{Name: "secret"}, Mode: mode, Scopes: []v1alpha1.Scope{"read"},
	}}
	if mode == v1alpha1.TokenFixed {
		object.Spec.ExpirationTime = new(metav1.NewTime(time.Now().Add(30 * 24 * time.Hour)))
	}
	must(t, cluster.Create(t.Context(), object))
	eventually(t, "a token is delivered", func() bool { return m.delivered(t, name) != "" })
	return m.delivered(t, name)
}

// delivered is the token in the Secret of an OAuth2Token, or "".
func (m *members) delivered(t *testing.T, name string) string {
	t.Helper()
	var secret corev1.Secret
	must(t, client.IgnoreNotFound(cluster.Get(t.Context(), client.ObjectKey{Namespace: m.where, Name: name}, &secret)))
	return string(secret.Data["token"])
}

// rotate has the client with the secrets get another one. Those before stay in their overlap.
func (m *members) rotate(t *testing.T, request string) {
	t.Helper()
	m.edit(t, func(c *v1alpha1.OAuth2Client) {
		c.Annotations = map[string]string{v1alpha1.AnnotationRotate: request}
	})
	before := m.secrets[len(m.secrets)-1]
	eventually(t, "the secret is rotated", func() bool {
		var c v1alpha1.OAuth2Client
		must(t, cluster.Get(t.Context(), client.ObjectKey{Namespace: m.where, Name: "secret"}, &c))
		return c.Status.Rotation.HandledRequest == request
	})
	var secret corev1.Secret
	must(t, cluster.Get(t.Context(), client.ObjectKey{Namespace: m.where, Name: "secret"}, &secret))
	now := world.Caller{ID: before.ID, Secret: string(secret.Data["client_secret"])}
	if now == before {
		t.Fatal("the secret is the one of before")
	}
	m.secrets = append(m.secrets, now)
}

// change has the manager that leads now write the registration with three secrets again.
func (m *members) change(t *testing.T) {
	t.Helper()
	m.edit(t, func(c *v1alpha1.OAuth2Client) { c.Spec.Scopes = append(c.Spec.Scopes, "write") })
	eventually(t, "the changed scopes are granted", func() bool {
		var c v1alpha1.OAuth2Client
		must(t, cluster.Get(t.Context(), client.ObjectKey{Namespace: m.where, Name: "secret"}, &c))
		return c.Status.ObservedGeneration == c.Generation && len(c.Status.Credentials) == len(m.secrets)
	})
}

func (m *members) edit(t *testing.T, change func(*v1alpha1.OAuth2Client)) {
	t.Helper()
	eventually(t, "the client is changed", func() bool {
		var c v1alpha1.OAuth2Client
		must(t, cluster.Get(t.Context(), client.ObjectKey{Namespace: m.where, Name: "secret"}, &c))
		change(&c)
		return cluster.Update(t.Context(), &c) == nil
	})
}

// uses are the requests of all members.
func (m *members) uses(t *testing.T) []func(*call) error {
	t.Helper()
	uses := []func(*call) error{
		m.bySecret(m.brought), m.resource(m.brought), m.active(m.fixed), m.active(m.fresh),
		func(c *call) error {
			pause(c.t.Context(), 20*time.Millisecond)
			return m.assert(c, "keyed", m.assertion(c.t))
		},
		func(c *call) error { return m.assert(c, "podded", m.account) },
	}
	for _, secret := range m.secrets {
		uses = append(uses, m.bySecret(secret))
	}
	for i, use := range uses {
		uses[i] = func(c *call) error {
			c.t = t
			return use(c)
		}
	}
	return uses
}

// bySecret fetches a token and introspects it.
func (m *members) bySecret(who world.Caller) func(*call) error {
	return func(c *call) error {
		token, err := c.token(who)
		if err != nil {
			return err
		}
		if !strings.HasSuffix(who.ID, ".brought") && !strings.Contains(payloadText(token), `"https://example.com/team":"blue"`) {
			return fmt.Errorf("a token of %s lacks its claim", who.ID)
		}
		return c.introspect(who, token)
	}
}

// resource fetches a token for the declared resource.
func (m *members) resource(who world.Caller) func(*call) error {
	return func(c *call) error {
		body, err := c.do(http.MethodPost, oauth2.TokenPath, url.Values{
			"grant_type": {"client_credentials"}, "client_id": {who.ID}, "client_secret": {who.Secret},
			"resource": {hallpass.Issuer.ResourceIdentifier(oauth2.ObjectName{Namespace: m.where, Name: "api"})},
		}, "")
		if err == nil && !strings.Contains(body, `"orders.read"`) {
			err = fmt.Errorf("a token of %s has not the scope of the resource: %s", who.ID, body)
		}
		return err
	}
}

// active introspects a token.
func (m *members) active(token string) func(*call) error {
	return func(c *call) error { return c.introspect(m.brought, token) }
}

func (m *members) assertion(t *testing.T) string {
	t.Helper()
	id := m.where + ".keyed"
	payload, err := json.Marshal(map[string]any{
		"iss": id, "sub": id, "aud": hallpass.Issuer.String(), "exp": time.Now().Add(30 * time.Second).Unix(), "jti": rand.Text(),
	})
	must(t, err)
	signed, err := m.signer.Sign("JWT", payload)
	must(t, err)
	return signed
}

func (m *members) assert(c *call, name, assertion string) error {
	_, err := c.do(http.MethodPost, oauth2.TokenPath, url.Values{
		"grant_type": {"client_credentials"}, "client_id": {m.where + "." + name},
		"client_assertion_type": {oauth2.AssertionType}, "client_assertion": {assertion},
	}, "")
	return err
}

// check wants that nothing was lost: each secret is on record, and each Secret has what it had.
func (m *members) check(t *testing.T) {
	t.Helper()
	var c v1alpha1.OAuth2Client
	must(t, cluster.Get(t.Context(), client.ObjectKey{Namespace: m.where, Name: "secret"}, &c))
	if len(c.Status.Credentials) != len(m.secrets) {
		t.Errorf("%d secrets are accepted, want %d", len(c.Status.Credentials), len(m.secrets))
	}
	var secret corev1.Secret
	must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(&c), &secret))
	if string(secret.Data["client_secret"]) != m.secrets[len(m.secrets)-1].Secret {
		t.Error("the Secret has another value")
	}
	if m.delivered(t, "fixed") != m.fixed || m.delivered(t, "fresh") != m.fresh {
		t.Error("a token was replaced")
	}
}
