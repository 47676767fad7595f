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
	"github.com/hallpass-dev/hallpass/test/controlplane"
	"github.com/hallpass-dev/hallpass/test/installation"
)

// refusal is a write that the API server refuses the manager, and what may be seen of it.
type refusal struct {
	// policy is the CEL expression of the requests that a ValidatingAdmissionPolicy refuses; "" for what is refused another way.
	policy string
	// before and after is what users do before the policy is there, and then.
	before, after func(t *testing.T)
	// writes are the writes that are counted.
	writes func(controlplane.AuditEvent) bool
	// undo is what users take back before the policy goes.
	undo func(t *testing.T)
	// mended is what has to come about when the refusal is over.
	mended func(t *testing.T) bool
}

// settling is how long the attempts may be close together.
const settling = 10 * time.Second

// watched is how long the attempts are counted after that: a minute, or with -short the time of two attempts.
func watched() time.Duration {
	if testing.Short() {
		return 20 * time.Second
	}
	return time.Minute
}

// TestARefusedWriteIsTriedAFewTimesAMinute has each kind of write that the manager makes refused for each of the usual reasons, all at once, and
// counts what it tries. Other clients are made ready meanwhile.
func TestARefusedWriteIsTriedAFewTimesAMinute(t *testing.T) {
	refusals := map[string]refusal{
		"a rotation, of an immutable Secret":   immutableSecret(),
		"a rotation, by a policy":              rotationRefused(),
		"the first Secret, by a policy":        firstSecretRefused(),
		"a repair, by a webhook that is down":  webhookDown(),
		"the first Secret, by a quota":         quotaUsedUp(),
		"a token's Secret, which is immutable": immutableToken(),
		"the record of a new token":            tokenRecordRefused(),
		"a ConfigMap":                          configMapRefused(),
		"a registration that changes":          registrationRefused(),
		"the first registration":               firstRegistrationRefused(),
		"the record of a resource":             resourceRecordRefused(),
		"the status of a client":               statusRefused(newClient("app")),
		"the status of a token":                statusRefused(newToken("", "legacy", "app", v1alpha1.TokenRefreshing)),
		"the status of a resource":             statusRefused(newResource("api")),
		"the status of a policy":               policyStatusRefused(),
		"the signing keys":                     keysRefused(),
		"the serving certificate":              certificateRefused(),
		"the removal of merged revocations":    mergeRefused(),
	}
	var expressions []string
	for _, r := range refusals {
		if r.before != nil {
			r.before(t)
		}
		if r.policy != "" {
			expressions = append(expressions, "("+r.policy+")")
		}
	}
	slices.Sort(expressions)
	lift := refuseTheManager(t, expressions)
	began := time.Now()
	for _, r := range refusals {
		if r.after != nil {
			r.after(t)
		}
	}
	from := time.Now().Add(settling)
	until := from.Add(watched())
	for i := 0; time.Now().Before(until); i++ { // others are not kept waiting, and what they write wakes nobody
		apply(t, "refused-beside", newClient(fmt.Sprintf("client-%d", i)))
		revoke(t, fmt.Sprintf("refused-meanwhile-%d", i), nil, time.Now().Add(time.Hour).Truncate(time.Second))
		time.Sleep(max(0, min(time.Second, time.Until(until))))
	}
	writes := writesOfTheManager(t, began)
	for name, r := range refusals {
		t.Run(name, func(t *testing.T) { countAttempts(t, r, writes, from, until) })
	}
	for _, r := range refusals {
		if r.undo != nil {
			r.undo(t)
		}
	}
	lift()
	for name, r := range refusals {
		for deadline := time.Now().Add(2 * time.Minute); !r.mended(t); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: not mended", name)
			}
		}
	}
}

// countAttempts wants some writes at all, or the test would guard nothing, and a few after the first seconds.
func countAttempts(t *testing.T, r refusal, writes []controlplane.AuditEvent, from, until time.Time) {
	t.Helper()
	var tried, later []string
	for _, write := range writes {
		if !r.writes(write) || write.Time.After(until) {
			continue
		}
		line := fmt.Sprintf("%s %s %s %s/%s %d", write.Time.Format("05.000"), write.Verb, write.Object.Resource, write.Object.Namespace, write.Object.Name, write.Response.Code)
		tried = append(tried, line)
		if write.Time.After(from) {
			later = append(later, line)
		}
	}
	if len(later) > 6 || len(tried) < 5 {
		t.Errorf("%d writes and attempts, %d of them after the first %s; want at most 6:\n%s", len(tried), len(later), settling, strings.Join(tried, "\n"))
	}
	t.Logf("%d writes and attempts, %d of them after the first %s", len(tried), len(later), settling)
}

// refuseTheManager installs a policy that refuses the manager's account some requests, and waits until it is in force.
func refuseTheManager(t *testing.T, expressions []string) (lift func()) {
	t.Helper()
	rule := func(group string, operations []admissionv1.OperationType, resources ...string) admissionv1.NamedRuleWithOperations {
		return admissionv1.NamedRuleWithOperations{RuleWithOperations: admissionv1.RuleWithOperations{
			Operations: operations, Rule: admissionv1.Rule{APIGroups: []string{group}, APIVersions: []string{"*"}, Resources: resources},
		}}
	}
	all := []admissionv1.OperationType{admissionv1.Create, admissionv1.Update, admissionv1.Delete}
	meta := metav1.ObjectMeta{Name: "refused-writes"}
	policy := &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: meta, Spec: admissionv1.ValidatingAdmissionPolicySpec{
		FailurePolicy: new(admissionv1.Fail),
		MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{
			rule("", all, "secrets", "configmaps"), rule("hallpass.dev", all, "tokenrevocations", "*/status"),
		}},
		MatchConditions: []admissionv1.MatchCondition{{
			Name: "by-the-manager", Expression: fmt.Sprintf("request.userInfo.username == 'system:serviceaccount:%s:%s'", installation.SystemNamespace, installation.ManagerAccount),
		}},
		Validations: []admissionv1.Validation{{Expression: "!(" + strings.Join(expressions, " || ") + ")", Message: "not now", Reason: new(metav1.StatusReasonForbidden)}},
	}}
	must(t, cluster.Create(t.Context(), policy))
	must(t, cluster.Create(t.Context(), &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: meta, Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
		PolicyName: policy.Name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
	}}))
	lifted := false
	lift = func() {
		if !lifted {
			lifted = true
			must(t, cluster.Delete(context.WithoutCancel(t.Context()), policy))
		}
	}
	t.Cleanup(lift)
	manager := client.NewDryRunClient(asManager(t))
	eventually(t, "the policy is in force", func() bool {
		return manager.Create(t.Context(), secretAs("refused-first", "probe", v1alpha1.SecretTypeClient, ourLabels())) != nil
	})
	return lift
}

// in counts the writes into a namespace, or of a client's registration.
func in(namespace string, names ...string) func(controlplane.AuditEvent) bool {
	var records []string
	for _, name := range names {
		records = append(records, registration.SecretName(namespace+"."+name))
	}
	return func(e controlplane.AuditEvent) bool {
		return e.Object.Namespace == namespace || e.Object.Namespace == installation.RegistryNamespace && slices.Contains(records, e.Object.Name)
	}
}

func isReady(t *testing.T, o client.Object, conditions func() []metav1.Condition) bool {
	t.Helper()
	must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(o), o))
	return meta.IsStatusConditionTrue(conditions(), v1alpha1.ConditionReady)
}

func clientReady(namespace, name string) func(t *testing.T) bool {
	return func(t *testing.T) bool {
		t.Helper()
		c := newClient(name)
		c.Namespace = namespace
		return isReady(t, c, func() []metav1.Condition { return c.Status.Conditions })
	}
}

// createIn creates an object in a namespace that may have to be made.
func createIn(t *testing.T, namespace string, o client.Object) {
	t.Helper()
	makeNamespace(t, namespace, nil)
	o.SetNamespace(namespace)
	must(t, cluster.Create(t.Context(), o))
}

func askToRotate(t *testing.T, c *v1alpha1.OAuth2Client) {
	t.Helper()
	update(t, c, func() { c.Annotations = map[string]string{v1alpha1.AnnotationRotate: "now"} })
}

// pendingOf are the ids of the client secrets that are on their way.
func pendingOf(t *testing.T, clientID string) (ids []string) {
	t.Helper()
	stored := get(t, &corev1.Secret{}, installation.RegistryNamespace, registration.SecretName(clientID))
	found, err := registration.Decode(stored.Data)
	must(t, err)
	for _, v := range found.Client.Verifiers {
		if v.Pending {
			ids = append(ids, v.ID)
		}
	}
	return ids
}

// holdsSecret reports whether a client's Secret has the client secret of that id.
func holdsSecret(t *testing.T, c *v1alpha1.OAuth2Client, id string) bool {
	t.Helper()
	var secret corev1.Secret
	if cluster.Get(t.Context(), client.ObjectKeyFromObject(c), &secret) != nil {
		return false
	}
	parsed, err := oauth2.ParseClientSecret(oauth2.NewSecret(string(secret.Data["client_secret"])))
	return err == nil && parsed.ID == id
}

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

// The policy refuses the status, too: a client that cannot be made ready would say so.
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
				probe := secretAs("refused-quota", "probe", corev1.SecretTypeOpaque, nil) // a dry run uses nothing up
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
			if secret := get(t, &corev1.Secret{}, "refused-token", "legacy"); secret.Immutable != nil {
				if value := string(secret.Data["token"]); value != held || !isActive(t, credentials(t, newIn("refused-token", "app")), value) {
					t.Error("the token in the Secret is not the one from before, or is refused")
				}
				must(t, cluster.Delete(t.Context(), secret))
			}
			var secret corev1.Secret
			err := cluster.Get(t.Context(), client.ObjectKeyFromObject(token), &secret)
			return err == nil && string(secret.Data["token"]) != held && isActive(t, credentials(t, newIn("refused-token", "app")), string(secret.Data["token"]))
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

// The order is taken back before the keys may be written again: other tests count them.
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

// Bigger batches are made, and the small ones stay: the bigger ones are not merged with them again and again.
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
