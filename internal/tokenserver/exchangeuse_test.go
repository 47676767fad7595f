// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// A fault of the client that exchanges is none of the token that was sent to it: the client of that
// token may be another tenant's.
func TestARefusedExchangeAccusesNobodyElse(t *testing.T) {
	said := &notes{}
	w := newWorld(t, func(c *settings) { c.audit.Usage = said })
	api := orders()
	api.Exchanged = []oauth2.Consent{{Namespaces: []string{"shop"}, Scopes: []string{"orders.write"}}}
	w.dir.resources = []*oauth2.Resource{api}
	w.asks(billing)
	w.dir.known[billing].Client.GrantTypes = oauth2.ClientCredentials | oauth2.TokenExchange
	first := w.token(reporting)
	w.dir.known[billing].Owner.RevokedBefore = w.now.AddDate(10, 0, 0)
	said.take()
	answer := w.do(w.exchange(billing, first, nil))
	if answer.Code != http.StatusServiceUnavailable || w.lastAudit()["reason"] != string(oauth2.ReasonTokenRevoked) {
		t.Fatalf("%d %s", answer.Code, answer.Body)
	}
	var of []oauth2.Use
	for _, use := range said.take() {
		if use.Subject == "uid-of-"+reporting {
			use.Source, use.At = "", time.Time{}
			of = append(of, use)
		}
	}
	if diff := cmp.Diff([]oauth2.Use{{Subject: "uid-of-" + reporting, Namespace: "shop"}}, of); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
