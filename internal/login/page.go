// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"github.com/hallpass-dev/hallpass/internal/loginport"
)

//go:embed assets
var assets embed.FS

// style is the style of all pages. It stands in each of them, so that a page is one answer.
var style = mustRead("assets/style.css") //nolint:gochecknoglobals // a constant

var pages = template.Must(template.New("").Funcs(template.FuncMap{ //nolint:gochecknoglobals // a constant
	"clean": clean,
	"style": func() template.CSS { return template.CSS(style) }, //nolint:gosec // a file of this package
}).Parse(mustRead("assets/page.html")))

func mustRead(name string) string {
	content, err := assets.ReadFile(name)
	if err != nil {
		panic(err) // it is embedded
	}
	return string(content)
}

// policy is the Content-Security-Policy of a page: it loads and runs nothing, has no frame around
// it, and its form, if it has one, goes to this origin.
func policy(form bool) string {
	sum := sha256.Sum256([]byte(style))
	action := "'none'"
	if form {
		action = "'self'"
	}
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; form-action " + action +
		"; frame-ancestors 'none'; base-uri 'none'"
}

// content is the text of a page.
type content struct {
	Title string
	Text  []string
	// Detail is the description of the token server.
	Detail string
	// Consent is what the person is asked.
	Consent *consentForm
	// Onward is where the refresh leads.
	Onward template.URL
	// Back returns to the client, which is at the host BackTo.
	Back   template.URL
	BackTo string
	// Reason and ID are for the operator.
	Reason, ID string
}

// consentForm is the form of the consent page.
type consentForm struct {
	loginport.Consent

	// Provider and ProviderHost are where the person authenticates.
	Provider, ProviderHost string
	// Action is where the form goes; Attempt and Proof are its hidden fields.
	Action, Attempt, Proof string
}

// askForConsent is the consent page.
func askForConsent(a attempt, of *loginport.Attempt) reply {
	host := of.Provider.Issuer
	if u, err := url.Parse(of.Provider.Issuer); err == nil {
		host = u.Host
	}
	name := of.Provider.DisplayName
	if clean(name) == "" {
		name = of.Provider.Name
	}
	return reply{status: http.StatusOK, content: &content{
		Title: "Allow this application?",
		Consent: &consentForm{
			Consent: of.Consent, Provider: name, ProviderHost: host, Action: ConsentPath, Attempt: a.id, Proof: a.form,
		},
	}}
}

// The titles of pages with a refresh.
const (
	leaveToProvider = "Going to sign-in"
	leaveToClient   = "Returning to the application"
)

// leave is a page with a refresh.
func leave(title, to string) reply {
	return reply{status: http.StatusOK, content: &content{
		Title: title, Text: []string{"If nothing happens, use the button."}, Onward: safeURL(to),
	}}
}

// maxText bounds a text of a page.
const maxText = 512

// clean is a text that its owner chose, as a page shows it: without control characters, and without
// those that change the direction or hide what is there.
func clean(text string) string {
	var out strings.Builder
	for i, r := range []rune(text) {
		if i == maxText {
			out.WriteRune('…')
			break
		}
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co, unicode.Cs) || !unicode.IsGraphic(r) {
			r = ' '
		}
		out.WriteRune(r)
	}
	return strings.Join(strings.Fields(out.String()), " ")
}
