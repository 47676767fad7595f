// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package console

import (
	"net/http"
	"strings"
)

// policy is the Content-Security-Policy of every answer: nothing but the files of the console
// itself, no inline code, no frame, and no text that becomes markup (Trusted Types).
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// headers are those of every answer, errors too.
var headers = map[string]string{ //nolint:gochecknoglobals // a constant table
	"Content-Security-Policy":      policy,
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Cross-Origin-Embedder-Policy": "require-corp",
	"Referrer-Policy":              "no-referrer",
	"X-Content-Type-Options":       "nosniff",
	"X-Frame-Options":              "DENY",
	"Cache-Control":                "no-store",
	"Permissions-Policy":           "camera=(), geolocation=(), microphone=(), payment=(), usb=(), clipboard-read=(), clipboard-write=(self)",
}

// guard refuses what does not come from the page of this console: requests under another host name
// (DNS rebinding), of another origin (every other server of this machine is one, because the port
// counts), and embedded ones.
func guard(host string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range headers {
			w.Header().Set(name, value)
		}
		if reason := foreign(host, r); reason != "" {
			writeError(w, http.StatusForbidden, reason)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// foreign returns why a request does not come from the page, or an empty text.
func foreign(host string, r *http.Request) string {
	origins, sites := r.Header.Values("Origin"), r.Header.Values("Sec-Fetch-Site")
	site := strings.Join(sites, ",")
	switch {
	case r.Host != host:
		return "the console answers at " + host + " alone, and the request is for another host"
	case len(origins) > 1 || len(origins) == 1 && origins[0] != "http://"+host:
		return "the request is of another origin"
	case strings.HasPrefix(r.URL.Path, "/api/") && site != "same-origin":
		return "the request does not come from the page of the console; browsers send Sec-Fetch-Site since 2023"
	case strings.HasPrefix(r.URL.Path, "/api/") && r.Method != http.MethodGet && len(origins) == 0:
		return "the request changes something and has no Origin"
	case site == "" || site == "same-origin" || site == "none" || entersByLink(r):
		return ""
	}
	return "the request comes from another site"
}

// entersByLink reports whether a browser opens the page itself, as a link does: a file is another
// site. The page has nothing of the user in it.
func entersByLink(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.Path == "/" && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
}
