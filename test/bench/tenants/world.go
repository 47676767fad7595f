// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/test/bench/cputime"
	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
	kitworld "github.com/hallpass-dev/hallpass/test/kit/world"
)

// world is an installation of real processes on a control plane.
type world struct {
	cp     *controlplane.ControlPlane
	dir    string
	issuer string

	processes []*controlplane.Process
	pids      []int
}

func start(ctx context.Context) (_ *world, err error) {
	root, err := kitworld.Root()
	if err != nil {
		return nil, err
	}
	w := &world{}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.stop())
		}
	}()
	if w.dir, err = os.MkdirTemp("", "hallpass-tenants-"); err != nil {
		return nil, err
	}
	if w.cp, err = controlplane.Start(ctx, controlplane.Options{}); err != nil {
		return nil, err
	}
	if err := installation.Install(ctx, w.cp, root); err != nil {
		return nil, err
	}
	address, err := installation.FreeAddress()
	if err != nil {
		return nil, err
	}
	ops, err := installation.FreeAddress()
	if err != nil {
		return nil, err
	}
	w.issuer = "http://" + address
	if err := w.run(ctx, root, "manager", installation.ManagerAccount, "--allow-http-issuer", "--manage-serving-certificate=false",
		"--leader-elect=false", "--metrics-bind-address=0", "--health-probe-bind-address=0"); err != nil {
		return nil, err
	}
	if err := w.run(ctx, root, "tokenserver", installation.TokenServerAccount, "--require-https=false", "--listen="+address,
		"--ops-listen="+ops, "--shutdown-lag=0s"); err != nil {
		return nil, err
	}
	if err := installation.Wait(ctx, "the token server is ready", func() (bool, error) { return installation.Ready(ctx, "http://"+ops), nil }); err != nil {
		return nil, err
	}
	w.pids, err = descendants(os.Getpid())
	return w, err
}

// run starts one of our binaries with the rights of its account.
func (w *world) run(ctx context.Context, root, name, account string, flags ...string) error {
	program, err := installation.Program(ctx, root, name)
	if err != nil {
		return err
	}
	kubeconfig, err := w.cp.ServiceAccountKubeconfig(ctx, installation.SystemNamespace, account)
	if err != nil {
		return err
	}
	limit, err := installation.MemoryLimit(root, name)
	if err != nil {
		return err
	}
	process, err := controlplane.StartProcess(name, filepath.Join(w.dir, name+".log"), []string{limit},
		append([]string{program, "--kubeconfig=" + kubeconfig, "--issuer=" + w.issuer}, flags...)...)
	w.processes = append(w.processes, process)
	return err
}

func (w *world) stop() error {
	var errs []error
	for _, process := range w.processes {
		errs = append(errs, process.Kill())
	}
	if w.cp != nil {
		errs = append(errs, w.cp.Stop())
	}
	return errors.Join(append(errs, os.RemoveAll(w.dir))...)
}

// cpu is the CPU time of all processes of the installation.
func (w *world) cpu() (sum time.Duration) {
	for _, pid := range w.pids {
		if used, err := cputime.Of(pid); err == nil {
			sum += used
		}
	}
	return sum
}

// descendants are the processes that a process has started, and those that they have.
func descendants(pid int) ([]int, error) {
	parents := map[int]int{}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	for _, stat := range stats {
		content, err := os.ReadFile(stat)
		if err != nil {
			continue // it has ended
		}
		// "pid (name) state parent": the name may have any character.
		fields := bytes.Fields(content[bytes.LastIndexByte(content, ')')+1:])
		if len(fields) < 2 {
			continue
		}
		child, _ := strconv.Atoi(filepath.Base(filepath.Dir(stat)))
		parents[child], _ = strconv.Atoi(string(fields[1]))
	}
	var found []int
	for child := range parents {
		for at := child; at > 1; at = parents[at] {
			if parents[at] == pid {
				found = append(found, child)
				break
			}
		}
	}
	slices.Sort(found)
	return found, nil
}

// tenant connects with the rights of a namespace's administrator, in a namespace that it creates.
func tenant(ctx context.Context, admin *rest.Config, namespace string) (client.WithWatch, error) {
	cluster, err := installation.Connect(admin)
	if err != nil {
		return nil, err
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "admin"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: namespace}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "admin"},
	}
	for _, object := range []client.Object{&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, binding} {
		if err := cluster.Create(ctx, object); err != nil {
			return nil, fmt.Errorf("create namespace %s: %w", namespace, err)
		}
	}
	config := rest.CopyConfig(admin)
	config.Impersonate = rest.ImpersonationConfig{UserName: namespace, Groups: []string{"system:authenticated"}}
	return installation.Connect(config)
}

// adminConfig reads a kubeconfig.
func adminConfig(kubeconfig string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", kubeconfig, err)
	}
	config.QPS = -1
	return config, nil
}

// The roles of the processes that a measuring one starts.
const (
	roleVariable = "HALLPASS_TENANTS_ROLE"
	roleHostile  = "hostile"
	roleSpinner  = "spinner"
)

// command is this program in another role. It ends when its standard input does.
func command(ctx context.Context, role string) (*exec.Cmd, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	c := exec.CommandContext(ctx, program)
	c.Env = append(os.Environ(), roleVariable+"="+role)
	c.Stderr = os.Stderr
	return c, nil
}
