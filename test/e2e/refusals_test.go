// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// What follows are the kinds of writes and the reasons for which they are refused; see refusal.

// An immutable Secret that is deleted comes back with the secret that all the attempts were about.
func immutableSecret() refusal {
	c := newClient("app")
	var pending []string
	return refusal{
		before: func(t *testing.T) {
			t.Helper()
			apply(t, "refused-immutable", c)
			secret := credentials(t, c)
			secret.Immutable = new(true)
			must(t, cluster.Update(t.Context(), secret))
		},
		after:  func(t *testing.T) { t.Helper(); askToRotate(t, c) },
		writes: in("refused-immutable", "app"),
		mended: func(t *testing.T) bool {
			t.Helper()
			if len(pending) == 0 {
				pending = pendingOf(t, "refused-immutable.app")
				if len(pending) != 1 {
					t.Errorf("the attempts were about %v; want one secret", pending)
				}
				must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(c), c))
				if !strings.Contains(c.Status.Rotation.Message, "Delete it: it is created again at once") {
					t.Errorf("the status does not say what to do: %s", c.Status.Rotation.Message)
				}
				fetch(t, credentials(t, c))
				must(t, cluster.Delete(t.Context(), credentials(t, c)))
			}
			return holdsSecret(t, c, pending[0])
		},
	}
}

func rotationRefused() refusal {
	c := newClient("app")
	return refusal{
		policy: "request.namespace == 'refused-rotation'",
		before: func(t *testing.T) { t.Helper(); apply(t, "refused-rotation", c) },
		after:  func(t *testing.T) { t.Helper(); askToRotate(t, c) },
		writes: in("refused-rotation", "app"),
		mended: func(t *testing.T) bool {
			t.Helper()
			must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(c), c))
			return c.Status.Rotation.HandledRequest == "now"
		},
	}
}

// The write succeeds, and what is stored is not what was sent.
func secretAltered() refusal {
	c := newClient("app")
	named := metav1.ObjectMeta{Name: "altered-secrets"}
	policy := &admissionv1.MutatingAdmissionPolicy{ObjectMeta: named, Spec: admissionv1.MutatingAdmissionPolicySpec{
		ReinvocationPolicy: admissionv1.NeverReinvocationPolicy,
		MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
			Operations: []admissionv1.OperationType{admissionv1.Create, admissionv1.Update},
			Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"secrets"}},
		}}}},
		MatchConditions: []admissionv1.MatchCondition{{Name: "here", Expression: "request.namespace == 'refused-altered'"}},
		Mutations: []admissionv1.Mutation{{
			PatchType: admissionv1.PatchTypeJSONPatch,
			JSONPatch: &admissionv1.JSONPatch{Expression: `[JSONPatch{op: "replace", path: "/data/client_secret", value: "eA=="}]`},
		}},
	}}
	return refusal{
		before: func(t *testing.T) {
			t.Helper()
			apply(t, "refused-altered", c)
			must(t, cluster.Create(t.Context(), policy))
			must(t, cluster.Create(t.Context(), &admissionv1.MutatingAdmissionPolicyBinding{
				ObjectMeta: named, Spec: admissionv1.MutatingAdmissionPolicyBindingSpec{PolicyName: policy.Name},
			}))
			t.Cleanup(func() { _ = cluster.Delete(context.WithoutCancel(t.Context()), policy) })
			probe := client.NewDryRunClient(cluster)
			eventually(t, "the policy alters Secrets", func() bool {
				secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "refused-altered", Name: "probe"}, Data: map[string][]byte{"client_secret": nil}}
				return probe.Create(t.Context(), secret) == nil && len(secret.Data["client_secret"]) > 0
			})
		},
		after:  func(t *testing.T) { t.Helper(); askToRotate(t, c) },
		writes: in("refused-altered", "app"),
		undo: func(t *testing.T) {
			t.Helper()
			if pending := pendingOf(t, "refused-altered.app"); len(pending) != 1 {
				t.Errorf("the attempts were about %v; want one secret", pending)
			}
			must(t, cluster.Delete(t.Context(), policy))
		},
		mended: func(t *testing.T) bool {
			t.Helper()
			must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(c), c))
			return c.Status.Rotation.HandledRequest == "now" && strings.HasPrefix(string(credentials(t, c).Data["client_secret"]), "hp_")
		},
	}
}

// The policy refuses the status, too: a client that cannot be made ready would report it.
func firstSecretRefused() refusal {
	return refusal{
		policy: "request.namespace == 'refused-first'",
		before: func(t *testing.T) { t.Helper(); makeNamespace(t, "refused-first", nil) },
		after:  func(t *testing.T) { t.Helper(); createIn(t, "refused-first", newClient("app")) },
		writes: in("refused-first", "app"),
		mended: clientReady("refused-first", "app"),
	}
}

func webhookDown() refusal {
	c := newClient("app")
	hooks := &admissionv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "refused-webhook"}}
	return refusal{
		before: func(t *testing.T) {
			t.Helper()
			apply(t, "refused-webhook", c)
			closed, err := net.Listen("tcp", "127.0.0.1:0")
			must(t, err)
			must(t, closed.Close())
			hooks.Webhooks = []admissionv1.ValidatingWebhook{{
				Name: "down.example.com", FailurePolicy: new(admissionv1.Fail), SideEffects: new(admissionv1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"},
				ClientConfig:      admissionv1.WebhookClientConfig{URL: new("https://" + closed.Addr().String() + "/")},
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: "refused-webhook"}},
				Rules: []admissionv1.RuleWithOperations{{
					Operations: []admissionv1.OperationType{admissionv1.Create, admissionv1.Update},
					Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"secrets"}},
				}},
			}}
			must(t, cluster.Create(t.Context(), hooks))
			t.Cleanup(func() { _ = cluster.Delete(context.WithoutCancel(t.Context()), hooks) })
			eventually(t, "the webhook is asked", func() bool {
				return cluster.Create(t.Context(), secretAs("refused-webhook", "probe", corev1.SecretTypeOpaque, nil), client.DryRunAll) != nil
			})
		},
		after:  func(t *testing.T) { t.Helper(); must(t, cluster.Delete(t.Context(), credentials(t, c))) },
		writes: in("refused-webhook", "app"),
		mended: func(t *testing.T) bool {
			t.Helper()
			_ = cluster.Delete(t.Context(), hooks)
			return cluster.Get(t.Context(), client.ObjectKeyFromObject(c), &corev1.Secret{}) == nil
		},
	}
}

func quotaUsedUp() refusal {
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "none"}, Spec: corev1.ResourceQuotaSpec{
		Hard: corev1.ResourceList{corev1.ResourceSecrets: resource.MustParse("0")},
	}}
	return refusal{
		before: func(t *testing.T) {
			t.Helper()
			createIn(t, "refused-quota", quota)
			quota.Status.Hard = quota.Spec.Hard // there is no quota controller
			must(t, cluster.Status().Update(t.Context(), quota))
			eventually(t, "the quota is in force", func() bool {
				// a dry run uses nothing up
				probe := secretAs("refused-quota", "probe", corev1.SecretTypeOpaque, nil)
				err := cluster.Create(t.Context(), probe)
				_ = cluster.Delete(t.Context(), probe)
				return err != nil
			})
		},
		after:  func(t *testing.T) { t.Helper(); createIn(t, "refused-quota", newClient("app")) },
		writes: in("refused-quota", "app"),
		mended: func(t *testing.T) bool {
			t.Helper()
			_ = cluster.Delete(t.Context(), quota)
			return clientReady("refused-quota", "app")(t)
		},
	}
}

// The token that software holds stays good while another one cannot be written.
func immutableToken() refusal {
	token := newToken("refused-token", "legacy", "app", v1alpha1.TokenRefreshing)
	held := ""
	return refusal{
		before: func(t *testing.T) {
			t.Helper()
			c := newClient("app")
			c.Spec.Scopes = []v1alpha1.Scope{"read", "write"}
			apply(t, "refused-token", c)
			token.Spec.Scopes = []v1alpha1.Scope{"read"}
			held = minted(t, token)
			secret := get(t, &corev1.Secret{}, "refused-token", "legacy")
			secret.Immutable = new(true)
			must(t, cluster.Update(t.Context(), secret))
		},
		after: func(t *testing.T) {
			t.Helper()
			updateToken(t, token, func() { token.Spec.Scopes = []v1alpha1.Scope{"read", "write"} })
		},
		writes: func(e controlplane.AuditEvent) bool {
			return e.Object.Namespace == "refused-token" || e.Object.Name == registration.TokenSecretName(string(token.UID))
		},
		mended: func(t *testing.T) bool {
			t.Helper()
			var secret corev1.Secret
			if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(token), &secret); err != nil {
				must(t, client.IgnoreNotFound(err))
				return false // it was deleted here, and is not back yet
			}
			if value := string(secret.Data["token"]); secret.Immutable != nil {
				if value != held || !isActive(t, credentials(t, newIn("refused-token", "app")), value) {
					t.Error("the token in the Secret is not the one from before, or is refused")
				}
				must(t, cluster.Delete(t.Context(), &secret))
				return false
			}
			return string(secret.Data["token"]) != held && isActive(t, credentials(t, newIn("refused-token", "app")), string(secret.Data["token"]))
		},
	}
}

func newIn(namespace, name string) *v1alpha1.OAuth2Client {
	c := newClient(name)
	c.Namespace = namespace
	return c
}

func tokenRecordRefused() refusal {
	token := newToken("refused-record", "legacy", "app", v1alpha1.TokenRefreshing)
	return refusal{
		policy: "request.operation != 'DELETE' && object.metadata.?annotations['" + v1alpha1.AnnotationTokenNamespace + "'].orValue('') == 'refused-record'",
		before: func(t *testing.T) { t.Helper(); apply(t, "refused-record", newClient("app")) },
		after:  func(t *testing.T) { t.Helper(); must(t, cluster.Create(t.Context(), token)) },
		writes: func(e controlplane.AuditEvent) bool {
			return e.Object.Namespace == "refused-record" || e.Object.Name == registration.TokenSecretName(string(token.UID))
		},
		mended: func(t *testing.T) bool {
			t.Helper()
			return isReady(t, token, func() []metav1.Condition { return token.Status.Conditions })
		},
	}
}

func configMapRefused() refusal {
	return refusal{
		policy: "request.namespace == 'refused-configmap' && request.resource.resource == 'configmaps'",
		before: func(t *testing.T) { t.Helper(); createAccount(t, "refused-configmap", "app") },
		after:  func(t *testing.T) { t.Helper(); createIn(t, "refused-configmap", accountClient("app", "app")) },
		writes: in("refused-configmap", "app"),
		mended: clientReady("refused-configmap", "app"),
	}
}

// ofClient is the expression of registrations of a namespace's clients.
func ofClient(namespace string) string {
	return "request.operation != 'DELETE' && request.namespace == '" + installation.RegistryNamespace + "' && object.metadata.?annotations['" +
		v1alpha1.AnnotationClientNamespace + "'].orValue('') == '" + namespace + "'"
}

func registrationRefused() refusal {
	c := newClient("app")
	return refusal{
		policy: ofClient("refused-registration"),
		before: func(t *testing.T) { t.Helper(); apply(t, "refused-registration", c) },
		after: func(t *testing.T) {
			t.Helper()
			update(t, c, func() { c.Spec.State = v1alpha1.ClientSuspended })
		},
		writes: in("refused-registration", "app"),
		mended: func(t *testing.T) bool {
			t.Helper()
			must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(c), c))
			return c.Status.ObservedGeneration == c.Generation
		},
	}
}

func firstRegistrationRefused() refusal {
	return refusal{
		policy: ofClient("refused-registered"),
		after:  func(t *testing.T) { t.Helper(); createIn(t, "refused-registered", newClient("app")) },
		writes: in("refused-registered", "app"),
		mended: clientReady("refused-registered", "app"),
	}
}

func resourceRecordRefused() refusal {
	r := newResource("api")
	return refusal{
		policy: "request.operation != 'DELETE' && object.metadata.?annotations['" + v1alpha1.AnnotationResourceNamespace + "'].orValue('') == 'refused-resource'",
		after:  func(t *testing.T) { t.Helper(); createIn(t, "refused-resource", r) },
		writes: func(e controlplane.AuditEvent) bool {
			identifier := hallpass.Issuer.ResourceIdentifier(oauth2.ObjectName{Namespace: "refused-resource", Name: "api"})
			return e.Object.Namespace == "refused-resource" || e.Object.Name == registration.ResourceSecretName(identifier)
		},
		mended: func(t *testing.T) bool {
			t.Helper()
			return isReady(t, r, func() []metav1.Condition { return r.Status.Conditions })
		},
	}
}

func issuerRecordRefused() refusal {
	o := delegating("refused-issuer", "refused-issuer")
	return refusal{
		policy: "request.operation != 'DELETE' && object.metadata.?annotations['" + v1alpha1.AnnotationTrustedIssuer + "'].orValue('') == 'refused-issuer'",
		after: func(t *testing.T) {
			t.Helper()
			must(t, cluster.Create(t.Context(), o))
			t.Cleanup(func() { must(t, cluster.Delete(context.WithoutCancel(t.Context()), o)) })
		},
		writes: func(e controlplane.AuditEvent) bool {
			return e.Object.Name == "refused-issuer" || e.Object.Name == registration.IssuerSecretName("refused-issuer")
		},
		mended: func(t *testing.T) bool {
			t.Helper()
			return isReady(t, o, func() []metav1.Condition { return o.Status.Conditions })
		},
	}
}

func newResource(name string) *v1alpha1.OAuth2Resource {
	return &v1alpha1.OAuth2Resource{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.OAuth2ResourceSpec{Scopes: scopesNamed("read")}}
}

func statusRefused(o client.Object) refusal {
	return refusal{
		policy: "request.namespace == 'refused-status' && request.subResource == 'status'",
		after:  func(t *testing.T) { t.Helper(); createIn(t, "refused-status", o) },
		writes: func(e controlplane.AuditEvent) bool {
			return e.Object.Namespace == "refused-status" && e.Object.Name == o.GetName()
		},
		mended: func(t *testing.T) bool {
			t.Helper()
			must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(o), o))
			switch o := o.(type) {
			case *v1alpha1.OAuth2Client:
				return meta.IsStatusConditionTrue(o.Status.Conditions, v1alpha1.ConditionReady)
			case *v1alpha1.OAuth2Token:
				return meta.IsStatusConditionTrue(o.Status.Conditions, v1alpha1.ConditionReady)
			case *v1alpha1.OAuth2Resource:
				return meta.IsStatusConditionTrue(o.Status.Conditions, v1alpha1.ConditionReady)
			}
			return false
		},
	}
}

func policyStatusRefused() refusal {
	policy := &v1alpha1.OAuth2Policy{ObjectMeta: metav1.ObjectMeta{Name: "refused-policy"}, Spec: v1alpha1.OAuth2PolicySpec{
		NamespaceSelector: v1alpha1.LabelMatch{MatchLabels: map[string]v1alpha1.LabelValue{corev1.LabelMetadataName: "refused-policy"}}, MaxClients: new(int32(1)),
	}}
	return refusal{
		policy: "request.name == 'refused-policy' && request.subResource == 'status'",
		after: func(t *testing.T) {
			t.Helper()
			must(t, cluster.Create(t.Context(), policy))
			t.Cleanup(func() { _ = cluster.Delete(context.WithoutCancel(t.Context()), policy) })
		},
		writes: func(e controlplane.AuditEvent) bool { return e.Object.Name == "refused-policy" },
		mended: func(t *testing.T) bool {
			t.Helper()
			return isReady(t, policy, func() []metav1.Condition { return policy.Status.Conditions })
		},
	}
}

// The order is withdrawn before the keys may be written again: other tests count them.
func keysRefused() refusal {
	return refusal{
		policy: "request.namespace == '" + installation.RegistryNamespace + "' && request.name.startsWith('" + registration.KeysSecretName + "')",
		after:  func(t *testing.T) { t.Helper(); annotateKeys(t, v1alpha1.AnnotationRotate, "refused") },
		writes: func(e controlplane.AuditEvent) bool {
			return strings.HasPrefix(e.Object.Name, registration.KeysSecretName)
		},
		undo:   func(t *testing.T) { t.Helper(); annotateKeys(t, v1alpha1.AnnotationRotate, "") },
		mended: func(*testing.T) bool { return true },
	}
}

func certificateRefused() refusal {
	serving := func(t *testing.T) (*corev1.Secret, error) {
		t.Helper()
		var found corev1.Secret
		return &found, cluster.Get(t.Context(), client.ObjectKey{Namespace: installation.SystemNamespace, Name: "hallpass-tokenserver-tls"}, &found)
	}
	return refusal{
		policy: "request.namespace == '" + installation.SystemNamespace + "' && request.resource.resource == 'secrets'",
		after: func(t *testing.T) {
			t.Helper()
			found, err := serving(t)
			must(t, err)
			must(t, cluster.Delete(t.Context(), found))
		},
		writes: func(e controlplane.AuditEvent) bool {
			return e.Object.Namespace == installation.SystemNamespace && e.Object.Resource == "secrets"
		},
		mended: func(t *testing.T) bool {
			t.Helper()
			_, err := serving(t)
			return err == nil
		},
	}
}

// Bigger batches are made, and the small ones stay: the bigger ones are not merged with them again
// and again.
func mergeRefused() refusal {
	return refusal{
		policy: "request.resource.resource == 'tokenrevocations' && request.operation == 'DELETE'",
		after: func(t *testing.T) {
			t.Helper()
			for i := range 16 {
				revoke(t, fmt.Sprintf("refused-merge-%d", i), nil, time.Now().Add(time.Hour).Truncate(time.Second))
			}
		},
		writes: func(e controlplane.AuditEvent) bool { return e.Object.Resource == "tokenrevocations" },
		mended: func(t *testing.T) bool {
			t.Helper()
			var all v1alpha1.TokenRevocationList
			must(t, cluster.List(t.Context(), &all, client.InNamespace(installation.RegistryNamespace)))
			return !slices.ContainsFunc(all.Items, func(o v1alpha1.TokenRevocation) bool { return strings.HasPrefix(o.Name, "refused-merge-") })
		},
	}
}
