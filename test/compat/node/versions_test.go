// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
)

// TestWhatIsBuiltHereFollowsTheRepository runs everywhere: a change of one version without the
// other fails at once.
func TestWhatIsBuiltHereFollowsTheRepository(t *testing.T) {
	for file, line := range map[string]string{
		"hack/controlplane/go.mod":    "k8s.io/kubernetes v" + controlplane.KubernetesVersion,
		"hack/node/kubernetes/go.mod": "k8s.io/kubernetes v" + controlplane.KubernetesVersion,
		"charts/hallpass/Chart.yaml":  "appVersion: " + version,
	} {
		content, err := os.ReadFile(filepath.Join(root, file))
		must(t, err)
		if !strings.Contains(string(content), line) {
			t.Errorf("%s has no %q", file, line)
		}
	}
}
