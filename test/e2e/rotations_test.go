// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	corev1 "k8s.io/api/core/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
)

// rotations is how many keys are rotated through: HALLPASS_ROTATIONS=20 for the figure of the
// documentation.
func rotations(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv("HALLPASS_ROTATIONS"))
	if err != nil {
		return 2
	}
	return n
}

// tokensASecond is how many tokens are fetched.
const tokensASecond = 50

// A run of rotations proves something only if the machine has the time to ask about a token while
// it is good: lives are as short as it can bear, and no shorter.
const (
	shortestUnit = 2 * time.Second
	longestUnit  = 32 * time.Second
)

// TestRotationsUnderLoadRefuseNoToken lets keys live for seconds, and meanwhile fetches tokens and
// has each of them verified by a library that caches the JWK set, behind an nginx that caches it
// too, by introspection and by what proxies ask.
func TestRotationsUnderLoadRefuseNoToken(t *testing.T) {
	defer ordinaryKeys(t)
	caller, api := credentials(t, apply(t, "rotations", newClient("caller"))), credentials(t, apply(t, "rotations", newClient("api")))
	cached := cachedKeys(t)
	for unit := shortestUnit; ; unit *= 2 {
		r := rotating{unit: unit, caller: caller, api: api}
		failures := r.run(t, cached)
		if len(failures) == 0 {
			return
		}
		if slowest := time.Duration(r.slowest.Load()); slowest < unit/4 || unit == longestUnit {
			t.Fatalf("with keys that are published for %s, and questions that took %s at most: %v", unit, slowest, failures)
		}
		t.Logf("with keys that are published for %s, questions took %s: this machine needs longer lives", unit, time.Duration(r.slowest.Load()))
	}
}

// rotating is a run of rotations under load.
type rotating struct {
	// unit is how long a key is published before it signs, and stays afterwards.
	unit        time.Duration
	caller, api *corev1.Secret
	// slowest is the longest time that it took to fetch a token and to have it verified.
	slowest atomic.Int64
}

// run rotates until there were enough keys, and returns what failed.
func (r *rotating) run(t *testing.T, cached string) (failed []error) {
	t.Helper()
	must(t, hallpass.StopManager())
	policy := &hallpass.SigningKeys
	policy.Lead, policy.Skew, policy.Retirement = r.unit, 0, r.unit
	policy.Period = 2*policy.Lead + policy.Retirement
	must(t, hallpass.StartManager(t.Context()))
	// the key of before had a longer life
	annotateKeys(t, v1alpha1.AnnotationRotate, rand.Text())
	caller, api := r.caller, r.api

	keys := oidc.NewRemoteKeySet(oidc.ClientContext(t.Context(), hallpass.HTTP), cached)
	verifier := oidc.NewVerifier(hallpass.Issuer.String(), keys, &oidc.Config{SkipClientIDCheck: true, SupportedSigningAlgs: []string{oidc.ES256}})
	const workers = 4
	rounds := rotations(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rounds+3)*10*policy.Period)
	defer cancel()
	ask := func(method, address, id, secret, bearer string, form url.Values) (int, map[string]any, error) {
		request, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
		if err != nil {
			return 0, nil, err
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if request.SetBasicAuth(id, secret); bearer != "" {
			request.Header.Set("Authorization", "Bearer "+bearer)
		}
		response, err := hallpass.HTTP.Do(request)
		if err != nil {
			return 0, nil, err
		}
		defer func() { _ = response.Body.Close() }()
		content, err := io.ReadAll(response.Body)
		body := map[string]any{}
		if err == nil && len(content) > 0 {
			err = json.Unmarshal(content, &body)
		}
		return response.StatusCode, body, err
	}
	// round fetches a token, has it verified three times, and answers the kid.
	round := func() (string, error) {
		status, body, err := ask(http.MethodPost, string(caller.Data["token_url"]), string(caller.Data["client_id"]), string(caller.Data["client_secret"]), "",
			url.Values{"grant_type": {"client_credentials"}})
		token, _ := body["access_token"].(string)
		if err != nil || token == "" {
			return "", fmt.Errorf("no token: %d %v: %w", status, body, err)
		}
		if _, err := verifier.Verify(ctx, token); err != nil {
			return "", fmt.Errorf("go-oidc: %w", err)
		}
		if _, body, err = ask(http.MethodPost, string(api.Data["introspection_url"]), string(api.Data["client_id"]), string(api.Data["client_secret"]), "",
			url.Values{"token": {token}}); err != nil || body["active"] != true {
			return "", fmt.Errorf("introspection: %v: %w", body, err)
		}
		audience := url.QueryEscape(hallpass.Issuer.NamespaceAudience("rotations"))
		if status, _, err = ask(http.MethodGet, hallpass.Issuer.URL("/forward-auth")+"?audience="+audience, "", "", token, nil); err != nil || status != http.StatusOK {
			return "", fmt.Errorf("forward-auth: %d: %w", status, err)
		}
		message, err := jws.Parse(token)
		return message.Header.KeyID, err
	}

	var kids sync.Map
	var signers, tokens atomic.Int64
	var working sync.WaitGroup
	failures := make(chan error, workers)
	for range workers {
		working.Go(func() {
			pace := time.NewTicker(workers * time.Second / tokensASecond)
			defer pace.Stop()
			for ctx.Err() == nil && len(failures) == 0 && signers.Load() <= int64(rounds) {
				<-pace.C
				asked := time.Now()
				kid, err := round()
				r.slowest.Store(max(r.slowest.Load(), int64(time.Since(asked))))
				if err != nil {
					failures <- err
					return
				}
				tokens.Add(1)
				if _, known := kids.LoadOrStore(kid, true); !known {
					signers.Add(1)
				}
			}
		})
	}
	working.Wait()
	close(failures)
	for failure := range failures {
		failed = append(failed, failure)
	}
	if len(failed) == 0 && signers.Load() <= int64(rounds) {
		t.Errorf("only %d keys signed", signers.Load())
	}
	t.Logf("%d tokens of %d keys, each verified three times", tokens.Load(), signers.Load())
	return failed
}

// cachedKeys is the JWK set as nginx has it in its cache, for half the lead as max-age is a quarter
// of the least one: the library never sees a newer one. Without nginx it is the token server's own.
func cachedKeys(t *testing.T) string {
	t.Helper()
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		t.Log("there is no nginx; the library asks the token server itself")
		return hallpass.Issuer.URL("/oauth2/jwks")
	}
	dir, address := t.TempDir(), freeAddress(t)
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;"
	}
	config := fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log stderr; %[2]s
events {}
http {
  access_log off; client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  proxy_cache_path %[1]s/cache keys_zone=keys:1m;
  server {
    listen %[3]s;
    location / {
      proxy_pass %[4]s; proxy_ssl_verify on; proxy_ssl_trusted_certificate %[5]s; proxy_ssl_name localhost; proxy_ssl_server_name on;
      proxy_cache keys; proxy_ignore_headers Cache-Control; proxy_cache_valid 200 1s; proxy_cache_lock on;
      add_header X-Cache $upstream_cache_status;
    }
  }
}
`, dir, user, address, hallpass.Issuer.String(), hallpass.CAFile)
	must(t, os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(config), 0o600))
	process, err := controlplane.StartProcess("nginx", filepath.Join(dir, "log"), nil, nginx, "-p", dir, "-c", filepath.Join(dir, "nginx.conf"))
	must(t, err)
	t.Cleanup(func() { must(t, process.Stop()) })
	cached := "http://" + address + "/oauth2/jwks"
	eventually(t, "nginx answers from its cache", func() bool {
		select {
		case <-process.Done():
			t.Fatal(process.Failure())
		default:
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, cached, http.NoBody)
		must(t, err)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return false
		}
		must(t, response.Body.Close())
		return response.StatusCode == http.StatusOK && response.Header.Get("X-Cache") == "HIT"
	})
	return cached
}
