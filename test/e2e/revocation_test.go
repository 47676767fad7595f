// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	tokenserver "github.com/hallpass-dev/hallpass/cmd/tokenserver/app"
	"github.com/hallpass-dev/hallpass/internal/revocation"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

func TestTheAPIServerRefusesBadRevocations(t *testing.T) {
	const (
		form     = "give a selector, such as selector: {issuedBefore: 2026-11-23T12:00:00Z, namespace: shop}"
		one      = "a selector names one of namespace, clientID, subject and issuerName: exactly one of them"
		entries  = "entries are 20 bytes each, in base64: 16 of the id and 4 of the end"
		idText   = "clientID is a client_id such as shop.reporting: printable ASCII without spaces"
		nameText = "namespace is the name of a namespace: lower-case letters, digits and hyphens"
		end      = ", expiresAt: '2030-01-01T00:00:00Z'}"
		since    = "selector: {issuedBefore: '2026-11-23T12:00:00Z', "

		redemption = "{clientID: shop.web, namespace: shop, grantID: g, attempt: a, expiresAt: '2030-01-01T00:00:00Z'}"
	)
	bytes := func(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for spec, message := range map[string]string{
		since + "namespace: shop}":                                          "",
		since + "clientID: shop.reporting}":                                 "",
		since + "subject: 'user:corp:00u1:x'}":                              "",
		since + "issuerName: corp}":                                         "",
		since + "issuerName: corp, subject: 'user:corp:x'}":                 one,
		since + "issuerName: corp, namespace: shop}":                        one,
		since + "issuerName: corp.example.com}":                             "issuerName is the name of an OAuth2TrustedIssuer",
		since + "subject: shop.reporting}":                                  "subject is the sub of a person, such as user:corp:00u1a2b3",
		since + "subject: 'User:corp:x'}":                                   "subject is the sub of a person",
		since + "subject: 'user:corp:x y'}":                                 "subject is the sub of a person",
		since + "subject: 'user:Corp:x'}":                                   "subject is the sub of a person",
		since + "clientID: LfXJilIBdz4}":                                    "",
		"selector: {issuedBefore: '2099-01-01T00:00:00Z', namespace: shop}": "",
		"{}":                                   form,
		"selector: {}":                         "spec.selector.issuedBefore: Required value",
		"selector: {namespace: shop}":          "spec.selector.issuedBefore: Required value",
		since + "}":                            one,
		since + "namespace: a, clientID: b.c}": one,
		since + "namespace: ''}":               "should be at least 1 chars long",
		since + "namespace: shop.reporting}":   nameText,
		since + "namespace: '*'}":              nameText,
		since + "namespace: " + strings.Repeat("a", 64) + "}":                         "may not be more than 63",
		since + "clientID: 'a b'}":                                                    idText,
		since + "clientID: 'a:b'}":                                                    "",
		since + "name: shop}":                                                         "unknown field",
		"selector: {issuedBefore: now, namespace: shop}":                              "must be of type date-time",
		"selector: {issuedBefore: '1970-01-01T00:00:00Z', namespace: shop}":           "issuedBefore is too early: there is no older token",
		"batch: {tokens: " + bytes(20) + end:                                          "",
		"batch: {tokens: " + bytes(20*8192) + ", assertions: " + bytes(20*8192) + end: "",
		"batch: {tokens: " + bytes(20*8193) + end:                                     "may not be more than 218456",
		"batch: {tokens: " + bytes(20) + ", origins: " + bytes(380<<10) + end:         "",
		"batch: {tokens: " + bytes(20) + ", origins: " + bytes(385<<10) + end:         "may not be more than 524288",
		"batch: {tokens: " + bytes(21) + end:                                          entries,
		"batch: {assertions: " + bytes(39) + end:                                      entries,
		"batch: {tokens: " + bytes(20)[:27] + end:                                     entries,
		"batch: {tokens: " + strings.Repeat("+/", 13) + "+=" + end:                    "",
		"batch: {tokens: '" + strings.Repeat("*", 28) + "'" + end:                     "should match",
		"batch: {tokens: ''" + end:                                                    "should be at least 28 chars long",
		"batch: {" + strings.TrimPrefix(end, ", "):                                    "a batch needs tokens, assertions or generations",
		"batch: {generations: " + bytes(40) + end:                                     "",
		"batch: {generations: " + bytes(440<<10) + end:                                "may not be more than 595288",
		"redemption: " + redemption:                                                   "only the token servers record that an authorization code was redeemed",
		"redemption: {clientID: shop.web}":                                            "spec.redemption.expiresAt: Required value",
		"{redemption: " + redemption + ", batch: {tokens: " + bytes(20) + end + "}":   form,
		"batch: {tokens: " + bytes(20) + "}":                                          "spec.batch.expiresAt: Required value",
		"{" + since + "namespace: a}, batch: {tokens: " + bytes(20) + end + "}":       form,
	} {
		t.Run(spec[:min(len(spec), 60)], func(t *testing.T) {
			var fields map[string]any
			must(t, yaml.Unmarshal([]byte(spec), &fields))
			object := &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": "hallpass.dev/v1alpha1", "kind": "TokenRevocation",
				"metadata": map[string]any{"namespace": installation.RegistryNamespace, "generateName": "spec-"}, "spec": fields,
			}}
			err := cluster.Create(t.Context(), object, client.DryRunAll, client.FieldValidation("Strict"))
			if message == "" && err != nil {
				t.Errorf("refused: %v", err)
			}
			if message != "" && (err == nil || !strings.Contains(err.Error(), message)) {
				t.Errorf("%v, want a refusal that says %q", err, message)
			}
		})
	}
}

// What a token server collapsed shows at its client for as long as the newest selector is there.
// What a person made of one is never touched.
func TestCollapsedRevocationsShowAtTheirClient(t *testing.T) {
	c, other := apply(t, "collapsing", newClient("busy")), apply(t, "collapsing", newClient("other"))
	shows := func(c *v1alpha1.OAuth2Client) bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(c), c))
		return meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionRevocationsCollapsed)
	}
	write := func(s revocation.Selector, change func(*v1alpha1.TokenRevocation)) *v1alpha1.TokenRevocation {
		object := &v1alpha1.TokenRevocation{
			ObjectMeta: metav1.ObjectMeta{Namespace: installation.RegistryNamespace, Name: s.Name(), Labels: map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}},
			Spec: v1alpha1.TokenRevocationSpec{Selector: v1alpha1.RevocationSelector{
				ClientID: s.ClientID, Namespace: s.Namespace, IssuedBefore: new(metav1.NewTime(s.IssuedBefore)),
			}},
		}
		change(object)
		must(t, cluster.Create(t.Context(), object))
		t.Cleanup(func() { _ = cluster.Delete(context.WithoutCancel(t.Context()), object) })
		return object
	}
	exists := func(object *v1alpha1.TokenRevocation) bool {
		err := cluster.Get(t.Context(), client.ObjectKeyFromObject(object), &v1alpha1.TokenRevocation{})
		must(t, client.IgnoreNotFound(err))
		return err == nil
	}
	asWritten := func(*v1alpha1.TokenRevocation) {}
	before := time.Now().Add(-30 * time.Minute).Truncate(time.Second)
	older := revocation.Selector{ClientID: "collapsing.busy", IssuedBefore: before}
	newer := revocation.Selector{ClientID: "collapsing.busy", IssuedBefore: before.Add(time.Minute)}

	first := write(older, asWritten)
	eventually(t, "the client shows it", func() bool { return shows(c) })
	copied := write(older, func(o *v1alpha1.TokenRevocation) { o.Name = "copied-by-a-person" })
	second := write(newer, asWritten)
	eventually(t, "the newest of the client is kept", func() bool { return !exists(first) })
	if !exists(second) || !exists(copied) {
		t.Errorf("the newest is there: %t; what a person made of the other: %t", exists(second), exists(copied))
	}
	if !shows(c) || shows(other) {
		t.Errorf("it shows at its client: %t; at another one: %t", shows(c), shows(other))
	}
	must(t, cluster.Delete(t.Context(), second))
	eventually(t, "the condition ends with the selector", func() bool { return !shows(c) })

	whole := write(revocation.Selector{Namespace: "collapsing", IssuedBefore: before}, asWritten)
	eventually(t, "that of a namespace shows at each client", func() bool { return shows(c) && shows(other) })
	must(t, cluster.Delete(t.Context(), whole))
	eventually(t, "and ends", func() bool { return !shows(c) && !shows(other) })
}

func TestARevocationCannotBeChanged(t *testing.T) {
	object := &v1alpha1.TokenRevocation{
		ObjectMeta: metav1.ObjectMeta{Namespace: installation.RegistryNamespace, Name: "immutable"},
		Spec:       v1alpha1.TokenRevocationSpec{Selector: v1alpha1.RevocationSelector{IssuedBefore: new(metav1.Now()), Namespace: "nowhere"}},
	}
	must(t, cluster.Create(t.Context(), object))
	defer func() { _ = cluster.Delete(context.WithoutCancel(t.Context()), object) }()
	before := object.DeepCopy()
	object.Spec.Selector.Namespace = "elsewhere"
	// a patch, because the manager may write the status meanwhile
	if err := cluster.Patch(t.Context(), object, client.MergeFrom(before)); err == nil || !strings.Contains(err.Error(), "a TokenRevocation cannot be changed; create another one") {
		t.Errorf("changed: %v", err)
	}
}

// replica is a token server beside the one of the installation.
type replica struct {
	url  string
	stop func() error
}

// startReplica starts a token server with the options of the installation, changed.
func startReplica(t *testing.T, change ...func(*tokenserver.Options)) *replica {
	t.Helper()
	config, err := hallpass.ControlPlane.ServiceAccountConfig(t.Context(), installation.SystemNamespace, installation.TokenServerAccount)
	must(t, err)
	type addresses struct{ public, ops string }
	listening, stopped := make(chan addresses, 1), make(chan error, 1)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	options := tokenserver.Options{
		Issuer: hallpass.Issuer, REST: config, RegistryNamespace: installation.RegistryNamespace,
		Listen: "localhost:0", OpsListen: "127.0.0.1:0", RequireHTTPS: true, Log: hallpass.Log,
		CertFile: filepath.Join(filepath.Dir(hallpass.CAFile), "tls.crt"), KeyFile: filepath.Join(filepath.Dir(hallpass.CAFile), "tls.key"),
		Listening: func(public, ops string) { listening <- addresses{public, ops} },
	}
	for _, c := range change {
		c(&options)
	}
	go func() { stopped <- tokenserver.Run(ctx, options) }()
	at := <-listening
	eventually(t, "the replica is ready", func() bool { return installation.Ready(t.Context(), "http://"+at.ops) })
	r := &replica{url: "https://localhost:" + at.public[strings.LastIndex(at.public, ":")+1:]}
	r.stop = func() error {
		cancel()
		return <-stopped
	}
	r.stop = sync.OnceValue(r.stop)
	t.Cleanup(func() { must(t, r.stop()) })
	return r
}

// ask sends a form to a path of a replica as a client.
func (r *replica) ask(t *testing.T, as *corev1.Secret, path string, form url.Values) (int, map[string]any) {
	t.Helper()
	there := as.DeepCopy()
	there.Data["url"] = []byte(r.url + path)
	return post(t, there, "url", form)
}

func (r *replica) active(t *testing.T, as *corev1.Secret, token string) bool {
	t.Helper()
	status, body := r.ask(t, as, "/oauth2/introspect", url.Values{"token": {token}})
	if status != http.StatusOK {
		t.Fatalf("introspection: %d %v", status, body)
	}
	active, _ := body["active"].(bool)
	return active
}

func TestARevokedTokenIsRefusedByEveryReplicaAndByLaterOnes(t *testing.T) {
	caller := credentials(t, apply(t, "revoking", newClient("caller")))
	api := credentials(t, apply(t, "revoking", newClient("api")))
	one, two := startReplica(t), startReplica(t)
	token, other := fetch(t, caller), fetch(t, caller)
	for _, r := range []*replica{one, two} {
		if !r.active(t, api, token) {
			t.Fatal("the token is not good to begin with")
		}
	}
	if status, body := one.ask(t, api, "/oauth2/revoke", url.Values{"token": {token}}); status != http.StatusBadRequest || body["error"] != "unauthorized_client" {
		t.Errorf("another client revokes it: %d %v", status, body)
	}
	if status, body := one.ask(t, caller, "/oauth2/revoke", url.Values{"token": {token}}); status != http.StatusOK {
		t.Fatalf("revoke: %d %v", status, body)
	}
	if one.active(t, api, token) {
		t.Error("the replica that was asked still honours it")
	}
	eventually(t, "the other replica refuses it", func() bool { return !two.active(t, api, token) })
	must(t, one.stop())
	must(t, two.stop())
	three := startReplica(t)
	if three.active(t, api, token) {
		t.Error("a replica that was started later honours it")
	}
	if !three.active(t, api, other) {
		t.Error("the other token was revoked too")
	}
}

// Batches as three replicas write them under load become few, and every token in them stays
// revoked.
func TestSmallBatchesAreMergedAndStayRevoked(t *testing.T) {
	caller := credentials(t, apply(t, "merging", newClient("caller")))
	tokens := make([]string, 20)
	batches := func() map[string]bool {
		var all v1alpha1.TokenRevocationList
		must(t, cluster.List(t.Context(), &all, client.InNamespace(installation.RegistryNamespace)))
		found := map[string]bool{}
		for i := range all.Items {
			// used assertions alone are not merged
			if all.Items[i].Spec.Batch.Tokens != "" {
				found[all.Items[i].Name] = true
			}
		}
		return found
	}
	must(t, hallpass.StopManager())
	before := batches()
	r := startReplica(t)
	for i := range tokens { // one after another, each in a batch of its own
		tokens[i] = fetch(t, caller)
		if status, body := r.ask(t, caller, "/oauth2/revoke", url.Values{"token": {tokens[i]}}); status != http.StatusOK {
			t.Fatalf("revoke: %d %v", status, body)
		}
	}
	written := batches()
	if len(written)-len(before) < len(tokens) {
		t.Fatalf("%d batches, %d before; the test wants one for each token", len(written), len(before))
	}
	must(t, hallpass.StartManager(t.Context()))
	eventually(t, "the batches are merged", func() bool {
		now := batches()
		for name := range written {
			if now[name] {
				return false
			}
		}
		return len(now) == 1
	})
	later := startReplica(t)
	for _, token := range tokens {
		if later.active(t, caller, token) {
			t.Fatal("a replica that was started later honours a token that was revoked before the merge")
		}
	}
}

func TestASelectorTakesBackTheTokensOfANamespaceOrClient(t *testing.T) {
	there := startReplica(t)
	for name, selector := range map[string]v1alpha1.RevocationSelector{
		"client": {ClientID: "takenback-client.caller"}, "namespace": {Namespace: "takenback-namespace"},
	} {
		t.Run(name, func(t *testing.T) {
			namespace := "takenback-" + name
			caller := credentials(t, apply(t, namespace, newClient("caller")))
			neighbour := credentials(t, apply(t, namespace, newClient("neighbour")))
			token, neighbours := fetch(t, caller), fetch(t, neighbour)
			// is cut back to now
			selector.IssuedBefore = new(metav1.NewTime(time.Now().AddDate(1, 0, 0)))
			revocation := &v1alpha1.TokenRevocation{
				ObjectMeta: metav1.ObjectMeta{Namespace: installation.RegistryNamespace, Name: namespace},
				Spec:       v1alpha1.TokenRevocationSpec{Selector: selector},
			}
			must(t, cluster.Create(t.Context(), revocation))
			defer func() { must(t, cluster.Delete(context.WithoutCancel(t.Context()), revocation)) }()
			eventually(t, "its tokens are refused", func() bool { return !there.active(t, caller, token) })
			if active := there.active(t, neighbour, neighbours); active != (name == "client") {
				t.Errorf("the neighbour's token is active: %v", active)
			}
			status, body := there.ask(t, caller, "/oauth2/token", url.Values{"grant_type": {"client_credentials"}})
			fresh, _ := body["access_token"].(string)
			if status != http.StatusOK || !there.active(t, caller, fresh) {
				t.Errorf("a token that was issued later is not good: %d", status)
			}
		})
	}
}

// issuedAt is the iat of a token.
func issuedAt(t *testing.T, token string) int64 {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	must(t, err)
	var claims struct {
		IssuedAt int64 `json:"iat"`
	}
	must(t, json.Unmarshal(payload, &claims))
	return claims.IssuedAt
}

func TestAClientTakesItsOwnTokensBackBySpec(t *testing.T) {
	c := apply(t, "bespoke", newClient("caller"))
	caller := credentials(t, c)
	there := startReplica(t)
	token := fetch(t, caller)
	update(t, c, func() { c.Spec.RevokeTokensIssuedBefore = new(metav1.NewTime(time.Now().AddDate(1, 0, 0))) })
	eventually(t, "its token is refused", func() bool { return !there.active(t, caller, token) })
	// Once the manager has cut it back to now, new tokens are good.
	var fresh string
	eventually(t, "a new token is good", func() bool {
		_, body := there.ask(t, caller, "/oauth2/token", url.Values{"grant_type": {"client_credentials"}})
		fresh, _ = body["access_token"].(string)
		return fresh != "" && there.active(t, caller, fresh)
	})
	if there.active(t, caller, token) {
		t.Error("the token from before is good again")
	}
	update(t, c, func() { c.Spec.DisplayName = "Something else" })
	eventually(t, "the manager has seen another change", func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(c), c))
		return c.Status.ObservedGeneration == c.Generation && time.Now().Unix() > issuedAt(t, fresh)
	})
	if !there.active(t, caller, fresh) {
		t.Error("another change of the client took its tokens back once more")
	}
	update(t, c, func() { c.Spec.RevokeTokensIssuedBefore = new(metav1.NewTime(time.Now().AddDate(2, 0, 0))) })
	eventually(t, "another value takes the new one back", func() bool { return !there.active(t, caller, fresh) })
}

// TestASelectorThatNamesNoClientSaysSo: a typing error revokes nothing.
func TestASelectorThatNamesNoClientSaysSo(t *testing.T) {
	revoking := func(name string, selector v1alpha1.RevocationSelector) *v1alpha1.TokenRevocation {
		selector.IssuedBefore = new(metav1.Now())
		object := &v1alpha1.TokenRevocation{
			ObjectMeta: metav1.ObjectMeta{Namespace: installation.RegistryNamespace, Name: name}, Spec: v1alpha1.TokenRevocationSpec{Selector: selector},
		}
		must(t, cluster.Create(t.Context(), object))
		t.Cleanup(func() { _ = cluster.Delete(context.WithoutCancel(t.Context()), object) })
		return object
	}
	says := func(object *v1alpha1.TokenRevocation, reason string) {
		t.Helper()
		eventually(t, object.Name+" says "+reason, func() bool {
			must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(object), object))
			ready := meta.FindStatusCondition(object.Status.Conditions, v1alpha1.ConditionReady)
			return ready != nil && ready.Reason == reason && (ready.Status == metav1.ConditionTrue) == (reason == v1alpha1.ReasonInForce)
		})
	}
	ofClient, ofNamespace := revoking("of-client", v1alpha1.RevocationSelector{ClientID: "misspelt.app"}), revoking("of-namespace", v1alpha1.RevocationSelector{Namespace: "misspelt"})
	says(ofClient, v1alpha1.ReasonClientNotFound)
	says(ofNamespace, v1alpha1.ReasonClientNotFound)
	c := apply(t, "misspelt", newClient("app"))
	says(ofClient, v1alpha1.ReasonInForce)
	says(ofNamespace, v1alpha1.ReasonInForce)
	must(t, cluster.Delete(t.Context(), c))
	says(ofClient, v1alpha1.ReasonClientNotFound)
	says(ofNamespace, v1alpha1.ReasonClientNotFound)
	var all v1alpha1.TokenRevocationList
	must(t, cluster.List(t.Context(), &all, client.InNamespace(installation.RegistryNamespace)))
	for _, object := range all.Items {
		if object.Spec.Selector.IssuedBefore == nil && len(object.Status.Conditions) > 0 {
			t.Errorf("the batch %s has a status", object.Name)
		}
	}
}

func TestARevocationOutsideTheRegistryIsRefused(t *testing.T) {
	makeNamespace(t, "elsewhere", nil)
	err := cluster.Create(t.Context(), &v1alpha1.TokenRevocation{
		ObjectMeta: metav1.ObjectMeta{Namespace: "elsewhere", Name: "lost"},
		Spec:       v1alpha1.TokenRevocationSpec{Selector: v1alpha1.RevocationSelector{IssuedBefore: new(metav1.Now()), Namespace: "elsewhere"}},
	})
	if err == nil || !strings.Contains(err.Error(), "revokes nothing in this namespace") {
		t.Errorf("%v", err)
	}
}
