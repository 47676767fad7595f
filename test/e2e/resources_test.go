// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// makeNamespace makes a namespace with labels.
func makeNamespace(t *testing.T, name string, labels map[string]string) {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	must(t, client.IgnoreAlreadyExists(cluster.Create(t.Context(), namespace)))
}

// declare creates a resource and waits for its condition.
func declare(t *testing.T, namespace, name string, spec v1alpha1.OAuth2ResourceSpec, reason string) *v1alpha1.OAuth2Resource {
	t.Helper()
	makeNamespace(t, namespace, nil)
	r := &v1alpha1.OAuth2Resource{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: spec}
	must(t, cluster.Create(t.Context(), r))
	resourceIs(t, r, v1alpha1.ConditionReady, reason)
	return r
}

func resourceIs(t *testing.T, r *v1alpha1.OAuth2Resource, kind, reason string) {
	t.Helper()
	eventually(t, "resource "+r.Name+" is "+reason, func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(r), r))
		found := meta.FindStatusCondition(r.Status.Conditions, kind)
		return found != nil && found.Reason == reason && found.ObservedGeneration == r.Generation
	})
}

func updateResource(t *testing.T, r *v1alpha1.OAuth2Resource, change func()) {
	t.Helper()
	eventually(t, "the change is accepted", func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(r), r))
		change()
		return cluster.Update(t.Context(), r) == nil
	})
}

func grantTo(namespace string, scopes ...v1alpha1.Scope) v1alpha1.ResourceGrant {
	return v1alpha1.ResourceGrant{From: v1alpha1.GrantSource{Namespaces: []v1alpha1.NamespaceName{v1alpha1.NamespaceName(namespace)}}, Scopes: scopes}
}

// grantFor is a grant of the scope s to clients that act for subjects.
func grantFor(subjects ...v1alpha1.GrantSubject) v1alpha1.ResourceGrant {
	grant := grantTo("shop", "s")
	grant.Subjects = subjects
	return grant
}

func scopesNamed(names ...v1alpha1.Scope) []v1alpha1.ResourceScope {
	var scopes []v1alpha1.ResourceScope
	for _, name := range names {
		scopes = append(scopes, v1alpha1.ResourceScope{Name: name})
	}
	return scopes
}

func accessTo(namespace, name string, scopes ...v1alpha1.Scope) v1alpha1.Access {
	return v1alpha1.Access{ResourceNamespace: v1alpha1.NamespaceName(namespace), ResourceName: name, Scopes: scopes}
}

// decisions are those in the status of a client, in the order of the spec.
func decisions(c *v1alpha1.OAuth2Client) []string {
	var all []string
	for _, grant := range c.Status.Grants {
		for _, scope := range grant.Scopes {
			all = append(all, string(scope.Name)+" "+scope.Decision)
		}
	}
	return all
}

func decides(t *testing.T, c *v1alpha1.OAuth2Client, want ...string) {
	t.Helper()
	eventually(t, "the status says "+strings.Join(want, ", "), func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(c), c))
		return cmp.Diff(want, decisions(c)) == ""
	})
}

func TestAnAPIsOwnerDecidesWhoGetsWhichScope(t *testing.T) {
	resource := declare(t, "grants-orders", "api", v1alpha1.OAuth2ResourceSpec{
		DisplayName: "Orders", Scopes: scopesNamed("orders.read", "orders.write"), Grants: []v1alpha1.ResourceGrant{grantTo("grants-shop", "orders.read")},
	}, v1alpha1.ReasonDeclared)
	identifier := hallpass.Issuer.ResourceIdentifier(oauth2.ObjectName{Namespace: "grants-orders", Name: "api"})
	if resource.Status.Identifier != identifier {
		t.Errorf("identifier %q, want %q", resource.Status.Identifier, identifier)
	}
	c := newClient("caller")
	c.Spec.Access = []v1alpha1.Access{
		accessTo("grants-orders", "api", "orders.read", "orders.write", "orders.fly"), accessTo("grants-orders", "missing", "x"),
	}
	apply(t, "grants-shop", c)
	decides(t, c, "read Granted", "orders.read Granted", "orders.write NotAllowedByResource", "orders.fly ScopeNotDefined", "x ResourceNotFound")
	if complete := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionGrantsComplete); complete == nil ||
		complete.Status != metav1.ConditionFalse || !strings.Contains(complete.Message, "ask its owner") ||
		!strings.HasSuffix(complete.Message, "2 more scopes are not granted; status.grants lists each decision.") {
		t.Errorf("GrantsComplete is %+v", complete)
	}
	secret := credentials(t, c)
	token := func(resource, scope string) (int, map[string]any) {
		form := url.Values{"grant_type": {"client_credentials"}}
		if resource != "" {
			form.Set("resource", resource)
		}
		if scope != "" {
			form.Set("scope", scope)
		}
		return post(t, secret, "token_url", form)
	}
	status, body := token(identifier, "")
	if status != http.StatusOK || body["scope"] != "orders.read" {
		t.Fatalf("a token for the resource: %d %v", status, body)
	}
	out, _ := body["access_token"].(string)
	for want, request := range map[string][2]string{
		"invalid_scope": {identifier, "orders.write"}, "invalid_target": {"https://elsewhere.example/", ""},
	} {
		if status, body := token(request[0], request[1]); status != http.StatusBadRequest || body["error"] != want {
			t.Errorf("%v: %d %v, want %s", request, status, body, want)
		}
	}
	api := credentials(t, apply(t, "grants-orders", newClient("api")))
	stranger := credentials(t, apply(t, "grants-stranger", newClient("api")))
	if _, body := post(t, api, "introspection_url", url.Values{"token": {out}}); body["active"] != true || body["aud"] != identifier {
		t.Errorf("the API learns %v", body)
	}
	if _, body := post(t, stranger, "introspection_url", url.Values{"token": {out}}); len(body) != 1 || body["active"] != false {
		t.Errorf("a stranger learns %v", body)
	}

	updateResource(t, resource, func() { resource.Spec.Grants[0].Scopes = []v1alpha1.Scope{"orders.write"} })
	widened := time.Now()
	eventually(t, "the new grant is honoured", func() bool {
		status, body := token(identifier, "")
		return status == http.StatusOK && body["scope"] == "orders.write"
	})
	t.Logf("a changed grant was honoured %s after the write", time.Since(widened).Round(time.Millisecond))
	if _, body := post(t, api, "introspection_url", url.Values{"token": {out}}); body["active"] != false {
		t.Errorf("a token of a scope that was withdrawn: %v", body)
	}
	decides(t, c, "read Granted", "orders.read NotAllowedByResource", "orders.write Granted", "orders.fly ScopeNotDefined", "x ResourceNotFound")
	eventually(t, "the resource counts its clients", func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(resource), resource))
		want := []v1alpha1.ScopeHolders{{Name: "orders.read", Clients: new(int32(0))}, {Name: "orders.write", Clients: new(int32(1))}}
		return resource.Status.Clients != nil && *resource.Status.Clients == 1 && cmp.Diff(want, resource.Status.Scopes) == ""
	})

	must(t, cluster.Delete(t.Context(), resource))
	eventually(t, "the deleted resource is no target", func() bool {
		status, body := token(identifier, "")
		return status == http.StatusBadRequest && body["error"] == "invalid_target"
	})
	eventually(t, "its record is gone", func() bool {
		key := client.ObjectKey{Namespace: installation.RegistryNamespace, Name: registration.ResourceSecretName(identifier)}
		return apierrors.IsNotFound(cluster.Get(t.Context(), key, &corev1.Secret{}))
	})
	decides(t, c, "read Granted", "orders.read ResourceNotFound", "orders.write ResourceNotFound", "orders.fly ResourceNotFound", "x ResourceNotFound")
}

func TestATokenForAResourceRightAfterItsClientIsReady(t *testing.T) {
	for i, name := range []string{"one", "two", "three", "four", "five"} {
		r := declare(t, "prompt-api", name, v1alpha1.OAuth2ResourceSpec{
			Scopes: scopesNamed("s"), Grants: []v1alpha1.ResourceGrant{grantTo("prompt-shop", "s")},
		}, v1alpha1.ReasonDeclared)
		c := newClient(name)
		c.Spec.Access = []v1alpha1.Access{accessTo("prompt-api", name, "s")}
		c.Spec.DefaultResource = v1alpha1.ResourceReference{Namespace: "prompt-api", Name: name}
		apply(t, "prompt-shop", c)
		secret := credentials(t, c)
		if scope, there := secret.Data["scope"]; !there || len(scope) > 0 {
			t.Errorf("the scope to ask for at a default resource is %q", scope)
		}
		if status, body := post(t, secret, "token_url", url.Values{"grant_type": {"client_credentials"}}); status != http.StatusOK || body["scope"] != "s" {
			t.Fatalf("round %d: %d %v, want a token for %s", i, status, body, r.Status.Identifier)
		}
	}
}

func TestSelectorsLookAtProtectedLabelsAlone(t *testing.T) {
	makeNamespace(t, "selected", map[string]string{installation.ProtectedLabel: "blue", "tenant/says": "trust-me"})
	by := func(label, value string) v1alpha1.ResourceGrant {
		return v1alpha1.ResourceGrant{
			From: v1alpha1.GrantSource{
				NamespaceSelector: v1alpha1.LabelMatch{MatchLabels: map[string]v1alpha1.LabelValue{label: v1alpha1.LabelValue(value)}},
				ClientSelector:    v1alpha1.LabelMatch{MatchLabels: map[string]v1alpha1.LabelValue{"app": "yes"}},
			},
			Scopes: []v1alpha1.Scope{"s"},
		}
	}
	r := declare(t, "selecting", "api", v1alpha1.OAuth2ResourceSpec{
		Scopes: scopesNamed("s"), Grants: []v1alpha1.ResourceGrant{by("tenant/says", "trust-me")},
	}, v1alpha1.ReasonDeclared)
	resourceIs(t, r, v1alpha1.ConditionGrantsComplete, v1alpha1.ReasonUnprotectedLabel)
	c := newClient("caller")
	c.Labels = map[string]string{"app": "yes"}
	c.Spec.Scopes, c.Spec.Access = nil, []v1alpha1.Access{accessTo("selecting", "api", "s")}
	apply(t, "selected", c)
	decides(t, c, "s NotAllowedByResource")
	updateResource(t, r, func() { r.Spec.Grants = append(r.Spec.Grants, by(installation.ProtectedLabel, "blue")) })
	decides(t, c, "s Granted")
	update(t, c, func() { c.Labels["app"] = "no" })
	decides(t, c, "s NotAllowedByResource")
	update(t, c, func() { c.Labels["app"] = "yes" })
	decides(t, c, "s Granted")
	var namespace corev1.Namespace
	must(t, cluster.Get(t.Context(), client.ObjectKey{Name: "selected"}, &namespace))
	delete(namespace.Labels, installation.ProtectedLabel)
	must(t, cluster.Update(t.Context(), &namespace))
	decides(t, c, "s NotAllowedByResource")
}

func TestIdentifiersThatAreChosen(t *testing.T) {
	spec := func(identifier string) v1alpha1.OAuth2ResourceSpec {
		return v1alpha1.OAuth2ResourceSpec{Identifier: identifier, Scopes: scopesNamed("s")}
	}
	const identifier = "https://api.identifiers.example/V1"
	refused := declare(t, "identifiers", "early", spec(identifier), v1alpha1.ReasonIdentifierNotAllowed)
	for name, reserved := range map[string]string{
		"issuer": hallpass.Issuer.String() + "/resources/identifiers/other", "tenant": hallpass.Issuer.String() + "/ns/shop",
		"apiserver": "https://kubernetes.default.svc", "below": "https://kubernetes.default.svc/x",
	} {
		declare(t, "identifiers", name, spec(reserved), v1alpha1.ReasonIdentifierReserved)
	}
	policy := &v1alpha1.OAuth2Policy{
		ObjectMeta: metav1.ObjectMeta{Name: "identifiers"},
		Spec: v1alpha1.OAuth2PolicySpec{
			NamespaceSelector:   v1alpha1.LabelMatch{MatchLabels: map[string]v1alpha1.LabelValue{"kubernetes.io/metadata.name": "identifiers"}},
			ResourceIdentifiers: []v1alpha1.IdentifierPattern{"https://*.identifiers.example/*"},
			ClientIDs:           []v1alpha1.IdentifierPattern{"svc-*"}, ReservedScopes: []v1alpha1.Scope{"admin"}, MaxTokenLifetime: "10m",
		},
	}
	must(t, cluster.Create(t.Context(), policy))
	defer func() { must(t, cluster.Delete(t.Context(), policy)) }()
	resourceIs(t, refused, v1alpha1.ConditionReady, v1alpha1.ReasonDeclared)
	late := declare(t, "identifiers", "late", spec(identifier), v1alpha1.ReasonIdentifierConflict)
	inOtherCase := declare(t, "identifiers", "case", spec("https://api.identifiers.example/v1"), v1alpha1.ReasonIdentifierConflict)
	declare(t, "identifiers", "outside", spec("https://identifiers.example/api.identifiers.example/"), v1alpha1.ReasonIdentifierNotAllowed)
	updateResource(t, refused, func() { refused.Spec.Scopes = scopesNamed("s", "admin") })
	resourceIs(t, refused, v1alpha1.ConditionGrantsComplete, v1alpha1.ReasonReservedScope)

	c := newClient("caller")
	c.Spec.ClientID, c.Spec.TokenLifetime, c.Spec.Scopes = "svc-one", "1h", []v1alpha1.Scope{"read", "admin"}
	apply(t, "identifiers", c)
	decides(t, c, "read Granted", "admin NotAllowedByPolicy")
	status, body := post(t, credentials(t, c), "token_url", url.Values{"grant_type": {"client_credentials"}})
	if status != http.StatusOK || body["expires_in"] != float64(600) || body["scope"] != "read" {
		t.Errorf("under a policy: %d %v", status, body)
	}
	other := newClient("other")
	other.Namespace, other.Spec.ClientID = "identifiers", "app-one"
	must(t, cluster.Create(t.Context(), other))
	condition(t, other, metav1.ConditionFalse, v1alpha1.ReasonClientIDNotAllowed)
	shouting := newClient("shouting")
	shouting.Namespace, shouting.Spec.ClientID = "identifiers", "svc-ONE"
	must(t, cluster.Create(t.Context(), shouting))
	condition(t, shouting, metav1.ConditionFalse, v1alpha1.ReasonClientIDConflict)
	must(t, cluster.Delete(t.Context(), c))
	condition(t, shouting, metav1.ConditionTrue, v1alpha1.ReasonRegistered)
	must(t, cluster.Delete(t.Context(), refused))
	eventually(t, "one of those that wait for the identifier has it", func() bool {
		holders := 0
		for _, r := range []*v1alpha1.OAuth2Resource{late, inOtherCase} {
			must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(r), r))
			if meta.IsStatusConditionTrue(r.Status.Conditions, v1alpha1.ConditionReady) {
				holders++
			}
		}
		return holders == 1
	})
	lookalike := newClient("lookalike")
	lookalike.Namespace, lookalike.Spec.ClientID = "identifiers", "Library.Caller"
	must(t, cluster.Create(t.Context(), lookalike))
	condition(t, lookalike, metav1.ConditionFalse, v1alpha1.ReasonClientIDNotAllowed)
}

func TestPoliciesSetCeilings(t *testing.T) {
	labels := map[string]v1alpha1.LabelValue{"kubernetes.io/metadata.name": "ceilings"}
	first, second := newClient("first"), newClient("second")
	first.Spec.Scopes = nil
	apply(t, "ceilings", first)
	secret := credentials(t, first)
	policy := &v1alpha1.OAuth2Policy{
		ObjectMeta: metav1.ObjectMeta{Name: "ceilings"},
		Spec: v1alpha1.OAuth2PolicySpec{
			NamespaceSelector: v1alpha1.LabelMatch{MatchLabels: labels}, MaxClients: new(int32(1)), FreeFormScopes: v1alpha1.FreeFormScopesForbidden,
		},
	}
	must(t, cluster.Create(t.Context(), policy))
	defer func() { _ = cluster.Delete(t.Context(), policy) }()
	eventually(t, "the policy counts its namespaces", func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(policy), policy))
		return policy.Status.Namespaces != nil && *policy.Status.Namespaces == 1
	})
	second.Namespace = "ceilings"
	must(t, cluster.Create(t.Context(), second))
	condition(t, second, metav1.ConditionFalse, v1alpha1.ReasonTooManyClients)
	methods := func(methods ...v1alpha1.AuthenticationMethod) {
		eventually(t, "the policy is changed", func() bool {
			must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(policy), policy))
			policy.Spec.AuthenticationMethods = methods
			return cluster.Update(t.Context(), policy) == nil
		})
	}
	methods(v1alpha1.ByPrivateKeyJWT)
	condition(t, first, metav1.ConditionFalse, v1alpha1.ReasonNotAllowedByPolicy)
	eventually(t, "a client by a forbidden method is refused", func() bool {
		status, body := post(t, secret, "token_url", url.Values{"grant_type": {"client_credentials"}})
		return status == http.StatusUnauthorized && body["error"] == "invalid_client"
	})
	methods()
	condition(t, first, metav1.ConditionTrue, v1alpha1.ReasonRegistered)
	must(t, cluster.Delete(t.Context(), first))
	condition(t, second, metav1.ConditionTrue, v1alpha1.ReasonRegistered)
	decides(t, second, "read NotAllowedByPolicy")
	must(t, cluster.Delete(t.Context(), policy))
	decides(t, second, "read Granted")
}

func TestMetadataOfAResource(t *testing.T) {
	r := declare(t, "described", "api", v1alpha1.OAuth2ResourceSpec{DisplayName: "Described", Scopes: scopesNamed("described.read")}, v1alpha1.ReasonDeclared)
	get := func(path string) (int, map[string]any) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, hallpass.Issuer.URL(path), http.NoBody)
		must(t, err)
		response, err := hallpass.HTTP.Do(request)
		must(t, err)
		defer func() { _ = response.Body.Close() }()
		content, err := io.ReadAll(response.Body)
		must(t, err)
		var body map[string]any
		must(t, json.Unmarshal(content, &body))
		return response.StatusCode, body
	}
	eventually(t, "the metadata is there", func() bool {
		status, body := get(oauth2.ResourceMetadataPath + "/resources/described/api")
		return status == http.StatusOK && body["resource"] == r.Status.Identifier && body["resource_name"] == "Described"
	})
	if status, _ := get(oauth2.ResourceMetadataPath + "/resources/described/nothing"); status != http.StatusNotFound {
		t.Errorf("the metadata of nothing: %d", status)
	}
	_, body := get(oauth2.MetadataPath)
	if scopes, there := body["scopes_supported"]; there {
		t.Errorf("the metadata of the issuer names the scopes of resources: %v", scopes)
	}
}

func TestTheAPIServerRefusesBadResourcesAndPolicies(t *testing.T) {
	makeNamespace(t, "bad-resources", nil)
	scope := scopesNamed("s")
	many := make([]v1alpha1.ResourceGrant, 1000)
	for i := range many {
		many[i] = grantTo("shop", "s")
	}
	for name, spec := range map[string]v1alpha1.OAuth2ResourceSpec{
		"an identifier with a fragment":        {Identifier: "https://a.example/x#y"},
		"an identifier with a query":           {Identifier: "https://a.example/x?y"},
		"an identifier with a user":            {Identifier: "https://user@a.example/x"},
		"an identifier with a trailing dot":    {Identifier: "https://a.example./x"},
		"an identifier with capitals":          {Identifier: "https://A.example/x"},
		"an identifier in another script":      {Identifier: "https://bücher.example/x"},
		"an identifier with an escape":         {Identifier: "https://a.example/%2e"},
		"an identifier with dot segments":      {Identifier: "https://a.example/x/../y"},
		"an identifier that is not https":      {Identifier: "http://a.example/x"},
		"an identifier that is no URL":         {Identifier: "orders"},
		"an identifier with a space":           {Identifier: "https://a.example/x y"},
		"a scope with a quotation mark":        {Scopes: scopesNamed(`s"`)},
		"a scope with a space":                 {Scopes: scopesNamed("s t")},
		"a scope twice":                        {Scopes: scopesNamed("s", "s")},
		"a grant of an undefined scope":        {Scopes: scope, Grants: []v1alpha1.ResourceGrant{grantTo("shop", "t")}},
		"a grant from nowhere":                 {Scopes: scope, Grants: []v1alpha1.ResourceGrant{{Scopes: []v1alpha1.Scope{"s"}}}},
		"a grant from names and by selector":   {Scopes: scope, Grants: []v1alpha1.ResourceGrant{{Scopes: []v1alpha1.Scope{"s"}, From: v1alpha1.GrantSource{Namespaces: []v1alpha1.NamespaceName{"shop"}, NamespaceSelector: v1alpha1.LabelMatch{MatchLabels: map[string]v1alpha1.LabelValue{"a": "b"}}}}}},
		"a grant from an impossible namespace": {Scopes: scope, Grants: []v1alpha1.ResourceGrant{grantTo("shop.reporting", "s")}},
		"a grant for an unknown subject":       {Scopes: scope, Grants: []v1alpha1.ResourceGrant{grantFor("Person")}},
		"a grant for a subject twice":          {Scopes: scope, Grants: []v1alpha1.ResourceGrant{grantFor("Client", "Client")}},
		"a thousand grants":                    {Scopes: scope, Grants: many},
		"a lifetime of a day":                  {TokenLifetime: "24h"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &v1alpha1.OAuth2Resource{ObjectMeta: metav1.ObjectMeta{Namespace: "bad-resources", Name: "r"}, Spec: spec}
			if err := cluster.Create(t.Context(), r); !apierrors.IsInvalid(err) {
				t.Errorf("accepted: %v", err)
			}
		})
	}
	fixed := &v1alpha1.OAuth2Resource{ObjectMeta: metav1.ObjectMeta{Namespace: "bad-resources", Name: "fixed"}, Spec: v1alpha1.OAuth2ResourceSpec{Identifier: "https://a.example/x"}}
	must(t, cluster.Create(t.Context(), fixed))
	for name, identifier := range map[string]string{"changed": "https://a.example/y", "removed": ""} {
		updated := fixed.DeepCopy()
		updated.Spec.Identifier = identifier
		if err := cluster.Update(t.Context(), updated); !apierrors.IsInvalid(err) && !apierrors.IsConflict(err) {
			t.Errorf("the identifier %s: %v", name, err)
		}
	}
}
