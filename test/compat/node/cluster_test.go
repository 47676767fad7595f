// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
)

// cluster is a control plane with one node.
type cluster struct {
	*controlplane.ControlPlane

	dir     string
	admin   *kubernetes.Clientset
	machine *machine
}

// start starts a cluster. Its API server listens on all addresses, of which these namespaces have
// three.
func start(t *testing.T, dir string) *cluster {
	t.Helper()
	cp, err := controlplane.Start(t.Context(), controlplane.Options{Dir: filepath.Join(dir, "controlplane"), APIServerFlags: []string{
		"--bind-address=0.0.0.0", "--advertise-address=" + nodeAddress, "--endpoint-reconciler-type=lease",
		"--kubelet-preferred-address-types=InternalIP,Hostname",
	}})
	must(t, err)
	t.Cleanup(func() { _ = cp.Stop() })
	c := &cluster{ControlPlane: cp, dir: dir}
	c.admin, err = kubernetes.NewForConfig(cp.AdminConfig())
	must(t, err)
	for name, flags := range map[string][]string{
		"kube-scheduler":   {"--leader-elect=false", "--bind-address=127.0.0.1"},
		"node-controllers": nil,
	} {
		command := append([]string{filepath.Join(dir, "bin", name), "--kubeconfig=" + cp.Kubeconfig()}, flags...)
		process, err := controlplane.StartProcess(name, filepath.Join(dir, name+".log"), nil, command...)
		must(t, err)
		t.Cleanup(func() { _ = process.Kill() })
	}
	c.machine = newMachine(t, dir, cp.Kubeconfig())
	return c
}

// kubectl and helm run in the repository's root, as in the documentation.
func (c *cluster) kubectl(t *testing.T, args ...string) string {
	t.Helper()
	return c.run(t, "", c.Kubectl(), args...)
}

func (c *cluster) apply(t *testing.T, manifest string) {
	t.Helper()
	c.run(t, manifest, c.Kubectl(), "apply", "--filename=-")
}

func (c *cluster) run(t *testing.T, input, name string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), name, args...)
	command.Dir, command.Stdin = root, strings.NewReader(input)
	command.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig(), "HOME="+c.dir)
	var output, complaints bytes.Buffer
	command.Stdout, command.Stderr = &output, &complaints
	if err := command.Run(); err != nil {
		t.Fatalf("%s %s: %v: %s", filepath.Base(name), strings.Join(args, " "), err, complaints.String())
	}
	if strings.Contains(strings.ToLower(complaints.String()), "warning") {
		t.Errorf("%s %s warns: %s", filepath.Base(name), strings.Join(args, " "), complaints.String())
	}
	return output.String()
}

// nameService is CoreDNS. The program is the node's; an image would hold nothing else.
const nameService = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: coredns, namespace: kube-system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: coredns}
rules:
- {apiGroups: [""], resources: [services, pods, namespaces], verbs: [list, watch]}
- {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: coredns}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: coredns}
subjects: [{kind: ServiceAccount, name: coredns, namespace: kube-system}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: coredns, namespace: kube-system}
data:
  Corefile: |
    .:1053 {
      errors
      health :8080
      ready :8181
      kubernetes cluster.local in-addr.arpa ip6.arpa
    }
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: coredns, namespace: kube-system}
spec:
  selector: {matchLabels: {k8s-app: kube-dns}}
  template:
    metadata: {labels: {k8s-app: kube-dns}}
    spec:
      serviceAccountName: coredns
      securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: coredns
        image: ` + appImage + ":" + version + `
        command: [/program/coredns, -conf, /etc/coredns/Corefile]
        readinessProbe: {httpGet: {path: /ready, port: 8181}, periodSeconds: 2}
        volumeMounts:
        - {name: program, mountPath: /program, readOnly: true}
        - {name: config, mountPath: /etc/coredns, readOnly: true}
      volumes:
      - name: program
        hostPath: {path: %s}
      - name: config
        configMap: {name: coredns}
---
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec:
  clusterIP: ` + nameServer + `
  selector: {k8s-app: kube-dns}
  ports:
  - {name: dns, port: 53, targetPort: 1053, protocol: UDP}
  - {name: dns-tcp, port: 53, targetPort: 1053, protocol: TCP}
`

// waitNode waits until the node is ready: as it is now, not as a watch reported it before since.
func (c *cluster) waitNode(t *testing.T, since time.Time) {
	t.Helper()
	c.eventually(t, "the node is ready", func(ctx context.Context) error {
		node, err := c.admin.CoreV1().Nodes().Get(ctx, nodeName, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue && condition.LastHeartbeatTime.After(since) {
				return nil
			}
		}
		return fmt.Errorf("its conditions are %v", node.Status.Conditions)
	})
}

// waitDeployments waits until all Deployments have what they want, in containers that were started
// after an instant.
func (c *cluster) waitDeployments(t *testing.T, since time.Time) {
	t.Helper()
	c.eventually(t, "all Deployments are available", func(ctx context.Context) error {
		deployments, err := c.admin.AppsV1().Deployments("").List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, d := range deployments.Items {
			if d.Status.ObservedGeneration < d.Generation || d.Status.UpdatedReplicas < *d.Spec.Replicas || d.Status.AvailableReplicas < *d.Spec.Replicas {
				return fmt.Errorf("%s has %d of %d replicas", d.Name, d.Status.AvailableReplicas, *d.Spec.Replicas)
			}
		}
		pods, err := c.admin.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for i := range pods.Items {
			pod := &pods.Items[i]
			if pod.DeletionTimestamp != nil {
				continue
			}
			for _, container := range pod.Status.ContainerStatuses {
				if !container.Ready || container.State.Running == nil || container.State.Running.StartedAt.Time.Before(since.Truncate(time.Second)) {
					return fmt.Errorf("container %s of %s is not ready: %+v", container.Name, pod.Name, container.State)
				}
			}
		}
		return nil
	})
}

// patience is how long anything may take on a machine that has other work.
const patience = 10 * time.Minute

func (c *cluster) eventually(t *testing.T, what string, try func(context.Context) error) {
	t.Helper()
	started := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for said := started; ; {
		err := try(ctx)
		if err == nil {
			say("%s after %s", what, time.Since(started).Round(100*time.Millisecond))
			return
		}
		if ctx.Err() != nil {
			c.describe(t)
			t.Fatalf("not so within %s: %s: %v", patience, what, err)
		}
		if time.Since(said) > 30*time.Second {
			said = time.Now()
			say("waiting until %s: %v", what, err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// describe prints why something does not run.
func (c *cluster) describe(t *testing.T) {
	t.Helper()
	fmt.Println(c.kubectl(t, "get", "pods", "--all-namespaces", "--output=wide"))
	fmt.Println(c.kubectl(t, "get", "events", "--all-namespaces", "--field-selector=type=Warning"))
	for _, name := range []string{"boot.log", "disk/containerd.log", "disk/kubelet.log", "disk/kube-proxy.log", "kube-scheduler.log", "node-controllers.log"} {
		content, _ := os.ReadFile(filepath.Join(c.dir, name))
		fmt.Printf("=== the end of %s\n%s\n", name, content[max(0, len(content)-1500):])
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
