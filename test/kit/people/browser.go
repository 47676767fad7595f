// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package people

import (
	"crypto/tls"
	"crypto/x509"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/test/kit/issuers"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

// Browser is a browser without script. It has cookies, and follows no redirect by itself.
type Browser struct {
	// Before is called before each request; nil for nothing.
	Before func(*url.URL)

	t      testing.TB
	client *http.Client
}

// NewBrowser is a browser without cookies in the network of a test.
func NewBrowser(t testing.TB, network *issuers.Network) *Browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	world.Must(t, err)
	client, err := network.Outbound().Client(nil, nil)
	world.Must(t, err)
	transport, ok := client.Transport.(*http.Transport)
	if !ok {
		t.Fatalf("the transport is %T", client.Transport)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(CA())
	transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	client.Jar, client.Timeout = jar, time.Minute // no test is about how long an answer takes
	return &Browser{t: t, client: client}
}

// Page is what a browser got.
type Page struct {
	Status         int
	Body, Location string
}

// Get shows the page at an address.
func (b *Browser) Get(address string) Page { b.t.Helper(); return b.do(http.MethodGet, address, nil) }

func (b *Browser) do(method, address string, form url.Values) Page {
	b.t.Helper()
	var body io.Reader = http.NoBody
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, address, body)
	world.Must(b.t, err)
	if b.Before != nil {
		b.Before(r.URL)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", r.URL.Scheme+"://"+r.URL.Host)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	response, err := b.client.Do(r)
	world.Must(b.t, err)
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	world.Must(b.t, err)
	return Page{response.StatusCode, string(content), response.Header.Get("Location")}
}

var (
	formTag    = regexp.MustCompile(`(?is)<form[^>]*action="([^"]*)"[^>]*>(.*?)</form>`)
	inputTag   = regexp.MustCompile(`(?is)<input[^>]*>`)
	nameOf     = regexp.MustCompile(`(?i)\bname="([^"]*)"`)
	valueOf    = regexp.MustCompile(`(?i)\bvalue="([^"]*)"`)
	refreshTag = regexp.MustCompile(`<meta http-equiv="refresh" content="0; url=([^"]*)">`)
	titleTag   = regexp.MustCompile(`<title>([^<]*)</title>`)
)

// Title is the title of a page.
func (p Page) Title() string {
	if found := titleTag.FindStringSubmatch(p.Body); found != nil {
		return html.UnescapeString(found[1])
	}
	return ""
}

// LogIn follows redirects and fills forms until the browser is sent to the client, and returns
// where.
func (b *Browser) LogIn(address, client string, at *Provider) *url.URL {
	b.t.Helper()
	to, last := b.Walk(address, client, at)
	if to == nil {
		b.t.Fatalf("the person does not get to the client: %d %s", last.Status, last.Body)
	}
	return to
}

// Walk is LogIn, and returns the page at which the walk ends elsewhere.
func (b *Browser) Walk(address, client string, at *Provider) (to *url.URL, last Page) {
	b.t.Helper()
	here, err := url.Parse(address)
	world.Must(b.t, err)
	p := b.do(http.MethodGet, address, nil)
	for range 20 {
		next, form := p.Location, url.Values(nil)
		if next == "" {
			if refresh := refreshTag.FindStringSubmatch(p.Body); refresh != nil {
				next = html.UnescapeString(refresh[1])
			} else if next, form = filled(p, at.Typed); next == "" {
				return nil, p
			}
		}
		to, err := here.Parse(next)
		world.Must(b.t, err)
		if strings.HasPrefix(to.String(), client+"?") {
			return to, Page{}
		}
		if here = to; form == nil {
			p = b.do(http.MethodGet, to.String(), nil)
		} else {
			p = b.do(http.MethodPost, to.String(), form)
		}
	}
	return nil, p
}

// filled is the form of a page, with what the person types, and where it is sent. Without a form it
// is sent nowhere.
func filled(p Page, typed map[string]string) (action string, form url.Values) {
	found := formTag.FindStringSubmatch(p.Body)
	if p.Status != http.StatusOK || found == nil {
		return "", nil
	}
	form = url.Values{}
	if strings.Contains(found[2], `name="decision"`) { // a button
		form.Set("decision", "allow")
	}
	for _, input := range inputTag.FindAllString(found[2], -1) {
		name, value := nameOf.FindStringSubmatch(input), valueOf.FindStringSubmatch(input)
		switch {
		case name == nil || name[1] == "again":
		case typed[name[1]] != "":
			form.Set(name[1], typed[name[1]])
		case value != nil:
			form.Set(name[1], html.UnescapeString(value[1]))
		}
	}
	return html.UnescapeString(found[1]), form
}
