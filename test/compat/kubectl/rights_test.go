// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package kubectl_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/app"
	"github.com/hallpass-dev/hallpass/test/kit/golden"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// everyCommand are command lines of all commands, by the command. None of them changes anything.
var everyCommand = map[string]string{
	"create client":     "create client other --dry-run=server",
	"create resource":   "create resource other --dry-run=server",
	"create token":      "create token other --client caller --dry-run=server",
	"delete client":     "delete client caller --dry-run=server",
	"delete resource":   "delete resource api --dry-run=server",
	"delete token":      "delete token display --dry-run=server",
	"describe client":   "describe client caller",
	"describe issuer":   "describe issuer everyone",
	"describe resource": "describe resource api",
	"describe token":    "describe token display",
	"doctor":            "doctor",
	"events":            "events caller",
	"generate caddy":    "generate caddy api --upstream api:8080 --route /=read",
	"generate envoy":    "generate envoy api --upstream api:8080 --route /=read",
	"generate haproxy":  "generate haproxy api --upstream api:8080 --route /=read",
	"generate nginx":    "generate nginx api --upstream api:8080 --route /=read",
	"get clients":       "get clients",
	"get issuers":       "get issuers",
	"get keys":          "get keys",
	"get resources":     "get resources",
	"get secret":        "get secret caller",
	"get tokens":        "get tokens",
	"grant":             "grant api --to shop --scopes read --dry-run=server",
	"import":            "import - --format csv",
	"login":             "login caller",
	"logout":            "logout",
	"resume":            "resume caller --dry-run=server",
	"revoke client":     "revoke client caller --dry-run=server",
	"revoke issuer":     "revoke issuer everyone --dry-run=server",
	"revoke namespace":  "revoke namespace everyone --dry-run=server",
	"revoke person":     "revoke person user:everyone:U1 --dry-run=server",
	"revoke token":      "revoke token --dry-run=client",
	"rotate":            "rotate caller --dry-run=server",
	"set client":        "set client caller --notes x --dry-run=server",
	"set resource":      "set resource api --display-name x --dry-run=server",
	"set token":         "set token display --notes x --dry-run=server",
	"suspend":           "suspend caller --dry-run=server",
	"token":             "token caller --no-cache",
	"ungrant":           "ungrant api --from web --dry-run=server",
	"version":           "version",
	"wait":              "wait caller",
	"whoami":            "whoami",
	"why":               "why caller",
}

// elsewhere are commands that other tests run: the console is there until it is ended, and
// completion needs no cluster.
var elsewhere = []string{"console", "completion bash", "completion fish", "completion powershell", "completion zsh"}

// TestEveryCommandWithTheRightsOfEachRole runs all commands as users with the roles view, edit and
// admin, and as one without any.
func TestEveryCommandWithTheRightsOfEachRole(t *testing.T) {
	namespaces(t, "everyone")
	shell{}.ok(t, "create client caller --namespace everyone --scopes read")
	shell{}.ok(t, "create resource api --namespace everyone --scopes read --to web")
	shell{}.ok(t, "create token display --namespace everyone --client caller --expires-in 1d")
	trust(t, "everyone", "https://everyone.example.com", nil)
	eventually(t, "all is ready", func() bool { return settled(t, "everyone") })
	token := shell{cache: t.TempDir()}.ok(t, "token caller --namespace everyone --no-cache")
	stdin := map[string]string{"revoke token": token, "import": "client_id,name,scopes\nold,Old,read\n"}
	before := stored(t, "everyone")
	var got strings.Builder
	for _, command := range slices.Sorted(maps.Keys(everyCommand)) {
		fmt.Fprintf(&got, "$ kubectl hallpass %s\n", everyCommand[command])
		for _, user := range []string{"view", "edit", "admin", "nobody"} {
			r := shell{user: user, cache: t.TempDir()}.run(t, everyCommand[command]+" --namespace everyone", stdin[command])
			fmt.Fprintf(&got, "  %-7s exit %d%s\n", user, r.code, saidAfter(r))
		}
		got.WriteByte('\n')
	}
	golden.Text(t, "rights.golden", got.String(), volatile)
	if stored(t, "everyone") != before {
		t.Error("a command has changed something")
	}
}

// saidAfter is the sentence of a command that could not be done.
func saidAfter(r result) string {
	if r.code == app.ExitOK || r.code == app.ExitRefused {
		return ""
	}
	return ": " + strings.TrimPrefix(strings.TrimSpace(r.err), "error: ")
}

// TestTheTableOfRightsHasEveryCommand finds the commands that have no subcommands.
func TestTheTableOfRightsHasEveryCommand(t *testing.T) {
	var found []string
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			walk(sub)
		}
		if !c.HasSubCommands() && c.Name() != "help" {
			found = append(found, strings.TrimPrefix(c.CommandPath(), "kubectl hallpass "))
		}
	}
	root := app.Commands()
	root.InitDefaultCompletionCmd()
	walk(root)
	slices.Sort(found)
	known := slices.Sorted(slices.Values(append(slices.Collect(maps.Keys(everyCommand)), elsewhere...)))
	if !slices.Equal(found, known) {
		t.Errorf("the commands are %q, and those of the tests %q", found, known)
	}
}

// TestWhoAmI is what users with different rights read.
func TestWhoAmI(t *testing.T) {
	namespaces(t, "mine")
	transcript(t, "whoami.golden", []step{
		{line: "whoami --namespace mine"},
		{user: "admin", line: "whoami --namespace mine"},
		{user: "edit", line: "whoami --namespace mine"},
		{user: "view", line: "whoami --namespace mine"},
		{user: "nobody", line: "whoami --namespace mine"},
		{user: "edit", line: "whoami --namespace default --output yaml"},
	})
}

// TestWait waits for what comes, and explains what does not.
func TestWait(t *testing.T) {
	namespaces(t, "waiting", "granting")
	ok := func(line string) {
		t.Helper()
		shell{user: "edit"}.ok(t, line+" --namespace waiting")
	}
	ok("create client caller --scopes read --access granting/api=read")
	ok("wait caller --timeout 1m")
	ok("create client asleep")
	ok("wait caller asleep --timeout 1m")
	ok("suspend asleep")
	eventually(t, "it is suspended", func() bool {
		return strings.Contains(shell{}.ok(t, "get clients asleep --namespace waiting"), "Suspended")
	})
	transcript(t, "wait.golden", []step{
		{user: "view", line: "wait caller --namespace waiting"},
		{user: "view", line: "wait caller --namespace waiting --for grants --timeout 10ms"},
		{user: "view", line: "wait asleep --namespace waiting --timeout 10ms"},
		{user: "view", line: "wait caller --namespace waiting --for deleted --timeout 10ms"},
		{user: "view", line: "wait missing --namespace waiting --for deleted"},
		{user: "view", line: "wait missing --namespace waiting"},
		{user: "view", line: "wait caller --namespace waiting --for happiness"},
		{user: "view", line: "wait caller --namespace waiting --timeout 0s"},
		{user: "nobody", line: "wait caller --namespace waiting"},
	})
	for _, c := range []struct{ wait, meanwhile, says string }{
		{"wait caller --for grants", "create resource api --namespace granting --scopes read --to waiting", "oauth2client.hallpass.dev/caller has all scopes\n"},
		{"wait asleep", "resume asleep --namespace waiting", "oauth2client.hallpass.dev/asleep ready\n"},
		{"wait caller --for deleted", "delete client caller --yes --namespace waiting", "oauth2client.hallpass.dev/caller deleted\n"},
	} {
		ended := make(chan result)
		go func() { ended <- shell{user: "view"}.run(t, c.wait+" --timeout 1m --namespace waiting", "") }()
		shell{user: "edit"}.ok(t, c.meanwhile)
		if r := <-ended; r.code != app.ExitOK || r.out != c.says {
			t.Errorf("%s: exit %d: %s%s", c.wait, r.code, r.out, r.err)
		}
	}
	shell{user: "edit"}.ok(t, "suspend asleep --namespace waiting")
	eventually(t, "it is suspended", func() bool {
		return strings.Contains(shell{}.ok(t, "get clients asleep --namespace waiting"), "Suspended")
	})
	ended := make(chan result)
	go func() { ended <- shell{user: "view"}.run(t, "wait asleep --timeout 1m --namespace waiting", "") }()
	must(t, installation.Kubectl(t.Context(), shared.Plane, "delete", "hpc", "asleep", "--namespace", "waiting"))
	if r := <-ended; r.code != app.ExitFailed || !strings.Contains(r.err, "was deleted while it was waited for") && !strings.Contains(r.err, `there is no OAuth2Client "asleep"`) {
		t.Errorf("a client that is deleted: exit %d: %s%s", r.code, r.out, r.err)
	}
}
