// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package consumers_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/revocation"
	"github.com/hallpass-dev/hallpass/test/kit/memory"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

const (
	natsServer = "github.com/nats-io/nats-server/v2"
	natsKeys   = "github.com/nats-io/nkeys/nk"
)

// natsPrograms builds the programs of docs/consumers/nats, and those of NATS that its go.mod names.
func natsPrograms(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", dir+"/", "./callout", "./subscriber", natsServer, natsKeys)
	build.Dir, build.Env = filepath.Join(docs, "nats"), append(os.Environ(), "CGO_ENABLED=0")
	if printed, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the programs of NATS: %v: %s", err, printed)
	}
	return dir
}

// natsConnection is a connection that speaks the protocol of NATS clients.
type natsConnection struct {
	net.Conn

	lines *bufio.Reader
}

// connectNATS returns a connection, or how NATS refused it.
func connectNATS(t *testing.T, address, token string) (_ *natsConnection, refusal string) {
	t.Helper()
	connection, err := net.Dial("tcp", address) //nolint:noctx // on loopback
	if err != nil {
		return nil, err.Error()
	}
	t.Cleanup(func() { _ = connection.Close() })
	must(t, connection.SetDeadline(time.Now().Add(time.Minute)))
	c := &natsConnection{connection, bufio.NewReader(connection)}
	if got := c.do(t, ""); !strings.HasPrefix(got, "INFO ") {
		return nil, got
	}
	if got := c.do(t, fmt.Sprintf("CONNECT {\"verbose\": false, \"auth_token\": %q}\r\nPING\r\n", token)); got != "PONG" {
		return nil, got
	}
	return c, ""
}

// do sends commands and returns the first line that comes after them.
func (c *natsConnection) do(t *testing.T, commands string) string {
	t.Helper()
	if _, err := c.Write([]byte(commands)); err != nil {
		return err.Error()
	}
	line, err := c.lines.ReadString('\n')
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(line)
}

// mounted writes the Secret of a client into a directory.
func mounted(t *testing.T, hallpass *memory.Server, issuer, caFile, clientID string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	remount(t, dir, issuer, caFile, clientID, hallpass.Secret(clientID))
	return dir
}

func remount(t *testing.T, dir, issuer, caFile, clientID, secret string) {
	t.Helper()
	ca, err := os.ReadFile(caFile)
	must(t, err)
	world.Mount(t, dir, map[string]string{
		"client_id": clientID, "client_secret": secret, "issuer_url": issuer, "token_url": issuer + "/oauth2/token", "ca.crt": string(ca),
	})
}

// NATS asks the program of docs/consumers/nats about each connection. Scopes become subjects, a
// subscriber goes on over the end of its tokens and a rotation, and a revoked token is refused.
func TestNATSAsksAboutEachConnection(t *testing.T) {
	programs := natsPrograms(t)
	listener := memory.Listen(t)
	_, port, _ := strings.Cut(listener.Addr().String(), ":")
	issuer := "https://localhost:" + port
	hallpass := memory.New(t, issuer)
	caFile := hallpass.Serve(listener)
	reader, writer, other := hallpass.Register("reader", "orders.read"), hallpass.Register("writer", "orders.write"), hallpass.Register("other", "mail.read")
	hallpass.SetTokenLifetime(reader, 10*time.Second)

	generated, err := exec.CommandContext(t.Context(), filepath.Join(programs, "nk"), "-gen", "account", "-pubout").Output()
	must(t, err)
	keys := regexp.MustCompile(`^(SA\w+)\s+(A\w+)\s*$`).FindSubmatch(generated)
	if keys == nil {
		t.Fatal("nk printed no seed and public key")
	}
	dir, address := t.TempDir(), world.FreeAddress(t)
	must(t, os.WriteFile(filepath.Join(dir, "seed"), keys[1], 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "password"), []byte("chosen-for-the-test"), 0o600))
	config := configure(t, "nats/nats.conf", "0.0.0.0:4222", address, "CALLOUT_PASSWORD", "chosen-for-the-test", "ISSUER_PUBLIC_KEY", string(keys[2]))
	run(t, filepath.Join(programs, "nats-server"), "-c", config)
	runWith(t, []string{
		"HALLPASS_DIR=" + mounted(t, hallpass, issuer, caFile, hallpass.Register("nats")), "AUDIENCE=" + hallpass.Audience, "NATS_URL=nats://" + address,
		"SEED_FILE=" + filepath.Join(dir, "seed"), "PASSWORD_FILE=" + filepath.Join(dir, "password"),
	}, filepath.Join(programs, "callout"))

	good, refusal := hallpass.Token(writer), ""
	var publisher *natsConnection
	eventually(t, "a client may publish", func() bool {
		publisher, refusal = connectNATS(t, address, good)
		return refusal == ""
	})
	for name, token := range map[string]string{"no token": "", "nonsense": "nonsense", "a client without one of the scopes": hallpass.Token(other)} {
		if _, refusal := connectNATS(t, address, token); !strings.Contains(refusal, "Authorization Violation") {
			t.Errorf("%s: %q", name, refusal)
		}
	}
	readerDir := mounted(t, hallpass, issuer, caFile, reader)
	subscriber := runWith(t, []string{"HALLPASS_DIR=" + readerDir, "NATS_URL=nats://" + address}, filepath.Join(programs, "subscriber"))
	messages := 0
	arrives := func(when string) {
		messages++
		message := fmt.Sprintf("message-%d", messages)
		eventually(t, "a message arrives "+when, func() bool {
			if got := publisher.do(t, fmt.Sprintf("PUB orders.created %d\r\n%s\r\nPING\r\n", len(message), message)); got != "PONG" {
				t.Fatalf("publish: %s", got)
			}
			return strings.Contains(subscriber.String(), "orders.created "+message)
		})
	}
	arrives("at first")
	if got := publisher.do(t, "SUB orders.> 1\r\nPING\r\n"); !strings.Contains(got, "Permissions Violation for Subscription") {
		t.Errorf("a client that may publish subscribes: %s", got)
	}
	publisher, _ = connectNATS(t, address, good)
	if got := publisher.do(t, "PUB elsewhere 2\r\nno\r\nPING\r\n"); !strings.Contains(got, "Permissions Violation for Publish") {
		t.Errorf("another subject: %s", got)
	}
	reading, refusal := connectNATS(t, address, hallpass.Token(reader))
	if refusal != "" {
		t.Fatal(refusal)
	}
	if got := reading.do(t, "PUB orders.created 2\r\nno\r\nPING\r\n"); !strings.Contains(got, "Permissions Violation for Publish") {
		t.Errorf("a client that may subscribe publishes: %s", got)
	}

	next := newSecret(t, hallpass, reader)
	remount(t, readerDir, issuer, caFile, reader, next)
	endFormer(hallpass, reader)
	eventually(t, "the subscriber connects with another token", func() bool { return strings.Contains(subscriber.String(), "connected again") })
	publisher, _ = connectNATS(t, address, good)
	arrives("after a rotation")
	hallpass.RotateKeys()
	publisher, refusal = connectNATS(t, address, hallpass.Token(writer))
	if refusal != "" {
		t.Fatalf("a token by another key: %s", refusal)
	}
	arrives("after the keys were rotated")

	hallpass.Authority.Directory.Revocations().Select("leaked", revocation.Selector{ClientID: writer, IssuedBefore: time.Now().Add(time.Second)})
	eventually(t, "a revoked token is refused", func() bool {
		_, refusal := connectNATS(t, address, good)
		return strings.Contains(refusal, "Authorization Violation")
	})
}
