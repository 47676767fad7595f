// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/app"
)

// emptyList answers a list, and a review of the caller.
const emptyList = `{"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[]}`

// screen is what a terminal shows, while a command still runs.
type screen struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func TestTheConsoleExplainsWhatIsWrongWithItsFlags(t *testing.T) {
	config := kubeconfig(t, answering(t, 200, emptyList), &clientcmdapi.AuthInfo{})
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	_, taken, _ := net.SplitHostPort(listener.Addr().String())
	for line, c := range map[string]struct {
		code int
		says string
	}{
		"--port " + taken: {app.ExitFailed, "port " + taken + " of this machine is in use. Choose another one with --port"},
		"--port 70000":    {app.ExitUsage, "is no port"},
		"--port 80":       {app.ExitUsage, "is no port; give one from 1024"},
		"--idle 1s":       {app.ExitUsage, "too short for a form"},
		"shop":            {app.ExitUsage, "takes no arguments"},
	} {
		code, said := run(t, 0, config, append([]string{"console"}, strings.Fields(line)...)...)
		if code != c.code || !strings.Contains(said, c.says) {
			t.Errorf("%s: exit %d: %s", line, code, said)
		}
	}
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "missing"))
	if code, said := run(t, 0, config, "console"); code != app.ExitFailed || !strings.Contains(said, "Set TMPDIR") {
		t.Errorf("without a directory: exit %d: %s", code, said)
	}
}

// TestALoginThatHangsEndsTheConsole has an API server that does not answer.
func TestALoginThatHangsEndsTheConsole(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }() // it accepts, and answers nothing
	said := &screen{}
	code := app.Run(t.Context(), []string{"console", "--kubeconfig", kubeconfig(t, "http://"+listener.Addr().String(), &clientcmdapi.AuthInfo{})}, app.Environment{
		IOStreams: genericiooptions.IOStreams{In: strings.NewReader(""), Out: io.Discard, ErrOut: said}, ArriveWithin: 10 * time.Millisecond,
	})
	if code != app.ExitFailed || !strings.Contains(said.String(), "has not answered within 10ms. Check the network or the VPN") {
		t.Errorf("exit %d: %s", code, said)
	}
}

// TestTheConsoleWithoutABrowserNamesTheFile opens no browser, in the two ways in which that
// happens.
func TestTheConsoleWithoutABrowserNamesTheFile(t *testing.T) {
	for name, c := range map[string]struct{ flag, says string }{
		"no browser is installed": {"--read-only", "No browser was opened: it is not installed. Within 30 seconds of its creation, open this file in one: file://"},
		"none is wanted":          {"--no-browser", "Within 30 seconds, open this file in your browser: file://"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv("TMPDIR", dir)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			said := &screen{}
			ended := make(chan int, 1)
			go func() {
				ended <- app.Run(ctx, []string{"console", c.flag, "--kubeconfig", kubeconfig(t, answering(t, 200, emptyList), &clientcmdapi.AuthInfo{})}, app.Environment{
					IOStreams: genericiooptions.IOStreams{In: strings.NewReader(""), Out: io.Discard, ErrOut: said}, Terminal: func() bool { return false },
					Browse: func(context.Context, string) error { return errors.New("it is not installed") },
				})
			}()
			for end := time.Now().Add(time.Minute); !strings.Contains(said.String(), c.says); runtime.Gosched() {
				if time.Now().After(end) || len(ended) > 0 {
					t.Fatalf("the terminal reads %s", said)
				}
			}
			if links, _ := filepath.Glob(filepath.Join(dir, "hallpass-console-*", "*.html")); len(links) != 1 || !strings.Contains(said.String(), "file://"+links[0]) {
				t.Errorf("%d links; the terminal reads %s", len(links), said)
			}
			stop()
			if code := <-ended; code != app.ExitOK {
				t.Errorf("exit %s: %s", strconv.Itoa(code), said)
			}
			if left, _ := os.ReadDir(dir); len(left) > 0 {
				t.Errorf("it leaves %v", left)
			}
		})
	}
}
