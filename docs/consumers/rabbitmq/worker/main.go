// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command worker sends a message to itself every second by RabbitMQ, with the tokens of a client of
// Hallpass. It keeps one connection, to which it gives each new token.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

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
	source, err := token.New(token.Secret(cmp.Or(os.Getenv("HALLPASS_DIR"), "/etc/oauth2")), token.WithResource(os.Getenv("RESOURCE")))
	if err != nil {
		return err
	}
	current, err := source.Token(ctx)
	if err != nil {
		return err
	}
	// RabbitMQ takes the name of the user from the token.
	password := &amqp.PlainAuth{Password: current.Reveal()}
	connection, err := amqp.DialConfig(os.Getenv("AMQP_URL"), amqp.Config{SASL: []amqp.Authentication{password}, Heartbeat: 10 * time.Second})
	if err != nil {
		return fmt.Errorf("connect to RabbitMQ: %w", err)
	}
	defer func() { _ = connection.Close() }()
	channel, err := connection.Channel()
	if err != nil {
		return fmt.Errorf("open a channel: %w", err)
	}
	queue, err := channel.QueueDeclare("worker", false, true, false, false, nil)
	if err != nil {
		return fmt.Errorf("declare a queue: %w", err)
	}
	messages, err := channel.ConsumeWithContext(ctx, queue.Name, "", true, false, false, false, nil)
	if err != nil {
		return fmt.Errorf("consume: %w", err)
	}
	ended := channel.NotifyClose(make(chan *amqp.Error, 1))
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for sent := 1; ; {
		select {
		case <-ctx.Done():
			return nil
		case reason := <-ended:
			return fmt.Errorf("RabbitMQ ended the channel: %w", cmp.Or[error](reason, errors.New("without a reason")))
		case m, open := <-messages:
			if !open {
				messages = nil // ended has the reason
				continue
			}
			fmt.Printf("received %s\n", m.Body)
		case <-second.C:
			if current, err = renew(ctx, connection, source, current); err != nil {
				log.Print(err) // until the token expires, the connection lives on
			}
			message := amqp.Publishing{Body: []byte(strconv.Itoa(sent))}
			if err := channel.PublishWithContext(ctx, "", queue.Name, false, false, message); err != nil && !errors.Is(err, amqp.ErrClosed) {
				return fmt.Errorf("publish: %w", err)
			}
			sent++
		}
	}
}

// renew gives the connection the token of the source if that is another one.
func renew(ctx context.Context, connection *amqp.Connection, source *token.Source, current token.Token) (token.Token, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	next, err := source.Token(ctx)
	if err != nil || next.Reveal() == current.Reveal() {
		return current, err
	}
	if err := connection.UpdateSecret(next.Reveal(), "the token before expires"); err != nil {
		return current, fmt.Errorf("give the connection another token: %w", err)
	}
	fmt.Println("renewed")
	return next, nil
}
