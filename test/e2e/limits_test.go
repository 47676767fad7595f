// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// numbered makes a policy that lets a namespace have so many objects of each kind.
func numbered(t *testing.T, namespace string, most int32) *v1alpha1.OAuth2Policy {
	t.Helper()
	policy := &v1alpha1.OAuth2Policy{ObjectMeta: metav1.ObjectMeta{Name: namespace}, Spec: v1alpha1.OAuth2PolicySpec{
		NamespaceSelector: v1alpha1.LabelMatch{MatchLabels: map[string]v1alpha1.LabelValue{corev1.LabelMetadataName: v1alpha1.LabelValue(namespace)}},
		MaxClients:        &most, MaxTokens: &most, MaxResources: &most,
	}}
	must(t, cluster.Create(t.Context(), policy))
	t.Cleanup(func() { _ = cluster.Delete(t.Context(), policy) })
	inForce(t, policy)
	return policy
}

func inForce(t *testing.T, policy *v1alpha1.OAuth2Policy) {
	t.Helper()
	eventually(t, "the policy is in force", func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(policy), policy))
		return policy.Status.ObservedGeneration == policy.Generation
	})
}

// withinLimits waits until an object has the condition WithinLimits with a reason, or has it no
// more.
func withinLimits(t *testing.T, o client.Object, conditions *[]metav1.Condition, reason string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s is beyond its limits for %q", o.GetName(), reason), func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(o), o))
		found := meta.FindStatusCondition(*conditions, v1alpha1.ConditionWithinLimits)
		return found == nil && reason == "" || found != nil && found.Reason == reason
	})
}

func TestANamespaceHasALimitedNumberOfObjects(t *testing.T) {
	makeNamespace(t, "numbered", nil)
	policy := numbered(t, "numbered", 1)
	first, second := newIn("numbered", "first"), newIn("numbered", "second")
	first.Finalizers = []string{holdFinalizer}
	apply(t, "numbered", first)
	must(t, cluster.Create(t.Context(), second))
	condition(t, second, metav1.ConditionFalse, v1alpha1.ReasonTooManyClients)

	printer, scanner := newToken("numbered", "printer", "first", v1alpha1.TokenFixed), newToken("numbered", "scanner", "first", v1alpha1.TokenFixed)
	minted(t, printer)
	must(t, cluster.Create(t.Context(), scanner))
	tokenIs(t, scanner, v1alpha1.ReasonTooManyTokens)
	must(t, cluster.Delete(t.Context(), printer))
	tokenIs(t, scanner, v1alpha1.ReasonIssued)

	api := declare(t, "numbered", "api", v1alpha1.OAuth2ResourceSpec{Scopes: scopesNamed("read")}, v1alpha1.ReasonDeclared)
	other := declare(t, "numbered", "other", v1alpha1.OAuth2ResourceSpec{Scopes: scopesNamed("read")}, v1alpha1.ReasonTooManyResources)
	must(t, cluster.Delete(t.Context(), api))
	resourceIs(t, other, v1alpha1.ConditionReady, v1alpha1.ReasonDeclared)

	// A client that a finalizer holds still takes its place, and what is on record of it is
	// emptied.
	must(t, cluster.Delete(t.Context(), first))
	eventually(t, "the record is emptied", func() bool {
		record := get(t, &corev1.Secret{}, installation.RegistryNamespace, registration.SecretName(first.ClientID()))
		registered, err := registration.Decode(record.Data)
		must(t, err)
		return registered.Client.UID == string(first.UID) && len(registered.Client.Credentials.Verifiers) == 0 && len(registered.Client.Scopes) == 0
	})
	update(t, second, func() { second.Spec.Description = "waits" })
	eventually(t, "the waiting client is looked at again", func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(second), second))
		return second.Status.ObservedGeneration == second.Generation
	})
	condition(t, second, metav1.ConditionFalse, v1alpha1.ReasonTooManyClients)
	must(t, unhold(t.Context(), first))
	condition(t, second, metav1.ConditionTrue, v1alpha1.ReasonRegistered)

	// What exists beyond a limit that is lowered still works.
	for _, most := range []int32{2, 0} {
		eventually(t, "the policy is changed", func() bool {
			must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(policy), policy))
			policy.Spec.MaxClients, policy.Spec.MaxTokens, policy.Spec.MaxResources = &most, &most, &most
			return cluster.Update(t.Context(), policy) == nil
		})
		inForce(t, policy)
		if most > 0 {
			renewing := newToken("numbered", "renewing", "second", v1alpha1.TokenRefreshing)
			must(t, cluster.Delete(t.Context(), scanner))
			minted(t, renewing)
			scanner = renewing
		}
	}
	withinLimits(t, second, &second.Status.Conditions, v1alpha1.ReasonTooManyClients)
	withinLimits(t, scanner, &scanner.Status.Conditions, v1alpha1.ReasonTooManyTokens)
	withinLimits(t, other, &other.Status.Conditions, v1alpha1.ReasonTooManyResources)
	condition(t, second, metav1.ConditionTrue, v1alpha1.ReasonRegistered)
	tokenIs(t, scanner, v1alpha1.ReasonIssued)
	resourceIs(t, other, v1alpha1.ConditionReady, v1alpha1.ReasonDeclared)
	if status, body := post(t, credentials(t, second), "token_url", url.Values{"grant_type": {"client_credentials"}}); status != 200 {
		t.Errorf("a client beyond a lowered limit: %d %v", status, body)
	}
	must(t, cluster.Delete(t.Context(), policy))
	withinLimits(t, second, &second.Status.Conditions, "")
	withinLimits(t, scanner, &scanner.Status.Conditions, "")
	withinLimits(t, other, &other.Status.Conditions, "")
}

// untilRefused creates objects until there is no room for one, and returns it.
func untilRefused(t *testing.T, object func(i int) client.Object) client.Object {
	t.Helper()
	const most = 60
	for i := range most {
		o := object(i)
		create(t, o)
		var ready *metav1.Condition
		eventually(t, o.GetName()+" is decided", func() bool {
			must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(o), o))
			ready = meta.FindStatusCondition(conditionsIn(o), v1alpha1.ConditionReady)
			return ready != nil && (ready.Status == metav1.ConditionTrue || ready.Reason == v1alpha1.ReasonTooManyBytes)
		})
		if ready.Reason == v1alpha1.ReasonTooManyBytes {
			return o
		}
	}
	t.Fatalf("there is room for %d objects", most)
	return nil
}

// A namespace fills the memory of the token servers that it may have with grants, JWK sets and
// tokens. Other namespaces do not notice, and what waits becomes ready when room comes.
func TestANamespaceIsStoppedAtItsBytes(t *testing.T) {
	const heavy = "heavy"
	granting := func(i int) client.Object {
		return resourceWith(heavy, fmt.Sprint("api-", i), func(spec *v1alpha1.OAuth2ResourceSpec) {
			for grant := range 32 { // 60 KiB
				var names []v1alpha1.NamespaceName
				for n := range 60 {
					names = append(names, v1alpha1.NamespaceName(fmt.Sprintf("n-%026d", 100*grant+n)))
				}
				spec.Grants = append(spec.Grants, v1alpha1.ResourceGrant{From: v1alpha1.GrantSource{Namespaces: names}, Scopes: []v1alpha1.Scope{"s"}})
			}
		})
	}
	keyed := func(i int) client.Object {
		var keys []string
		for n := range 45 {
			keys = append(keys, fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"%0256d"}`, n))
		}
		c := newIn(heavy, fmt.Sprint("keyed-", i))
		c.Spec.Authentication = v1alpha1.AuthenticationSpec{
			Method: v1alpha1.ByPrivateKeyJWT, PrivateKeyJWT: v1alpha1.PrivateKeyJWTSpec{JWKS: `{"keys":[` + strings.Join(keys, ",") + `]}`},
		}
		return c
	}
	printing := func(i int) client.Object {
		return newToken(heavy, fmt.Sprint("printer-", i), "app", v1alpha1.TokenRefreshing)
	}
	makeNamespace(t, heavy, nil)
	t.Cleanup(func() { // the memory of all tests is shared
		for _, kind := range []client.Object{&v1alpha1.OAuth2Resource{}, &v1alpha1.OAuth2Token{}, &v1alpha1.OAuth2Client{}} {
			_ = cluster.DeleteAllOf(context.Background(), kind, client.InNamespace(heavy))
		}
	})
	apply(t, heavy, newIn(heavy, "app"))
	waiting := []client.Object{untilRefused(t, granting), untilRefused(t, keyed), untilRefused(t, printing)}
	for _, name := range []string{registration.SecretName(heavy + "." + waiting[1].GetName()), registration.TokenSecretName(string(waiting[2].GetUID()))} {
		err := cluster.Get(t.Context(), types.NamespacedName{Namespace: installation.RegistryNamespace, Name: name}, &corev1.Secret{})
		if !apierrors.IsNotFound(err) {
			t.Errorf("a record without room is there (%v)", err)
		}
	}
	other := newIn("light", "app")
	apply(t, "light", other)
	condition(t, other, metav1.ConditionTrue, v1alpha1.ReasonRegistered)
	for _, i := range []int{0, 1} {
		must(t, cluster.Delete(t.Context(), granting(i)))
	}
	for _, o := range waiting {
		eventually(t, o.GetName()+" is ready", func() bool {
			must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(o), o))
			return meta.IsStatusConditionTrue(conditionsIn(o), v1alpha1.ConditionReady)
		})
	}
}

// A client lists more than a registration has room for. It is not registered; one that becomes so
// keeps what it has and still lists.
func TestAClientThatListsTooMuch(t *testing.T) {
	long := func(from, to int) (scopes []v1alpha1.Scope) {
		for i := from; i < to; i++ {
			scopes = append(scopes, v1alpha1.Scope(fmt.Sprintf("%0128d", i)))
		}
		return scopes
	}
	large := func(c *v1alpha1.OAuth2Client) {
		c.Spec.Access = []v1alpha1.Access{
			{ResourceNamespace: "large", ResourceName: "a", Scopes: long(0, 64)}, {ResourceNamespace: "large", ResourceName: "b", Scopes: long(0, 64)},
		}
	}
	never := newIn("large", "never")
	large(never)
	makeNamespace(t, "large", nil)
	must(t, cluster.Create(t.Context(), never))
	condition(t, never, metav1.ConditionFalse, v1alpha1.ReasonTooLarge)
	grown := newIn("large", "grown")
	grown.Spec.Scopes = []v1alpha1.Scope{"read", "write"}
	apply(t, "large", grown)
	update(t, grown, func() {
		large(grown)
		grown.Spec.Scopes = []v1alpha1.Scope{"read", "new"}
	})
	condition(t, grown, metav1.ConditionFalse, v1alpha1.ReasonTooLarge)
	status, body := post(t, credentials(t, grown), "token_url", url.Values{"grant_type": {"client_credentials"}})
	if status != 200 || body["scope"] != "read" {
		t.Errorf("%d %v, want a token with what it had and still lists", status, body)
	}
	update(t, grown, func() { grown.Spec.Access = nil })
	condition(t, grown, metav1.ConditionTrue, v1alpha1.ReasonRegistered)
}

// What is Ready is issued and read back: a client with as many scopes as fit into one token, and
// not one with more.
func TestAReadyClientIsIssuedAllItsScopes(t *testing.T) {
	api := credentials(t, apply(t, "longscopes", newClient("api")))
	scopes := func(n int) (scopes []v1alpha1.Scope) {
		for i := range n {
			scopes = append(scopes, v1alpha1.Scope(fmt.Sprintf("%0128d", i)))
		}
		return scopes
	}
	c := newClient("long")
	c.Spec.Scopes = scopes(64)
	c.Namespace = "longscopes"
	must(t, cluster.Create(t.Context(), c))
	condition(t, c, metav1.ConditionFalse, v1alpha1.ReasonTooLarge)
	token := newToken("longscopes", "printer", "long", v1alpha1.TokenRefreshing)
	must(t, cluster.Create(t.Context(), token))
	tokenIs(t, token, v1alpha1.ReasonTooLarge)
	update(t, c, func() { c.Spec.Scopes = scopes(39) })
	condition(t, c, metav1.ConditionTrue, v1alpha1.ReasonRegistered)
	secret := credentials(t, c)
	if value := fetch(t, secret); !isActive(t, api, value) || len(value) < 6<<10 {
		t.Errorf("a token of %d bytes is refused", len(value))
	}
	asked := url.Values{"grant_type": {"client_credentials"}, "scope": {string(secret.Data["scope"])}}
	if status, body := post(t, secret, "token_url", asked); status != 200 {
		t.Errorf("with all scopes by name: %d %v", status, body)
	}
	tokenIs(t, token, v1alpha1.ReasonIssued)
	if value := tokenIn(t, token); !isActive(t, api, value) {
		t.Error("the token of the OAuth2Token is refused")
	}
}
