// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package loginport_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/loginport"
)

// port is a login port that gives one answer and records what it was sent.
type port struct {
	status int
	header map[string]string
	body   string
	path   string
	got    http.Header
	sent   string
}

func (p *port) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	content, _ := io.ReadAll(r.Body)
	p.path, p.got, p.sent = r.Method+" "+r.URL.Path, r.Header, string(content)
	w.Header().Set("Content-Type", loginport.MediaType)
	for name, value := range p.header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(p.status)
	_, _ = io.WriteString(w, p.body)
}

func (p *port) client(t *testing.T) loginport.Client {
	t.Helper()
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	return loginport.Client{BaseURL: server.URL, HTTP: server.Client(), Token: func() (string, error) { return "pod-token", nil }}
}

func TestTheClientSendsTheRequestAndReturnsTheAnswer(t *testing.T) {
	want := loginport.BeginAnswer{Attempt: &loginport.Attempt{
		Ticket: "sealed", ExpiresIn: 600, Nonce: "n",
		Provider: loginport.Provider{Name: "corp", Issuer: "https://id.example.com", ClientID: "hallpass", SecretName: "corp", Scopes: []string{"openid"}, CABundle: []byte("PEM")},
		Consent: loginport.Consent{
			Needed: true, ClientID: "shop.app", Namespace: "shop", RedirectHost: "app.example.com", RedirectOrigin: "https://app.example.com", APIName: "Orders",
			Scopes: []loginport.Scope{{Name: "read", Description: "Read orders"}}, LeftOut: []string{"write"},
		},
	}}
	body, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	server := &port{status: http.StatusOK, body: string(body)}
	got, err := server.client(t).Begin(t.Context(), loginport.BeginRequest{Query: "client_id=shop.app&state=%20", Source: "192.0.2.1"})
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Begin returned %+v, %v", got, err)
	}
	if server.path != "POST /login/begin" || server.got.Get("Authorization") != "Bearer pod-token" || server.got.Get("Content-Type") != "application/json" {
		t.Errorf("the port got %s with %v", server.path, server.got)
	}
	if server.sent != `{"query":"client_id=shop.app\u0026state=%20","source":"192.0.2.1"}` {
		t.Errorf("the port got the body %s", server.sent)
	}

	got, err = server.client(t).Resume(t.Context(), loginport.ResumeRequest{Ticket: "sealed", Source: "192.0.2.1"})
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Resume returned %+v, %v", got, err)
	}
	if server.path != "POST /login/resume" || server.sent != `{"ticket":"sealed","source":"192.0.2.1"}` {
		t.Errorf("the port got %s with the body %s", server.path, server.sent)
	}

	server = &port{status: http.StatusOK, body: `{"redirect":"https://app.example.com/cb?code=c","aMemberOfLater":1}`}
	finished, err := server.client(t).Finish(t.Context(), loginport.FinishRequest{Ticket: "sealed", IDToken: "e.y.J"})
	if err != nil || string(finished.Redirect) != "https://app.example.com/cb?code=c" {
		t.Errorf("Finish returned %q, %v", string(finished.Redirect), err)
	}
	if server.path != "POST /login/finish" || server.sent != `{"ticket":"sealed","idToken":"e.y.J"}` {
		t.Errorf("the port got %s with the body %s", server.path, server.sent)
	}
}

func TestAnAnswerThatBreaksTheContractIsAnError(t *testing.T) {
	for name, answer := range map[string]port{
		"nothing in it":         {status: http.StatusOK, body: `{}`},
		"two outcomes":          {status: http.StatusOK, body: `{"redirect":"https://a.example","refusal":{"code":"invalid_request"}}`},
		"no JSON":               {status: http.StatusOK, body: `<html>`},
		"another media type":    {status: http.StatusOK, header: map[string]string{"Content-Type": "text/html"}, body: `{"redirect":"https://a.example"}`},
		"longer than the bound": {status: http.StatusOK, body: `{"redirect":"` + strings.Repeat("a", loginport.MaxAnswerBytes) + `"}`},
		"no such path":          {status: http.StatusNotFound, body: `{"redirect":"https://a.example"}`},
	} {
		t.Run(name, func(t *testing.T) {
			client := answer.client(t)
			if _, err := client.Begin(t.Context(), loginport.BeginRequest{}); err == nil {
				t.Error("Begin returned no error")
			}
			if _, err := client.Resume(t.Context(), loginport.ResumeRequest{}); err == nil {
				t.Error("Resume returned no error")
			}
			if _, err := client.Finish(t.Context(), loginport.FinishRequest{}); err == nil {
				t.Error("Finish returned no error")
			}
		})
	}
}

func TestErrorsSayWhetherToTryAgain(t *testing.T) {
	busy := &port{status: http.StatusServiceUnavailable, header: map[string]string{"Retry-After": "7"}}
	_, err := busy.client(t).Begin(t.Context(), loginport.BeginRequest{})
	if unavailable, ok := errors.AsType[*loginport.UnavailableError](err); !ok || unavailable.RetryAfter != 7*time.Second {
		t.Errorf("503 is %v", err)
	}
	refused := &port{status: http.StatusUnauthorized}
	if _, err := refused.client(t).Finish(t.Context(), loginport.FinishRequest{}); !errors.Is(err, loginport.ErrUnauthorized) {
		t.Errorf("401 is %v", err)
	}
	away := httptest.NewServer(nil)
	away.Close()
	client := loginport.Client{BaseURL: away.URL, HTTP: http.DefaultClient, Token: func() (string, error) { return "pod-token", nil }}
	_, err = client.Begin(t.Context(), loginport.BeginRequest{})
	if _, ok := errors.AsType[*loginport.UnavailableError](err); !ok {
		t.Errorf("a closed port is %v", err)
	}
}

func TestTicketsAndTokensDoNotPrint(t *testing.T) {
	request := loginport.FinishRequest{Ticket: "marker-1", IDToken: "marker-2"}
	answer := loginport.FinishAnswer{Redirect: "https://a.example/?code=marker-3"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if text := fmt.Sprintf(verb+verb, request, answer); strings.Contains(text, "marker") {
			t.Errorf("%s prints %s", verb, text)
		}
	}
}
