// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package chromium drives Chromium for the tests of pages.
package chromium

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// Start starts a Chromium, which ends with the context or with stop.
func Start(ctx context.Context, further ...chromedp.ExecAllocatorOption) (browser context.Context, stop func(), err error) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		return nil, nil, fmt.Errorf("find Chromium: %w", err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("lang", "en-GB"), chromedp.Flag("disable-dev-shm-usage", true))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	allocator, stopAllocator := chromedp.NewExecAllocator(ctx, append(options, further...)...)
	browser, stopBrowser := chromedp.NewContext(allocator)
	stop = func() {
		stopBrowser()
		stopAllocator()
	}
	if err := chromedp.Do(browser); err != nil {
		stop()
		return nil, nil, fmt.Errorf("start Chromium: %w", err)
	}
	return browser, stop, nil
}

// Missing skips a test because Start has failed. Where Chromium is installed for certain, the test
// fails.
func Missing(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(err)
	}
	t.Skipf("Chromium cannot be started, which apt-get install chromium installs: %v", err)
}

// Tab is a tab of a browser.
type Tab struct {
	context.Context //nolint:containedctx // chromedp finds the tab by it

	T *testing.T
	// Problems are the errors of the console of the browser, such as violations of the policy.
	Problems *Lines
}

// Open is the tab of a context of chromedp. It ends with the test, or after a time.
func Open(ctx context.Context, t *testing.T, after time.Duration) Tab {
	t.Helper()
	ctx, stop := context.WithTimeout(ctx, after)
	t.Cleanup(stop)
	tab := Tab{ctx, t, &Lines{}}
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return // the tab is closed
			}
			if m.IsException() || m.Source == "security" {
				tab.Problems.add(m.Text)
			}
		}
	}()
	return tab
}

// Do runs actions.
func (b Tab) Do(actions ...chromedp.Action[chromedp.Void]) {
	b.T.Helper()
	if err := chromedp.Do(b, actions...); err != nil {
		b.T.Fatalf("%v\n%s", err, b.Text())
	}
}

// Size makes the window as large, light or dark.
func (b Tab) Size(width, height int64, scheme string) {
	b.T.Helper()
	b.Do(chromedp.EmulateViewport(width, height))
	b.Media("prefers-color-scheme", scheme)
}

// Media sets what the user has chosen in the system.
func (b Tab) Media(name, value string) {
	b.T.Helper()
	b.Do(func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: name, Value: value}}})
		return chromedp.Void{}, err
	})
}

// Text is what the tab shows, for messages.
func (b Tab) Text() string {
	text, _ := chromedp.Run(b, chromedp.Evaluate[string](`document.body?.innerText ?? ""`))
	return text
}

// Until waits until an expression of JavaScript is true. What is in words.
func (b Tab) Until(what, expression string) {
	b.T.Helper()
	for end := time.Now().Add(90 * time.Second); ; {
		// While the tab goes to another page there may be no document.
		done, err := chromedp.Run(b, chromedp.Evaluate[bool](`Boolean(`+expression+`)`, chromedp.EvalAwaitPromise))
		if err == nil && done {
			return
		}
		if time.Now().After(end) {
			b.T.Fatalf("not so after a long time: %s: %v\n%s\n%s", what, err, b.Text(), b.Problems)
		}
	}
}

// Lines are written and read at any time.
type Lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *Lines) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.WriteString(line + "\n")
}

// String is all of them.
func (l *Lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
