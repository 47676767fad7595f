// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command subscriber prints the messages of NATS below orders, with the tokens of a client of
// Hallpass. NATS ends the connection when its token expires; the library then connects with
// another.
package main

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/hallpass-dev/hallpass/client/token"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	source, err := token.New(token.Secret(cmp.Or(os.Getenv("HALLPASS_DIR"), "/etc/oauth2")))
	if err != nil {
		return err
	}
	// The library asks for a token each time that it connects. An empty one is refused, and the
	// library tries again.
	fetch := func() string {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		t, err := source.Token(ctx)
		if err != nil {
			log.Print(err)
		}
		return t.Reveal()
	}
	connection, err := nats.Connect(os.Getenv("NATS_URL"), nats.TokenHandler(fetch), nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(100*time.Millisecond), nats.ReconnectHandler(func(*nats.Conn) { fmt.Println("connected again") }))
	if err != nil {
		return fmt.Errorf("connect to NATS: %w", err)
	}
	defer connection.Close()
	if _, err := connection.Subscribe("orders.>", func(m *nats.Msg) { fmt.Printf("%s %s\n", m.Subject, m.Data) }); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	<-ctx.Done()
	return nil
}
