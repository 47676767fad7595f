// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package availability_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/internal/controller/servingcert"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// commands are those of docs/high-availability.md: to make the authority anew, to restore etcd, and
// to look for restores. The tests of a restore use the last two.
type commands struct{ renew, restore, look string }

func pageCommands(t *testing.T) commands {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(root, "docs", "high-availability.md"))
	must(t, err)
	blocks := shellBlock.FindAllStringSubmatch(string(page), -1)
	if len(blocks) != 3 {
		t.Fatalf("the page has %d blocks of commands; does this test still read it right?", len(blocks))
	}
	return commands{blocks[0][1], blocks[1][1], blocks[2][1]}
}

// enter types commands as an administrator does, and returns what they print.
func enter(t *testing.T, commands string) string {
	t.Helper()
	tools := t.TempDir()
	must(t, os.Symlink(plane.Kubectl(), filepath.Join(tools, "kubectl")))
	command := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", "PATH="+tools+":$PATH\n"+commands)
	command.Env = append(os.Environ(), "KUBECONFIG="+plane.Kubeconfig())
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", commands, err, output)
	}
	return string(output)
}

func TestTheAuthorityIsMadeAnew(t *testing.T) {
	published := func() string {
		var bundle corev1.ConfigMap
		if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: installation.SystemNamespace, Name: servingcert.BundleConfigMapName}, &bundle); err != nil {
			return ""
		}
		return bundle.Data[servingcert.BundleKey]
	}
	before := published()
	enter(t, pageCommands(t).renew)
	eventually(t, "there is another authority, a certificate, and every client is told", func() bool {
		var serving, secret corev1.Secret
		err := errors.Join(
			cluster.Get(t.Context(), client.ObjectKey{Namespace: installation.SystemNamespace, Name: servingcert.ServingSecretName}, &serving),
			cluster.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "caller-0"}, &secret),
		)
		now := published()
		return err == nil && now != "" && now != before && string(secret.Data["ca.crt"]) == now
	})
}
