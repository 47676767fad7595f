// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package consumers_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/test/kit/memory"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

// buildCollector builds the OpenTelemetry Collector of the module beside this file.
func buildCollector(t *testing.T) (program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), "collector")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", program, ".")
	build.Dir, build.Env = "collector", append(os.Environ(), "CGO_ENABLED=0")
	if printed, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the collector: %v: %s", err, printed)
	}
	return program
}

// startCollector starts it with documented configurations. It serves no metrics of its own.
func startCollector(t *testing.T, program string, configs ...string) *output {
	t.Helper()
	arguments := []string{"--set=service.telemetry.metrics.level=none"}
	for _, config := range configs {
		arguments = append(arguments, "--config="+config)
	}
	return runWith(t, nil, program, arguments...)
}

// sendSpan sends a span to a collector and returns the status; zero if there is no answer.
func sendSpan(t *testing.T, client *http.Client, url, token, name string) int {
	t.Helper()
	body := fmt.Sprintf(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"%032x","spanId":"%016x","name":%q}]}]}]}`,
		time.Now().UnixNano(), time.Now().UnixNano(), name)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/traces", strings.NewReader(body))
	must(t, err)
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

// A collector sends the spans of an application to another one with tokens. None is lost over
// rotations of the secret and of the signing keys, and none arrives after the client was suspended.
// Another one, which has a key and no secret, sends its assertions as the grant.
//
// The collector takes longer to build than other tests take.
func TestOpenTelemetryCollectorsUseTokens(t *testing.T) {
	if testing.Short() {
		t.Skip("make long")
	}
	program := buildCollector(t)
	listener := memory.Listen(t)
	_, port, _ := strings.Cut(listener.Addr().String(), ":")
	issuer := "https://localhost:" + port
	hallpass := memory.New(t, issuer)
	caFile := hallpass.Serve(listener)
	resource := declare(hallpass, issuer, "monitoring", "collector", "traces.write")
	agent := registerFor(hallpass, "agent", resource)
	hallpass.SetTokenLifetime(agent, 6*time.Second)

	certFile, keyFile, gatewayCA := certify(t)
	gatewayAddress, agentAddress := world.FreeAddress(t), world.FreeAddress(t)
	theirs := []string{"https://hallpass.example.com", issuer, "/etc/oauth2/ca.crt", caFile}
	gateway := startCollector(t, program, configure(t, "opentelemetry/gateway.yaml",
		append(theirs, "0.0.0.0:4318", gatewayAddress, "/etc/collector/tls.crt", certFile, "/etc/collector/tls.key", keyFile)...))
	secret := mounted(t, hallpass, issuer, caFile, agent)
	agentAt := func(address string) (config string) {
		return configure(t, "opentelemetry/agent.yaml",
			append(theirs, "127.0.0.1:4318", address, "https://collector.monitoring.svc:4318", "https://"+gatewayAddress, "/etc/collector/ca.crt", gatewayCA,
				"/etc/oauth2/client", filepath.Join(secret, "client"), "expiry_buffer: 1m", "expiry_buffer: 2s")...)
	}
	agentPrinted := startCollector(t, program, agentAt(agentAddress))

	sent := 0
	send := func() {
		sent++
		eventually(t, "the agent accepts a span", func() bool {
			return sendSpan(t, http.DefaultClient, "http://"+agentAddress, "", fmt.Sprintf("span-%d.", sent)) == http.StatusOK
		})
	}
	arrived := func(n int) bool { return strings.Contains(gateway.String(), fmt.Sprintf("span-%d.", n)) }
	arrives := func(when string) {
		send()
		eventually(t, "a span arrives "+when, func() bool { return arrived(sent) })
	}
	arrives("at first")

	direct := httpsClient(t, gatewayCA)
	for what, token := range map[string]string{
		"no token": "", "nonsense": "a.b.c", "another audience": hallpass.Token(agent),
		"another key": memory.New(t, issuer).Sign("at+jwt", tokenClaims(t, issuer, resource.Identifier, agent, nil)),
	} {
		if status := sendSpan(t, direct, "https://"+gatewayAddress, token, "refused."); status != http.StatusUnauthorized {
			t.Errorf("%s: %d", what, status)
		}
	}

	next := newSecret(t, hallpass, agent)
	remount(t, secret, issuer, caFile, agent, next)
	endFormer(hallpass, agent)
	hallpass.RotateKeys()
	tokens := tokensOf(hallpass, agent)
	eventually(t, "the agent has two more tokens", func() bool {
		send()
		return tokensOf(hallpass, agent) >= tokens+2
	})
	arrives("after the rotations")
	for n := range sent {
		if !arrived(n + 1) {
			t.Errorf("span %d of %d was lost", n+1, sent)
		}
	}
	if strings.Contains(gateway.String(), "refused.") {
		t.Error("a span that was refused arrived")
	}
	keyed, keyedAddress := registerFor(hallpass, "keyed", resource), world.FreeAddress(t)
	signingKey := authenticateByKey(t, hallpass, keyed, oauth2.MaxGrantLife)
	startCollector(t, program, agentAt(keyedAddress), configure(t, "opentelemetry/jwt-bearer.yaml",
		"https://hallpass.example.com", issuer, "monitoring.collector", keyed, "/etc/collector/key.pem", signingKey))
	eventually(t, "a span of the collector with a key arrives", func() bool {
		return sendSpan(t, http.DefaultClient, "http://"+keyedAddress, "", "by-key.") == http.StatusOK && strings.Contains(gateway.String(), "by-key.")
	})
	if tokensOf(hallpass, keyed) == 0 {
		t.Error("the collector with a key has fetched no token")
	}

	hallpass.Suspend(agent)
	eventually(t, "the agent of a suspended client can send no longer", func() bool {
		send()
		return strings.Contains(agentPrinted.String(), "invalid_client")
	})
	if arrived(sent) {
		t.Error("a span of a suspended client arrived")
	}
}
