// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// mallory administers the namespace of her name and wants what is the victim's. wild may do
// anything with hallpass.dev there, too.
type mallory struct {
	*testing.T

	admin, wild client.Client
	// victim is the credentials of a client of the namespace victim, vault an API there that
	// grants to its own namespace alone.
	victim *corev1.Secret
	vault  *v1alpha1.OAuth2Resource
	made   int
}

const (
	homeOfMallory  = "mallory"
	chosenByVictim = "https://vault.victim.example/api"
	idOfVictim     = "LegacyVictim"
)

func newMallory(t *testing.T) *mallory {
	t.Helper()
	m := &mallory{T: t}
	makeNamespace(t, homeOfMallory, nil)
	makeNamespace(t, "victim", map[string]string{installation.ProtectedLabel: "gold"})
	user := func(name string) client.Client {
		must(t, cluster.Create(t.Context(), &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: homeOfMallory, Name: name},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: name}},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "admin"},
		}))
		return asUser(t, name)
	}
	m.admin, m.wild = user("mallory"), user("mallory-wild")
	must(t, cluster.Create(t.Context(), &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: homeOfMallory, Name: "wild"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"hallpass.dev"}, Resources: []string{"*"}, Verbs: []string{"*"}}},
	}))
	must(t, cluster.Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: homeOfMallory, Name: "wild"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: "mallory-wild"}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "wild"},
	}))
	policy := &v1alpha1.OAuth2Policy{ObjectMeta: metav1.ObjectMeta{Name: "victim"}, Spec: v1alpha1.OAuth2PolicySpec{
		NamespaceSelector:   v1alpha1.LabelMatch{MatchLabels: map[string]v1alpha1.LabelValue{installation.ProtectedLabel: "gold"}},
		ResourceIdentifiers: []v1alpha1.IdentifierPattern{"https://*.victim.example/*"}, ClientIDs: []v1alpha1.IdentifierPattern{"Legacy*"},
	}}
	must(t, cluster.Create(t.Context(), policy))
	t.Cleanup(func() { _ = cluster.Delete(context.Background(), policy) })
	bank := newClient("bank")
	bank.Spec.Access = []v1alpha1.Access{accessTo("victim", "vault", "vault.open")}
	m.victim = credentials(t, apply(t, "victim", bank))
	legacy := newClient("legacy")
	legacy.Spec.ClientID = idOfVictim
	apply(t, "victim", legacy)
	gold := v1alpha1.ResourceGrant{From: v1alpha1.GrantSource{
		NamespaceSelector: v1alpha1.LabelMatch{MatchLabels: map[string]v1alpha1.LabelValue{installation.ProtectedLabel: "gold"}},
	}, Scopes: []v1alpha1.Scope{"vault.open"}}
	m.vault = declare(t, "victim", "vault", v1alpha1.OAuth2ResourceSpec{
		Scopes: scopesNamed("vault.open"), Grants: []v1alpha1.ResourceGrant{gold},
		Introspection: v1alpha1.IntrospectionSpec{Clients: []v1alpha1.ClientReference{{Namespace: "victim", Name: "bank"}}},
	}, v1alpha1.ReasonDeclared)
	declare(t, "victim", "chosen", v1alpha1.OAuth2ResourceSpec{Identifier: chosenByVictim, Scopes: scopesNamed("s")}, v1alpha1.ReasonDeclared)
	eventually(t, "the admin role has the kinds", func() bool {
		return m.admin.List(t.Context(), &v1alpha1.OAuth2ClientList{}, client.InNamespace(homeOfMallory)) == nil
	})
	return m
}

// name is a new name for an object.
func (m *mallory) name() string {
	m.made++
	return fmt.Sprintf("attempt-%d", m.made)
}

// client creates a client as the admin of the namespace; the message is the API server's refusal or
// the condition.
func (m *mallory) client(change func(c *v1alpha1.OAuth2Client)) string {
	c := newClient(m.name())
	c.Namespace = homeOfMallory
	change(c)
	if err := m.admin.Create(m.Context(), c); err != nil {
		return err.Error()
	}
	var said string
	eventually(m.T, "the client has a condition", func() bool {
		must(m.T, cluster.Get(m.Context(), client.ObjectKeyFromObject(c), c))
		ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady)
		if ready == nil {
			return false
		}
		said = ready.Reason + " " + strings.Join(decisions(c), " ")
		return ready.Reason != v1alpha1.ReasonProgressing
	})
	return said
}

func (m *mallory) resource(change func(spec *v1alpha1.OAuth2ResourceSpec)) string {
	r := &v1alpha1.OAuth2Resource{ObjectMeta: metav1.ObjectMeta{Namespace: homeOfMallory, Name: m.name()}}
	r.Spec.Scopes = scopesNamed("s")
	change(&r.Spec)
	if err := m.admin.Create(m.Context(), r); err != nil {
		return err.Error()
	}
	var said string
	eventually(m.T, "the resource has a condition", func() bool {
		must(m.T, cluster.Get(m.Context(), client.ObjectKeyFromObject(r), r))
		ready := meta.FindStatusCondition(r.Status.Conditions, v1alpha1.ConditionReady)
		grants := meta.FindStatusCondition(r.Status.Conditions, v1alpha1.ConditionGrantsComplete)
		if ready == nil || grants == nil {
			return false
		}
		said = ready.Reason + " " + grants.Reason
		return true
	})
	return said
}

// own is a client of hers that works, with what she asks for.
func (m *mallory) own(change func(c *v1alpha1.OAuth2Client)) (*v1alpha1.OAuth2Client, *corev1.Secret) {
	c := newClient(m.name())
	change(c)
	c = apply(m.T, homeOfMallory, c)
	return c, credentials(m.T, c)
}

// ask sends a token request and returns the error code, or the claims of the token.
func (m *mallory) ask(as *corev1.Secret, parameters string) string {
	form, err := url.ParseQuery("grant_type=client_credentials&" + parameters)
	must(m.T, err)
	_, body := post(m.T, as, "token_url", form)
	if token, ok := body["access_token"].(string); ok {
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
		must(m.T, err)
		return string(payload)
	}
	return fmt.Sprint(body["error"])
}

func (m *mallory) introspect(as *corev1.Secret, token string) string {
	_, body := post(m.T, as, "introspection_url", url.Values{"token": {token}})
	text, err := json.Marshal(body)
	must(m.T, err)
	return string(text)
}

func (m *mallory) forwardAuth(token, query string) string {
	request, err := http.NewRequestWithContext(m.Context(), http.MethodGet, hallpass.Issuer.URL(oauth2.ForwardAuthPath)+"?"+query, http.NoBody)
	must(m.T, err)
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := hallpass.HTTP.Do(request)
	must(m.T, err)
	must(m.T, response.Body.Close())
	return response.Status
}

// said is the message of an error, or a note that there is none.
func said(err error) string {
	if err == nil {
		return "it was accepted"
	}
	return err.Error()
}

// TestANamespaceAdminCannotEscalate has the admin of one namespace try to get what is another's,
// against the real RBAC, the real rules of the CRDs and the real token server. Each attempt has to
// fail with the reason.
func TestANamespaceAdminCannotEscalate(t *testing.T) {
	m := newMallory(t)
	ctx := t.Context()
	vault := m.vault.Status.Identifier
	_, secret := m.own(func(*v1alpha1.OAuth2Client) {})
	tokenOfVictim := fetch(t, m.victim)
	_, body := post(t, m.victim, "token_url", url.Values{"grant_type": {"client_credentials"}, "resource": {vault}})
	tokenForVault, _ := body["access_token"].(string)
	if tokenForVault == "" {
		t.Fatalf("the victim's own token for its vault: %v", body)
	}
	attempts := 0
	try := func(name, want string, attempt func() string) {
		attempts++
		t.Run(name, func(t *testing.T) {
			outer := m.T
			m.T = t
			defer func() { m.T = outer }()
			if got := attempt(); !strings.Contains(got, want) {
				t.Errorf("%s\nwant a refusal with %q", got, want)
			}
		})
	}
	m.tryWithKubernetesRights(ctx, try)
	m.tryBadSpecs(try)
	m.tryConditions(ctx, try, vault)
	m.tryForgedStatus(ctx, try, vault)
	m.tryRevoking(ctx, try, secret, tokenOfVictim)

	// With a token request.
	for name, c := range map[string]struct{ parameters, want string }{
		"a token for the vault":              {"resource=" + url.QueryEscape(vault), "invalid_target"},
		"a token for the victim's audience":  {"resource=" + url.QueryEscape(hallpass.Issuer.NamespaceAudience("victim")), "invalid_target"},
		"the issuer itself as the audience":  {"resource=" + url.QueryEscape(hallpass.Issuer.String()), "invalid_target"},
		"two resources, one of them hers":    {"resource=" + url.QueryEscape(hallpass.Issuer.NamespaceAudience(homeOfMallory)) + "&resource=" + url.QueryEscape(vault), "invalid_target"},
		"a scope of the vault":               {"scope=vault.open", "invalid_scope"},
		"a scope beside her own":             {"scope=read+vault.open", "invalid_scope"},
		"a scope with a line break":          {"scope=read%0avault.open", "invalid_scope"},
		"the scope twice":                    {"scope=read&scope=vault.open", "invalid_request"},
		"an audience parameter":              {"audience=" + url.QueryEscape(vault), `"aud":"` + hallpass.Issuer.NamespaceAudience(homeOfMallory) + `"`},
		"the victim's client_id in the body": {"client_id=victim.bank", `"sub":"mallory.`},
		"another grant type":                 {"grant_type=password", "invalid_request"},
	} {
		try(name, c.want, func() string { return m.ask(secret, c.parameters) })
	}
	try("her own secret with the victim's client_id", "invalid_client", func() string {
		forged := secret.DeepCopy()
		forged.Data["client_id"] = m.victim.Data["client_id"]
		return m.ask(forged, "")
	})
	try("her own secret with the victim's client_id in capitals", "invalid_client", func() string {
		forged := secret.DeepCopy()
		forged.Data["client_id"] = []byte("VICTIM.BANK")
		return m.ask(forged, "")
	})
	// With tokens that she found.
	try("introspecting the victim's token", `{"active":false}`, func() string { return m.introspect(secret, tokenOfVictim) })
	try("introspecting a token for the vault", `{"active":false}`, func() string { return m.introspect(secret, tokenForVault) })
	try("introspecting it as a neighbour of the vault that it does not name", `{"active":false}`, func() string {
		return m.introspect(credentials(t, apply(t, "victim", newClient("neighbour"))), tokenForVault)
	})
	mine := fetch(t, secret)
	try("her own token at the victim's proxy", "401", func() string {
		return m.forwardAuth(mine, "audience="+url.QueryEscape(hallpass.Issuer.NamespaceAudience("victim")))
	})
	try("her own token with a scope that it lacks", "403", func() string {
		return m.forwardAuth(mine, "scope=vault.open&audience="+url.QueryEscape(hallpass.Issuer.NamespaceAudience(homeOfMallory)))
	})
	try("a token of a client that she made again under its name", `{"active":false}`, func() string {
		c, old := m.own(func(*v1alpha1.OAuth2Client) {})
		token := fetch(t, old)
		must(t, m.admin.Delete(ctx, c))
		eventually(t, "the Secret is gone", func() bool {
			return apierrors.IsNotFound(cluster.Get(ctx, client.ObjectKeyFromObject(old), &corev1.Secret{}))
		})
		again := newClient(c.Name)
		return m.introspect(credentials(t, apply(t, homeOfMallory, again)), token)
	})
	if attempts < 60 {
		t.Errorf("%d attempts, want at least 60", attempts)
	}
	t.Logf("%d attempts", attempts)
}

type trying func(name, want string, attempt func() string)

// tryWithKubernetesRights are attempts that RBAC alone refuses.
func (m *mallory) tryWithKubernetesRights(ctx context.Context, try trying) {
	const forbidden = "forbidden"
	registry := metav1.ObjectMeta{Namespace: installation.RegistryNamespace, Name: registration.SecretName("mallory.forged")}
	victims := func() *v1alpha1.OAuth2Client {
		return &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Namespace: "victim", Name: "bank"}}
	}
	relabel := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"`+installation.ProtectedLabel+`":"gold"}}}`))
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: installation.SystemNamespace, Name: installation.ManagerAccount}}
	binding := func(role string) *rbacv1.RoleBinding {
		return &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: homeOfMallory, Name: m.name()},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: "mallory"}},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		}
	}
	for name, attempt := range map[string]func() error{
		"labelling her own namespace": func() error {
			return m.admin.Patch(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: homeOfMallory}}, relabel)
		},
		"making a namespace with the label": func() error {
			return m.admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "mallory-gold", Labels: map[string]string{installation.ProtectedLabel: "gold"}}})
		},
		"reading the victim's Secret": func() error { return m.admin.Get(ctx, client.ObjectKeyFromObject(m.victim), &corev1.Secret{}) },
		"listing the registry": func() error {
			return m.admin.List(ctx, &corev1.SecretList{}, client.InNamespace(installation.RegistryNamespace))
		},
		"reading the signing keys": func() error {
			return m.admin.Get(ctx, client.ObjectKey{Namespace: registry.Namespace, Name: registration.KeysSecretName}, &corev1.Secret{})
		},
		"writing a registration": func() error {
			return m.admin.Create(ctx, &corev1.Secret{ObjectMeta: registry, Type: registration.SecretType})
		},
		"deleting the signing keys": func() error {
			return m.admin.Delete(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: registry.Namespace, Name: registration.KeysSecretName}})
		},
		"making a client of the victim": func() error { c := newClient("x"); c.Namespace = "victim"; return m.admin.Create(ctx, c) },
		"reading the victim's client":   func() error { return m.admin.Get(ctx, client.ObjectKeyFromObject(victims()), victims()) },
		"suspending the victim's client": func() error {
			return m.wild.Patch(ctx, victims(), client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"state":"Suspended"}}`)))
		},
		"deleting the victim's client": func() error { return m.wild.Delete(ctx, victims()) },
		"granting herself the vault": func() error {
			return m.wild.Patch(ctx, m.vault.DeepCopy(), client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"grants":null}}`)))
		},
		"listing policies": func() error { return m.admin.List(ctx, &v1alpha1.OAuth2PolicyList{}) },
		"writing a policy": func() error {
			return m.wild.Create(ctx, &v1alpha1.OAuth2Policy{ObjectMeta: metav1.ObjectMeta{Name: "mallory"}})
		},
		"deleting the victim's policy": func() error {
			return m.wild.Delete(ctx, &v1alpha1.OAuth2Policy{ObjectMeta: metav1.ObjectMeta{Name: "victim"}})
		},
		"a token of the manager's account": func() error {
			return m.admin.SubResource("token").Create(ctx, account, &authenticationv1.TokenRequest{})
		},
		"binding cluster-admin to herself": func() error { return m.admin.Create(ctx, binding("cluster-admin")) },
		"binding the manager's role":       func() error { return m.admin.Create(ctx, binding("hallpass-manager")) },
		"a role for everything of hallpass.dev": func() error {
			return m.admin.Create(ctx, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: homeOfMallory, Name: m.name()}, Rules: []rbacv1.PolicyRule{
				{APIGroups: []string{"hallpass.dev"}, Resources: []string{"*"}, Verbs: []string{"*"}},
			}})
		},
		"taking the manager's lease": func() error {
			return m.admin.Create(ctx, &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: installation.SystemNamespace, Name: "hallpass-manager"}})
		},
		"a pod beside the manager": func() error {
			return m.admin.Create(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: installation.SystemNamespace, Name: "x"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "x", Image: "x"}}}})
		},
		"writing the status of her client": func() error {
			c, _ := m.own(func(*v1alpha1.OAuth2Client) {})
			return m.admin.Status().Patch(ctx, c, client.RawPatch("application/merge-patch+json", []byte(`{"status":{"clientID":"victim.bank"}}`)))
		},
	} {
		try(name, forbidden, func() string { return said(attempt()) })
	}
}

// tryBadSpecs are attempts that the rules of the CRDs refuse, and identifiers that no policy lists.
func (m *mallory) tryBadSpecs(try trying) {
	for name, c := range map[string]struct {
		want   string
		change func(spec *v1alpha1.OAuth2ClientSpec)
	}{
		"the victim's client_id":             {v1alpha1.ReasonClientIDNotAllowed, func(s *v1alpha1.OAuth2ClientSpec) { s.ClientID = "victim.bank" }},
		"the victim's client_id in capitals": {v1alpha1.ReasonClientIDNotAllowed, func(s *v1alpha1.OAuth2ClientSpec) { s.ClientID = "Victim.Bank" }},
		"a client_id with a colon":           {"a clientID with a colon is an https: or urn: URI", func(s *v1alpha1.OAuth2ClientSpec) { s.ClientID = "victim:bank" }},
		"a resource in a path":               {"the name of a namespace has", func(s *v1alpha1.OAuth2ClientSpec) { s.Access = []v1alpha1.Access{accessTo("victim/vault", "x", "s")} }},
		"a Secret in another namespace":      {"must be a valid Secret name", func(s *v1alpha1.OAuth2ClientSpec) { s.Secret.Name = "victim/bank" }},
		"a label of ours on the Secret": {"cannot be set on the Secret", func(s *v1alpha1.OAuth2ClientSpec) {
			s.Secret.Labels = map[string]v1alpha1.LabelValue{"hallpass.dev/credentials": "true"}
		}},
		"an annotation of ours on the Secret": {"cannot be set on the Secret", func(s *v1alpha1.OAuth2ClientSpec) {
			s.Secret.Annotations = map[string]v1alpha1.AnnotationValue{v1alpha1.AnnotationClient: "bank"}
		}},
		"a claim that names another client": {"this claim name is reserved", func(s *v1alpha1.OAuth2ClientSpec) {
			s.Claims = []v1alpha1.Claim{{Name: "client_id", Value: "victim.bank"}}
		}},
		"a claim with another UID": {"this claim name is reserved", func(s *v1alpha1.OAuth2ClientSpec) { s.Claims = []v1alpha1.Claim{{Name: "client_uid", Value: "x"}} }},
		"a claim with an audience": {"this claim name is reserved", func(s *v1alpha1.OAuth2ClientSpec) { s.Claims = []v1alpha1.Claim{{Name: "aud", Value: "x"}} }},
		"a claim with scopes":      {"this claim name is reserved", func(s *v1alpha1.OAuth2ClientSpec) { s.Claims = []v1alpha1.Claim{{Name: "scope", Value: "vault.open"}} }},
		"a claim with groups": {"exactly like this, in lower case", func(s *v1alpha1.OAuth2ClientSpec) {
			s.Claims = []v1alpha1.Claim{{Name: "Groups", Values: []v1alpha1.ClaimValue{"system:masters"}}}
		}},
		"two scopes in one":  {"a scope is printable ASCII", func(s *v1alpha1.OAuth2ClientSpec) { s.Scopes = []v1alpha1.Scope{"read vault.open"} }},
		"a token for a year": {"tokenLifetime must be", func(s *v1alpha1.OAuth2ClientSpec) { s.TokenLifetime = "8760h" }},
		"a default that is not asked for": {"defaultResource must be one of", func(s *v1alpha1.OAuth2ClientSpec) {
			s.DefaultResource = v1alpha1.ResourceReference{Namespace: "victim", Name: "vault"}
		}},
	} {
		try(name, c.want, func() string { return m.client(func(o *v1alpha1.OAuth2Client) { c.change(&o.Spec) }) })
	}
	for name, identifier := range map[string]string{
		"an identifier with a user": "https://vault.victim.example@evil.example/", "an identifier in capitals": "https://VAULT.victim.example/api",
		"an identifier with a dot at the end": "https://vault.victim.example./api", "an identifier with an escape": "https://vault.victim.example/%61pi",
	} {
		try(name, "identifier must be an absolute https URI", func() string {
			return m.resource(func(s *v1alpha1.OAuth2ResourceSpec) { s.Identifier = identifier })
		})
	}
}

// tryConditions are attempts that the manager refuses.
func (m *mallory) tryConditions(ctx context.Context, try trying, vault string) {
	must(m.T, m.admin.Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: homeOfMallory, Name: "precious"}, StringData: map[string]string{"a": "b"}}))
	_, other := m.own(func(*v1alpha1.OAuth2Client) {})
	must(m.T, m.admin.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: homeOfMallory, Name: "posing", Labels: map[string]string{v1alpha1.LabelCredentials: "true"}},
		StringData: map[string]string{"client_id": "victim.bank", "client_secret": "mX4v-9qTz_7LrWc2Ny8Kd5Hb3Gs6Pf1"},
	}))
	asking := func(namespace, name string, scope v1alpha1.Scope, labels map[string]string) func(*v1alpha1.OAuth2Client) {
		return func(c *v1alpha1.OAuth2Client) {
			c.Labels, c.Spec.Access = labels, []v1alpha1.Access{accessTo(namespace, name, scope)}
		}
	}
	for name, c := range map[string]struct {
		want   string
		change func(c *v1alpha1.OAuth2Client)
	}{
		"a Secret that is somebody else's":    {v1alpha1.ReasonSecretConflict, func(c *v1alpha1.OAuth2Client) { c.Spec.Secret.Name = "precious" }},
		"the Secret of another client":        {v1alpha1.ReasonSecretConflict, func(c *v1alpha1.OAuth2Client) { c.Spec.Secret.Name = other.Name }},
		"choosing a client_id":                {v1alpha1.ReasonClientIDNotAllowed, func(c *v1alpha1.OAuth2Client) { c.Spec.ClientID = "squatted" }},
		"the client_id that the victim chose": {v1alpha1.ReasonClientIDNotAllowed, func(c *v1alpha1.OAuth2Client) { c.Spec.ClientID = idOfVictim }},
		"it in capitals":                      {v1alpha1.ReasonClientIDNotAllowed, func(c *v1alpha1.OAuth2Client) { c.Spec.ClientID = strings.ToUpper(idOfVictim) }},
		"a Secret that names the victim": {v1alpha1.ReasonClientIDMismatch, func(c *v1alpha1.OAuth2Client) {
			c.Spec.Secret = v1alpha1.SecretSpec{Name: "posing", Source: v1alpha1.SecretExisting}
		}},
		"a template with another's value": {v1alpha1.ReasonInvalidTemplate, func(c *v1alpha1.OAuth2Client) {
			c.Spec.Secret.Template = map[string]v1alpha1.TemplateText{"x": "$(victim)"}
		}},
		"asking for the vault":                  {"vault.open NotAllowedByResource", asking("victim", "vault", "vault.open", nil)},
		"asking with the labels of the trusted": {"vault.open NotAllowedByResource", asking("victim", "vault", "vault.open", map[string]string{installation.ProtectedLabel: "gold"})},
		"asking for what is not defined":        {"vault.all ScopeNotDefined", asking("victim", "vault", "vault.all", nil)},
		"asking for what is not there":          {"s ResourceNotFound", asking("victim", "nothing", "s", nil)},
	} {
		try(name, c.want, func() string { return m.client(c.change) })
	}
	for name, c := range map[string]struct{ want, identifier string }{
		"the vault's identifier":             {v1alpha1.ReasonIdentifierConflict, vault},
		"the audience of the victim":         {v1alpha1.ReasonIdentifierReserved, hallpass.Issuer.NamespaceAudience("victim")},
		"the issuer":                         {v1alpha1.ReasonIdentifierReserved, hallpass.Issuer.String()},
		"the API server's audience":          {v1alpha1.ReasonIdentifierReserved, "https://kubernetes.default.svc"},
		"below the API server's audience":    {v1alpha1.ReasonIdentifierReserved, "https://kubernetes.default.svc/apis"},
		"the identifier the victim chose":    {v1alpha1.ReasonIdentifierConflict, chosenByVictim},
		"it in another case":                 {v1alpha1.ReasonIdentifierConflict, strings.Replace(chosenByVictim, "/api", "/API", 1)},
		"an identifier of a host of her own": {v1alpha1.ReasonIdentifierNotAllowed, "https://api.mallory.example/"},
	} {
		try(name, c.want, func() string { return m.resource(func(s *v1alpha1.OAuth2ResourceSpec) { s.Identifier = c.identifier }) })
	}
	try("a grant by a label that she could set", v1alpha1.ReasonUnprotectedLabel, func() string {
		return m.resource(func(s *v1alpha1.OAuth2ResourceSpec) {
			s.Grants = []v1alpha1.ResourceGrant{{
				From:   v1alpha1.GrantSource{NamespaceSelector: v1alpha1.LabelMatch{MatchLabels: map[string]v1alpha1.LabelValue{"team": "gold"}}},
				Scopes: []v1alpha1.Scope{"s"},
			}}
		})
	})
}

// tryRevoking are attempts to end the victim's tokens, and to bring her own back.
func (m *mallory) tryRevoking(ctx context.Context, try trying, hers *corev1.Secret, tokenOfVictim string) {
	selecting := func(namespace string) *v1alpha1.TokenRevocation {
		return &v1alpha1.TokenRevocation{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: m.name()},
			Spec: v1alpha1.TokenRevocationSpec{Selector: v1alpha1.RevocationSelector{
				IssuedBefore: new(metav1.NewTime(time.Now().AddDate(1, 0, 0))), Namespace: "victim",
			}},
		}
	}
	kept := selecting(installation.RegistryNamespace)
	kept.Spec.Selector.Namespace = "nowhere"
	must(m.T, cluster.Create(ctx, kept))
	for name, attempt := range map[string]func() error{
		"a revocation in the registry": func() error { return m.admin.Create(ctx, selecting(installation.RegistryNamespace)) },
		"one with every right at home": func() error { return m.wild.Create(ctx, selecting(installation.RegistryNamespace)) },
		"a revocation at home":         func() error { return m.admin.Create(ctx, selecting(homeOfMallory)) },
		"deleting a revocation":        func() error { return m.wild.Delete(ctx, kept.DeepCopy()) },
		"listing revocations": func() error {
			return m.admin.List(ctx, &v1alpha1.TokenRevocationList{}, client.InNamespace(installation.RegistryNamespace))
		},
	} {
		try(name, "forbidden", func() string { return said(attempt()) })
	}
	try("a revocation at home with every right there", "revokes nothing in this namespace", func() string { return said(m.wild.Create(ctx, selecting(homeOfMallory))) })
	try("which changes nothing", `"active":true`, func() string { return m.introspect(m.victim, tokenOfVictim) })
	try("revoking the victim's token", "unauthorized_client", func() string {
		there := hers.DeepCopy()
		there.Data["url"] = []byte(hallpass.Issuer.URL(oauth2.RevocationPath))
		_, body := post(m.T, there, "url", url.Values{"token": {tokenOfVictim}})
		return fmt.Sprint(body["error"])
	})
	try("which stays good", `"active":true`, func() string { return m.introspect(m.victim, tokenOfVictim) })
}

// tryForgedStatus are attempts with a role that may write status.
func (m *mallory) tryForgedStatus(ctx context.Context, try trying, vault string) {
	c, secret := m.own(func(c *v1alpha1.OAuth2Client) {
		c.Spec.Access = []v1alpha1.Access{accessTo("victim", "vault", "vault.open")}
	})
	forge := func(o client.Object, status string) {
		must(m.T, m.wild.Status().Patch(ctx, o, client.RawPatch("application/merge-patch+json", []byte(`{"status":`+status+`}`))))
	}
	try("a forged grant in the status", "invalid_target", func() string {
		forge(c.DeepCopy(), `{"grants":[{"audience":"`+vault+`","resource":{"namespace":"victim","name":"vault"},"scopes":[{"name":"vault.open","decision":"Granted"}]}]}`)
		return m.ask(secret, "resource="+url.QueryEscape(vault))
	})
	try("a forged client_id in the status", `"sub":"mallory.`, func() string {
		forge(c.DeepCopy(), `{"clientID":"victim.bank"}`)
		return m.ask(secret, "")
	})
	try("which is put right", "mallory."+c.Name, func() string {
		var id string
		eventually(m.T, "the status is put right", func() bool {
			must(m.T, cluster.Get(ctx, client.ObjectKeyFromObject(c), c))
			id = c.Status.ClientID
			return id != "victim.bank"
		})
		return id
	})
	try("a forged identifier in the status", "invalid_target", func() string {
		mine := declare(m.T, homeOfMallory, m.name(), v1alpha1.OAuth2ResourceSpec{
			Scopes: scopesNamed("s"), Grants: []v1alpha1.ResourceGrant{grantTo(homeOfMallory, "s")},
		}, v1alpha1.ReasonDeclared)
		_, asking := m.own(func(c *v1alpha1.OAuth2Client) {
			c.Spec.Access = []v1alpha1.Access{accessTo(homeOfMallory, mine.Name, "s")}
		})
		forge(mine.DeepCopy(), `{"identifier":"`+vault+`"}`)
		return m.ask(asking, "resource="+url.QueryEscape(vault))
	})
	try("a forged end of a suspension", "invalid_client", func() string {
		suspended, held := m.own(func(*v1alpha1.OAuth2Client) {})
		update(m.T, suspended, func() { suspended.Spec.State = v1alpha1.ClientSuspended })
		condition(m.T, suspended, metav1.ConditionFalse, v1alpha1.ReasonSuspended)
		forge(suspended.DeepCopy(), `{"conditions":[{"type":"Ready","status":"True","reason":"Registered","message":"","lastTransitionTime":"`+time.Now().UTC().Format(time.RFC3339)+`"}]}`)
		return m.ask(held, "")
	})
}
