// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// refusal is a write that the API server refuses the manager, and what may be seen of it.
type refusal struct {
	// policy is the CEL expression of the requests that a ValidatingAdmissionPolicy refuses; ""
	// for what is refused another way.
	policy string
	// before and after is what users do before the policy is there, and then.
	before, after func(t *testing.T)
	// writes are the writes that are counted.
	writes func(controlplane.AuditEvent) bool
	// undo is what users revert before the policy is deleted.
	undo func(t *testing.T)
	// mended is what has to be true when the refusal is over.
	mended func(t *testing.T) bool
}

// settling is how long the attempts may be close together.
const settling = 10 * time.Second

// watched is how long the attempts are counted after that: a minute, or with -short the time of two
// attempts.
func watched() time.Duration {
	if testing.Short() {
		return 20 * time.Second
	}
	return time.Minute
}

// TestARefusedWriteIsTriedAFewTimesAMinute has each kind of write that the manager makes refused
// for each of the usual reasons, all at once, and counts what it tries. Other clients are made
// ready meanwhile.
func TestARefusedWriteIsTriedAFewTimesAMinute(t *testing.T) {
	refusals := map[string]refusal{
		"a rotation, of an immutable Secret":   immutableSecret(),
		"a rotation, by a policy":              rotationRefused(),
		"a rotation, which a policy alters":    secretAltered(),
		"the first Secret, by a policy":        firstSecretRefused(),
		"a repair, by a webhook that is down":  webhookDown(),
		"the first Secret, by a quota":         quotaUsedUp(),
		"a token's Secret, which is immutable": immutableToken(),
		"the record of a new token":            tokenRecordRefused(),
		"a ConfigMap":                          configMapRefused(),
		"a registration that changes":          registrationRefused(),
		"the first registration":               firstRegistrationRefused(),
		"the record of a resource":             resourceRecordRefused(),
		"the record of a trusted issuer":       issuerRecordRefused(),
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
	// others are not kept waiting, and what they write ends no pause
	for i := 0; time.Now().Before(until); i++ {
		// a namespace wakes each policy
		apply(t, fmt.Sprintf("refused-beside-%d", i), newClient("app"))
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

// countAttempts wants some writes at all, or the test would guard nothing, and a few after the
// first seconds.
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

// refuseTheManager installs a policy that refuses the manager's account some requests, and waits
// until it is in force.
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
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: meta, Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
		PolicyName: policy.Name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
	}}
	must(t, cluster.Create(t.Context(), binding))
	lifted := false
	lift = func() {
		if !lifted {
			lifted = true
			must(t, cluster.Delete(context.WithoutCancel(t.Context()), policy))
			must(t, cluster.Delete(context.WithoutCancel(t.Context()), binding))
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
	for _, v := range found.Client.Credentials.Verifiers {
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
