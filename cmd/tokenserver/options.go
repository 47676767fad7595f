// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// options are the flags. A setting that is missing and has no safe default keeps the server from starting.
type options struct {
	issuer       oauth2.Issuer
	rest         *rest.Config
	registry     string
	listen       string
	opsListen    string
	certFile     string
	keyFile      string
	requireHTTPS bool
	shutdownLag  time.Duration
	log          io.Writer
	// listening is told the addresses once both ports are open; nil if nobody asks.
	listening func(public, ops string)
}

func parseFlags(args []string, output io.Writer) (options, error) {
	o := options{log: os.Stdout}
	flags := flag.NewFlagSet("tokenserver", flag.ContinueOnError)
	flags.SetOutput(output)
	issuer := flags.String("issuer", "", "issuer identifier: the https origin under which callers reach this server (required)")
	kubeconfig := flags.String("kubeconfig", os.Getenv("KUBECONFIG"), "kubeconfig file; empty inside a cluster")
	flags.StringVar(&o.registry, "registry-namespace", registration.Namespace, "namespace of registrations and signing keys")
	flags.StringVar(&o.listen, "listen", ":8443", "address of the public port")
	flags.StringVar(&o.opsListen, "ops-listen", ":8081", "address of the port for /healthz, /readyz and /metrics")
	flags.StringVar(&o.certFile, "tls-cert-file", "", "serving certificate in PEM; read again when it changes")
	flags.StringVar(&o.keyFile, "tls-key-file", "", "key of the serving certificate in PEM")
	flags.BoolVar(&o.requireHTTPS, "require-https", true, "false serves plain HTTP: credentials and tokens are then readable on the network")
	flags.DurationVar(&o.shutdownLag, "shutdown-lag", 5*time.Second, "how long to go on serving after readiness is withdrawn, so that balancers notice")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if *issuer == "" {
		return options{}, errors.New("--issuer is required, such as --issuer=https://hallpass.example.com")
	}
	var err error
	if o.issuer, err = oauth2.ParseIssuer(*issuer, !o.requireHTTPS); err != nil {
		return options{}, fmt.Errorf("--issuer: %w", err)
	}
	if o.requireHTTPS && (o.certFile == "" || o.keyFile == "") {
		return options{}, errors.New("--tls-cert-file and --tls-key-file are required; --require-https=false serves plain HTTP instead")
	}
	if o.rest, err = clientcmd.BuildConfigFromFlags("", *kubeconfig); err != nil {
		return options{}, fmt.Errorf("connect to Kubernetes: %w", err)
	}
	return o, nil
}
