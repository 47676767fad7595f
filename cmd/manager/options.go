// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// options are the flags. A setting that is missing and has no safe default keeps the manager from starting.
type options struct {
	issuer        oauth2.Issuer
	rest          *rest.Config
	registry      string
	system        string
	servingNames  []string
	manageServing bool
	leaderElect   bool
	metricsListen string
	healthListen  string
	log           logr.Logger
}

func parseFlags(args []string, output io.Writer) (options, error) {
	o := options{log: newLog(os.Stdout)}
	flags := flag.NewFlagSet("manager", flag.ContinueOnError)
	flags.SetOutput(output)
	issuer := flags.String("issuer", "", "issuer identifier: the https origin under which callers reach the token server (required)")
	kubeconfig := flags.String("kubeconfig", os.Getenv("KUBECONFIG"), "kubeconfig file; empty inside a cluster")
	names := flags.String("serving-dns-names", "", "further names of the serving certificate beside the issuer's host, separated by commas")
	insecure := flags.Bool("allow-http-issuer", false, "accept an issuer that begins with http://, for a token server that runs with --require-https=false")
	flags.BoolVar(&o.manageServing, "manage-serving-certificate", true, "make and renew the token server's certificate; false if another issuer of certificates does")
	flags.StringVar(&o.registry, "registry-namespace", registration.Namespace, "namespace of registrations and signing keys")
	flags.StringVar(&o.system, "system-namespace", "hallpass-system", "namespace of the processes, the lease and the certificate authority")
	flags.BoolVar(&o.leaderElect, "leader-elect", true, "work only while holding the lease, so that several managers can stand by")
	flags.StringVar(&o.metricsListen, "metrics-bind-address", ":8080", "address of /metrics; 0 for none")
	flags.StringVar(&o.healthListen, "health-probe-bind-address", ":8081", "address of /healthz and /readyz; 0 for none")
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
	if o.issuer, err = oauth2.ParseIssuer(*issuer, *insecure); err != nil {
		return options{}, fmt.Errorf("--issuer: %w", err)
	}
	if o.servingNames, err = servingNames(o.issuer, *names); err != nil {
		return options{}, err
	}
	if o.rest, err = clientcmd.BuildConfigFromFlags("", *kubeconfig); err != nil {
		return options{}, fmt.Errorf("connect to Kubernetes: %w", err)
	}
	return o, nil
}

// servingNames are the issuer's host and those that were named beside it, each once.
func servingNames(issuer oauth2.Issuer, further string) ([]string, error) {
	parsed, err := url.Parse(issuer.String())
	if err != nil {
		return nil, fmt.Errorf("--issuer: %w", err)
	}
	names := []string{parsed.Hostname()}
	for name := range strings.SplitSeq(further, ",") {
		if name = strings.TrimSpace(name); name != "" && name != parsed.Hostname() {
			names = append(names, name)
		}
	}
	return names, nil
}
