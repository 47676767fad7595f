// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// A Refreshing token that is revoked, in whichever way and with the manager away, is replaced in
// its Secret: no pod is left with one that is refused until it would have been renewed.
func TestARevokedTokenIsReplacedInItsSecret(t *testing.T) {
	one := credentials(t, apply(t, "taking-back", newClient("revoking")))
	two := apply(t, "taking-back", newClient("its-own"))
	apply(t, "taking-back", newClient("selected"))
	api := credentials(t, apply(t, "taking-back", newClient("api")))
	tokens, before := map[string]*v1alpha1.OAuth2Token{}, map[string]string{}
	for name, clientName := range map[string]string{
		"revoked": "revoking", "revoked-later": "revoking", "spared": "revoking", "by-its-client": "its-own", "by-a-selector": "selected",
	} {
		tokens[name] = newToken("taking-back", name, clientName, v1alpha1.TokenRefreshing)
		before[name] = minted(t, tokens[name])
	}
	one.Data["url"] = []byte(hallpass.Issuer.URL(oauth2.RevocationPath))
	revoke := func(name string) {
		if status, body := post(t, one, "url", url.Values{"token": {before[name]}}); status != http.StatusOK {
			t.Fatalf("revoke %s: %d %v", name, status, body)
		}
	}
	replaced := func(name string) {
		t.Helper()
		eventually(t, name+" is replaced by a good one", func() bool {
			value := tokenIn(t, tokens[name])
			return value != before[name] && isActive(t, api, value)
		})
		eventually(t, "there is an event about "+name, func() bool {
			return strings.Contains(string(kubectl(t, "--namespace", "taking-back", "get", "events", "--output",
				`jsonpath={range .items[?(@.reason=="RevokedTokenReplaced")]}{.involvedObject.name}{"\n"}{end}`)), name+"\n")
		})
		if isActive(t, api, before[name]) {
			t.Errorf("%s as it was before is good again", name)
		}
	}
	must(t, hallpass.StopManager())
	revoke("revoked")
	update(t, two, func() {
		two.Spec.RevokeTokensIssuedBefore = new(metav1.NewTime(time.Now().Add(time.Hour).Truncate(time.Second)))
	})
	selector := &v1alpha1.TokenRevocation{ObjectMeta: metav1.ObjectMeta{Namespace: installation.RegistryNamespace, Name: "taking-back"}}
	selector.Spec.Selector = v1alpha1.RevocationSelector{ClientID: "taking-back.selected", IssuedBefore: new(metav1.NewTime(time.Now().Add(time.Hour).Truncate(time.Second)))}
	must(t, cluster.Create(t.Context(), selector))
	must(t, hallpass.StartManager(t.Context()))
	for _, name := range []string{"revoked", "by-its-client", "by-a-selector"} {
		replaced(name)
	}
	revoke("revoked-later")
	replaced("revoked-later")
	if tokenIn(t, tokens["spared"]) != before["spared"] || !isActive(t, api, before["spared"]) {
		t.Error("a token that nobody revoked is replaced")
	}
}
