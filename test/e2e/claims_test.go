// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// TestTheAPIServerRefusesNamesOfClaims sends the API server each reserved name, its twins by case
// and separators, and the claims of others' readers: it lists each as refused.
func TestTheAPIServerRefusesNamesOfClaims(t *testing.T) {
	must(t, client.IgnoreAlreadyExists(cluster.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "names"}})))
	refused := []string{
		"client_id", "Client_id", "clientId", "CLIENT-ID", "client.id", "token_type", "sub_type", "grant_id", "realm_access", "preferred_username",
		"Roles", "GROUPS", "entitle_ments", "permissions:", "kubernetes.io", "kubernetes.io/serviceaccount/name", "cognito:groups", "Cognito:username",
		"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name", "HTTP://Schemas.Microsoft.Com/ws/2008/06/identity/claims/role",
		"https://aws.amazon.com/tags", "https://hallpass.dev/x", "x.hallpass.dev:y", "hallpass.dev./y",
	}
	for _, name := range oauth2.ReservedClaims {
		refused = append(refused, name, strings.ToUpper(name[:1])+name[1:], strings.ToUpper(name), name[:1]+"_"+name[1:], name+".", name[:1]+":"+name[1:])
	}
	for names := range slices.Chunk(slices.Compact(refused), oauth2.MaxCustomClaims) {
		c := newClient("refused")
		c.Namespace = "names"
		for _, name := range names {
			c.Spec.Claims = append(c.Spec.Claims, v1alpha1.Claim{Name: v1alpha1.ClaimName(name), Value: "forged"})
		}
		answer := fmt.Sprint(cluster.Create(t.Context(), c, client.DryRunAll))
		for i, name := range names {
			if !strings.Contains(answer, fmt.Sprintf("spec.claims[%d].name", i)) {
				t.Errorf("the API server does not refuse a claim named %q: %s", name, answer)
			}
		}
	}
	for _, name := range []string{"tier", "roles", "permissions", "https://example.com/sub", "urn:example:aud", "example.com/roles", "subscription"} {
		c := newClient("accepted")
		c.Namespace, c.Spec.Claims = "names", []v1alpha1.Claim{{Name: v1alpha1.ClaimName(name), Value: "v"}}
		if err := cluster.Create(t.Context(), c, client.DryRunAll); err != nil {
			t.Errorf("a claim named %q: %v", name, err)
		}
	}
}

func TestTheAPIServerRefusesRulesAboutClaims(t *testing.T) {
	long := strings.Repeat("a", 255)
	many := make([]v1alpha1.ClaimPattern, 33)
	for i := range many {
		many[i] = v1alpha1.ClaimPattern(fmt.Sprintf("v%d", i))
	}
	allowed := func(name string, values ...v1alpha1.ClaimPattern) []v1alpha1.AllowedClaim {
		return []v1alpha1.AllowedClaim{{Name: v1alpha1.ClaimName(name), Values: values}}
	}
	for name, c := range map[string]struct {
		claims  []v1alpha1.AllowedClaim
		message string
	}{
		"a plain name":                        {allowed("tier", "gold", "silver-*"), ""},
		"a group of Kubernetes by its name":   {allowed("groups", "system:masters"), ""},
		"the longest pattern":                 {allowed("tier", v1alpha1.ClaimPattern(long)), ""},
		"as many patterns as there may be":    {allowed("tier", many[:32]...), ""},
		"a pattern too long":                  {allowed("tier", v1alpha1.ClaimPattern(long+"a")), "may not be more than 255"},
		"too many patterns":                   {allowed("tier", many...), "must have at most 32 items"},
		"no patterns":                         {allowed("tier"), "Required value"},
		"a reserved name":                     {allowed("Sub", "*"), "this claim name is reserved"},
		"another spelling of roles":           {allowed("Roles", "*"), "exactly like this, in lower case"},
		"a name that needs no policy":         {allowed("https://example.com/tier", "*"), "needs no policy"},
		"a star for the groups of Kubernetes": {allowed("groups", "system:*"), "a pattern with a * must not have system: at the beginning of a word; list such a value in full"},
		"the same in capitals":                {allowed("groups", " System:*"), "a pattern with a * must not have system: at the beginning of a word; list such a value in full"},
		"a quotation mark":                    {allowed("tier", `"`), "a pattern is printable ASCII"},
		"a name twice":                        {append(allowed("tier", "a"), allowed("tier", "b")...), "Duplicate value"},
	} {
		t.Run(name, func(t *testing.T) {
			policy := &v1alpha1.OAuth2Policy{ObjectMeta: metav1.ObjectMeta{Name: "rules"}, Spec: v1alpha1.OAuth2PolicySpec{Claims: c.claims}}
			err := cluster.Create(t.Context(), policy, client.DryRunAll)
			if c.message == "" && err != nil || c.message != "" && (err == nil || !strings.Contains(err.Error(), c.message)) {
				t.Errorf("%v, want a refusal that says %q", err, c.message)
			}
		})
	}
}

// claimsOf are the claims that introspection shows of a new token.
func claimsOf(t *testing.T, secret *corev1.Secret, names ...string) map[string]any {
	t.Helper()
	status, body := post(t, secret, "introspection_url", url.Values{"token": {fetch(t, secret)}})
	if status != http.StatusOK || body["active"] != true {
		t.Errorf("introspection answers %d %v", status, body)
	}
	found := map[string]any{}
	for _, name := range names {
		if value, there := body[name]; there {
			found[name] = value
		}
	}
	return found
}

// claimsAre waits until the condition about claims has a reason, and new tokens carry what is
// wanted.
func claimsAre(t *testing.T, c *v1alpha1.OAuth2Client, reason string, want map[string]any) {
	t.Helper()
	eventually(t, "the condition ClaimsComplete says "+reason, func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(c), c))
		found := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionClaimsComplete)
		return found != nil && found.Reason == reason && (found.Status == metav1.ConditionTrue) == (reason == v1alpha1.ReasonGranted)
	})
	if !meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady) {
		t.Error("a client whose claims are left out is not ready")
	}
	var names []string
	for _, claim := range c.Spec.Claims {
		names = append(names, string(claim.Name))
	}
	var diff string
	eventually(t, "tokens carry what is allowed", func() bool {
		diff = cmp.Diff(want, claimsOf(t, credentials(t, c), names...))
		return diff == ""
	})
}

func TestAClaimOfAPlainNameTakesAPolicy(t *testing.T) {
	c := newClient("caller")
	c.Spec.Claims = []v1alpha1.Claim{
		{Name: "https://example.com/teams", Values: []v1alpha1.ClaimValue{"a", "b"}},
		{Name: "tier", Value: "gold"}, {Name: "roles", Values: []v1alpha1.ClaimValue{"shop-admin", "viewer"}}, {Name: "permissions", Value: "system:masters"},
	}
	apply(t, "claims", c)
	own := map[string]any{"https://example.com/teams": []any{"a", "b"}}
	claimsAre(t, c, v1alpha1.ReasonClaimNotAllowed, own)

	policy := &v1alpha1.OAuth2Policy{ObjectMeta: metav1.ObjectMeta{Name: "claims"}, Spec: v1alpha1.OAuth2PolicySpec{
		NamespaceSelector: v1alpha1.LabelMatch{MatchLabels: map[string]v1alpha1.LabelValue{"kubernetes.io/metadata.name": "claims"}},
		Claims: []v1alpha1.AllowedClaim{
			{Name: "tier", Values: []v1alpha1.ClaimPattern{"*"}}, {Name: "roles", Values: []v1alpha1.ClaimPattern{"shop-*", "viewer"}},
			{Name: "permissions", Values: []v1alpha1.ClaimPattern{"*"}},
		},
	}}
	must(t, cluster.Create(t.Context(), policy))
	defer func() { _ = cluster.Delete(t.Context(), policy) }()
	claimsAre(t, c, v1alpha1.ReasonClaimNotAllowed, map[string]any{
		"https://example.com/teams": []any{"a", "b"}, "tier": "gold", "roles": []any{"shop-admin", "viewer"},
	})
	named := func(pattern v1alpha1.ClaimPattern) func() {
		return func() { policy.Spec.Claims[2].Values = []v1alpha1.ClaimPattern{pattern} }
	}
	updatePolicy(t, policy, named("system:masters"))
	claimsAre(t, c, v1alpha1.ReasonGranted, map[string]any{
		"https://example.com/teams": []any{"a", "b"}, "tier": "gold", "roles": []any{"shop-admin", "viewer"}, "permissions": "system:masters",
	})

	// What a policy allows it allows by protected labels alone: the owner of a namespace can
	// set others.
	var namespace corev1.Namespace
	must(t, cluster.Get(t.Context(), client.ObjectKey{Name: "claims"}, &namespace))
	namespace.Labels["unprotected"] = "yes"
	must(t, cluster.Update(t.Context(), &namespace))
	updatePolicy(t, policy, func() {
		policy.Spec.NamespaceSelector.MatchLabels = map[string]v1alpha1.LabelValue{"unprotected": "yes"}
	})
	claimsAre(t, c, v1alpha1.ReasonClaimNotAllowed, own)
	eventually(t, "the policy says why it allows nothing", func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(policy), policy))
		found := meta.FindStatusCondition(policy.Status.Conditions, v1alpha1.ConditionReady)
		return found != nil && found.Reason == v1alpha1.ReasonUnprotectedLabel && strings.Contains(found.Message, "claims")
	})
	update(t, c, func() { c.Spec.Claims = nil })
	eventually(t, "without claims there is no condition about them", func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(c), c))
		return meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionClaimsComplete) == nil
	})
}

func updatePolicy(t *testing.T, policy *v1alpha1.OAuth2Policy, change func()) {
	t.Helper()
	eventually(t, "the policy is changed", func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(policy), policy))
		change()
		return cluster.Update(t.Context(), policy) == nil
	})
}

func TestAClaimBelowTheIssuerIsLeftOut(t *testing.T) {
	c := newClient("caller")
	below := v1alpha1.ClaimName(hallpass.Issuer.String() + "/admin")
	c.Spec.Claims = []v1alpha1.Claim{{Name: below, Value: "yes"}, {Name: "https://example.com/tier", Value: "gold"}}
	apply(t, "claims-issuer", c)
	claimsAre(t, c, v1alpha1.ReasonClaimReserved, map[string]any{"https://example.com/tier": "gold"})
}

// TestAStoredRegistrationLosesItsForgedClaims writes into the registry what a manager of before
// wrote. Tokens do not carry it for a moment, and the manager writes it anew without.
func TestAStoredRegistrationLosesItsForgedClaims(t *testing.T) {
	c := apply(t, "claims-stored", newClient("caller"))
	key := client.ObjectKey{Namespace: installation.RegistryNamespace, Name: registration.SecretName("claims-stored.caller")}
	var before corev1.Secret
	must(t, cluster.Get(t.Context(), key, &before))
	written := before.DeepCopy()
	written.Data["client.json"] = []byte(strings.Replace(string(before.Data["client.json"]), `"scopes"`,
		`"claims":[{"name":"Aud","value":"https://victim.test"}],"scopes"`, 1))
	must(t, cluster.Update(t.Context(), written))
	if got := claimsOf(t, credentials(t, c), "Aud"); len(got) > 0 {
		t.Errorf("a token carries %v", got)
	}
	eventually(t, "the manager writes the registration without the claim, and says so", func() bool {
		var now corev1.Secret
		must(t, cluster.Get(t.Context(), key, &now))
		return !strings.Contains(string(now.Data["client.json"]), "Aud") &&
			strings.Contains(hallpass.Log.String(), "the stored registration has claims that are not allowed")
	})
}

// TestAnInstallationAllowsClaims is the flag of the manager: what it allows holds where no policy
// speaks of claims.
func TestAnInstallationAllowsClaims(t *testing.T) {
	c := newClient("caller")
	c.Spec.Claims = []v1alpha1.Claim{{Name: "tier", Value: "gold"}, {Name: "groups", Value: "shop-a"}}
	apply(t, "claims-flag", c)
	claimsAre(t, c, v1alpha1.ReasonClaimNotAllowed, map[string]any{})
	restart := func(rules ...oauth2.ClaimRule) {
		must(t, hallpass.StopManager())
		hallpass.AllowClaims = rules
		must(t, hallpass.StartManager(t.Context()))
	}
	restart(oauth2.ClaimRule{Name: "groups", Values: []string{"shop-*"}}, oauth2.ClaimRule{Name: "tier", Values: []string{"gold"}})
	defer restart()
	claimsAre(t, c, v1alpha1.ReasonGranted, map[string]any{"tier": "gold", "groups": "shop-a"})

	// What a policy allows of roles and groups stands where the first readers of registrations
	// do not look.
	var stored corev1.Secret
	list := &corev1.SecretList{}
	must(t, cluster.List(t.Context(), list, client.InNamespace(installation.RegistryNamespace)))
	for _, secret := range list.Items {
		if secret.Annotations["hallpass.dev/client-id"] == "claims-flag.caller" {
			stored = secret
		}
	}
	document := string(stored.Data["client.json"])
	if !strings.Contains(document, `"claims":[{"name":"tier","value":"gold"}]`) ||
		!strings.Contains(document, `"authorizationClaims":[{"name":"groups","value":"shop-a"}]`) {
		t.Errorf("registered as %s", document)
	}
}
