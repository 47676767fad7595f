// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
)

const (
	nodeName    = "node"
	nodeAddress = "10.90.0.2"
	podNetwork  = "10.244.0.0/24"
	nameServer  = "10.0.0.10"
)

// machine is the node: namespaces below those of the test, in which its processes live, and a disk
// that outlives them.
type machine struct {
	dir, kubeconfig string
	process         *controlplane.Process
}

// boot is the first process of the machine. What a restart of a real one would not leave, in memory
// or in the kernel, is gone: /run is new, rules and bridges of the network are taken down, and the
// groups of the containers that were are removed.
const boot = `set -e
dir=$1 group=$2 kubeconfig=$3
export PATH="$dir/bin:$PATH"
mount -t tmpfs none /run
mkdir -p "$dir/disk/lib" "$dir/disk/log"
mount --bind "$dir/disk/lib" /var/lib
mount --bind "$dir/disk/log" /var/log
nft flush ruleset
ip link delete cni0 2>/dev/null || true
hierarchies=/sys/fs/cgroup # version 2 has one, version 1 one for each controller
if [ ! -e /sys/fs/cgroup/cgroup.controllers ]; then hierarchies=$(echo /sys/fs/cgroup/*/); fi
for hierarchy in $hierarchies; do
	if [ -d "$hierarchy/$group" ]; then find "$hierarchy/$group" -depth -type d -exec rmdir {} +; fi
	if [ -e "$hierarchy/cgroup.procs" ]; then mkdir "$hierarchy/$group"; fi
done
containerd --config "$dir/containerd.toml" >>"$dir/disk/containerd.log" 2>&1 &
tries=0
until ctr version >/dev/null 2>&1; do
	tries=$((tries+1))
	if [ $tries -gt 300 ]; then exit 1; fi
	sleep 0.1
done
for image in manager tokenserver; do
	ctr --namespace k8s.io images import --local --base-name "ghcr.io/hallpass-dev/$image" "$dir/images/$image.tar"
done
ctr --namespace k8s.io images import --local --base-name hallpass.test/app "$dir/images/app.tar"
kube-proxy --config "$dir/kube-proxy.yaml" >>"$dir/disk/kube-proxy.log" 2>&1 &
kubelet --config "$dir/kubelet.yaml" --kubeconfig "$kubeconfig" --hostname-override node --node-ip ` + nodeAddress + ` >>"$dir/disk/kubelet.log" 2>&1 &
wait`

// The settings that a machine inside a machine takes: groups of its own below the caller's, no
// rights on the kernel's tables, no opinion on how full the disk is.
const (
	containerdConfig = `version = 3
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = %q
[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = [%q]
conf_dir = %q
`
	kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
failSwapOn: false
cgroupDriver: cgroupfs
cgroupRoot: /%s
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
clusterDNS: [` + nameServer + `]
clusterDomain: cluster.local
resolvConf: %q
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}} # who reaches it is in these namespaces
authorization: {mode: AlwaysAllow}
evictionHard: {memory.available: 50Mi, nodefs.available: "0%%", imagefs.available: "0%%"}
imageGCHighThresholdPercent: 100
`
	proxyConfig = `apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
hostnameOverride: ` + nodeName + `
clusterCIDR: ` + podNetwork + `
clientConnection: {kubeconfig: %q}
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s, udpTimeout: 0s, udpStreamTimeout: 0s}
`
	networkConfig = `{"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true,
  "ipam": {"type": "host-local", "ranges": [[{"subnet": "` + podNetwork + `"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
`
)

// newMachine writes the configuration and starts the machine.
func newMachine(t *testing.T, dir, kubeconfig string) *machine {
	t.Helper()
	network := filepath.Join(dir, "net.d")
	must(t, os.MkdirAll(network, 0o755))
	must(t, os.MkdirAll(filepath.Join(dir, "disk"), 0o755))
	resolv := filepath.Join(dir, "resolv.conf")
	for path, content := range map[string]string{
		filepath.Join(network, "10-pods.conflist"): networkConfig,
		filepath.Join(dir, "containerd.toml"):      fmt.Sprintf(containerdConfig, appImage+":"+version, filepath.Join(dir, "bin"), network),
		filepath.Join(dir, "kubelet.yaml"):         fmt.Sprintf(kubeletConfig, filepath.Base(dir), resolv),
		filepath.Join(dir, "kube-proxy.yaml"):      fmt.Sprintf(proxyConfig, kubeconfig),
		resolv:                                     "",
	} {
		must(t, os.WriteFile(path, []byte(content), 0o600))
	}
	m := &machine{dir: dir, kubeconfig: kubeconfig}
	m.start(t)
	t.Cleanup(func() { _ = m.process.Kill() })
	return m
}

func (m *machine) start(t *testing.T) {
	t.Helper()
	var err error
	m.process, err = controlplane.StartProcess("node", filepath.Join(m.dir, "boot.log"), nil,
		"unshare", "--mount", "--pid", "--fork", "--kill-child", "--ipc", "--uts", "--mount-proc", "--propagation=private",
		"/bin/sh", "-c", boot, "boot", m.dir, filepath.Base(m.dir), m.kubeconfig)
	must(t, err)
}

// powerCut ends all processes of the node at once, and returns when the kernel has none of them any
// more.
func (m *machine) powerCut(t *testing.T) {
	t.Helper()
	must(t, m.process.Kill())
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		var left []string
		for _, p := range processes(t) {
			// A process in namespaces below has a number in each of them.
			if strings.Contains(p.status["NSpid"], " ") {
				left = append(left, p.name)
			}
		}
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v have outlived their node", left)
		}
	}
}
