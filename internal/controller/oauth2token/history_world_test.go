// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2token

import (
	"context"
	"crypto"
	"crypto/rand"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/fair"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/controller/policy"
	"github.com/hallpass-dev/hallpass/internal/controller/usagereport"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/revocation"
	"github.com/hallpass-dev/hallpass/test/kit/late"
)

const (
	registryOfWorld = "hallpass-registry"
	// identifierOfWorld is that of the resource orders/api.
	identifierOfWorld = "https://orders.test"
)

// world has an API server with one OAuth2Token, shop/legacy, and its managers. The other
// controllers of a manager are simulated too, and are never late.
type world struct {
	t        *testing.T
	server   *late.Server
	clock    *clocktesting.FakePassiveClock
	issuer   oauth2.Issuer
	recorder *events.FakeRecorder
	managers []*manager
	// started counts the managers that there have been.
	started int
	// limit is the longest life of a Fixed token.
	limit time.Duration
	// ring has the signing keys, of which made were generated.
	ring keyring.Ring
	made int
	// revocations are the TokenRevocations, and revoked what the token servers know of them.
	revocations []*v1alpha1.TokenRevocation
	revoked     revocation.State
	// asked are the instants that clients have in their specs, and what they were cut back to.
	asked map[string]oauth2.Revocation
	audit []auditLine
}

// manager is one manager with its cache.
type manager struct {
	*Reconciler

	number int
	cache  *late.Cache
	// told is how many TokenRevocations it knows, gone the OAuth2Tokens whose deletion it has
	// not noticed.
	told int
	gone []*v1alpha1.OAuth2Token
}

// auditLine is an audit line about a token.
type auditLine struct {
	by              int
	id, change, why string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, server: late.NewServer(t), clock: clocktesting.NewFakePassiveClock(time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)),
		recorder: events.NewFakeRecorder(1 << 16), limit: 90 * 24 * time.Hour, asked: map[string]oauth2.Revocation{},
	}
	var err error
	w.issuer, err = oauth2.ParseIssuer("https://hallpass.test", false)
	w.server.Must(err)
	w.rotateKeys(keyring.Order{})
	for _, name := range []string{"app", "other"} {
		w.create(&v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Spec: v1alpha1.OAuth2ClientSpec{
			Scopes: []v1alpha1.Scope{"s0", "s1"}, Access: []v1alpha1.Access{{ResourceNamespace: "orders", ResourceName: "api"}},
		}})
	}
	w.create(&v1alpha1.OAuth2Resource{ObjectMeta: metav1.ObjectMeta{Namespace: "orders", Name: "api"}, Spec: v1alpha1.OAuth2ResourceSpec{
		Identifier: identifierOfWorld, Scopes: []v1alpha1.ResourceScope{{Name: "s0"}}, MaxFixedTokenLifetime: "2000h",
	}})
	w.register()
	w.managers = []*manager{w.newManager()}
	return w
}

// newManager returns a manager that remembers nothing.
func (w *world) newManager() *manager {
	w.started++
	m := &manager{number: w.started}
	has := func(o client.Object) bool {
		secret, isSecret := o.(*corev1.Secret)
		return !isSecret || secret.Namespace == registryOfWorld || secret.Type == v1alpha1.SecretTypeToken
	}
	m.cache = late.NewCache(w.server, has, func(o client.Object, field string) []string {
		switch field {
		case v1alpha1.AnnotationToken:
			return []string{output.NameOfOwner(o, field)}
		case indexByClient:
			return indexedClient(o)
		case indexByTokenID:
			return indexedTokenID(o)
		}
		return nil
	})
	c := m.cache.Client()
	m.Reconciler = New(Config{
		Client: c, Live: w.server, Secrets: m.cache.Secrets(v1alpha1.SecretTypeToken), Informers: m.cache, Recorder: w.recorder, Clock: w.clock, Random: rand.Reader,
		Issuer: w.issuer, RegistryNamespace: registryOfWorld, MaxLifetime: w.limit, Usage: usagereport.NewLedger(w.clock, time.Minute),
		Policy: &policy.Source{Client: c, Issuer: w.issuer, RegistryNamespace: registryOfWorld, Defaults: oauth2.Ceilings{AnyClientID: true}, Only: []string{"shop", "orders"}},
		Audit:  funcr.New(func(_, line string) { w.audit = append(w.audit, readAudit(m.number, line)) }, funcr.Options{}),
	})
	return m
}

var auditWord = regexp.MustCompile(`"(jti|change|cause)"="([^"]*)"`)

func readAudit(by int, line string) auditLine {
	read := auditLine{by: by}
	for _, found := range auditWord.FindAllStringSubmatch(line, -1) {
		switch found[1] {
		case "jti":
			read.id = found[2]
		case "change":
			read.change = found[2]
		case "cause":
			read.why = found[2]
		}
	}
	return read
}

// create creates an object as a user does.
func (w *world) create(o client.Object) {
	w.t.Helper()
	w.server.Identify(o)
	o.SetCreationTimestamp(metav1.NewTime(w.clock.Now()))
	o.SetGeneration(1)
	w.server.Must(w.server.Create(w.t.Context(), o))
}

// edit changes the spec of an object as a user does; it is a no-op if there is none.
func edit[T late.Object](w *world, like T, namespace, name string, change func(o T)) {
	w.t.Helper()
	var none T
	o := late.Find(w.server, like, namespace, name)
	if o == none {
		return
	}
	change(o)
	o.SetGeneration(o.GetGeneration() + 1)
	w.server.Must(w.server.Update(w.t.Context(), o))
}

// object is the OAuth2Token.
func (w *world) object() *v1alpha1.OAuth2Token {
	w.t.Helper()
	return late.Find(w.server, &v1alpha1.OAuth2Token{}, "shop", "legacy")
}

// secret is the Secret of that name; nil if there is none.
func (w *world) secret(namespace, name string) *corev1.Secret {
	w.t.Helper()
	return late.Find(w.server, &corev1.Secret{}, namespace, name)
}

// secrets are the Secrets of a namespace, by their names.
func (w *world) secrets(namespace string) (found []*corev1.Secret) {
	w.t.Helper()
	w.server.All("Secret", namespace, func(o client.Object) {
		if s, ok := o.(*corev1.Secret); ok {
			found = append(found, s)
		}
	})
	slices.SortFunc(found, func(a, b *corev1.Secret) int { return strings.Compare(a.Name, b.Name) })
	return found
}

// store writes a Secret of the registry.
func (w *world) store(name, kind string, annotations map[string]string, data map[string][]byte, err error) {
	w.t.Helper()
	w.server.Must(err)
	s := w.secret(registryOfWorld, name)
	if s == nil {
		s = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: registryOfWorld, Name: name, Annotations: annotations}, Type: corev1.SecretType(kind), Data: data}
		w.server.Identify(s)
		w.server.Must(w.server.Create(w.t.Context(), s))
		return
	}
	for entry, value := range data {
		if string(s.Data[entry]) != string(value) {
			s.Data = data
			w.server.Must(w.server.Update(w.t.Context(), s))
			return
		}
	}
}

// register writes the records of the clients and of the resource, as their controllers do, and
// deletes those of clients that are gone.
func (w *world) register() {
	w.t.Helper()
	for _, name := range []string{"app", "other"} {
		c := late.Find(w.server, &v1alpha1.OAuth2Client{}, "shop", name)
		if c == nil {
			w.remove(registration.SecretName("shop." + name))
			continue
		}
		data, err := registration.Encode(registration.Registration{Client: w.clientOf(c)})
		w.store(registration.SecretName(c.ClientID()), registration.SecretType,
			map[string]string{v1alpha1.AnnotationClientNamespace: "shop", v1alpha1.AnnotationClient: name}, data, err)
	}
	r := late.Find(w.server, &v1alpha1.OAuth2Resource{}, "orders", "api")
	if r == nil {
		w.remove(registration.ResourceSecretName(identifierOfWorld))
		return
	}
	resource := oauth2.Resource{Identifier: identifierOfWorld, UID: string(r.UID), Namespace: "orders", Name: "api", TokenLifetime: r.Spec.TokenLifetime.Or(0)}
	for _, s := range r.Spec.Scopes {
		resource.Scopes = append(resource.Scopes, string(s.Name))
	}
	resource.Consents = []oauth2.Consent{{Namespaces: []string{"shop"}, Scopes: resource.Scopes}}
	data, err := registration.EncodeResource(resource)
	w.store(registration.ResourceSecretName(identifierOfWorld), registration.ResourceSecretType,
		map[string]string{v1alpha1.AnnotationResourceNamespace: "orders", v1alpha1.AnnotationResource: "api"}, data, err)
}

// clientOf is a client as its controller registers it.
func (w *world) clientOf(c *v1alpha1.OAuth2Client) oauth2.Client {
	if at := c.Spec.RevokeTokensIssuedBefore; at != nil && !w.asked[string(c.UID)].Asked.Equal(at.Time) {
		w.asked[string(c.UID)] = oauth2.Revocation{Asked: at.UTC(), Before: oauth2.CutBack(at.Time, w.clock.Now())}
	}
	made := oauth2.Client{
		ID: c.ClientID(), UID: string(c.UID), Namespace: c.Namespace, Name: c.Name, Suspended: c.Spec.State == v1alpha1.ClientSuspended,
		Credentials: oauth2.Credentials{KeysOnly: c.Spec.Authentication.Method == v1alpha1.ByPrivateKeyJWT},
		Revocation:  w.asked[string(c.UID)], Scopes: policy.Texts(c.Spec.Scopes), Tokens: oauth2.TokenForm{Lifetime: time.Hour},
	}
	for _, access := range c.Spec.Access {
		made.Access = append(made.Access, oauth2.Access{
			Resource: oauth2.ObjectName{Namespace: string(access.ResourceNamespace), Name: access.ResourceName}, Scopes: []string{"s0"},
		})
	}
	return made
}

// remove deletes a Secret of the registry, if it is there.
func (w *world) remove(name string) {
	w.t.Helper()
	if s := w.secret(registryOfWorld, name); s != nil {
		w.server.Must(w.server.Delete(w.t.Context(), s))
	}
}

// collect deletes the records of OAuth2Tokens that are gone, as the controller of the registry
// does.
func (w *world) collect() {
	w.t.Helper()
	o := w.object()
	for _, s := range w.secrets(registryOfWorld) {
		if s.Type == registration.TokenSecretType && (o == nil || s.Name != registration.TokenSecretName(string(o.UID))) {
			w.server.Must(w.server.Delete(w.t.Context(), s))
		}
	}
}

var pool struct { // a key takes longer to make than a history
	sync.Mutex

	keys []crypto.Signer
}

// newKey is a key that the ring never had.
func (w *world) newKey(algorithm jws.Algorithm) (crypto.Signer, error) {
	pool.Lock()
	defer pool.Unlock()
	if w.made++; w.made > len(pool.keys) {
		key, err := keyring.Generate(algorithm)
		if err != nil {
			return nil, err
		}
		pool.keys = append(pool.keys, key)
	}
	return pool.keys[w.made-1], nil
}

// rotateKeys brings the signing keys forward, as their controller does.
func (w *world) rotateKeys(order keyring.Order) {
	w.t.Helper()
	rotated, err := keyring.Rotate(w.ring, keyring.At(w.clock.Now()), keyring.DefaultPolicy(time.Hour), order, w.newKey)
	w.server.Must(err)
	if rotated.Changed {
		w.ring = rotated.Ring
		data, err := registration.EncodeKeys(w.ring)
		w.store(registration.KeysSecretName, registration.KeysSecretType, nil, data, err)
	}
}

// revoke creates a TokenRevocation. The token servers know it at once, managers once their caches
// are current.
func (w *world) revoke(object *v1alpha1.TokenRevocation) {
	w.t.Helper()
	object.Namespace, object.CreationTimestamp = registryOfWorld, metav1.NewTime(w.clock.Now())
	selector, revoked, err := revocation.Read(object)
	w.server.Must(err)
	if selector != nil {
		w.revoked.Select(object.Name, *selector)
	} else {
		w.revoked.Learn(revoked, w.clock.Now())
	}
	w.revocations = append(w.revocations, object)
}

// notice has a manager notice which OAuth2Tokens were deleted.
func (m *manager) notice(ctx context.Context) {
	for _, o := range m.gone {
		m.afterDeletion(fair.NewBurst(m.waitingForRoom))(ctx, event.DeleteEvent{Object: o}, noQueue{})
	}
	m.gone = nil
}

// noQueue drops requests: histories reconcile anyway.
type noQueue struct {
	workqueue.TypedRateLimitingInterface[reconcile.Request]
}

func (noQueue) AddAfter(reconcile.Request, time.Duration) {}

// minted is the record of the OAuth2Token with that UID, as it is stored; nil if there is none that
// can be read.
func (w *world) minted(uid string) *oauth2.Minted {
	w.t.Helper()
	s := w.secret(registryOfWorld, registration.TokenSecretName(uid))
	if s == nil {
		return nil
	}
	m, err := registration.DecodeToken(s.Data)
	if err != nil {
		return nil
	}
	return &m
}
