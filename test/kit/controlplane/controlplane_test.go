// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
)

// starterEnv makes the test binary a starter to be killed.
const starterEnv = "HALLPASS_TEST_STARTER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(starterEnv); dir != "" {
		cp, err := controlplane.Start(context.Background(), controlplane.Options{Dir: dir})
		if err != nil {
			println(err.Error())
			os.Exit(1)
		}
		println("ready", cp.URL())
		select {}
	}
	os.Exit(m.Run())
}

func TestControlPlane(t *testing.T) {
	cp, err := controlplane.Start(t.Context(), controlplane.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cp.Stop(); err != nil {
			t.Error(err)
		}
	})
	client, err := kubernetes.NewForConfig(cp.AdminConfig())
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()

	t.Run("a service account has its own name and no rights", func(t *testing.T) {
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "nobody"}}
		if _, err := client.CoreV1().ServiceAccounts("default").Create(ctx, account, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		config, err := cp.ServiceAccountConfig(ctx, "default", "nobody")
		if err != nil {
			t.Fatal(err)
		}
		nobody, err := kubernetes.NewForConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		review, err := nobody.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := review.Status.UserInfo.Username, "system:serviceaccount:default:nobody"; got != want {
			t.Errorf("the account is %q, want %q", got, want)
		}
		if _, err := nobody.CoreV1().Secrets("default").List(ctx, metav1.ListOptions{}); !apierrors.IsForbidden(err) {
			t.Errorf("list of Secrets by an account without rights: %v, want Forbidden", err)
		}
	})

	t.Run("a token is for the audience that it was requested for", func(t *testing.T) {
		request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{"https://here.example"}}}
		token, err := client.CoreV1().ServiceAccounts("default").CreateToken(ctx, "nobody", request, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for audience, want := range map[string]bool{"https://here.example": true, "https://there.example": false} {
			review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token.Status.Token, Audiences: []string{audience}}}
			answer, err := client.AuthenticationV1().TokenReviews().Create(ctx, review, metav1.CreateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if answer.Status.Authenticated != want {
				t.Errorf("authenticated for %s: %t, want %t", audience, answer.Status.Authenticated, want)
			}
		}
	})

	t.Run("a validating admission policy refuses with its own sentence", func(t *testing.T) {
		policy := &admissionv1.ValidatingAdmissionPolicy{
			ObjectMeta: metav1.ObjectMeta{Name: "no-bananas"},
			Spec: admissionv1.ValidatingAdmissionPolicySpec{
				MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{
					RuleWithOperations: admissionv1.RuleWithOperations{
						Operations: []admissionv1.OperationType{admissionv1.Create},
						Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}},
					},
				}}},
				Validations: []admissionv1.Validation{{Expression: "object.metadata.name != 'banana'", Message: "no bananas here"}},
			},
		}
		binding := &admissionv1.ValidatingAdmissionPolicyBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "no-bananas"},
			Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
				PolicyName: "no-bananas", ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
			},
		}
		admission := client.AdmissionregistrationV1()
		if _, err := admission.ValidatingAdmissionPolicies().Create(ctx, policy, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := admission.ValidatingAdmissionPolicyBindings().Create(ctx, binding, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		banana := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "banana"}}
		eventually(t, "a banana is refused", func() bool {
			_, err := client.CoreV1().ConfigMaps("default").Create(ctx, banana, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			return err != nil && strings.Contains(err.Error(), "no bananas here")
		})
	})

	t.Run("pod security admission refuses a privileged pod where the namespace is restricted", func(t *testing.T) {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "strict", Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}}}
		if _, err := client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the namespace has its default account", func() bool {
			_, err := client.CoreV1().ServiceAccounts("strict").Get(ctx, "default", metav1.GetOptions{})
			return err == nil
		})
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "root"}, Spec: corev1.PodSpec{Containers: []corev1.Container{
			{Name: "root", Image: "root", SecurityContext: &corev1.SecurityContext{Privileged: new(true)}},
		}}}
		_, err := client.CoreV1().Pods("strict").Create(ctx, pod, metav1.CreateOptions{})
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "violates PodSecurity") {
			t.Errorf("a privileged pod: %v, want a refusal by PodSecurity", err)
		}
	})

	t.Run("an owned Secret is collected when its owner is gone", func(t *testing.T) {
		testGarbageCollection(ctx, t, client, "before")
	})

	t.Run("a deleted namespace goes away with what is in it", func(t *testing.T) {
		namespaces := client.CoreV1().Namespaces()
		if _, err := namespaces.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "short"}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := client.CoreV1().Secrets("short").Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s"}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := namespaces.Delete(ctx, "short", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the namespace is gone", func() bool {
			_, err := namespaces.Get(ctx, "short", metav1.GetOptions{})
			return apierrors.IsNotFound(err)
		})
	})

	t.Run("a labelled role is aggregated into edit", func(t *testing.T) {
		role := &rbacv1.ClusterRole{
			ObjectMeta: metav1.ObjectMeta{Name: "extra", Labels: map[string]string{"rbac.authorization.k8s.io/aggregate-to-edit": "true"}},
			Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"hallpass.test"}, Resources: []string{"things"}, Verbs: []string{"get"}}},
		}
		if _, err := client.RbacV1().ClusterRoles().Create(ctx, role, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "edit has the rule", func() bool {
			edit, err := client.RbacV1().ClusterRoles().Get(ctx, "edit", metav1.GetOptions{})
			return err == nil && strings.Contains(edit.String(), "hallpass.test")
		})
	})

	t.Run("the audit log tells who wrote what, and no Secret", func(t *testing.T) {
		const value = "a-value-for-nobody's-eyes"
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "audited"}, StringData: map[string]string{"key": value}}
		if _, err := client.CoreV1().Secrets("default").Create(ctx, secret, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		note := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "audited"}, Data: map[string]string{"key": "for-everybody"}}
		if _, err := client.CoreV1().ConfigMaps("default").Create(ctx, note, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		written := map[string]controlplane.AuditEvent{}
		eventually(t, "the audit log has both writes", func() bool {
			events, err := cp.AuditEvents()
			if err != nil {
				t.Fatal(err)
			}
			for _, event := range events {
				if event.IsWrite() && event.User.Name == "admin" && event.Object.Name == "audited" && event.Response.Code == http.StatusCreated {
					written[event.Object.Resource] = event
				}
			}
			return len(written) == 2
		})
		if body := string(written["configmaps"].Request); !strings.Contains(body, "for-everybody") {
			t.Errorf("the body of a write is %q, want the object", body)
		}
		log, err := os.ReadFile(cp.AuditLog())
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(log), value) || strings.Contains(string(log), base64.StdEncoding.EncodeToString([]byte(value))) {
			t.Error("the audit log has the value of a Secret")
		}
	})

	t.Run("kubectl is there and reads the administrator's kubeconfig", func(t *testing.T) {
		kubectl := exec.CommandContext(ctx, cp.Kubectl(), "--kubeconfig="+cp.Kubeconfig(), "get", "namespace", "default", "-o", "name")
		if output, err := kubectl.CombinedOutput(); err != nil || string(output) != "namespace/default\n" {
			t.Errorf("kubectl printed %q: %v", output, err)
		}
	})

	t.Run("etcd can be away and come back", func(t *testing.T) {
		if err := cp.StopEtcd(); err != nil {
			t.Fatal(err)
		}
		short, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		if _, err := client.CoreV1().ConfigMaps("default").Create(short, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "lost"}}, metav1.CreateOptions{}); err == nil {
			t.Error("the API server accepts writes without etcd")
		}
		if err := cp.StartEtcd(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := client.CoreV1().ConfigMaps("default").Get(ctx, "audited", metav1.GetOptions{}); err != nil {
			t.Errorf("what was there before is not there now: %v", err)
		}
	})

	t.Run("the API server can be away and come back with its data", func(t *testing.T) {
		if err := cp.StopAPIServer(); err != nil {
			t.Fatal(err)
		}
		if _, err := client.CoreV1().Namespaces().Get(ctx, "default", metav1.GetOptions{}); err == nil {
			t.Error("the API server answers after it was stopped")
		}
		if err := cp.StartAPIServer(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := client.CoreV1().ServiceAccounts("default").Get(ctx, "nobody", metav1.GetOptions{}); err != nil {
			t.Errorf("what was there before is not there now: %v", err)
		}
		testGarbageCollection(ctx, t, client, "after")
	})
}

func testGarbageCollection(ctx context.Context, t *testing.T, client kubernetes.Interface, name string) {
	t.Helper()
	maps, secrets := client.CoreV1().ConfigMaps("default"), client.CoreV1().Secrets("default")
	owner, err := maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	owned := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, OwnerReferences: []metav1.OwnerReference{
		{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID},
	}}}
	if _, err := secrets.Create(ctx, owned, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := maps.Delete(ctx, owner.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the owned Secret is gone", func() bool {
		_, err := secrets.Get(ctx, owned.Name, metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
}

func TestSeveralControlPlanesRunBesideEachOther(t *testing.T) {
	authentication := filepath.Join(t.TempDir(), "authentication.yaml")
	if err := os.WriteFile(authentication, []byte("apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	kept := t.TempDir()
	var planes [2]*controlplane.ControlPlane
	var starting errgroup.Group
	for i, options := range []controlplane.Options{{Dir: kept}, {APIServerFlags: []string{"--authentication-config=" + authentication}}} {
		starting.Go(func() (err error) {
			planes[i], err = controlplane.Start(t.Context(), options)
			return err
		})
	}
	if err := starting.Wait(); err != nil {
		t.Fatal(err)
	}
	if planes[0].URL() == planes[1].URL() {
		t.Errorf("both are at %s", planes[0].URL())
	}
	if _, err := controlplane.Start(t.Context(), controlplane.Options{Dir: kept}); err == nil {
		t.Error("a third one started on the data of the first")
	}
	for _, cp := range planes {
		if err := cp.Stop(); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join(kept, "etcd")); err != nil {
		t.Errorf("data that was to be kept is gone: %v", err)
	}
	if _, err := os.Stat(planes[1].AuditLog()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("data that was not to be kept is there: %v", err)
	}
}

func TestNothingOutlivesAStarterThatIsKilled(t *testing.T) {
	dir := t.TempDir()
	starter := exec.CommandContext(t.Context(), os.Args[0])
	starter.Env = append(os.Environ(), starterEnv+"="+dir)
	output, err := starter.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := starter.Start(); err != nil {
		t.Fatal(err)
	}
	ready := false
	for scanner := bufio.NewScanner(output); !ready && scanner.Scan(); {
		ready = strings.HasPrefix(scanner.Text(), "ready")
	}
	if !ready {
		t.Fatal("the starter did not get ready")
	}
	if len(processesIn(t, dir)) < 3 {
		t.Fatalf("found processes %v; want etcd, kube-apiserver and the controllers", processesIn(t, dir))
	}
	if err := starter.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = starter.Wait()
	eventually(t, "all processes have ended", func() bool { return len(processesIn(t, dir)) == 0 })
}

// processesIn lists the processes whose command line names a directory.
func processesIn(t *testing.T, dir string) []int {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Skip("needs /proc to count processes")
	}
	var found []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		line, err := os.ReadFile("/proc/" + entry.Name() + "/cmdline")
		if err == nil && strings.Contains(string(line), dir) {
			found = append(found, pid)
		}
	}
	return found
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if condition() {
			return
		}
	}
	t.Errorf("not within three minutes: %s", what)
}
