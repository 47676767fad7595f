// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package consumers_test

import (
	"fmt"
	"net"
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

// rabbitAround is what the page leaves to the reader: addresses and virtual hosts.
const rabbitAround = `
listeners.tcp.1 = %s
load_definitions = %s
log.console = true
log.console.level = warning
log.file = false
`

// startRabbitMQ starts RabbitMQ with the documented configuration as this user, and returns where
// it will listen. Nothing of it stays behind.
func startRabbitMQ(t *testing.T, issuer, caFile string) (address string) {
	t.Helper()
	installed(t, "rabbitmq-server")
	installed(t, "epmd")
	dir, audience := t.TempDir(), []string{"https://hallpass.example.com", issuer}
	definitions := filepath.Join(dir, "definitions.json")
	must(t, os.WriteFile(definitions, []byte(`{"vhosts": [{"name": "orders"}, {"name": "billing"}]}`), 0o600))
	address = world.FreeAddress(t)
	config := configure(t, "rabbitmq/rabbitmq.conf", append(audience, "/etc/oauth2/ca.crt", caFile)...)
	text, err := os.ReadFile(config)
	must(t, err)
	must(t, os.WriteFile(config, append(text, fmt.Sprintf(rabbitAround, address, definitions)...), 0o600))
	port := func() string {
		_, free, err := net.SplitHostPort(world.FreeAddress(t))
		must(t, err)
		return free
	}
	// the daemon by which the nodes of Erlang find each other, which would stay behind
	names := "ERL_EPMD_PORT=" + port()
	runWith(t, []string{names, "ERL_EPMD_ADDRESS=127.0.0.1"}, "epmd")
	runWith(t, []string{
		names, "ERL_EPMD_ADDRESS=127.0.0.1", "HOME=" + dir, "RABBITMQ_NODENAME=hallpass@localhost", "RABBITMQ_DIST_PORT=" + port(),
		"RABBITMQ_CONFIG_FILE=" + config, "RABBITMQ_ADVANCED_CONFIG_FILE=" + configure(t, "rabbitmq/advanced.config", audience...),
		"RABBITMQ_ENABLED_PLUGINS_FILE=" + configure(t, "rabbitmq/enabled_plugins"), "RABBITMQ_MNESIA_BASE=" + filepath.Join(dir, "data"),
		"RABBITMQ_LOG_BASE=" + filepath.Join(dir, "log"), "RABBITMQ_PID_FILE=" + filepath.Join(dir, "pid"), "RABBITMQ_CONF_ENV_FILE=/dev/null",
		"ERL_CRASH_DUMP=" + filepath.Join(dir, "crash"),
		// a channel looks each second, and not each minute, whether its token has expired
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-rabbit channel_tick_interval 1000",
	}, "/usr/lib/rabbitmq/bin/rabbitmq-server")
	return address
}

// buildWorker builds the documented client.
func buildWorker(t *testing.T) (program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), "worker")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", program, "./worker")
	build.Dir, build.Env = filepath.Join(docs, "rabbitmq"), append(os.Environ(), "CGO_ENABLED=0")
	if printed, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the worker: %v: %s", err, printed)
	}
	return program
}

// A client uses the virtual host and the permissions that its scopes are an alias of, on one
// connection over the end of its tokens and over rotations, until it is suspended.
func TestRabbitMQTakesPermissionsFromScopes(t *testing.T) {
	listener := memory.Listen(t)
	_, port, _ := strings.Cut(listener.Addr().String(), ":")
	issuer := "https://localhost:" + port
	hallpass := memory.New(t, issuer)
	caFile := hallpass.Serve(listener)
	audience, name := issuer+"/resources/platform/rabbitmq", oauth2.ObjectName{Namespace: "platform", Name: "rabbitmq"}
	scopes := []string{"orders.produce", "orders.consume"}
	hallpass.Declare(oauth2.Resource{
		Identifier: audience, UID: "uid-of-rabbitmq", Namespace: name.Namespace, Name: name.Name, Scopes: scopes,
		Consents: []oauth2.Consent{{Namespaces: []string{memory.Namespace}, Scopes: scopes}},
	})
	register := func(client string, scopes ...string) string {
		id := hallpass.Register(client)
		hallpass.Change(id, func(c *oauth2.Client) { c.Access = []oauth2.Access{{Resource: name, Scopes: scopes}} })
		return id
	}
	worker, consumer, forger := register("worker", scopes...), register("consumer", "orders.consume"), register("forger", "orders.consume")
	hallpass.SetTokenLifetime(worker, 8*time.Second)
	permission := audience + ".write:*/*"
	hallpass.SetClaims(forger, []oauth2.Claim{
		{Name: "scopes", Values: []string{permission}}, {Name: "extra_scope", Value: permission}, {Name: "roles", Values: []string{permission}},
	})
	address := startRabbitMQ(t, issuer, caFile)
	program := buildWorker(t)
	eventually(t, "RabbitMQ listens", func() bool {
		connection, err := net.Dial("tcp", address) //nolint:noctx // on loopback
		if err == nil {
			_ = connection.Close()
		}
		return err == nil
	})
	start := func(dir, virtualHost, resource string) *output {
		return runWith(t, []string{"HALLPASS_DIR=" + dir, "AMQP_URL=amqp://" + address + "/" + virtualHost, "RESOURCE=" + resource}, program)
	}

	dir := mounted(t, hallpass, issuer, caFile, worker)
	printed := start(dir, "orders", audience)
	received := func(n int) {
		t.Helper()
		before := strings.Count(printed.String(), "received ")
		eventually(t, fmt.Sprint(n, " more messages arrive"), func() bool { return strings.Count(printed.String(), "received ") >= before+n })
	}
	received(2)
	refusals := map[string]struct {
		client, virtualHost, resource, want string
	}{
		"another virtual host":       {worker, "billing", audience, "access to vhost 'billing' refused"},
		"a token for another API":    {worker, "orders", hallpass.Audience, "403"},
		"a client that may consume":  {consumer, "orders", audience, "ACCESS_REFUSED"},
		"claims of the client's own": {forger, "orders", audience, "ACCESS_REFUSED"},
	}
	refused := map[string]*output{}
	for what, c := range refusals {
		refused[what] = start(mounted(t, hallpass, issuer, caFile, c.client), c.virtualHost, c.resource)
	}
	for what, c := range refusals {
		eventually(t, what+" is refused", func() bool { return strings.Contains(refused[what].String(), c.want) })
		if strings.Contains(refused[what].String(), "received") {
			t.Errorf("%s: %s", what, refused[what])
		}
	}

	next := newSecret(t, hallpass, worker)
	remount(t, dir, issuer, caFile, worker, next)
	endFormer(hallpass, worker)
	hallpass.RotateKeys()
	renewals := strings.Count(printed.String(), "renewed")
	eventually(t, "the connection has two more tokens", func() bool { return strings.Count(printed.String(), "renewed") >= renewals+2 })
	received(2)
	if strings.Contains(printed.String(), "ended") || strings.Contains(printed.String(), "invalid_client") {
		t.Errorf("the worker failed: %s", printed)
	}
	hallpass.Suspend(worker)
	eventually(t, "the connection of a suspended client ends with its token", func() bool {
		return strings.Contains(printed.String(), "RabbitMQ ended the channel")
	})
}
