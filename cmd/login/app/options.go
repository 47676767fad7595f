// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/hallpass-dev/hallpass/internal/login"
	"github.com/hallpass-dev/hallpass/internal/outbound"
	"github.com/hallpass-dev/hallpass/internal/serve"
)

const (
	// DefaultNamespace has the Secrets of identity providers.
	DefaultNamespace = "hallpass-login"
	// DefaultShutdownLag is twice the time that kube-proxy may take to remove an endpoint.
	DefaultShutdownLag = 10 * time.Second
	// DefaultMaxConnections is how many connections may be open at the public port.
	DefaultMaxConnections = 1536
	// DefaultMaxConnectionsPerSource is how many of them a source may have.
	DefaultMaxConnectionsPerSource = 384
	// PublicCA is the value of --token-server-ca for authorities that every machine trusts.
	PublicCA = "public"

	defaultTokenFile = "/var/run/secrets/hallpass.dev/token"
)

// Options are the flags. A setting that is missing and has no safe default keeps login from
// starting.
type Options struct {
	// URL is the origin that browsers see.
	URL string
	// Aliases are further paths of the authorization endpoint.
	Aliases []string
	// Server is where the token server decides.
	Server TokenServer
	// REST connects with login's own rights, and Namespace has the client secrets.
	REST      *rest.Config
	Namespace string
	// Listen and OpsListen are the addresses of the two ports.
	Listen    string
	OpsListen string
	// CertFile and KeyFile are the serving certificate in PEM; RequireHTTPS false serves plain
	// HTTP behind a proxy that has one.
	CertFile     string
	KeyFile      string
	RequireHTTPS bool
	// Connections bounds what callers may open, and has where they come from.
	Connections Connections
	// ShutdownLag is how long to serve on after readiness is withdrawn.
	ShutdownLag time.Duration
	// Version is that of the build.
	Version string
	// Verbosity is how much is logged; see serve.MaxVerbosity.
	Verbosity int
	// Log gets all lines, as JSON.
	Log io.Writer
	// Listening is called with the addresses once both ports are open; nil if they are not
	// needed.
	Listening func(public, ops string)
	// Outbound is the network of identity providers.
	Outbound outbound.Network
}

// TokenServer is the port of the token server for login.
type TokenServer struct {
	// URL is its origin.
	URL string
	// CA is where the authorities of its certificate are: PublicCA, a file in PEM, or nothing
	// for the ConfigMap that the manager writes into SystemNamespace.
	CA              string
	SystemNamespace string
	// TokenFile has the token of the ServiceAccount for the audience of the port.
	TokenFile string
}

// Connections are the bounds of the public port.
type Connections struct {
	Max, MaxPerSource int
	// TrustedProxies are those whose X-Forwarded-For is believed, in the log and in limits.
	TrustedProxies []netip.Prefix
	// OwnPrefixes are the prefixes of IPv6 in which each address is a source; elsewhere a /64
	// is one.
	OwnPrefixes []netip.Prefix
}

// ParseFlags reads the command line. It prints what is wrong with it, and the usage, to output.
func ParseFlags(args []string, output io.Writer) (Options, error) {
	o := Options{Log: os.Stdout}
	flags := flag.NewFlagSet("login", flag.ContinueOnError)
	flags.SetOutput(output)
	flags.StringVar(&o.URL, "login-url", "",
		"the https origin under which browsers reach this process, such as https://login.example.com (required); the token server has the same flag")
	flags.Func("authorization-endpoint-alias",
		"another path under which the authorization endpoint answers, such as /invoke/pub.oauth/authorize; may be repeated", func(path string) error {
			o.Aliases = append(o.Aliases, path)
			return nil
		})
	kubeconfig := flags.String("kubeconfig", os.Getenv("KUBECONFIG"), "kubeconfig file; empty inside a cluster")
	flags.StringVar(&o.Namespace, "namespace", DefaultNamespace, "namespace of the Secrets with the client secrets of identity providers")
	o.Server.flags(flags)
	flags.StringVar(&o.Listen, "listen", ":8443", "address of the public port")
	flags.StringVar(&o.OpsListen, "ops-listen", ":8081", "address of the port for /healthz, /readyz and /metrics")
	flags.StringVar(&o.CertFile, "tls-cert-file", "", "serving certificate in PEM, which browsers have to trust; read again when it changes")
	flags.StringVar(&o.KeyFile, "tls-key-file", "", "key of the serving certificate in PEM")
	flags.BoolVar(&o.RequireHTTPS, "require-https", true,
		"false serves plain HTTP, for a proxy in front that has the certificate of --login-url: codes are then readable between the two")
	o.Connections.flags(flags)
	flags.DurationVar(&o.ShutdownLag, "shutdown-lag", DefaultShutdownLag,
		"how long to keep serving, new connections included, after readiness is withdrawn, so that balancers notice")
	serve.VerbosityFlag(flags, &o.Verbosity)
	serve.ShortDefaults(flags)
	if err := flags.Parse(args); err != nil {
		return Options{}, err
	}
	if flags.NArg() > 0 {
		return Options{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if err := o.check(); err != nil {
		return Options{}, err
	}
	var err error
	if o.REST, err = clientcmd.BuildConfigFromFlags("", *kubeconfig); err != nil {
		return Options{}, fmt.Errorf("connect to Kubernetes: %w", err)
	}
	return o, nil
}

func (s *TokenServer) flags(flags *flag.FlagSet) {
	flags.StringVar(&s.URL, "token-server-url", "https://hallpass-tokenserver.hallpass-system.svc:8444", "origin of the token server's port for login")
	flags.StringVar(&s.CA, "token-server-ca", "",
		"authorities of the certificate there: a file in PEM, read again when it changes, or \""+PublicCA+"\" for those that every machine trusts; "+
			"left out they are those in the ConfigMap hallpass-ca of --system-namespace")
	flags.StringVar(&s.SystemNamespace, "system-namespace", "hallpass-system", "namespace of that ConfigMap")
	flags.StringVar(&s.TokenFile, "token-file", defaultTokenFile,
		"projected token of this process's ServiceAccount with the audience ISSUER/login, by which the token server knows it; read again for each request")
}

func (c *Connections) flags(flags *flag.FlagSet) {
	flags.IntVar(&c.Max, "max-connections", DefaultMaxConnections,
		"how many connections may be open at the public port; when all are, the source with the most gives way to those with fewer")
	flags.IntVar(&c.MaxPerSource, "max-connections-per-source", DefaultMaxConnectionsPerSource,
		"how many of them one address (IPv6: a /64, or an address of --own-prefix) may have; behind a balancer that hides addresses, set it to --max-connections")
	flags.Func("trusted-proxy",
		"address, or range such as 10.0.0.0/8, of a proxy whose X-Forwarded-For is believed in the log and in limits; may be repeated",
		serve.Prefixes(&c.TrustedProxies))
	flags.Func("own-prefix",
		"range of this installation, such as that of its pods, in which each address is a source of its own; "+
			"elsewhere a /64 of IPv6 is one, and networks share limits; may be repeated",
		serve.Prefixes(&c.OwnPrefixes))
}

// check refuses settings that are missing or out of bounds.
func (o *Options) check() error {
	if o.URL == "" {
		return errors.New("--login-url is required, such as --login-url=https://login.example.com")
	}
	if err := checkOrigin(o.URL); err != nil {
		return fmt.Errorf("--login-url: %w", err)
	}
	if err := checkOrigin(o.Server.URL); err != nil {
		return fmt.Errorf("--token-server-url: %w", err)
	}
	if err := serve.CheckAliases(o.Aliases, login.Serves); err != nil {
		return fmt.Errorf("--authorization-endpoint-alias: %w", err)
	}
	if o.RequireHTTPS && (o.CertFile == "" || o.KeyFile == "") {
		return errors.New("--tls-cert-file and --tls-key-file are required; --require-https=false serves plain HTTP behind a proxy instead")
	}
	if o.Connections.Max < 1 || o.Connections.MaxPerSource < 1 {
		return errors.New("--max-connections and --max-connections-per-source must be positive")
	}
	return serve.CheckVerbosity(o.Verbosity)
}

// checkOrigin refuses what is no https origin.
func checkOrigin(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || address != "https://"+u.Host {
		return fmt.Errorf("%q is not an https origin such as https://login.example.com: without a path, and without a slash at the end", address)
	}
	return nil
}
