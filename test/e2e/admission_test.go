// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/usagereport"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/usage"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// refusedByPolicy reports whether it was a ValidatingAdmissionPolicy of that name that refused.
func refusedByPolicy(err error, policy string) bool {
	return (apierrors.IsForbidden(err) || apierrors.IsInvalid(err)) && strings.Contains(err.Error(), "ValidatingAdmissionPolicy '"+policy+"'")
}

func ourLabels() map[string]string {
	return map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}
}

// secretAs is a Secret of a type, as the manager labels it or not.
func secretAs(namespace, name string, kind corev1.SecretType, labels map[string]string) *corev1.Secret {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels}, Type: kind}
	switch kind {
	case corev1.SecretTypeTLS:
		secret.Data = map[string][]byte{corev1.TLSCertKey: {}, corev1.TLSPrivateKeyKey: {}}
	case corev1.SecretTypeServiceAccountToken:
		secret.Annotations = map[string]string{corev1.ServiceAccountNameKey: "default"}
	}
	return secret
}

func configMapAs(namespace, name string, labels map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels}}
}

// TestTheManagersAccountWritesWhatIsItsOwnAndNothingElse asks with the manager's own token, whose
// role allows all of this. Nothing is stored: admission comes before a dry run ends.
func TestTheManagersAccountWritesWhatIsItsOwnAndNothingElse(t *testing.T) {
	const outside, system, registry = "admission", installation.SystemNamespace, installation.RegistryNamespace
	const users, account, opaque = v1alpha1.SecretTypeClient, corev1.SecretTypeServiceAccountToken, corev1.SecretTypeOpaque
	must(t, cluster.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: outside}}))
	unlabelled := secretAs(outside, "unlabelled", users, nil)
	unlabelled.Annotations = map[string]string{v1alpha1.AnnotationClient: "gone"}
	// Keys whose deletion an administrator has allowed, so that nothing but the manager's own
	// policy refuses it.
	keys := secretAs(registry, "admission-keys", registration.KeysSecretType, ourLabels())
	keys.Annotations = map[string]string{v1alpha1.AnnotationAllowDeletion: "true"}
	for _, there := range []client.Object{
		keys, secretAs(outside, "mine", users, ourLabels()), unlabelled, secretAs(outside, "homemade", users, nil),
		secretAs(outside, "theirs", opaque, nil), secretAs(outside, "disguised", opaque, ourLabels()),
		configMapAs(outside, "mine", map[string]string{v1alpha1.LabelClientConfig: "true"}), configMapAs(outside, "theirs", nil),
		secretAs(registry, "admission-stranger", opaque, nil), secretAs(system, "admission-password", opaque, nil),
		configMapAs(system, "admission-settings", nil),
	} {
		must(t, cluster.Create(t.Context(), there))
		t.Cleanup(func() { _ = cluster.Delete(t.Context(), there) })
	}
	manager := client.NewDryRunClient(asAccount(t, installation.ManagerAccount))

	create := func(o client.Object) func() error {
		return func() error { return manager.Create(t.Context(), o) }
	}
	remove := func(o client.Object) func() error { return func() error { return manager.Delete(t.Context(), o) } }
	// update reads as an administrator does, so that a refusal is that of the write.
	update := func(o client.Object, labels map[string]string) func() error {
		return func() error {
			must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(o), o))
			o.SetLabels(labels)
			return manager.Update(t.Context(), o)
		}
	}
	clientConfig := map[string]string{v1alpha1.LabelClientConfig: "true"}
	for name, row := range map[string]struct {
		try     func() error
		refused string // by this policy; "" if the write is allowed
	}{
		"a user's Secret is created":                             {create(secretAs(outside, "new", users, ourLabels())), ""},
		"a user's Secret is created without the label":           {create(secretAs(outside, "new", users, nil)), "hallpass-manager-secrets"},
		"an Opaque Secret is created":                            {create(secretAs(outside, "new", opaque, ourLabels())), "hallpass-manager-secrets"},
		"a token of a service account is created":                {create(secretAs(outside, "new", account, ourLabels())), "hallpass-manager-secrets"},
		"a token of a service account is created in kube-system": {create(secretAs("kube-system", "new", account, ourLabels())), "hallpass-manager-secrets"},
		"a registration is created outside the registry":         {create(secretAs(outside, "new", registration.SecretType, ourLabels())), "hallpass-manager-secrets"},
		"its own Secret is updated":                              {update(secretAs(outside, "mine", "", nil), ourLabels()), ""},
		"its own Secret is updated without the label":            {update(secretAs(outside, "mine", "", nil), nil), "hallpass-manager-secrets"},
		"its own Secret gets its label back":                     {update(secretAs(outside, "unlabelled", "", nil), ourLabels()), ""},
		"somebody's Secret of its type is taken":                 {update(secretAs(outside, "homemade", "", nil), ourLabels()), "hallpass-manager-secrets"},
		"somebody's Secret is updated":                           {update(secretAs(outside, "theirs", "", nil), ourLabels()), "hallpass-manager-secrets"},
		"somebody's Secret with the label is updated":            {update(secretAs(outside, "disguised", "", nil), ourLabels()), "hallpass-manager-secrets"},
		"its own Secret is deleted":                              {remove(secretAs(outside, "mine", "", nil)), ""},
		"somebody's Secret is deleted":                           {remove(secretAs(outside, "theirs", "", nil)), "hallpass-manager-secrets"},
		"somebody's Secret with the label is deleted":            {remove(secretAs(outside, "disguised", "", nil)), "hallpass-manager-secrets"},

		"a record is created in the registry":             {create(secretAs(registry, "new", registration.SecretType, ourLabels())), ""},
		"a user's Secret is created in the registry":      {create(secretAs(registry, "new", users, ourLabels())), "hallpass-manager-secrets"},
		"an Opaque Secret is created in the registry":     {create(secretAs(registry, "new", opaque, ourLabels())), "hallpass-manager-secrets"},
		"what lies in the way in the registry is deleted": {remove(secretAs(registry, "admission-stranger", "", nil)), ""},
		"the signing keys are deleted":                    {remove(secretAs(registry, "admission-keys", "", nil)), "hallpass-manager-secrets"},

		"a certificate is created beside the processes":     {create(secretAs(system, "new", corev1.SecretTypeTLS, ourLabels())), ""},
		"an Opaque Secret is created beside the processes":  {create(secretAs(system, "new", opaque, ourLabels())), "hallpass-manager-secrets"},
		"another Secret beside the processes is updated":    {update(secretAs(system, "admission-password", "", nil), ourLabels()), "hallpass-manager-secrets"},
		"a certificate beside the processes is deleted":     {remove(secretAs(system, "hallpass-ca", "", nil)), "hallpass-manager-secrets"},
		"the authority's ConfigMap is updated":              {update(configMapAs(system, "hallpass-ca", nil), ourLabels()), ""},
		"another ConfigMap beside the processes is updated": {update(configMapAs(system, "admission-settings", nil), clientConfig), "hallpass-manager-configmaps"},
		"another ConfigMap beside the processes is created": {create(configMapAs(system, "new", clientConfig)), "hallpass-manager-configmaps"},
		"the authority's ConfigMap is deleted":              {remove(configMapAs(system, "hallpass-ca", nil)), "hallpass-manager-configmaps"},
		"a ConfigMap is created in the registry":            {create(configMapAs(registry, "new", clientConfig)), "hallpass-manager-configmaps"},
		"a user's ConfigMap is created":                     {create(configMapAs(outside, "new", clientConfig)), ""},
		"a ConfigMap is created without the label":          {create(configMapAs(outside, "new", ourLabels())), "hallpass-manager-configmaps"},
		"its own ConfigMap is updated":                      {update(configMapAs(outside, "mine", nil), clientConfig), ""},
		"somebody's ConfigMap is updated":                   {update(configMapAs(outside, "theirs", nil), clientConfig), "hallpass-manager-configmaps"},
		"somebody's ConfigMap is deleted":                   {remove(configMapAs(outside, "theirs", nil)), "hallpass-manager-configmaps"},
	} {
		t.Run(name, func(t *testing.T) {
			err := row.try()
			if row.refused == "" && err != nil || row.refused != "" && !refusedByPolicy(err, row.refused) {
				t.Errorf("%v, want a refusal by %q", err, row.refused)
			}
		})
	}
}

func TestClientsAndTokensAreRefusedInTheNamespacesOfHallpass(t *testing.T) {
	makeNamespace(t, "own-namespaces", nil)
	for _, namespace := range []string{installation.SystemNamespace, installation.RegistryNamespace, "own-namespaces"} {
		c := newClient("caller")
		c.Namespace = namespace
		resource := &v1alpha1.OAuth2Resource{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "api"}}
		for _, o := range []client.Object{c, newToken(namespace, "legacy", "caller", v1alpha1.TokenRefreshing), resource} {
			err := cluster.Create(t.Context(), o, client.DryRunAll)
			allowed := namespace == "own-namespaces" || o == resource
			if allowed && err != nil || !allowed && (!refusedByPolicy(err, "hallpass-own-namespaces") || !strings.Contains(err.Error(), "of the application that uses it")) {
				t.Errorf("%T in %s: %v", o, namespace, err)
			}
		}
	}
}

// TestTheSigningKeysAreNotDeletedByAccident tries as an administrator. That a namespace takes its
// keys with it shows in TestALostRegistryNamespaceComesBack.
func TestTheSigningKeysAreNotDeletedByAccident(t *testing.T) {
	keys := func() *corev1.Secret {
		return get(t, &corev1.Secret{}, installation.RegistryNamespace, registration.KeysSecretName)
	}
	before := keys().UID
	for name, try := range map[string]func() error{
		"by name": func() error { return cluster.Delete(t.Context(), keys()) },
		"by a cleanup of everything with our label": func() error {
			return cluster.DeleteAllOf(t.Context(), &corev1.Secret{}, client.InNamespace(installation.RegistryNamespace),
				client.MatchingLabels(ourLabels()), client.MatchingFields{"type": registration.KeysSecretType})
		},
		"the copy": func() error {
			return cluster.Delete(t.Context(), secretAs(installation.RegistryNamespace, registration.KeysSecretName+"-copy", "", nil))
		},
	} {
		if err := try(); !refusedByPolicy(err, "hallpass-signing-keys") || !strings.Contains(err.Error(), v1alpha1.AnnotationAllowDeletion) {
			t.Errorf("%s: %v, want a refusal that says how to override it", name, err)
		}
	}
	deliberate := keys()
	patch := client.MergeFrom(deliberate.DeepCopy())
	deliberate.Annotations = map[string]string{v1alpha1.AnnotationAllowDeletion: "true"}
	must(t, cluster.Patch(t.Context(), deliberate, patch))
	must(t, cluster.Delete(t.Context(), deliberate))
	eventually(t, "the manager has written the keys again from its memory", func() bool {
		var again corev1.Secret
		err := cluster.Get(t.Context(), client.ObjectKeyFromObject(deliberate), &again)
		return err == nil && again.UID != before && len(again.Annotations) == 0
	})
}

// TestUsageReportsAreNotDeletedByAccident tries as an administrator, and as the manager, who
// deletes those that are old.
func TestUsageReportsAreNotDeletedByAccident(t *testing.T) {
	report := &v1alpha1.UsageReport{
		ObjectMeta: metav1.ObjectMeta{Namespace: installation.RegistryNamespace, Name: "admission"},
		Spec:       v1alpha1.UsageReportSpec{Replica: "admission", Part: 1, Parts: 1, State: v1alpha1.UsageStopped, StartedAt: metav1.Now(), Uses: usage.Encode(nil)},
	}
	must(t, cluster.Create(t.Context(), report))
	for name, err := range map[string]error{
		"by name":     cluster.Delete(t.Context(), report.DeepCopy(), client.DryRunAll),
		"all of them": cluster.DeleteAllOf(t.Context(), &v1alpha1.UsageReport{}, client.InNamespace(report.Namespace), client.DryRunAll),
	} {
		if !refusedByPolicy(err, "hallpass-usage-reports") || !strings.Contains(err.Error(), v1alpha1.AnnotationAllowDeletion) {
			t.Errorf("%s: %v, want a refusal that says how to override it", name, err)
		}
	}
	must(t, asAccount(t, installation.ManagerAccount).Delete(t.Context(), report.DeepCopy(), client.DryRunAll))
	patch := client.MergeFrom(report.DeepCopy())
	report.Annotations = map[string]string{v1alpha1.AnnotationAllowDeletion: "true"}
	must(t, cluster.Patch(t.Context(), report, patch))
	must(t, cluster.Delete(t.Context(), report))
	// The Secret that lists the replicas is written again, though no report changes.
	key := client.ObjectKey{Namespace: installation.RegistryNamespace, Name: usagereport.RecordName}
	for _, when := range []string{"before it was deleted", "after it was deleted"} {
		var record corev1.Secret
		eventually(t, "the replicas are on record "+when, func() bool { return cluster.Get(t.Context(), key, &record) == nil })
		if when == "before it was deleted" {
			must(t, cluster.Delete(t.Context(), &record))
		}
	}
}
