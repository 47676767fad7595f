// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command callout decides for a NATS server who may connect, by access tokens of Hallpass (NATS
// auth callout, ADR-26 of NATS). A connection may publish and subscribe to the subjects of its
// scopes, and ends when its token expires. The program watches the revocation feed as a client of
// its own.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/hallpass-dev/hallpass/client/token"
	"github.com/hallpass-dev/hallpass/client/verify"
)

// What a scope allows. A client without any of these scopes may not connect.
var (
	publish   = map[string]string{"orders.write": "orders.>"}
	subscribe = map[string]string{"orders.read": "orders.>"}
)

const (
	// account is the account of NATS that clients are in.
	account = "APP"
	// subject is where NATS asks.
	subject = "$SYS.REQ.USER.AUTH"
	// patience is less than NATS waits for an answer.
	patience = time.Second
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

// file is an environment variable's file, without the end of its line.
func file(variable string) (string, error) {
	content, err := os.ReadFile(os.Getenv(variable))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", variable, err)
	}
	return strings.TrimSpace(string(content)), nil
}

func run(ctx context.Context) error {
	seed, err := file("SEED_FILE")
	if err != nil {
		return err
	}
	signer, err := nkeys.FromSeed([]byte(seed))
	if err != nil {
		return fmt.Errorf("read SEED_FILE: %w", err)
	}
	password, err := file("PASSWORD_FILE")
	if err != nil {
		return err
	}
	dir := cmp.Or(os.Getenv("HALLPASS_DIR"), "/etc/oauth2")
	issuer, err := os.ReadFile(filepath.Join(dir, "issuer_url"))
	if err != nil {
		return fmt.Errorf("read the Secret: %w", err)
	}
	verifier, err := verify.New(strings.TrimSpace(string(issuer)), os.Getenv("AUDIENCE"),
		verify.WithCAFile(filepath.Join(dir, "ca.crt")), verify.FailClosed(time.Minute))
	if err != nil {
		return err
	}
	source, err := token.New(token.Secret(dir))
	if err != nil {
		return err
	}
	connection, err := nats.Connect(os.Getenv("NATS_URL"), nats.UserInfo("callout", password), nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true))
	if err != nil {
		return fmt.Errorf("connect to NATS: %w", err)
	}
	defer connection.Close()
	c := &callout{verifier: verifier, signer: signer}
	if _, err := connection.QueueSubscribe(subject, "hallpass", func(m *nats.Msg) { c.answer(ctx, m) }); err != nil {
		return fmt.Errorf("subscribe to %s: %w", subject, err)
	}
	if err := verifier.Watch(ctx, source); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

type callout struct {
	verifier *verify.Verifier
	signer   nkeys.KeyPair
}

// answer answers a question of NATS. NATS refuses a connection without an answer.
func (c *callout) answer(ctx context.Context, m *nats.Msg) {
	request, err := jwt.DecodeAuthorizationRequestClaims(string(m.Data))
	if err != nil {
		log.Print("a request that cannot be read: ", err)
		return
	}
	answer := jwt.NewAuthorizationResponseClaims(request.UserNkey)
	answer.Audience = request.Server.ID
	if answer.Jwt, err = c.decide(ctx, request); err != nil {
		answer.Error = err.Error() // for the log of NATS; it has nothing of the token
	}
	signed, err := answer.Encode(c.signer)
	if err == nil {
		err = m.Respond([]byte(signed))
	}
	if err != nil {
		log.Print("an answer cannot be sent: ", err)
	}
}

// decide returns what the connection may do.
func (c *callout) decide(ctx context.Context, request *jwt.AuthorizationRequestClaims) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	claims, err := c.verifier.Verify(ctx, request.ConnectOptions.Token)
	if err != nil {
		return "", err
	}
	user := jwt.NewUserClaims(request.UserNkey)
	user.Name, user.Audience, user.Expires = claims.ClientID, account, claims.Expiry.Unix()
	for _, scope := range claims.Scopes {
		if allowed, ok := publish[scope]; ok {
			user.Pub.Allow.Add(allowed)
		}
		if allowed, ok := subscribe[scope]; ok {
			user.Sub.Allow.Add(allowed)
		}
	}
	// NATS takes a list without entries as a permission for everything.
	none := jwt.StringList{">"}
	switch {
	case len(user.Pub.Allow)+len(user.Sub.Allow) == 0:
		return "", verify.ErrInsufficientScope
	case len(user.Pub.Allow) == 0:
		user.Pub.Deny = none
	case len(user.Sub.Allow) == 0:
		user.Sub.Deny = none
	}
	return user.Encode(c.signer)
}
