// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// handOut makes a token of each mode for software that cannot fetch its own, uses it until its use
// is reported, revokes it and uses it again, which is reported, also in an event.
func (l *loud) handOut(t *testing.T, c canaries, caller http.Header) {
	t.Helper()
	for _, mode := range []v1alpha1.TokenMode{v1alpha1.TokenRefreshing, v1alpha1.TokenFixed} {
		object := newToken("canaries", "handed-"+strings.ToLower(string(mode)), "generated", mode)
		object.Spec.Secret.Template = map[string]v1alpha1.TemplateText{"curlrc": "header = \"Authorization: $(authorization)\"\n"}
		token := minted(t, object)
		what := "the token of mode " + string(mode)
		if mode == v1alpha1.TokenFixed {
			c.add(what, token)
		} else {
			c.addToken(what, token)
		}
		use := func() (answers string) {
			_, answer := l.ask(t, http.MethodPost, oauth2.IntrospectionPath, url.Values{"token": {token}}, caller)
			answers += answer
			for _, presented := range []string{token, token + "x", token[:len(token)-1]} {
				audience := url.Values{"audience": {hallpass.Issuer.NamespaceAudience("canaries")}}.Encode()
				_, answer = l.ask(t, http.MethodGet, oauth2.ForwardAuthPath+"?"+audience, nil, http.Header{"Authorization": {"Bearer " + presented}})
				answers += answer
			}
			return answers
		}
		answers := use()
		if status, answer := l.ask(t, http.MethodPost, oauth2.RevocationPath, url.Values{"token": {token}}, caller); status != http.StatusOK {
			t.Fatalf("revoke %s: %d %s", what, status, answer)
		}
		eventually(t, "the use of "+what+" after it was revoked is told", func() bool {
			answers += use()
			must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(object), object))
			return len(object.Status.StaleUses) > 0
		})
		for _, leak := range leaks(map[string][]byte{"an answer about " + what: []byte(answers)}, c) {
			t.Error(leak)
		}
	}
}
