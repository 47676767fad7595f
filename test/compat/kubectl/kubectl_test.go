// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kubectl_test runs the commands of kubectl hallpass against a real API server, with a
// manager and a token server, and the rights of the roles view, edit and admin and without any.
package kubectl_test

import (
	"bytes"
	stdcmp "cmp"
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/app"
	"github.com/hallpass-dev/hallpass/test/kit/golden"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

var (
	shared *world.World

	must, eventually = world.Must, world.Eventually
)

func TestMain(m *testing.M) {
	world.Main(world.Options{}, func(_ context.Context, w *world.World) (int, error) {
		shared = w
		return m.Run(), nil
	})
}

// shell is where commands are typed: by a user, with a cache of tokens.
type shell struct {
	user  string
	cache string
	// terminal is whether prompts are answered by stdin.
	terminal bool
	// kubeconfig is empty for that of an administrator.
	kubeconfig string
}

// result is what a command printed, and its exit code.
type result struct {
	out, err string
	code     int
}

// run runs a command line. Words in single quotes may have spaces in them.
func (s shell) run(t *testing.T, line, stdin string) result {
	t.Helper()
	args := words(t, line)
	args = append(args, "--kubeconfig", stdcmp.Or(s.kubeconfig, shared.Plane.Kubeconfig()))
	if s.user != "" {
		args = append(args, "--as", s.user, "--as-group", "system:authenticated")
	}
	var out, problems bytes.Buffer
	code := app.Run(t.Context(), args, app.Environment{
		IOStreams: genericiooptions.IOStreams{In: strings.NewReader(stdin), Out: &out, ErrOut: &problems},
		Version:   "v0.0.0-test", CacheDir: s.cache, Terminal: func() bool { return s.terminal },
	})
	return result{out.String(), problems.String(), code}
}

// ok runs a command line that has to succeed, and returns what it printed.
func (s shell) ok(t *testing.T, line string) string {
	t.Helper()
	r := s.run(t, line, "")
	if r.code != app.ExitOK {
		t.Fatalf("%s: exit %d: %s%s", line, r.code, r.out, r.err)
	}
	return r.out
}

var word = regexp.MustCompile(`'[^']*'|[^ ']+`)

func words(t *testing.T, line string) []string {
	t.Helper()
	var all []string
	at := 0
	for _, found := range word.FindAllStringIndex(line, -1) {
		joined := at > 0 && found[0] == at // with the word before, as in --notes='a b'
		text := strings.Trim(line[found[0]:found[1]], "'")
		if joined {
			all[len(all)-1] += text
		} else {
			all = append(all, text)
		}
		at = found[1]
	}
	return all
}

// namespaces creates namespaces in which users have the roles of their names.
func namespaces(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		must(t, shared.Cluster.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}))
		for _, role := range []string{"view", "edit", "admin"} {
			must(t, shared.Cluster.Create(t.Context(), &rbacv1.RoleBinding{
				ObjectMeta: metav1.ObjectMeta{Name: role, Namespace: name},
				RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
				Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: role}},
			}))
		}
	}
	// The aggregated rules of view, edit and admin come from a controller.
	eventually(t, "a user with the role view may list clients", func() bool {
		return shell{user: "view"}.run(t, "get clients --namespace "+names[0], "").code == app.ExitOK
	})
	eventually(t, "a user with the role edit may change clients", func() bool {
		return shell{user: "edit"}.run(t, "create client probe --dry-run=server --namespace "+names[0], "").code == app.ExitOK
	})
}

// step is a command of a transcript.
type step struct {
	user, line, stdin string
	// until is a text that the output has once the manager is done; the command is run again
	// until then.
	until string
	// terminal is whether stdin answers prompts.
	terminal bool
}

// patience is how long the manager may take.
const patience = time.Minute

// volatile is what differs from run to run.
var volatile = []golden.Volatile{
	{Pattern: regexp.MustCompile(`(127\.0\.0\.1|localhost):\d+`), Text: "ADDRESS"},
	{Pattern: regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(\.\d+)?Z`), Text: "TIME"},
	{Pattern: regexp.MustCompile(`hp_[a-z2-7]{12}_`), Text: "hp_ID_"},
	{Pattern: regexp.MustCompile(`\b[a-z2-7]{12}(: current|: replaced|, is accepted|, was replaced|\.\n)`), Text: "ID$1"},
	{Pattern: regexp.MustCompile(`(  |in |expired )\d+[smhd](\d+[smh])?( |\n|,)`), Text: "${1}AGE$3"},
	// two beside each other share a space
	{Pattern: regexp.MustCompile(`(  |in |expired )\d+[smhd](\d+[smh])?( |\n|,)`), Text: "${1}AGE$3"},
	{Pattern: regexp.MustCompile(`\d+[smhd](\d+[smh])? ago`), Text: "AGE ago"},
	{Pattern: regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), Text: "UID"},
	{Pattern: regexp.MustCompile(`kubectl-hallpass-[a-z0-9]{5}\b`), Text: "kubectl-hallpass-XXXXX"},
	{Pattern: regexp.MustCompile(`request id [A-Za-z0-9_-]+`), Text: "request id ID"},
	{Pattern: regexp.MustCompile(`token id \(jti\)  \S+`), Text: "token id (jti)  ID"},
	{Pattern: regexp.MustCompile(` +\n`), Text: "\n"},
	// columns are as wide as what differs
	{Pattern: regexp.MustCompile(`(\S)  +`), Text: "$1  "},
}

// transcript runs commands one after the other and compares what they print with a golden file.
func transcript(t *testing.T, file string, steps []step) {
	t.Helper()
	var got strings.Builder
	cache := t.TempDir()
	for _, s := range steps {
		sh := shell{user: s.user, cache: cache, terminal: s.terminal}
		r := sh.run(t, s.line, s.stdin)
		if s.until != "" {
			for end := time.Now().Add(patience); !strings.Contains(r.out+r.err, s.until); r = sh.run(t, s.line, s.stdin) {
				if time.Now().After(end) {
					t.Fatalf("%s does not print %s:\n%s%s", s.line, s.until, r.out, r.err)
				}
			}
		}
		who := s.user
		if who == "" {
			who = "administrator"
		}
		got.WriteString("# " + who + "\n$ kubectl hallpass " + s.line + "\n" + r.out + r.err)
		if r.code != app.ExitOK {
			got.WriteString("exit " + strconv.Itoa(r.code) + "\n")
		}
		got.WriteString("\n")
	}
	golden.Text(t, file, got.String(), volatile)
}

func sortSteps(steps []step) {
	slices.SortFunc(steps, func(a, b step) int {
		return stdcmp.Or(strings.Compare(a.user, b.user), strings.Compare(a.line, b.line))
	})
}

func newAccount(namespace, name string) *corev1.ServiceAccount {
	return &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}
