// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"net/http"
	"testing"

	"github.com/hallpass-dev/hallpass/internal/answer"
	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

func TestNothingIsDecidedByAnOldMemory(t *testing.T) {
	stale := false
	w := newWorld(t, func(c *settings) { c.auth.Stale = func() bool { return stale } })
	token := w.token(reporting)
	calls := map[string]struct {
		call  call
		stale int
	}{
		"a token":       {call{basic: reporting, body: "grant_type=client_credentials"}, http.StatusServiceUnavailable},
		"introspection": {call{basic: reporting, path: oauth2.IntrospectionPath, body: "token=" + token}, http.StatusServiceUnavailable},
		"forward-auth":  {forward("audience="+shopAudience, "Bearer "+token), http.StatusServiceUnavailable},
		"the keys":      {call{method: http.MethodGet, path: oauth2.JWKSPath}, http.StatusServiceUnavailable},
		"the metadata":  {call{method: http.MethodGet, path: oauth2.MetadataPath}, http.StatusOK},
	}
	for _, stale = range []bool{false, true, false} {
		for name, c := range calls {
			got := w.do(c.call)
			if !stale {
				if got.Code != http.StatusOK {
					t.Errorf("%s from a fresh memory: %d %s", name, got.Code, got.Body)
				}
				continue
			}
			if got.Code != c.stale || c.stale != http.StatusOK && got.Header().Get("Retry-After") != "5" {
				t.Errorf("%s from an old memory: %d %v %s", name, got.Code, got.Header(), got.Body)
			}
			if c.stale != http.StatusOK && w.lastAudit()["reason"] != "DirectoryStale" {
				t.Errorf("%s from an old memory: audit line %v", name, w.lastAudit())
			}
		}
		_, err := w.authority.Admit(t.Context(), auth.Attempt{
			Authorization: []string{"Bearer " + token}, Required: oauth2.Requirement{Audience: shopAudience}, Source: "192.0.2.1", At: w.now,
		})
		if want := map[bool]oauth2.Reason{true: "DirectoryStale"}[stale]; oauth2.ReasonOf(err) != want || stale && answer.Refusal(err).Status != http.StatusServiceUnavailable {
			t.Errorf("ext_authz with stale %t: %v", stale, err)
		}
	}
}
