// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/hallpass-dev/hallpass/test/controlplane"
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
		if _, err := nobody.CoreV1().Secrets("default").List(ctx, metav1.ListOptions{}); !apierrors.IsForbidden(err) {
			t.Errorf("list of Secrets by an account without rights: %v, want Forbidden", err)
		}
	})

	t.Run("an owned Secret is collected when its owner is gone", func(t *testing.T) {
		maps, secrets := client.CoreV1().ConfigMaps("default"), client.CoreV1().Secrets("default")
		owner, err := maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "owner"}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		owned := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "owned", OwnerReferences: []metav1.OwnerReference{
			{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID},
		}}}
		if _, err := secrets.Create(ctx, owned, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := maps.Delete(ctx, owner.Name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the Secret is gone", func() bool {
			_, err := secrets.Get(ctx, owned.Name, metav1.GetOptions{})
			return apierrors.IsNotFound(err)
		})
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

	t.Run("the audit log names who wrote", func(t *testing.T) {
		eventually(t, "the audit log has the administrator's writes", func() bool {
			log, err := os.ReadFile(cp.AuditLog())
			return err == nil && strings.Contains(string(log), `"verb":"create"`) && strings.Contains(string(log), `"username":"admin"`)
		})
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
	})
}

func TestNothingOutlivesAStarterThatIsKilled(t *testing.T) {
	dir := t.TempDir()
	starter := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // this test's own program
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
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if condition() {
			return
		}
	}
	t.Errorf("not within 30 seconds: %s", what)
}
