// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/hallpass-dev/hallpass/test/kit/installation"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

// kubeconfigOf writes a kubeconfig of an API server that a test makes up.
func kubeconfigOf(t *testing.T, server string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	must(t, clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{"c": {Server: server}}, AuthInfos: map[string]*clientcmdapi.AuthInfo{"u": {}},
		Contexts: map[string]*clientcmdapi.Context{"large": {Cluster: "c", AuthInfo: "u", Namespace: "shop"}}, CurrentContext: "large",
	}, file))
	return file
}

// many is an API server with so many clients that they are read page by page. All but the first
// page wait until they are released.
func many(t *testing.T, count int) (kubeconfig string, release func()) {
	t.Helper()
	released := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		query := r.URL.Query()
		switch {
		case strings.HasSuffix(r.URL.Path, "reviews"):
			_, _ = w.Write([]byte(`{"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectAccessReview","spec":{},"status":{"allowed":true,"userInfo":{"username":"ana"}}}`))
		case query.Get("watch") != "":
			<-r.Context().Done()
		case strings.HasSuffix(r.URL.Path, "/oauth2clients") && query.Get("limit") != "1":
			begin, limit := 0, 500
			_, _ = fmt.Sscan(query.Get("continue"), &begin)
			if begin > 0 {
				<-released
			}
			var items []json.RawMessage
			for i := begin; i < min(begin+limit, count); i++ {
				items = append(items, json.RawMessage(fmt.Sprintf(`{"apiVersion":"hallpass.dev/v1alpha1","kind":"OAuth2Client","metadata":{"name":"client-%05d","namespace":"shop","uid":"u%d",
					"creationTimestamp":"2026-01-01T00:00:00Z"},"status":{"clientID":"shop.client-%05d","conditions":[{"type":"Ready","status":"True","reason":"Registered"}]}}`, i, i, i)))
			}
			metadata := map[string]any{"resourceVersion": "1"}
			if begin+limit < count {
				metadata["continue"] = fmt.Sprint(begin + limit)
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": "hallpass.dev/v1alpha1", "kind": "OAuth2ClientList", "metadata": metadata, "items": items})
		default:
			_, _ = w.Write([]byte(`{"apiVersion":"v1","kind":"List","metadata":{"resourceVersion":"1"},"items":[]}`))
		}
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return kubeconfigOf(t, server.URL), func() { close(released) }
}

// TestTenThousandClients: the list is usable while the most are still being read, and the page
// holds one screen of them.
func TestTenThousandClients(t *testing.T) {
	const count = 10_000
	kubeconfig, release := many(t, count)
	c := openWith(t, kubeconfig, "")
	release0 := release
	defer func() {
		if release0 != nil {
			release0()
		}
	}()
	b := newTab(t)
	b.Do(navigate(c))
	b.see("Namespace")
	b.Do(chromedp.Evaluate[chromedp.Void](`location.hash = "#/clients"`))
	b.see("client-00000")
	b.see("more are being read")
	b.fill("Search clients", "client-00321")
	b.see("1 client")
	if !b.has("client-00321") {
		t.Error("the list cannot be used while it is read")
	}
	b.fill("Search clients", "")
	release0()
	release0 = nil
	b.see("of 10,000 clients")
	if elements := eval[int](b, `document.querySelectorAll("*").length`); elements > 2000 {
		t.Errorf("the page has %d elements", elements)
	}
	b.press("Next")
	b.see("51 to 100 of 10,000 clients")
	b.fill("Search clients", "client-09999")
	b.see("1 client")
	took := eval[float64](b, `(() => { const box = document.querySelector("input[type=search]"); const begin = performance.now(); box.value = "client-0"; box.dispatchEvent(new Event("input", {bubbles: true})); return performance.now() - begin; })()`)
	t.Logf("a search in %d clients takes %.0f ms; the heap has %.1f MB", count, took, eval[float64](b, `performance.memory.usedJSHeapSize / 1e6`))
}

// The goals with 10,000 clients.
const (
	usableWithin = time.Second
	searchWithin = 200 * time.Millisecond
	heapGoal     = 64 << 20
	serverGoal   = 128 << 20
)

// TestTheGoalsOfTenThousandClients measures the console as a process of its own. It runs with
// HALLPASS_BENCH alone, because a machine with other work misses the goals.
func TestTheGoalsOfTenThousandClients(t *testing.T) {
	if os.Getenv("HALLPASS_BENCH") == "" {
		t.Skip("HALLPASS_BENCH is not set; make bench-cli sets it")
	}
	const count = 10_000
	kubeconfig, release := many(t, count)
	release()
	link, server := startProgram(t, kubeconfig)
	b := newTab(t)
	b.Do(navigate(console{link: link}))
	b.see("Namespace")
	usable := eval[float64](b, `(async () => {
		const begin = performance.now();
		const until = async (test) => { while (!test()) await new Promise((r) => setTimeout(r)); };
		location.hash = "#/clients";
		await until(() => document.querySelector("main tbody tr"));
		const box = document.querySelector("input[type=search]");
		box.value = "client-00321";
		box.dispatchEvent(new Event("input", { bubbles: true }));
		await until(() => document.querySelectorAll("main tbody tr").length === 1);
		return performance.now() - begin;
	})()`)
	b.fill("Search clients", "")
	b.see("of 10,000 clients")
	search := eval[float64](b, `(() => { const box = document.querySelector("input[type=search]"); const begin = performance.now(); box.value = "client-0"; box.dispatchEvent(new Event("input", {bubbles: true})); return performance.now() - begin; })()`)
	heap := eval[float64](b, `performance.memory.usedJSHeapSize`)
	for _, figure := range []struct {
		what, unit string
		got, goal  float64
	}{
		{"the list of 10,000 clients is usable after", "ms", usable, float64(usableWithin.Milliseconds())},
		{"a search in them takes", "ms", search, float64(searchWithin.Milliseconds())},
		{"the heap of the page has", "MiB", heap / (1 << 20), heapGoal >> 20},
		{"the console had at most", "MiB", peakMemory(t, server) / (1 << 20), serverGoal >> 20},
	} {
		t.Logf("%-45s %5.0f %s; the goal is %.0f %s", figure.what, figure.got, figure.unit, figure.goal, figure.unit)
		if figure.got > figure.goal {
			t.Errorf("%s %.0f %s, and the goal is %.0f", figure.what, figure.got, figure.unit, figure.goal)
		}
	}
}

// startProgram starts the console as a process, and returns the file that opens it.
func startProgram(t *testing.T, kubeconfig string) (link string, process *os.Process) {
	t.Helper()
	root, err := world.Root()
	must(t, err)
	program, err := installation.Program(t.Context(), root, "kubectl-hallpass")
	must(t, err)
	command := exec.CommandContext(t.Context(), program, "console", "--no-browser", "--kubeconfig", kubeconfig)
	said, err := command.StderrPipe()
	must(t, err)
	must(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	for lines := bufio.NewScanner(said); lines.Scan(); {
		if _, file, found := strings.Cut(lines.Text(), "file://"); found {
			return file, command.Process
		}
	}
	t.Fatal("the console names no file")
	return "", nil
}

// peakMemory is the most memory that a process has had, in bytes; 0 where that cannot be read.
func peakMemory(t *testing.T, process *os.Process) float64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", process.Pid))
	if err != nil {
		return 0
	}
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		t.Fatalf("no VmHWM in %s", status)
	}
	var kilobytes float64
	_, err = fmt.Sscan(string(found[1]), &kilobytes)
	must(t, err)
	return kilobytes * 1024
}
