// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package kubectl_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/app"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

// lockedBuffer is read while a command writes to it.
type lockedBuffer struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.String()
}

// TestAWatchPrintsChangesUntilItIsInterrupted ends it as Ctrl-C does.
func TestAWatchPrintsChangesUntilItIsInterrupted(t *testing.T) {
	namespaces(t, "watched")
	shared.Apply(t, "watched", world.NewClient("first"))
	table, ofTable := watching(t, "get clients --watch --namespace watched --as view")
	names, ofNames := watching(t, "get clients --watch --output name --namespace watched --as view")
	eventually(t, "the first client is printed", func() bool {
		return strings.Contains(table.String(), "watched.first") && strings.Contains(names.String(), "oauth2client.hallpass.dev/first\n")
	})
	shell{}.ok(t, "suspend first --namespace watched")
	eventually(t, "the change is printed", func() bool { return strings.Contains(table.String(), "Suspended") })
	shell{}.ok(t, "create client second --namespace watched")
	eventually(t, "the second client is printed", func() bool {
		return strings.Contains(table.String(), "watched.second") && strings.Contains(names.String(), "oauth2client.hallpass.dev/second\n")
	})
	ofTable()
	ofNames()
	if strings.Count(table.String(), "HEALTH") != 1 {
		t.Errorf("the headers are not printed once:\n%s", table)
	}
}

// watching starts a command that ends by Ctrl-C alone.
func watching(t *testing.T, line string) (out *lockedBuffer, interrupt func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out = &lockedBuffer{}
	var problems lockedBuffer
	ended := make(chan int)
	go func() {
		ended <- app.Run(ctx, append(words(t, line), "--kubeconfig", shared.Plane.Kubeconfig()),
			app.Environment{IOStreams: genericiooptions.IOStreams{In: strings.NewReader(""), Out: out, ErrOut: &problems}})
	}()
	return out, func() {
		cancel()
		if code := <-ended; code != app.ExitOK || problems.String() != "" {
			t.Errorf("%s: exit %d: %s", line, code, problems.String())
		}
	}
}

// TestNamesAreCompleted asks as the script of a shell does.
func TestNamesAreCompleted(t *testing.T) {
	namespaces(t, "completed")
	for _, name := range []string{"alpha", "alpine", "beta"} {
		shell{}.ok(t, "create client "+name+" --namespace completed")
	}
	shell{}.ok(t, "create resource alpha-api --namespace completed --scopes read")
	shell{}.ok(t, "create token alpha-token --namespace completed --client alpha")
	trust(t, "completed-issuer", "https://completed.example.com", nil)
	for line, want := range map[string][]string{
		"rotate al":                    {"alpha", "alpine"},
		"rotate alpha ''":              nil,
		"suspend alpha al":             {"alpine"},
		"describe client ''":           {"alpha", "alpine", "beta"},
		"create token t --client b":    {"beta"},
		"create client a --dry-run ''": {"none", "server", "client"},
		"ge":                           {"generate", "get"},
		"get ''":                       {"clients", "issuers", "keys", "resources", "secret", "tokens"},
		"create ''":                    {"client", "resource", "token"},
		"describe issuer ''":           {"completed-issuer"},
		"get issuers c":                {"completed-issuer"},
		"create client c --issuer ''":  {"completed-issuer"},
		"get secret b":                 {"beta"},
		"get resources ''":             {"alpha-api"},
		"get tokens ''":                {"alpha-token"},
		"why alpha --resource ''":      {"alpha-api"},
		"wait alpha ''":                {"alpine", "beta"},
		"wait alpha --for ''":          {"deleted", "grants", "ready"},
	} {
		t.Run(line, func(t *testing.T) {
			args := append([]string{"__completeNoDesc", "--namespace", "completed", "--kubeconfig", shared.Plane.Kubeconfig()}, words(t, line)...)
			var out, problems bytes.Buffer
			if code := app.Run(t.Context(), args, app.Environment{IOStreams: genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &problems}}); code != app.ExitOK {
				t.Fatalf("exit %d: %s", code, problems.String())
			}
			var got []string
			for offer := range strings.Lines(out.String()) {
				if offer = strings.TrimSpace(offer); !strings.HasPrefix(offer, ":") {
					got = append(got, offer)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("offers %q, want %q", got, want)
			}
		})
	}
}

// TestAnIssuerThatIsOutOfReachIsExplained prints the lines that a user can type elsewhere.
func TestAnIssuerThatIsOutOfReachIsExplained(t *testing.T) {
	namespaces(t, "far")
	shared.Apply(t, "far", world.NewClient("caller"))
	args := []string{"token", "caller", "--no-cache", "--namespace", "far", "--as", "edit", "--kubeconfig", shared.Plane.Kubeconfig()}
	var out, problems bytes.Buffer
	code := app.Run(t.Context(), args, app.Environment{
		IOStreams: genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &problems},
		Dial:      func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no such host") },
	})
	if code != app.ExitFailed || out.Len() > 0 {
		t.Errorf("exit %d: %s", code, out.String())
	}
	for _, want := range []string{
		"kubectl run hallpass-token --namespace far", `"secretName":"caller"`, "kubectl hallpass get secret caller --namespace far --reveal --entry client_secret",
		"cannot be reached from here", "by way of the API server", "hallpass-system",
	} {
		if !strings.Contains(problems.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, problems.String())
		}
	}
}
