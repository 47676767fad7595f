// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"net/http"
	"testing"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

func TestNothingIsDecidedByAnOldMemory(t *testing.T) {
	stale := false
	w := newWorld(t, func(c *Config) { c.Stale = func() bool { return stale } })
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
			answer := w.do(c.call)
			if !stale {
				if answer.Code != http.StatusOK {
					t.Errorf("%s from a fresh memory: %d %s", name, answer.Code, answer.Body)
				}
				continue
			}
			if answer.Code != c.stale || c.stale != http.StatusOK && answer.Header().Get("Retry-After") != "30" {
				t.Errorf("%s from an old memory: %d %v %s", name, answer.Code, answer.Header(), answer.Body)
			}
			if c.stale != http.StatusOK && w.lastAudit()["reason"] != string(reasonStale) {
				t.Errorf("%s from an old memory: audit line %v", name, w.lastAudit())
			}
		}
		said := w.server.ExtAuthz(t.Context(), Attempt{
			Authorization: []string{"Bearer " + token}, Requirement: oauth2.Requirement{Audience: shopAudience},
		}, Origin{RemoteAddr: "192.0.2.1:1"})
		if want := map[bool]int{false: http.StatusOK, true: http.StatusServiceUnavailable}[stale]; said.Status != want {
			t.Errorf("ext_authz with stale %t: %d", stale, said.Status)
		}
	}
}
