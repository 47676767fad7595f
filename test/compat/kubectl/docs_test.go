// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package kubectl_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/app"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

const page = "docs/kubectl.md"

// TestThePagesOfThePluginWork types every command of the pages, in a shell in which kubectl finds
// the plugin.
func TestThePagesOfThePluginWork(t *testing.T) {
	root, err := world.Root()
	must(t, err)
	programs := t.TempDir()
	plugin, err := installation.Program(t.Context(), root, "kubectl-hallpass")
	must(t, err)
	must(t, os.Symlink(plugin, filepath.Join(programs, "kubectl-hallpass")))
	must(t, os.Symlink(shared.Plane.Kubectl(), filepath.Join(programs, "kubectl")))
	coming, err := filepath.Glob(filepath.Join(root, "docs", "coming-from", "*.md"))
	must(t, err)
	if len(coming) != 4 {
		t.Fatalf("%d pages about other systems; does this test still find them?", len(coming))
	}
	for _, file := range append(coming, filepath.Join(root, page)) {
		t.Run(filepath.Base(file), func(t *testing.T) { typePage(t, file, programs) })
	}
}

// typePage types the commands of a page, in namespaces of its own.
func typePage(t *testing.T, file, programs string) {
	t.Helper()
	own := strings.TrimSuffix(filepath.Base(file), ".md") + "-page-"
	for _, name := range []string{"shop", "orders"} {
		must(t, shared.Cluster.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: own + name}}))
	}
	text, err := os.ReadFile(file)
	must(t, err)
	blocks := regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 3 {
		t.Fatalf("%d blocks of commands; does this test still read the page right?", len(blocks))
	}
	var commands strings.Builder
	for _, block := range blocks {
		commands.WriteString(block[1])
	}
	typed := regexp.MustCompile(`\b(shop|orders)( |\n|/orders-api)`).ReplaceAllString(commands.String(), own+"$1$2")
	shell := exec.CommandContext(t.Context(), "sh", "-ex")
	shell.Stdin = strings.NewReader(typed)
	shell.Env = append(os.Environ(), "PATH="+programs+":"+os.Getenv("PATH"), "KUBECONFIG="+shared.Plane.Kubeconfig(), "XDG_CACHE_HOME="+t.TempDir())
	if output, err := shell.CombinedOutput(); err != nil {
		t.Errorf("the commands of %s fail: %v\n%s", file, err, output)
	}
}

// TestThePageNamesEveryCommand keeps the page and the commands together.
func TestThePageNamesEveryCommand(t *testing.T) {
	root, err := world.Root()
	must(t, err)
	text, err := os.ReadFile(filepath.Join(root, page))
	must(t, err)
	help := shell{}.ok(t, "--help")
	named := regexp.MustCompile(`(?m)^  ([a-z]+)  `).FindAllStringSubmatch(help, -1)
	if len(named) < 14 {
		t.Fatalf("%d commands in the help; does this test still read it right?\n%s", len(named), help)
	}
	for _, command := range named {
		if command[1] != "help" && command[1] != "completion" && !strings.Contains(string(text), command[1]) {
			t.Errorf("%s does not name the command %s", page, command[1])
		}
	}
	for name, code := range map[string]int{"done": app.ExitOK, "could not be done": app.ExitFailed, "command line is wrong": app.ExitUsage, "`why` found": app.ExitRefused} {
		if !regexp.MustCompile(`(?m)^\| ` + strconv.Itoa(code) + ` \| .*` + regexp.QuoteMeta(name)).Match(text) {
			t.Errorf("%s does not say that %d means: %s", page, code, name)
		}
	}
}
