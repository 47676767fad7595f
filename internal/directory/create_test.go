// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
)

// response is one of an API server.
type response struct {
	code       int
	retryAfter string
	body       string
	// cut breaks the connection within the body.
	cut bool
}

func (a response) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	if a.retryAfter != "" {
		w.Header().Set("Retry-After", a.retryAfter)
	}
	if a.cut {
		w.Header().Set("Content-Length", "1000")
	}
	w.WriteHeader(a.code)
	_, _ = w.Write([]byte(a.body))
}

// status is a Status as API servers write it.
func status(code int, reason, more string) string {
	return fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"m","reason":%q,"code":%d%s}`, reason, code, more)
}

func TestWhatAnAnswerSaysAboutACreation(t *testing.T) {
	isStatus := func(err error) bool { _, ok := errors.AsType[*apierrors.StatusError](err); return ok }
	suggests := func(want int) func(error) bool {
		return func(err error) bool {
			seconds, _ := apierrors.SuggestsClientDelay(err)
			return seconds == want
		}
	}
	for name, c := range map[string]struct {
		response
		is func(error) bool // nil if the object was created
	}{
		"created":                       {response: response{code: 201, body: "{}"}},
		"created, and the body is lost": {response: response{code: 201, body: "{", cut: true}},
		"there is one":                  {response{code: 409, body: status(409, "AlreadyExists", "")}, apierrors.IsAlreadyExists},
		"a conflict":                    {response{code: 409, body: status(409, "Conflict", "")}, apierrors.IsConflict},
		"forbidden":                     {response{code: 403, body: status(403, "Forbidden", "")}, apierrors.IsForbidden},
		"invalid":                       {response{code: 422, body: status(422, "Invalid", "")}, apierrors.IsInvalid},
		"no resource":                   {response{code: 404, body: "404 page not found"}, apierrors.IsNotFound},
		"too many requests":             {response{code: 429, body: "Too many requests", retryAfter: "1"}, suggests(1)},
		"shutting down":                 {response{code: 503, body: status(503, "ServiceUnavailable", ""), retryAfter: "3"}, suggests(3)},
		"a delay in the Status":         {response{code: 500, body: status(500, "ServerTimeout", `,"details":{"retryAfterSeconds":2}`)}, suggests(2)},
		"a delay that is none":          {response{code: 503, body: status(503, "ServiceUnavailable", ""), retryAfter: "soon"}, suggests(0)},
		"a page of a proxy":             {response{code: 200, body: "<html>log in</html>"}, isStatus},
		"a Status of success":           {response{code: 500, body: `{"kind":"Status","status":"Success"}`}, isStatus},
		"a refusal that is lost":        {response{code: 403, body: "{", cut: true}, func(err error) bool { return !isStatus(err) }},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(c.response)
			t.Cleanup(server.Close)
			a, err := connect(&rest.Config{Host: server.URL}, "registry", nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := a.revocations.create(t.Context(), []byte("{}")); c.is == nil && err != nil || c.is != nil && (err == nil || !c.is(err)) {
				t.Errorf("%v", err)
			}
			if a.contact.arrived.Load() == 0 {
				t.Error("the answer is not noted")
			}
		})
	}
}

// A creation is sent to the same place, with the same credentials, as client-go sends it.
func TestACreationIsSentAsClientGoSendsIt(t *testing.T) {
	var method, path, header, agent, authorization string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method, path, header = r.Method, r.URL.String(), r.Header.Get("Content-Type")+" "+r.Header.Get("Accept")
		agent, authorization = r.UserAgent(), r.Header.Get("Authorization")
		w.WriteHeader(http.StatusCreated)
	}))
	defer server.Close()
	a, err := connect(&rest.Config{Host: server.URL + "/base", BearerToken: "secret", UserAgent: "hallpass"}, "registry", nil)
	if err != nil {
		t.Fatal(err)
	}
	sent := func() [5]string { return [5]string{method, path, header, agent, authorization} }
	if err := a.revocations.create(t.Context(), []byte("{}")); err != nil {
		t.Fatal(err)
	}
	got := sent()
	if err := a.hallpass.Post().Namespace("registry").Resource(resourceRevocations).
		SetHeader("Content-Type", "application/json").Body([]byte("{}")).Do(t.Context()).Error(); err != nil {
		t.Fatal(err)
	}
	if want := sent(); got != want || got[1] != "/base/apis/hallpass.dev/v1alpha1/namespaces/registry/tokenrevocations" {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestWhenARedemptionIsTriedAgain(t *testing.T) {
	busy := apierrors.NewGenericServerResponse(429, "POST", creator{}.resource, "", "", 2, true)
	for name, c := range map[string]struct {
		err    error
		tries  int
		failed int
		wait   time.Duration
	}{
		"a first error":                   {errors.New("reset"), 0, 1, 200 * time.Millisecond},
		"a second error":                  {errors.New("reset"), 1, 2, 400 * time.Millisecond},
		"a Retry-After is no failed try":  {busy, 0, 0, 2 * time.Second},
		"nor is one after an error":       {busy, 2, 2, 2 * time.Second},
		"nor one that is wrapped":         {fmt.Errorf("create: %w", busy), 2, 2, 2 * time.Second},
		"a refusal without a Retry-After": {apierrors.NewServiceUnavailable("m"), 1, 2, 400 * time.Millisecond},
	} {
		if failed, wait := nextTry(c.err, c.tries); failed != c.failed || wait != c.wait {
			t.Errorf("%s: %d tries have failed, the next waits %s", name, failed, wait)
		}
	}
}
