// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
	kitworld "github.com/hallpass-dev/hallpass/test/kit/world"
)

const (
	// standing is how many objects of a kind a tenant has at a time: each new one deletes an
	// old one.
	standing = 5
	// atOnce is how much a tenant has under way; its turns are left out meanwhile.
	atOnce = 2
	// accountTokens are those of a tenant's service account, each of which is reviewed on its
	// own.
	accountTokens = 10
	// failed is the status of an action without an answer, or whose object was refused.
	failed = "failed"
)

// action is something that a hostile tenant does, and how often in a round.
type action struct {
	name  string
	times int
	do    func(*attacker, context.Context) (status string)
}

// actions cause CPU in equal parts, roughly: of writes the API server and the manager have more to
// do than the token server of requests.
var actions = []action{ //nolint:gochecknoglobals // a constant list
	{"clients", 1, (*attacker).client},
	{"tokens on record", 1, (*attacker).fixedToken},
	{"resources", 1, (*attacker).resource},
	{"tokens", 20, (*attacker).token},
	{"introspections", 20, (*attacker).introspect},
	{"revocations", 20, (*attacker).revoke},
	{"assertions", 20, (*attacker).assertion},
	{"reviews", 20, (*attacker).review},
	{"made-up credentials", 40, (*attacker).guess},
}

// hostile is the process of all hostile tenants. Its level is how many rounds of actions all
// tenants together do in a second.
func hostile(ctx context.Context, in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	var o assignment
	lines.Scan()
	if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
		return fmt.Errorf("read the assignment: %w", err)
	}
	admin, err := adminConfig(o.Kubeconfig)
	if err != nil {
		return err
	}
	var tenants []*attacker
	for i := range o.Tenants {
		a, err := newAttacker(ctx, admin, o.Issuer, i)
		if err != nil {
			return err
		}
		tenants = append(tenants, a)
	}
	if _, err := fmt.Fprintln(out, "ready"); err != nil {
		return err
	}
	var level atomic.Uint64
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { attack(ctx, tenants, func() float64 { return math.Float64frombits(level.Load()) }) })
	levels(lines, func(l float64) { level.Store(math.Float64bits(l)) })
	stop()
	running.Wait()
	_, err = fmt.Fprintln(out, counted(tenants))
	return err
}

// round is the order of a tenant's actions: each once, and then those that are left.
func round() []action {
	var order []action
	for left := slices.Clone(actions); len(left) > 0; {
		for i := range left {
			order = append(order, left[i])
			left[i].times--
		}
		left = slices.DeleteFunc(left, func(a action) bool { return a.times == 0 })
	}
	return order
}

// attack begins one action after the other, tenant by tenant, as often as the level sets. A tenant
// that has enough under way is left out, and continues where it was.
func attack(ctx context.Context, tenants []*attacker, level func() float64) {
	const idle = 50 * time.Millisecond
	order := round()
	// unauthenticated callers do not act in step: all at once would be a burst and no pace
	for i, a := range tenants {
		a.begun = i * len(order) / len(tenants)
	}
	var begun sync.WaitGroup
	defer begun.Wait()
	due := time.Now()
	for i := 0; ctx.Err() == nil; {
		rate := level() * float64(len(order))
		if rate <= 0 {
			time.Sleep(idle)
			due = time.Now()
			continue
		}
		due = due.Add(time.Duration(float64(time.Second) / rate))
		time.Sleep(time.Until(due))
		a := tenants[i%len(tenants)]
		i++
		select {
		case a.places <- struct{}{}:
		default:
			a.count("left out", "")
			continue
		}
		what := order[a.begun%len(order)]
		a.begun++
		begun.Go(func() {
			defer func() { <-a.places }()
			a.count(what.name, what.do(a, ctx))
		})
	}
}

// attacker is a hostile tenant.
type attacker struct {
	namespace string
	cluster   client.Client
	http      *http.Client
	issuer    string

	secret caller
	signer *jws.Signer
	pods   []string // tokens of its service account

	places chan struct{}
	begun  int                    // actions
	made   atomic.Int64           // names, and uses of pods
	last   atomic.Pointer[string] // token

	mu     sync.Mutex
	counts map[string]int
	// there are the names of the objects that it has made, by kind, the oldest first.
	there map[string][]string
}

func newAttacker(ctx context.Context, admin *rest.Config, issuer string, i int) (_ *attacker, err error) {
	const firstSource = 10
	a := &attacker{
		namespace: fmt.Sprintf("hostile-%d", i), issuer: issuer, http: httpFrom(fmt.Sprintf("127.0.0.%d", firstSource+i)),
		places: make(chan struct{}, atOnce), counts: map[string]int{}, there: map[string][]string{},
	}
	if a.cluster, err = tenant(ctx, admin, a.namespace); err != nil {
		return nil, err
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	if a.signer, err = jws.NewSigner(jws.ES256, private); err != nil {
		return nil, err
	}
	jwk, err := a.signer.Public().JWK()
	if err != nil {
		return nil, err
	}
	set, err := json.Marshal(map[string]any{"keys": []any{jwk}})
	if err != nil {
		return nil, fmt.Errorf("make a key set: %w", err)
	}
	keyed, podded := kitworld.NewClient("keyed"), kitworld.NewClient("podded")
	keyed.Spec.Authentication = v1alpha1.AuthenticationSpec{
		Method: v1alpha1.ByPrivateKeyJWT, PrivateKeyJWT: v1alpha1.PrivateKeyJWTSpec{JWKS: string(set)},
	}
	podded.Spec.Authentication = v1alpha1.AuthenticationSpec{
		Method: v1alpha1.ByServiceAccount, ServiceAccount: v1alpha1.ServiceAccountSpec{Name: "worker"},
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: a.namespace, Name: "worker"}}
	for _, object := range []client.Object{account, kitworld.NewClient("caller"), keyed, podded} {
		object.SetNamespace(a.namespace)
		if err := a.cluster.Create(ctx, object); err != nil {
			return nil, fmt.Errorf("set up a hostile tenant: %w", err)
		}
	}
	for range accountTokens {
		request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{issuer}}}
		if err := a.cluster.SubResource("token").Create(ctx, account, request); err != nil {
			return nil, fmt.Errorf("request a token of a service account: %w", err)
		}
		a.pods = append(a.pods, request.Status.Token)
	}
	for _, c := range []*v1alpha1.OAuth2Client{kitworld.NewClient("caller"), keyed, podded} {
		key := client.ObjectKey{Namespace: a.namespace, Name: c.Name}
		if err := installation.Wait(ctx, "a hostile client is ready", func() (bool, error) {
			err := a.cluster.Get(ctx, key, c)
			return err == nil && meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady), err
		}); err != nil {
			return nil, err
		}
	}
	a.secret, err = credentials(ctx, a.cluster, a.namespace, "caller")
	return a, err
}

// httpFrom connects from an address of this host.
func httpFrom(address string) *http.Client {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	return &http.Client{Timeout: patience, Transport: &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: atOnce}}
}

func (a *attacker) count(what, status string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.counts[what+" "+status]++
}

// counted is what all tenants have done.
func counted(tenants []*attacker) string {
	sum := map[string]int{}
	for _, a := range tenants {
		for what, n := range a.counts {
			sum[strings.TrimSpace(what)] += n
		}
	}
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(sum)) {
		parts = append(parts, fmt.Sprintf("%s: %d", what, sum[what]))
	}
	return strings.Join(parts, ", ")
}

// replace creates an object under a new name and deletes the oldest of its kind.
func (a *attacker) replace(ctx context.Context, object client.Object) string {
	object.SetNamespace(a.namespace)
	object.SetName(fmt.Sprintf("made-%d", a.made.Add(1)))
	if err := a.cluster.Create(ctx, object); err != nil {
		return failed
	}
	if oldest := a.remember(fmt.Sprintf("%T", object), object.GetName()); oldest != "" {
		object.SetName(oldest)
		object.SetUID("")
		object.SetResourceVersion("")
		if err := a.cluster.Delete(ctx, object); err != nil {
			return failed
		}
	}
	return "done"
}

// remember notes an object, and returns one that there is no room for beside it.
func (a *attacker) remember(kind, name string) (oldest string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.there[kind] = append(a.there[kind], name)
	if names := a.there[kind]; len(names) > standing {
		oldest, a.there[kind] = names[0], names[1:]
	}
	return oldest
}

func (a *attacker) client(ctx context.Context) string { return a.replace(ctx, kitworld.NewClient("")) }

func (a *attacker) fixedToken(ctx context.Context) string {
	return a.replace(ctx, &v1alpha1.OAuth2Token{Spec: v1alpha1.OAuth2TokenSpec{
		ClientRef: v1alpha1.LocalClientReference{Name: "caller"}, Mode: v1alpha1.TokenFixed,
		ExpirationTime: new(metav1.NewTime(time.Now().Add(time.Hour))),
	}})
}

func (a *attacker) resource(ctx context.Context) string {
	return a.replace(ctx, &v1alpha1.OAuth2Resource{Spec: v1alpha1.OAuth2ResourceSpec{
		Scopes: []v1alpha1.ResourceScope{{Name: "read"}},
		Grants: []v1alpha1.ResourceGrant{{
			From: v1alpha1.GrantSource{Namespaces: []v1alpha1.NamespaceName{v1alpha1.NamespaceName(a.namespace)}}, Scopes: []v1alpha1.Scope{"read"},
		}},
	}})
}

// send sends a form and returns the status as a text, and the body.
func (a *attacker) send(ctx context.Context, path string, as caller, form url.Values) (status, body string) {
	code, body, err := postAs(ctx, a.http, a.issuer+path, as, form)
	if err != nil {
		return failed, ""
	}
	return strconv.Itoa(code), body
}

func (a *attacker) token(ctx context.Context) string {
	status, body := a.send(ctx, oauth2.TokenPath, a.secret, url.Values{"grant_type": {"client_credentials"}})
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err == nil && answer.Token != "" {
		a.last.Store(&answer.Token)
	}
	return status
}

// lastToken is the token that was fetched last, or nothing that is a token.
func (a *attacker) lastToken() string {
	if token := a.last.Load(); token != nil {
		return *token
	}
	return "none"
}

func (a *attacker) introspect(ctx context.Context) string {
	status, _ := a.send(ctx, oauth2.IntrospectionPath, a.secret, url.Values{"token": {a.lastToken()}})
	return status
}

func (a *attacker) revoke(ctx context.Context) string {
	status, _ := a.send(ctx, oauth2.RevocationPath, a.secret, url.Values{"token": {a.lastToken()}})
	return status
}

// assert asks for a token with a JWT that names the client.
func (a *attacker) assert(ctx context.Context, clientID, assertion string) string {
	status, _ := a.send(ctx, oauth2.TokenPath, caller{}, url.Values{
		"grant_type": {"client_credentials"}, "client_id": {clientID}, "client_assertion_type": {oauth2.AssertionType}, "client_assertion": {assertion},
	})
	return status
}

func (a *attacker) assertion(ctx context.Context) string {
	id := a.namespace + ".keyed"
	payload, err := json.Marshal(map[string]any{
		"iss": id, "sub": id, "aud": a.issuer, "exp": time.Now().Add(50 * time.Second).Unix(), "jti": rand.Text(),
	})
	if err != nil {
		return failed
	}
	signed, err := a.signer.Sign("JWT", payload)
	if err != nil {
		return failed
	}
	return a.assert(ctx, id, signed)
}

func (a *attacker) review(ctx context.Context) string {
	return a.assert(ctx, a.namespace+".podded", a.pods[int(a.made.Add(1))%len(a.pods)])
}

// guess presents a well-formed secret of a client that there is not.
func (a *attacker) guess(ctx context.Context) string {
	secret, err := oauth2.NewClientSecret(rand.Reader)
	if err != nil {
		return failed
	}
	made := caller{fmt.Sprintf("%s.guess-%d", a.namespace, a.made.Add(1)), secret.Value.Reveal()}
	status, _ := a.send(ctx, oauth2.TokenPath, made, url.Values{"grant_type": {"client_credentials"}})
	return status
}
