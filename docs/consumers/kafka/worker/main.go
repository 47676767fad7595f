// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command worker produces a message every second to the topic orders of Kafka and consumes that
// topic, with the tokens of a client of Hallpass. The library asks for a token each time that it
// connects, and again before the broker would end the connection.
package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/oauth"

	"github.com/hallpass-dev/hallpass/client/token"
)

const topic = "orders"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	var options []token.Option
	if resource := os.Getenv("RESOURCE"); resource != "" {
		options = append(options, token.WithResource(resource))
	}
	source, err := token.New(token.Secret(cmp.Or(os.Getenv("HALLPASS_DIR"), "/etc/oauth2")), options...)
	if err != nil {
		return err
	}
	login := oauth.Oauth(func(ctx context.Context) (oauth.Auth, error) {
		t, err := source.Token(ctx)
		return oauth.Auth{Token: t.Reveal()}, err
	})
	ca, err := os.ReadFile(os.Getenv("KAFKA_CA_FILE"))
	if err != nil {
		return fmt.Errorf("read KAFKA_CA_FILE: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return errors.New("KAFKA_CA_FILE has no certificate")
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(os.Getenv("KAFKA_BROKERS"), ",")...), kgo.DialTLSConfig(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}), kgo.SASL(login),
		kgo.ConsumeTopics(topic), kgo.ConsumerGroup("orders-go"), kgo.RecordDeliveryTimeout(10*time.Second),
	)
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	defer client.Close()
	go produce(ctx, client)
	for ctx.Err() == nil {
		fetches := client.PollFetches(ctx)
		fetches.EachError(func(_ string, _ int32, err error) {
			if ctx.Err() == nil {
				log.Print("consume: ", err)
			}
		})
		fetches.EachRecord(func(r *kgo.Record) { fmt.Printf("received %s\n", r.Value) })
	}
	return nil
}

// produce sends a message every second. The client itself tries again if a broker is away.
func produce(ctx context.Context, client *kgo.Client) {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for i := 1; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-second.C:
		}
		message := fmt.Sprintf("%s %d", os.Getenv("NAME"), i)
		client.Produce(ctx, &kgo.Record{Topic: topic, Value: []byte(message)}, func(_ *kgo.Record, err error) {
			if err != nil && ctx.Err() == nil {
				log.Print("produce: ", err)
			}
		})
	}
}
