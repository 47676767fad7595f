// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package install_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEachDocumentedCallerIsDeployedWithItsSecret renders the folders of docs/call. Each has one
// workload that mounts the Secret where the program reads it, and the program itself where it needs
// no image.
func TestEachDocumentedCallerIsDeployedWithItsSecret(t *testing.T) {
	folders, err := filepath.Glob(filepath.Join(root, "docs", "call", "*"))
	must(t, err)
	if len(folders) != 6 {
		t.Fatalf("%d folders in docs/call", len(folders))
	}
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			rendered := kustomize(t, filepath.Join("docs", "call", filepath.Base(folder)))
			workloads, programs := 0, 0
			for key := range objects(t, rendered) {
				switch {
				case strings.Contains(key, "Deployment") || strings.Contains(key, "CronJob"):
					workloads++
				case strings.Contains(key, "ConfigMap"):
					programs++
				default:
					t.Errorf("it has %s", key)
				}
			}
			if workloads != 1 {
				t.Errorf("%d workloads", workloads)
			}
			for _, want := range []string{"mountPath: /etc/oauth2\n", "secretName: reporting\n", "runAsNonRoot: true\n", "readOnlyRootFilesystem: true\n"} {
				if strings.Count(rendered, want) != 1 {
					t.Errorf("it has %q %d times", want, strings.Count(rendered, want))
				}
			}
			if mounted := strings.Count(rendered, "mountPath: /program\n"); mounted != programs {
				t.Errorf("%d programs in ConfigMaps, %d mounted", programs, mounted)
			}
			built, err := filepath.Glob(filepath.Join(folder, "call.*"))
			must(t, err)
			if len(built) != programs {
				t.Errorf("%v, and %d programs in ConfigMaps", built, programs)
			}
			for _, program := range built {
				if content := must1(os.ReadFile(program))(t); !strings.Contains(rendered, strings.TrimSpace(strings.SplitN(string(content), "\n", 3)[1])) {
					t.Errorf("the ConfigMap does not have %s", program)
				}
			}
		})
	}
}
