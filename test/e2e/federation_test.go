// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
	"github.com/hallpass-dev/hallpass/test/kit/issuers"
)

// network is where the manager fetches the keys of trusted issuers.
var network issuers.Network

// inlineKeys is a set with a key of RFC 8037.
const inlineKeys = `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`

// platform is an issuer with JWTs as a platform documents them, and what a client names of them.
type platform struct {
	name, url string
	algorithm jws.Algorithm
	claims    map[string]any
	issuer    v1alpha1.IssuerNamespaces
	client    v1alpha1.FederatedTokenSpec
}

func required(name string, values ...v1alpha1.RequiredValue) v1alpha1.RequiredClaim {
	return v1alpha1.RequiredClaim{Name: name, Values: values}
}

func fromNamespace(name string) v1alpha1.NamespaceSource {
	return v1alpha1.NamespaceSource{Namespaces: []v1alpha1.NamespaceName{v1alpha1.NamespaceName(name)}}
}

// gitHub are the claims that GitHub documents for a job with an environment, and others.
func gitHub(others map[string]any) map[string]any {
	const workflow = "octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main"
	claims := map[string]any{
		"environment": "prod", "ref": "refs/heads/main", "sha": "example-sha", "repository": "octo-org/octo-repo", "repository_owner": "octo-org",
		"actor_id": "12", "repository_visibility": "private", "repository_id": "74", "repository_owner_id": "65", "run_id": "example-run-id",
		"run_number": "10", "run_attempt": "2", "runner_environment": "github-hosted", "actor": "octocat", "workflow": "example-workflow",
		"head_ref": "", "base_ref": "", "event_name": "workflow_dispatch", "ref_type": "branch", "check_run_id": "30",
		"job_workflow_ref": workflow, "job_workflow_sha": "example-sha", "workflow_ref": workflow, "workflow_sha": "example-sha",
	}
	maps.Copy(claims, others)
	return claims
}

// platforms have the claims of the documentation of each platform; see docs/federation.md.
func platforms() []platform {
	return []platform{
		{
			name: "github", url: "https://token.actions.githubusercontent.com", algorithm: jws.RS256,
			claims: gitHub(map[string]any{"sub": "repo:octo-org@65/octo-repo@74:environment:prod"}),
			issuer: v1alpha1.IssuerNamespaces{Claims: []v1alpha1.RequiredClaim{required("repository_owner_id", "65")}},
			client: v1alpha1.FederatedTokenSpec{Claims: []v1alpha1.RequiredClaim{required("repository_id", "74"), required("environment", "prod")}},
		},
		{
			// a repository from before 2026-07-15
			name: "github-by-name", url: "https://token.actions.octocorp.ghe.com", algorithm: jws.RS256,
			claims: gitHub(map[string]any{"sub": "repo:octo-org/octo-repo:environment:prod", "enterprise": "octocorp", "enterprise_id": "9"}),
			issuer: v1alpha1.IssuerNamespaces{
				SubjectPrefixes: []v1alpha1.SubjectPrefix{"repo:octo-org/"}, Claims: []v1alpha1.RequiredClaim{required("repository_owner_id", "65")},
			},
			client: v1alpha1.FederatedTokenSpec{Subject: "repo:octo-org/octo-repo:environment:prod"},
		},
		{
			name: "gitlab", url: "https://gitlab.example.com", algorithm: jws.RS256,
			claims: map[string]any{
				"sub":          "project_path:my-group/my-project:ref_type:branch:ref:feature-branch-1",
				"namespace_id": "72", "namespace_path": "my-group", "project_id": "20", "project_path": "my-group/my-project", "user_id": "1",
				"user_login": "sample-user", "user_email": "sample-user@example.com", "user_identities": []any{map[string]any{"provider": "github"}},
				"pipeline_id": "574", "pipeline_source": "push", "job_id": "302", "ref": "feature-branch-1", "ref_type": "branch",
				"ref_path": "refs/heads/feature-branch-1", "ref_protected": "true", "runner_id": 1, "runner_environment": "self-hosted",
				"sha": "714a629c0b401fdce83e847fc9589983fc6f46bc", "project_visibility": "public", "ci_config_ref_uri": nil,
			},
			issuer: v1alpha1.IssuerNamespaces{Claims: []v1alpha1.RequiredClaim{required("namespace_id", "72")}},
			client: v1alpha1.FederatedTokenSpec{Claims: []v1alpha1.RequiredClaim{required("project_id", "20"), required("ref_protected", "true")}},
		},
		{
			name: "east", url: "https://oidc.east.example.com/id/7a", algorithm: jws.RS256,
			claims: map[string]any{
				"sub": "system:serviceaccount:jobs:nightly", "kubernetes.io": map[string]any{
					"namespace": "jobs", "pod": map[string]any{"name": "nightly-0", "uid": "p"}, "serviceaccount": map[string]any{"name": "nightly", "uid": "a"},
				},
			},
			issuer: v1alpha1.IssuerNamespaces{SubjectPrefixes: []v1alpha1.SubjectPrefix{"system:serviceaccount:jobs:"}},
			client: v1alpha1.FederatedTokenSpec{Subject: "system:serviceaccount:jobs:nightly"},
		},
		{
			name: "spire", url: "https://oidc-discovery.example.org", algorithm: jws.ES256,
			claims: map[string]any{"sub": "spiffe://example.org/ns/ci/sa/deploy"},
			issuer: v1alpha1.IssuerNamespaces{SubjectPrefixes: []v1alpha1.SubjectPrefix{"spiffe://example.org/ns/ci/"}},
			client: v1alpha1.FederatedTokenSpec{SubjectPrefix: "spiffe://example.org/ns/ci/"},
		},
	}
}

func platformOf(name string) platform {
	all := platforms()
	return all[slices.IndexFunc(all, func(p platform) bool { return p.name == name })]
}

// trusting is an OAuth2TrustedIssuer for an issuer, of a namespace.
func trusting(name string, issuer *issuers.Issuer, entries ...v1alpha1.IssuerNamespaces) *v1alpha1.OAuth2TrustedIssuer {
	return &v1alpha1.OAuth2TrustedIssuer{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.OAuth2TrustedIssuerSpec{
			Issuer: issuer.URL, Uses: []v1alpha1.IssuerUse{v1alpha1.IssuerClient}, CABundle: issuer.CA, Namespaces: entries,
		},
	}
}

// trust creates an issuer, which goes with the test, and waits for its condition.
func trust(t *testing.T, o *v1alpha1.OAuth2TrustedIssuer, reason string) *v1alpha1.OAuth2TrustedIssuer {
	t.Helper()
	must(t, cluster.Create(t.Context(), o))
	t.Cleanup(func() { must(t, client.IgnoreNotFound(cluster.Delete(context.Background(), o))) })
	issuerIs(t, o, reason)
	return o
}

func issuerIs(t *testing.T, o *v1alpha1.OAuth2TrustedIssuer, reason string) {
	t.Helper()
	eventually(t, "issuer "+o.Name+" is "+reason, func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(o), o))
		ready := meta.FindStatusCondition(o.Status.Conditions, v1alpha1.ConditionReady)
		return o.Status.ObservedGeneration == o.Generation && ready != nil && ready.Reason == reason
	})
}

func updateIssuer(t *testing.T, o *v1alpha1.OAuth2TrustedIssuer, change func()) {
	t.Helper()
	eventually(t, "the issuer is changed", func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(o), o))
		change()
		return cluster.Update(t.Context(), o) == nil
	})
}

// allowFederation lets the clients of a namespace use the method.
func allowFederation(t *testing.T, namespace string) {
	t.Helper()
	makeNamespace(t, namespace, nil)
	p := policyOf(namespace, func(spec *v1alpha1.OAuth2PolicySpec) {
		spec.AuthenticationMethods = []v1alpha1.AuthenticationMethod{v1alpha1.ByClientSecret, v1alpha1.ByFederatedToken}
	})
	must(t, cluster.Create(t.Context(), p))
	t.Cleanup(func() { must(t, client.IgnoreNotFound(cluster.Delete(context.Background(), p))) })
}

func federatedClient(name, issuerName string, spec v1alpha1.FederatedTokenSpec) *v1alpha1.OAuth2Client {
	c := newClient(name)
	spec.IssuerName = issuerName
	c.Spec.Authentication = v1alpha1.AuthenticationSpec{Method: v1alpha1.ByFederatedToken, FederatedToken: spec}
	return c
}

// clientIs waits until a client of any namespace has a condition with a reason.
func clientIs(t *testing.T, c *v1alpha1.OAuth2Client, kind, reason string) {
	t.Helper()
	eventually(t, "client "+c.Name+" is "+reason, func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(c), c))
		found := meta.FindStatusCondition(c.Status.Conditions, kind)
		return found != nil && found.Reason == reason && found.ObservedGeneration == c.Generation
	})
}

func createClient(t *testing.T, namespace string, c *v1alpha1.OAuth2Client) *v1alpha1.OAuth2Client {
	t.Helper()
	c.Namespace = namespace
	must(t, cluster.Create(t.Context(), c))
	return c
}

// issue signs the claims of a platform, with the times of now.
func (p platform) issue(issuer *issuers.Issuer, change map[string]any) string {
	claims := maps.Clone(p.claims)
	now := time.Now()
	maps.Copy(claims, map[string]any{
		"iss": issuer.URL, "aud": hallpass.Issuer.String(), "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(), "jti": "example-id",
	})
	maps.Copy(claims, change)
	return issuer.Sign(claims)
}

func TestAWorkloadOfAnotherPlatformFetchesATokenWithoutASecret(t *testing.T) {
	for _, p := range platforms() {
		t.Run(p.name, func(t *testing.T) {
			namespace := "from-" + p.name
			allowFederation(t, namespace)
			issuer := issuers.Start(t, &network, p.url, p.algorithm)
			p.issuer.From = fromNamespace(namespace)
			o := trust(t, trusting(p.name, issuer, p.issuer), v1alpha1.ReasonTrusted)
			c := apply(t, namespace, federatedClient("ci", p.name, p.client))
			if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(c), &corev1.Secret{}); !apierrors.IsNotFound(err) {
				t.Errorf("there is a Secret: %v", err)
			}
			var config corev1.ConfigMap
			must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(c), &config))
			if config.Data["client_id"] != namespace+".ci" {
				t.Errorf("the ConfigMap has %v", config.Data)
			}
			if meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionOpenToPullRequests) != nil {
				t.Error("it is warned of pull requests")
			}
			token := p.issue(issuer, nil)
			if status, body := present(t, namespace+".ci", token); status != http.StatusOK || body["scope"] != "read" {
				t.Fatalf("%d %v", status, body)
			}
			for name, change := range map[string]map[string]any{
				"of another subject":   {"sub": "another", "repository_id": "1", "project_id": "1"},
				"for another audience": {"aud": "https://other.example.com"},
				"of another issuer":    {"iss": issuer.URL + "x"},
			} {
				if status, body := present(t, namespace+".ci", p.issue(issuer, change)); status != http.StatusUnauthorized || body["error"] != "invalid_client" {
					t.Errorf("a JWT %s: %d %v", name, status, body)
				}
			}
			// its subject alone identifies a client that names it
			without := http.StatusBadRequest
			if p.client.Subject != "" {
				without = http.StatusOK
			}
			if status, body := present(t, namespace+".ci", token, "client_id"); status != without {
				t.Errorf("without client_id: %d %v", status, body)
			}
			eventually(t, "the client is counted", func() bool {
				must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(o), o))
				return o.Status.Clients != nil && *o.Status.Clients == 1
			})
			if len(o.Status.Keys) != 1 || o.Status.FetchedAt.IsZero() || !meta.IsStatusConditionTrue(o.Status.Conditions, v1alpha1.ConditionKeysFresh) {
				t.Errorf("the status is %+v", o.Status)
			}
		})
	}
}

// The keys of an issuer that the manager does not reach are in a ConfigMap of its namespace. A
// ConfigMap in the namespace of a tenant is not read.
func TestTheKeysOfATrustedIssuerAreInAConfigMap(t *testing.T) {
	const namespace = "mapped"
	p := platformOf("gitlab")
	allowFederation(t, namespace)
	issuer := issuers.Start(t, &network, "https://mapped.example.com", jws.ES256)
	o := trusting("mapped", issuer, v1alpha1.IssuerNamespaces{From: fromNamespace(namespace)})
	o.Spec.CABundle = nil
	o.Spec.Keys = v1alpha1.IssuerKeysSpec{Source: v1alpha1.KeysInConfigMap, ConfigMap: v1alpha1.IssuerConfigMap{Name: "mapped-keys", Key: "jwks.json"}}
	packed, err := jws.PackKeys(issuer.Signer.Public())
	must(t, err)
	document, err := json.Marshal(map[string]any{"keys": packed.JWKs()})
	must(t, err)
	keys := func(in string) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: in, Name: "mapped-keys"}, Data: map[string]string{"jwks.json": string(document)}}
	}
	must(t, cluster.Create(t.Context(), keys(namespace)))
	trust(t, o, v1alpha1.ReasonKeysNotFetched)
	ready := meta.FindStatusCondition(o.Status.Conditions, v1alpha1.ConditionReady)
	if !strings.Contains(ready.Message, "there is no ConfigMap mapped-keys in the namespace hallpass-system") {
		t.Errorf("the condition says %q", ready.Message)
	}
	inSystem := keys("hallpass-system")
	must(t, cluster.Create(t.Context(), inSystem))
	t.Cleanup(func() { must(t, client.IgnoreNotFound(cluster.Delete(context.Background(), inSystem))) })
	updateIssuer(t, o, func() { o.Spec.DisplayName = "Mapped" })
	issuerIs(t, o, v1alpha1.ReasonTrusted)
	apply(t, namespace, federatedClient("ci", "mapped", p.client))
	if status, body := present(t, namespace+".ci", p.issue(issuer, nil)); status != http.StatusOK {
		t.Errorf("%d %v", status, body)
	}
	if asked := issuer.Asked(); asked != 0 {
		t.Errorf("the issuer was asked %d times", asked)
	}
}

func TestTheKeysOfATrustedIssuerAreReplaced(t *testing.T) {
	const namespace = "rotating"
	p := platformOf("gitlab")
	allowFederation(t, namespace)
	issuer := issuers.Start(t, &network, "https://rotating.example.com", jws.ES256)
	o := trust(t, trusting("rotating", issuer, v1alpha1.IssuerNamespaces{From: fromNamespace(namespace)}), v1alpha1.ReasonTrusted)
	apply(t, namespace, federatedClient("ci", "rotating", p.client))
	before := p.issue(issuer, nil)
	issuer.Rotate(jws.RS256)
	after := p.issue(issuer, nil)
	if status, body := present(t, "rotating.ci", after); status != http.StatusUnauthorized {
		t.Fatalf("with a key that was not fetched: %d %v", status, body)
	}
	// another source is fetched at once; the schedule has a test of its own
	updateIssuer(t, o, func() { o.Spec.AllowedCIDRs = []v1alpha1.CIDR{"10.20.0.0/16"} })
	eventually(t, "the new key is honoured", func() bool {
		status, _ := present(t, "rotating.ci", after)
		return status == http.StatusOK
	})
	// 503 where the attempts of this source have used up its look-ups
	if status, body := present(t, "rotating.ci", before); status == http.StatusOK {
		t.Errorf("with a key that is published no more: %d %v", status, body)
	}
	// keys that cannot be fetched any more are kept
	issuer.Answer(issuers.KeysPath, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "away", http.StatusServiceUnavailable) })
	updateIssuer(t, o, func() { o.Spec.AllowedCIDRs = nil })
	eventually(t, "the failure is reported", func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(o), o))
		fresh := meta.FindStatusCondition(o.Status.Conditions, v1alpha1.ConditionKeysFresh)
		return fresh != nil && fresh.Reason == v1alpha1.ReasonKeysNotFetched && strings.Contains(fresh.Message, "status 503")
	})
	if status, body := present(t, "rotating.ci", after); status != http.StatusOK || !meta.IsStatusConditionTrue(o.Status.Conditions, v1alpha1.ConditionReady) {
		t.Errorf("with keys that were good: %d %v", status, body)
	}
	updateIssuer(t, o, func() { o.Spec.Keys = v1alpha1.IssuerKeysSpec{Source: v1alpha1.KeysInline, JWKS: inlineKeys} })
	issuerIs(t, o, v1alpha1.ReasonTrusted)
	if len(o.Status.Keys) != 1 || o.Status.Keys[0].Algorithm != "EdDSA" || !o.Status.FetchedAt.IsZero() {
		t.Errorf("with inline keys the status is %+v", o.Status)
	}
}

// A key that an issuer publishes without lead is honoured within 70 s, also if the keys were
// fetched just before, and one that it publishes 120 s before it signs from its first signature.
func TestAKeyOfAnIssuerIsHonouredInTime(t *testing.T) {
	if testing.Short() {
		t.Skip("make long")
	}
	const namespace = "in-time"
	p := platformOf("gitlab")
	allowFederation(t, namespace)
	issuer := issuers.Start(t, &network, "https://in-time.example.com", jws.ES256)
	trust(t, trusting("in-time", issuer, v1alpha1.IssuerNamespaces{From: fromNamespace(namespace)}), v1alpha1.ReasonTrusted)
	apply(t, namespace, federatedClient("ci", "in-time", p.client))
	honoured := func() bool {
		status, _ := present(t, namespace+".ci", p.issue(issuer, nil))
		return status == http.StatusOK
	}
	if !honoured() {
		t.Fatal("a JWT by the first key is refused")
	}
	asked := issuer.Asked()
	// discovery and keys
	eventually(t, "the keys are fetched again", func() bool { return issuer.Asked() >= asked+2 })
	former := issuer.Rotate(jws.RS256)
	published := time.Now()
	eventually(t, "the key without lead is honoured", honoured)
	took := time.Since(published)
	t.Logf("a key without lead was honoured after %s", took.Round(time.Millisecond))
	if took > 70*time.Second {
		t.Errorf("a key without lead was honoured after %s", took)
	}
	next, signing := issuers.NewSigner(t, jws.ES256), issuer.Signer
	issuer.Publish(former, signing, next)
	published = time.Now()
	eventually(t, "120 s have passed", func() bool { return time.Since(published) >= 120*time.Second })
	issuer.Signer = next
	if status, body := present(t, namespace+".ci", p.issue(issuer, nil)); status != http.StatusOK {
		t.Errorf("the first JWT by a key that was published 120 s before: %d %v", status, body)
	}
}

func TestAnIssuerIsSuspendedAndDeleted(t *testing.T) {
	const namespace = "suspending"
	p := platformOf("gitlab")
	allowFederation(t, namespace)
	issuer := issuers.Start(t, &network, "https://suspending.example.com", jws.ES256)
	o := trust(t, trusting("suspending", issuer, v1alpha1.IssuerNamespaces{From: fromNamespace(namespace)}), v1alpha1.ReasonTrusted)
	c := apply(t, namespace, federatedClient("ci", "suspending", p.client))
	becomes := func(want int) {
		t.Helper()
		eventually(t, fmt.Sprintf("the answer is %d", want), func() bool {
			status, _ := present(t, "suspending.ci", p.issue(issuer, nil))
			return status == want
		})
	}
	becomes(http.StatusOK)
	updateIssuer(t, o, func() { o.Spec.State = v1alpha1.IssuerSuspended })
	issuerIs(t, o, v1alpha1.ReasonSuspended)
	becomes(http.StatusUnauthorized)
	updateIssuer(t, o, func() { o.Spec.State = "" })
	becomes(http.StatusOK)
	updateIssuer(t, o, func() { o.Spec.Namespaces = nil })
	clientIs(t, c, v1alpha1.ConditionReady, v1alpha1.ReasonNotAllowedByIssuer)
	becomes(http.StatusUnauthorized)
	updateIssuer(t, o, func() { o.Spec.Namespaces = []v1alpha1.IssuerNamespaces{{From: fromNamespace(namespace)}} })
	clientIs(t, c, v1alpha1.ConditionReady, v1alpha1.ReasonRegistered)
	becomes(http.StatusOK)
	must(t, cluster.Delete(t.Context(), o))
	clientIs(t, c, v1alpha1.ConditionReady, v1alpha1.ReasonIssuerNotFound)
	becomes(http.StatusUnauthorized)
	eventually(t, "the record is gone", func() bool {
		key := client.ObjectKey{Namespace: installation.RegistryNamespace, Name: registration.IssuerSecretName("suspending")}
		return apierrors.IsNotFound(cluster.Get(t.Context(), key, &corev1.Secret{}))
	})
}

func TestAClientOfATrustedIssuerLearnsWhatIsInItsWay(t *testing.T) {
	const namespace = "obstacles"
	makeNamespace(t, namespace, nil)
	issuer := issuers.Start(t, &network, "https://obstacles.example.com", jws.ES256)
	claims := []v1alpha1.RequiredClaim{required("project_id", "20"), required("ref_protected", "true")}
	c := createClient(t, namespace, federatedClient("ci", "obstacles", v1alpha1.FederatedTokenSpec{SubjectPrefix: "project_path:", Claims: claims}))
	clientIs(t, c, v1alpha1.ConditionReady, v1alpha1.ReasonNotAllowedByPolicy)
	allowFederation(t, namespace)
	clientIs(t, c, v1alpha1.ConditionReady, v1alpha1.ReasonIssuerNotFound)
	if meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReconciling) == nil {
		t.Errorf("a client that came before its issuer is not Reconciling: %v", c.Status.Conditions)
	}
	o := trust(t, trusting("obstacles", issuer, v1alpha1.IssuerNamespaces{From: fromNamespace("elsewhere")}), v1alpha1.ReasonTrusted)
	clientIs(t, c, v1alpha1.ConditionReady, v1alpha1.ReasonNotAllowedByIssuer)
	prefixes := []v1alpha1.SubjectPrefix{"project_path:my-group/"}
	updateIssuer(t, o, func() {
		o.Spec.Namespaces = []v1alpha1.IssuerNamespaces{{From: fromNamespace(namespace), SubjectPrefixes: prefixes}}
	})
	eventually(t, "it reaches too far", func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(c), c))
		ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady)
		return ready.Reason == v1alpha1.ReasonNotAllowedByIssuer && strings.Contains(ready.Message, "other subjects")
	})
	update(t, c, func() { c.Spec.Authentication.FederatedToken.SubjectPrefix = "project_path:my-group/" })
	clientIs(t, c, v1alpha1.ConditionReady, v1alpha1.ReasonRegistered)
	update(t, c, func() { c.Spec.Authentication.FederatedToken.Claims = claims[:1] })
	clientIs(t, c, v1alpha1.ConditionOpenToPullRequests, v1alpha1.ReasonOpenToPullRequests)
	// a policy that a tenant could bring about permits nothing
	p := policyOf(namespace, func(*v1alpha1.OAuth2PolicySpec) {})
	must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(p), p))
	p.Spec.NamespaceSelector.MatchLabels = map[string]v1alpha1.LabelValue{"team": "mine"}
	must(t, cluster.Update(t.Context(), p))
	makeLabelled(t, namespace, "team", "mine")
	clientIs(t, c, v1alpha1.ConditionReady, v1alpha1.ReasonNotAllowedByPolicy)
	if status, body := present(t, namespace+".ci", platformOf("gitlab").issue(issuer, nil)); status != http.StatusUnauthorized {
		t.Errorf("a client that no policy allows: %d %v", status, body)
	}
}

func makeLabelled(t *testing.T, namespace, label, value string) {
	t.Helper()
	var o corev1.Namespace
	must(t, cluster.Get(t.Context(), client.ObjectKey{Name: namespace}, &o))
	o.Labels[label] = value
	must(t, cluster.Update(t.Context(), &o))
}

func TestAnIssuerThatMayNotBeTrusted(t *testing.T) {
	good := issuers.Start(t, &network, "https://twice.example.com", jws.ES256)
	first := trust(t, trusting("twice-first", good), v1alpha1.ReasonTrusted)
	second := trust(t, trusting("twice-second", good), v1alpha1.ReasonIssuerConflict)
	must(t, cluster.Delete(t.Context(), first))
	issuerIs(t, second, v1alpha1.ReasonTrusted)

	private := issuers.Start(t, &network, "https://private.example.com", jws.ES256)
	network.Move("private.example.com", "10.20.0.9")
	o := trust(t, trusting("private", private), v1alpha1.ReasonAddressNotAllowed)
	updateIssuer(t, o, func() { o.Spec.AllowedCIDRs = []v1alpha1.CIDR{"10.20.0.0/16"} })
	issuerIs(t, o, v1alpha1.ReasonTrusted)

	for name, url := range map[string]string{
		"ourselves": hallpass.Issuer.String(), "ourselves-again": hallpass.Issuer.String() + "/", "default": "https://kubernetes.default.svc.cluster.local",
	} {
		trust(t, trusting("own-"+name, &issuers.Issuer{URL: url, CA: good.CA}), v1alpha1.ReasonOwnIssuer)
	}
	trust(t, trusting("nowhere", &issuers.Issuer{URL: "https://nowhere.example.com", CA: good.CA}), v1alpha1.ReasonKeysNotFetched)
}

// weakKeys is a set with an RSA key of 1024 bits.
const weakKeys = `{"keys":[{"kty":"RSA","e":"AQAB","n":"oXCzODkmMFnyjBBdH7F8I5DBks_TrJSvDyHdtmytSiaNEW7OFzj32T2cFyQR4guPaw1Um28DZ1oWAKNaCZlQ2D` +
	`b2dcyB50716OJdlA7ZBHWVMZhdXZ3J-BgY6BGJL5Ar0j8IJBKLLzMMXH_QpqOkUGUTJw4mng038qdN5FLmtDk"}]}`

// TestAnIssuerIsTrustedOnceItServesGoodKeys: what an issuer mends is noticed without an edit.
func TestAnIssuerIsTrustedOnceItServesGoodKeys(t *testing.T) {
	body := func(content string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, content) }
	}
	var trusted []*v1alpha1.OAuth2TrustedIssuer
	var mend []func()
	for reason, c := range map[string]struct {
		path   string
		answer http.HandlerFunc
	}{
		v1alpha1.ReasonIssuerMismatch: {issuers.DiscoveryPath, body(`{"issuer":"https://another.example.com","jwks_uri":"https://another.example.com/keys"}`)},
		v1alpha1.ReasonWeakKey:        {issuers.KeysPath, body(weakKeys)},
		v1alpha1.ReasonKeysNotFetched: {issuers.KeysPath, http.NotFound},
	} {
		name := "mended-" + strings.ToLower(reason)
		issuer := issuers.Start(t, &network, "https://"+name+".example.com", jws.ES256)
		issuer.Answer(c.path, c.answer)
		trusted = append(trusted, trust(t, trusting(name, issuer), reason))
		mend = append(mend, func() { issuer.Answer(c.path, nil) })
	}
	for _, m := range mend {
		m()
	}
	for _, o := range trusted {
		issuerIs(t, o, v1alpha1.ReasonTrusted)
	}
}

// TestStaleKeysOfAnIssuerAreNotUsed has the manager away for longer than the age of the keys, as
// the record has it, and the issuer too.
func TestStaleKeysOfAnIssuerAreNotUsed(t *testing.T) {
	const namespace = "stale"
	p := platformOf("gitlab")
	allowFederation(t, namespace)
	issuer := issuers.Start(t, &network, "https://stale.example.com", jws.ES256)
	o := trust(t, trusting("stale", issuer, v1alpha1.IssuerNamespaces{From: fromNamespace(namespace)}), v1alpha1.ReasonTrusted)
	apply(t, namespace, federatedClient("ci", "stale", p.client))
	must(t, hallpass.StopManager())
	issuer.Answer(issuers.KeysPath, http.NotFound)
	var record corev1.Secret
	must(t, cluster.Get(t.Context(), client.ObjectKey{Namespace: installation.RegistryNamespace, Name: registration.IssuerSecretName("stale")}, &record))
	stored, err := registration.DecodeIssuer(record.Data)
	must(t, err)
	stored.Keys.FetchedAt, stored.Keys.Until = stored.Keys.FetchedAt.Add(-48*time.Hour), stored.Keys.Until.Add(-48*time.Hour)
	record.Data, err = registration.EncodeIssuer(stored)
	must(t, err)
	must(t, cluster.Update(t.Context(), &record))
	eventually(t, "stale keys are not used", func() bool {
		status, _ := present(t, "stale.ci", p.issue(issuer, nil))
		return status == http.StatusUnauthorized
	})
	must(t, hallpass.StartManager(context.WithoutCancel(t.Context())))
	issuerIs(t, o, v1alpha1.ReasonKeysStale)
	issuer.Answer(issuers.KeysPath, nil)
	issuerIs(t, o, v1alpha1.ReasonTrusted)
	eventually(t, "the keys are used again", func() bool {
		status, _ := present(t, "stale.ci", p.issue(issuer, nil))
		return status == http.StatusOK
	})
}

func TestAnIssuerThatCannotBeMeantIsRefusedAtApply(t *testing.T) {
	issuer := &issuers.Issuer{URL: "https://refused.example.com", CA: []byte("x")}
	for name, change := range map[string]func(*v1alpha1.OAuth2TrustedIssuer){
		"a name with a dot":               func(o *v1alpha1.OAuth2TrustedIssuer) { o.Name = "a.b" },
		"a name of 64 letters":            func(o *v1alpha1.OAuth2TrustedIssuer) { o.Name = strings.Repeat("a", 64) },
		"an issuer that is not https":     func(o *v1alpha1.OAuth2TrustedIssuer) { o.Spec.Issuer = "http://a.example.com" },
		"an issuer with a query":          func(o *v1alpha1.OAuth2TrustedIssuer) { o.Spec.Issuer = "https://a.example.com?x" },
		"an issuer with a user":           func(o *v1alpha1.OAuth2TrustedIssuer) { o.Spec.Issuer = "https://u@a.example.com" },
		"an issuer with a dot at the end": func(o *v1alpha1.OAuth2TrustedIssuer) { o.Spec.Issuer = "https://a.example.com." },
		"no use":                          func(o *v1alpha1.OAuth2TrustedIssuer) { o.Spec.Uses = nil },
		"a use that nothing honours":      func(o *v1alpha1.OAuth2TrustedIssuer) { o.Spec.Uses = []v1alpha1.IssuerUse{"Device"} },
		"a type that nothing honours":     func(o *v1alpha1.OAuth2TrustedIssuer) { o.Spec.Type = "SAML" },
		"a trust domain with an issuer":   func(o *v1alpha1.OAuth2TrustedIssuer) { spiffe(o); o.Spec.Issuer = "https://a.example.com" },
		"an issuer with a trust domain":   func(o *v1alpha1.OAuth2TrustedIssuer) { o.Spec.SPIFFE.TrustDomain = "example.org" },
		"a trust domain that is a URL":    func(o *v1alpha1.OAuth2TrustedIssuer) { spiffe(o); o.Spec.SPIFFE.TrustDomain = "spiffe://example.org" },
		"no trust domain":                 func(o *v1alpha1.OAuth2TrustedIssuer) { spiffe(o); o.Spec.SPIFFE.TrustDomain = "" },
		"a trust domain by discovery":     func(o *v1alpha1.OAuth2TrustedIssuer) { spiffe(o); o.Spec.Keys = v1alpha1.IssuerKeysSpec{} },
		"a trust domain of people": func(o *v1alpha1.OAuth2TrustedIssuer) {
			spiffe(o)
			o.Spec.Uses = []v1alpha1.IssuerUse{v1alpha1.IssuerClient, v1alpha1.IssuerPerson}
		},
		"a trust domain whose JWTs are accepted once": func(o *v1alpha1.OAuth2TrustedIssuer) { spiffe(o); o.Spec.Reuse = v1alpha1.ReuseOnce },
		"neither an issuer nor a trust domain":        func(o *v1alpha1.OAuth2TrustedIssuer) { o.Spec.Issuer = "" },
		"a URL without its source":                    func(o *v1alpha1.OAuth2TrustedIssuer) { o.Spec.Keys.URL = "https://a.example.com" },
		"a source without its URL":                    func(o *v1alpha1.OAuth2TrustedIssuer) { o.Spec.Keys.Source = v1alpha1.KeysByURL },
		"a URL that is not https": func(o *v1alpha1.OAuth2TrustedIssuer) {
			o.Spec.Keys = v1alpha1.IssuerKeysSpec{Source: v1alpha1.KeysByURL, URL: "http://a"}
		},
		"inline keys that are private": func(o *v1alpha1.OAuth2TrustedIssuer) {
			o.Spec.Keys = v1alpha1.IssuerKeysSpec{Source: v1alpha1.KeysInline, JWKS: `{"keys":[{"d":"x"}]}`}
		},
		"inline keys with an age": func(o *v1alpha1.OAuth2TrustedIssuer) {
			o.Spec.Keys = v1alpha1.IssuerKeysSpec{Source: v1alpha1.KeysInline, JWKS: "{}", MaxAge: "2h"}
		},
		"a ConfigMap without its source": func(o *v1alpha1.OAuth2TrustedIssuer) {
			o.Spec.Keys.ConfigMap = v1alpha1.IssuerConfigMap{Name: "a", Key: "b"}
		},
		"a source without its ConfigMap": func(o *v1alpha1.OAuth2TrustedIssuer) { o.Spec.Keys.Source = v1alpha1.KeysInConfigMap },
		"a ConfigMap without an entry": func(o *v1alpha1.OAuth2TrustedIssuer) {
			o.Spec.Keys = v1alpha1.IssuerKeysSpec{Source: v1alpha1.KeysInConfigMap, ConfigMap: v1alpha1.IssuerConfigMap{Name: "a"}}
		},
		"keys of a month and more":       func(o *v1alpha1.OAuth2TrustedIssuer) { o.Spec.Keys.MaxAge = "721h" },
		"JWTs of two days":               func(o *v1alpha1.OAuth2TrustedIssuer) { o.Spec.MaxTokenLifetime = "48h" },
		"a range that is none":           func(o *v1alpha1.OAuth2TrustedIssuer) { o.Spec.AllowedCIDRs = []v1alpha1.CIDR{"10.0.0.1"} },
		"an algorithm with a shared key": func(o *v1alpha1.OAuth2TrustedIssuer) { o.Spec.Algorithms = []v1alpha1.IssuerAlgorithm{"HS256"} },
		"a prefix without a separator": func(o *v1alpha1.OAuth2TrustedIssuer) {
			o.Spec.Namespaces = []v1alpha1.IssuerNamespaces{{From: fromNamespace("a"), SubjectPrefixes: []v1alpha1.SubjectPrefix{"repo:acme"}}}
		},
		"a claim with a rule of its own": func(o *v1alpha1.OAuth2TrustedIssuer) {
			o.Spec.Namespaces = []v1alpha1.IssuerNamespaces{{From: fromNamespace("a"), Claims: []v1alpha1.RequiredClaim{required("aud", "x")}}}
		},
		"namespaces of no name": func(o *v1alpha1.OAuth2TrustedIssuer) { o.Spec.Namespaces = []v1alpha1.IssuerNamespaces{{}} },
	} {
		o := trusting("refused", issuer)
		change(o)
		if err := cluster.Create(t.Context(), o, client.DryRunAll); !apierrors.IsInvalid(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	good := issuers.Start(t, &network, "https://immutable.example.com", jws.ES256)
	o := trust(t, trusting("immutable", good), v1alpha1.ReasonTrusted)
	domain := &v1alpha1.OAuth2TrustedIssuer{ObjectMeta: metav1.ObjectMeta{Name: "immutable-domain"}, Spec: v1alpha1.OAuth2TrustedIssuerSpec{
		Uses: []v1alpha1.IssuerUse{v1alpha1.IssuerClient},
	}}
	spiffe(domain)
	domain.Spec.SPIFFE.TrustDomain = "immutable.example.org"
	// its keys are for signatures, and not for JWT-SVIDs
	trust(t, domain, v1alpha1.ReasonKeysNotFetched)
	for name, c := range map[string]struct {
		o      *v1alpha1.OAuth2TrustedIssuer
		change func(*v1alpha1.OAuth2TrustedIssuer)
	}{
		"another issuer":       {o, func(o *v1alpha1.OAuth2TrustedIssuer) { o.Spec.Issuer = "https://other.example.com" }},
		"another trust domain": {domain, func(o *v1alpha1.OAuth2TrustedIssuer) { o.Spec.SPIFFE.TrustDomain = "other.example.org" }},
		"another type":         {o, func(o *v1alpha1.OAuth2TrustedIssuer) { spiffe(o); o.Spec.Issuer = "" }},
		"the other type": {domain, func(o *v1alpha1.OAuth2TrustedIssuer) {
			o.Spec.Type, o.Spec.SPIFFE, o.Spec.Issuer = "", v1alpha1.IssuerSPIFFESpec{}, "https://immutable2.example.com"
		}},
	} {
		changed := c.o.DeepCopy()
		c.change(changed)
		if err := cluster.Patch(t.Context(), changed, client.MergeFrom(c.o)); !apierrors.IsInvalid(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// spiffe makes an issuer a trust domain.
func spiffe(o *v1alpha1.OAuth2TrustedIssuer) {
	o.Spec.Type, o.Spec.SPIFFE.TrustDomain, o.Spec.Issuer = v1alpha1.IssuerSPIFFE, "example.org", ""
	o.Spec.Keys = v1alpha1.IssuerKeysSpec{Source: v1alpha1.KeysInline, JWKS: inlineKeys}
}

func TestAClientThatCannotBeMeantIsRefusedAtApply(t *testing.T) {
	makeNamespace(t, "meant", nil)
	claims := []v1alpha1.RequiredClaim{required("a", "b")}
	for name, spec := range map[string]v1alpha1.FederatedTokenSpec{
		"nothing that binds":           {IssuerName: "a"},
		"no issuer":                    {Subject: "a"},
		"an issuer that is no name":    {IssuerName: "https://a", Subject: "a"},
		"a subject and a prefix":       {IssuerName: "a", Subject: "a", SubjectPrefix: "a:", Claims: claims},
		"a prefix without claims":      {IssuerName: "a", SubjectPrefix: "repo:acme/"},
		"a prefix without a separator": {IssuerName: "a", SubjectPrefix: "repo:acme", Claims: claims},
		"a claim without values":       {IssuerName: "a", Claims: []v1alpha1.RequiredClaim{{Name: "a"}}},
		"an audience among the claims": {IssuerName: "a", Claims: []v1alpha1.RequiredClaim{required("aud", "x")}},
		"claims that are too long":     {IssuerName: "a", Claims: []v1alpha1.RequiredClaim{required("a", manyValues(12)...)}},
	} {
		c := federatedClient("refused", spec.IssuerName, spec)
		c.Namespace = "meant"
		if err := cluster.Create(t.Context(), c, client.DryRunAll); !apierrors.IsInvalid(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]func(*v1alpha1.OAuth2Client){
		"the method without its field": func(c *v1alpha1.OAuth2Client) { c.Spec.Authentication.FederatedToken = v1alpha1.FederatedTokenSpec{} },
		"the field without its method": func(c *v1alpha1.OAuth2Client) { c.Spec.Authentication.Method = "" },
		"a rotation of no secret":      func(c *v1alpha1.OAuth2Client) { c.Spec.Rotation.Interval = "720h" },
	} {
		c := federatedClient("refused", "a", v1alpha1.FederatedTokenSpec{Subject: "a"})
		c.Namespace = "meant"
		change(c)
		if err := cluster.Create(t.Context(), c, client.DryRunAll); !apierrors.IsInvalid(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func manyValues(n int) (values []v1alpha1.RequiredValue) {
	for i := range n {
		values = append(values, v1alpha1.RequiredValue(strings.Repeat("v", 200)+fmt.Sprint(i)))
	}
	return values
}

// TestANamespaceAdminCannotReachTheJWTsOfOthers has the admin of a namespace, which an issuer lets
// have JWTs below a prefix, try to get what is another's.
func TestANamespaceAdminCannotReachTheJWTsOfOthers(t *testing.T) {
	const hers, victims = "mallory-ci", "victim-ci"
	allowFederation(t, hers)
	allowFederation(t, victims)
	must(t, cluster.Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: hers, Name: "admin"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: "mallory-ci"}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "admin"},
	}))
	admin := asUser(t, "mallory-ci")
	eventually(t, "the admin role has the kinds", func() bool {
		return admin.List(t.Context(), &v1alpha1.OAuth2ClientList{}, client.InNamespace(hers)) == nil
	})
	issuer := issuers.Start(t, &network, "https://shared.example.com", jws.ES256)
	trust(t, trusting("shared", issuer,
		v1alpha1.IssuerNamespaces{From: fromNamespace(hers), SubjectPrefixes: []v1alpha1.SubjectPrefix{"repo:mallory/"}},
		v1alpha1.IssuerNamespaces{From: fromNamespace(victims), SubjectPrefixes: []v1alpha1.SubjectPrefix{"repo:victim/"}},
		v1alpha1.IssuerNamespaces{From: v1alpha1.NamespaceSource{NamespaceSelector: v1alpha1.LabelMatch{MatchLabels: map[string]v1alpha1.LabelValue{"team": "gold"}}}},
	), v1alpha1.ReasonTrusted)
	other := issuers.Start(t, &network, "https://others.example.com", jws.ES256)
	trust(t, trusting("others", other, v1alpha1.IssuerNamespaces{From: fromNamespace(victims)}), v1alpha1.ReasonTrusted)
	const ofVictim, ofHers = "repo:victim/shop:environment:prod", "repo:mallory/evil:environment:prod"
	apply(t, victims, federatedClient("deploy", "shared", v1alpha1.FederatedTokenSpec{Subject: ofVictim}))
	p := platform{claims: map[string]any{"repository_id": "74"}}
	victimsJWT, hersJWT := p.issue(issuer, map[string]any{"sub": ofVictim}), p.issue(issuer, map[string]any{"sub": ofHers})
	makeLabelled(t, hers, "team", "gold")

	if err := admin.Create(t.Context(), trusting("mallory", other)); !apierrors.IsForbidden(err) {
		t.Errorf("an issuer of hers: %v", err)
	}
	if err := admin.Create(t.Context(), policyOf(hers, func(*v1alpha1.OAuth2PolicySpec) {})); !apierrors.IsForbidden(err) {
		t.Errorf("a policy of hers: %v", err)
	}
	claims := []v1alpha1.RequiredClaim{required("repository_id", "74")}
	for name, c := range map[string]struct {
		issuerName, reason string
		spec               v1alpha1.FederatedTokenSpec
	}{
		"subject":  {"shared", v1alpha1.ReasonNotAllowedByIssuer, v1alpha1.FederatedTokenSpec{Subject: ofVictim}},
		"prefix":   {"shared", v1alpha1.ReasonNotAllowedByIssuer, v1alpha1.FederatedTokenSpec{SubjectPrefix: "repo:", Claims: claims}},
		"beside":   {"shared", v1alpha1.ReasonNotAllowedByIssuer, v1alpha1.FederatedTokenSpec{SubjectPrefix: "repo:victim/", Claims: claims}},
		"of-other": {"others", v1alpha1.ReasonNotAllowedByIssuer, v1alpha1.FederatedTokenSpec{Subject: ofVictim}},
		"claims":   {"shared", v1alpha1.ReasonRegistered, v1alpha1.FederatedTokenSpec{Claims: claims}},
		"own":      {"shared", v1alpha1.ReasonRegistered, v1alpha1.FederatedTokenSpec{Subject: ofHers}},
	} {
		o := federatedClient(name, c.issuerName, c.spec)
		o.Namespace = hers
		must(t, admin.Create(t.Context(), o))
		clientIs(t, o, v1alpha1.ConditionReady, c.reason)
		if status, body := present(t, hers+"."+name, victimsJWT); status != http.StatusUnauthorized {
			t.Errorf("%s: the JWT of the victim as her client: %d %v", name, status, body)
		}
	}
	if status, body := present(t, hers+".own", hersJWT); status != http.StatusOK {
		t.Errorf("her own JWT: %d %v", status, body)
	}
	if status, body := present(t, victims+".deploy", hersJWT); status != http.StatusUnauthorized {
		t.Errorf("her JWT as the client of the victim: %d %v", status, body)
	}
	if status, body := present(t, victims+".deploy", victimsJWT); status != http.StatusOK {
		t.Errorf("the JWT of the victim: %d %v", status, body)
	}
	// whose it is, the delegation decides, and not who named it first
	for want, token := range map[string]string{victims + ".deploy": victimsJWT, hers + ".own": hersJWT} {
		if status, body := present(t, "", token, "client_id"); status != http.StatusOK || clientOf(t, body) != want {
			t.Errorf("without client_id: %d %v, want it of %s", status, body, want)
		}
	}
}

// clientOf is the client of the token in a response.
func clientOf(t *testing.T, body map[string]any) string {
	t.Helper()
	token, _ := body["access_token"].(string)
	message, err := jws.Parse(token)
	must(t, err)
	var claims struct {
		ClientID string `json:"client_id"`
	}
	must(t, json.Unmarshal(message.Unverified(), &claims))
	return claims.ClientID
}
