// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// phone is the width of a phone in CSS pixels.
const phone = 390

// seen is what a browser reports of a page.
type seen struct {
	Page string `json:"page"`
	// Wide names the elements that reach beyond the window, if the body can be scrolled
	// sideways.
	Wide []string `json:"wide"`
	// Anchors are the ids of the headings.
	Anchors []string `json:"anchors"`
	// Themed is whether the page is one of the theme, whose scripts have run then.
	Themed bool `json:"themed"`
}

// TestTheSiteFitsAPhone opens each page of the documentation site in Chromium, 390 pixels wide: no
// page scrolls sideways as a whole, and its anchors are those that the test of links expects.
func TestTheSiteFitsAPhone(t *testing.T) {
	if testing.Short() {
		t.Skip("make long")
	}
	browser := chromium(t)
	site := buildSite(t)
	var pages []string
	for _, page := range markdown(t) {
		if html, ok := strings.CutPrefix(page, "docs/"); ok {
			html = strings.TrimSuffix(html, ".md") + ".html"
			pages = append(pages, strings.Replace(html, "README.html", "index.html", 1))
		}
	}
	if len(pages) < 80 {
		t.Fatalf("%d pages; does this test still find them?", len(pages))
	}
	const tooWide = "too-wide.html"
	if err := os.WriteFile(filepath.Join(site, tooWide), []byte("<article><p style='width: 400px'>400</p></article>"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, s := range look(t, browser, site, append(pages, tooWide)) {
		if s.Page == tooWide {
			if len(s.Wide) == 0 {
				t.Error("a page that is too wide is not noticed")
			}
			continue
		}
		if len(s.Wide) > 0 {
			t.Errorf("%s is wider than %d pixels: %q", s.Page, phone, s.Wide)
		}
		if !s.Themed {
			t.Errorf("%s: it is no page of the theme", s.Page)
		}
		source := "docs/" + strings.TrimSuffix(s.Page, ".html") + ".md"
		if _, err := os.Stat(filepath.Join(root, source)); err != nil {
			source = strings.Replace(source, "index.md", "README.md", 1)
		}
		// A heading that another one has gets a number, and no link may lead to it.
		had := slices.DeleteFunc(s.Anchors, func(id string) bool {
			first, _, numbered := strings.Cut(id, "_")
			return numbered && slices.Contains(s.Anchors, first)
		})
		if diff := cmp.Diff(anchors(read(t, source)), had); diff != "" {
			t.Errorf("anchors of %s (-expected +of the site):\n%s", s.Page, diff)
		}
	}
}

func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("there is no Chromium; Debian has it as the package chromium")
	return ""
}

// buildSite builds the site into a directory, which it returns.
func buildSite(t *testing.T) string {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "make", "-C", root, "docs-tools").CombinedOutput(); err != nil {
		t.Skipf("MkDocs cannot be installed: %s", out)
	}
	site := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "make", "-C", root, "docs-check", "SITE="+site).CombinedOutput(); err != nil {
		t.Fatalf("build the site: %v\n%s", err, out)
	}
	return site
}

// opener loads one page after the other into a frame of a phone's width, waits until the scripts of
// the theme have put tables into boxes that scroll, and posts what it sees.
const opener = `<!DOCTYPE html><body style="margin:0"><script>
(async () => {
  const pages = await (await fetch("/pages")).json(), seen = [];
  for (const page of pages) {
    const frame = document.createElement("iframe");
    frame.style = "width:%dpx;height:844px;border:0";
    frame.src = "/" + page;
    await new Promise(loaded => { frame.onload = loaded; document.body.append(frame); });
    const doc = frame.contentDocument, root = doc.documentElement;
    const themed = root.classList.contains("no-js") || root.classList.contains("js");
    const waits = () => themed && (root.classList.contains("no-js") || doc.querySelector("article table:not([class])")?.closest(".md-typeset__scrollwrap") === null);
    while (waits()) await new Promise(requestAnimationFrame);
    const wide = root.scrollWidth <= %[1]d ? [] : [...doc.querySelectorAll("article *")]
      .filter(e => e.getBoundingClientRect().right > %[1]d && !e.closest(".md-typeset__scrollwrap, pre, code"))
      .slice(0, 5).map(e => e.tagName + " " + e.textContent.slice(0, 60));
    if (root.scrollWidth > %[1]d && !wide.length) wide.push("an element outside of the article");
    const anchors = [...doc.querySelectorAll("article :is(h1, h2, h3, h4, h5, h6)")].map(e => e.id);
    seen.push({page, wide, anchors, themed});
    frame.remove();
  }
  await fetch("/seen", {method: "POST", body: JSON.stringify(seen)});
})().catch(problem => fetch("/failed", {method: "POST", body: String(problem)}));
</script>`

// look returns what the browser reports of the pages.
func look(t *testing.T, browser, site string, pages []string) []seen {
	t.Helper()
	result, failed := make(chan []seen, 1), make(chan string, 1)
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServer(http.Dir(site)))
	mux.HandleFunc("GET /open", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, opener, phone)
	})
	mux.HandleFunc("GET /pages", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(pages) })
	mux.HandleFunc("POST /seen", func(_ http.ResponseWriter, r *http.Request) {
		var all []seen
		if err := json.NewDecoder(r.Body).Decode(&all); err != nil {
			failed <- err.Error()
			return
		}
		result <- all
	})
	mux.HandleFunc("POST /failed", func(_ http.ResponseWriter, r *http.Request) {
		var problem bytes.Buffer
		_, _ = problem.ReadFrom(r.Body)
		failed <- problem.String()
	})
	server := httptest.NewServer(mux)
	defer server.Close()

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	// Without its sandbox, which does not start as root: it opens pages of this repository
	// alone.
	command := exec.CommandContext(ctx, browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-background-networking",
		"--window-size=1440,1000", "--user-data-dir="+t.TempDir(), server.URL+"/open")
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	defer func() {
		cancel()
		<-ended //nolint:errcheck // it was killed
	}()
	select {
	case all := <-result:
		return all
	case problem := <-failed:
		t.Fatalf("the script that opens the pages: %s", problem)
	case err := <-ended:
		ended <- nil
		t.Fatalf("%s ended: %v\n%s", browser, err, &output)
	}
	return nil
}
