// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/hallpass-dev/hallpass/internal/budget"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/serve"
	"github.com/hallpass-dev/hallpass/internal/tokenserver"
)

// maxClientRate is more tokens a second than a replica can sign; a higher limit would have no
// effect.
const maxClientRate = 1_000_000

const (
	// DefaultMaxStaleness is how long tokens are issued and honoured by what was known before
	// the API server fell silent.
	DefaultMaxStaleness = 24 * time.Hour
	// DefaultShutdownLag is twice the time that kube-proxy may take to remove an endpoint.
	DefaultShutdownLag = 10 * time.Second
	// minMaxStaleness is above the pause between two bookmarks of a quiet watch, a minute and
	// some.
	minMaxStaleness = 5 * time.Minute
)

// Options are the flags. A setting that is missing and has no safe default keeps the server from
// starting.
type Options struct {
	// Issuer is where callers reach this server.
	Issuer oauth2.Issuer
	// REST connects with the token server's own rights.
	REST *rest.Config
	// RegistryNamespace is where registrations and signing keys are.
	RegistryNamespace string
	// Listen and OpsListen are the addresses of the two ports.
	Listen    string
	OpsListen string
	// ExtAuthzListen is the address of the port for Envoy; empty opens none.
	ExtAuthzListen string
	// Login is the port for login, which exists if persons are served.
	Login LoginPort
	// CertFile and KeyFile are the serving certificate in PEM.
	CertFile string
	KeyFile  string
	// PublicCertFile and PublicKeyFile are a second certificate, for callers who ask for one of
	// its names.
	PublicCertFile string
	PublicKeyFile  string
	// IntrospectionClientCAFile has the authorities of whose certificates callers of
	// introspection need one; empty asks for none.
	IntrospectionClientCAFile string
	// RequireHTTPS false serves plain HTTP.
	RequireHTTPS bool
	// Aliases are further paths of endpoints, and TokenByGet lets the token endpoint answer
	// GET.
	Aliases    tokenserver.Aliases
	TokenByGet bool
	// PasswordGrant serves the grant type password, for tokens of service accounts.
	PasswordGrant bool
	// ClientRate is how many tokens a second one client may fetch.
	ClientRate int
	// MaxConnections and MaxConnectionsPerSource bound what is open at the public port; zero
	// stands for the defaults.
	MaxConnections          int
	MaxConnectionsPerSource int
	// MaxRecords is how much memory the records of all namespaces may take, as the manager
	// bounds them.
	MaxRecords serve.Bytes
	// UsageInterval is how often the use of clients is written down; zero stands for the
	// default.
	UsageInterval time.Duration
	// TrustedProxies are those whose X-Forwarded-For is believed, in audit lines, events and
	// budgets.
	TrustedProxies []netip.Prefix
	// OwnPrefixes are the prefixes of IPv6 in which each address is a source; elsewhere a /64
	// is one.
	OwnPrefixes []netip.Prefix
	// PersonKey is the key of the hash that audit lines have in the place of the subject of a
	// person; empty for the subject itself.
	PersonKey []byte
	// TracesURL is where spans are sent by OTLP over HTTP; empty sends none.
	TracesURL string
	// SnapshotFile is where what is known is kept for a start while the API server is away;
	// empty keeps nothing.
	SnapshotFile string
	// MaxStaleness is how long the API server may be silent before everything is refused.
	MaxStaleness time.Duration
	// ShutdownLag is how long to serve on after readiness is withdrawn.
	ShutdownLag time.Duration
	// Version is that of the build.
	Version string
	// Verbosity is how much is logged; see serve.MaxVerbosity.
	Verbosity int
	// Log gets the audit lines and everything else, as JSON.
	Log io.Writer
	// Listening is called with the addresses once both ports are open; nil if they are not
	// needed.
	Listening func(public, ops string)
	// ExtAuthzListening is called with the address for Envoy, if there is one.
	ExtAuthzListening func(address string)
}

// LoginPort is where login asks this server, and who login is.
type LoginPort struct {
	// URL is the origin that browsers see; empty serves no persons.
	URL string
	// Listen is the address of the port.
	Listen string
	// Account is the service account of login.
	Account oauth2.ObjectName
	// Listening is called with the address, if the port exists.
	Listening func(address string)
}

func (l *LoginPort) flags(flags *flag.FlagSet) {
	flags.StringVar(&l.URL, "login-url", "",
		"the https origin at which persons log in, such as https://login.example.com, which login has as the same flag; empty serves no persons")
	flags.StringVar(&l.Listen, "login-listen", ":8444", "address of the port for login, with the serving certificate")
	l.Account = oauth2.ObjectName{Namespace: "hallpass-login", Name: "login"}
	flags.Func("login-account", "namespace/name of the ServiceAccount that login runs as, which alone that port answers (default hallpass-login/login)", func(account string) error {
		namespace, name, whole := strings.Cut(account, "/")
		if !whole || namespace == "" || name == "" || strings.ContainsAny(name, "/:") || strings.Contains(namespace, ":") {
			return errors.New("it is not namespace/name")
		}
		l.Account = oauth2.ObjectName{Namespace: namespace, Name: name}
		return nil
	})
}

// ParseFlags reads the command line. It prints what is wrong with it, and the usage, to output.
func ParseFlags(args []string, output io.Writer) (Options, error) {
	o := Options{Log: os.Stdout}
	flags := flag.NewFlagSet("tokenserver", flag.ContinueOnError)
	flags.SetOutput(output)
	issuer := flags.String("issuer", "", "issuer identifier: the https origin under which callers reach this server (required)")
	kubeconfig := flags.String("kubeconfig", os.Getenv("KUBECONFIG"), "kubeconfig file; empty inside a cluster")
	flags.StringVar(&o.RegistryNamespace, "registry-namespace", registration.Namespace, "namespace of registrations and signing keys")
	flags.StringVar(&o.Listen, "listen", ":8443", "address of the public port")
	flags.StringVar(&o.OpsListen, "ops-listen", ":8081", "address of the port for /healthz, /readyz and /metrics")
	flags.StringVar(&o.ExtAuthzListen, "ext-authz-bind-address", "",
		"address of the gRPC port on which Envoy asks by ext_authz, such as :9001, with the serving certificate; empty opens none")
	o.Login.flags(flags)
	o.certificateFlags(flags)
	flags.StringVar(&o.IntrospectionClientCAFile, "introspection-client-ca-file", "",
		"authorities in PEM, read again when they change: callers of introspection then need a client certificate of one of them beside their credentials")
	flags.BoolVar(&o.RequireHTTPS, "require-https", true, "false serves plain HTTP: credentials and tokens are then readable on the network")
	o.formerFlags(flags)
	o.boundFlags(flags)
	flags.StringVar(&o.SnapshotFile, "snapshot-file", "",
		"where to keep what is known, so that a container that starts while the API server is away can serve: a file in a memory-backed volume, "+
			"because it holds the signing keys; empty keeps nothing")
	flags.DurationVar(&o.MaxStaleness, "max-staleness", DefaultMaxStaleness,
		"how long the API server may be silent before everything is refused, because what was revoked since is not known")
	flags.DurationVar(&o.ShutdownLag, "shutdown-lag", DefaultShutdownLag,
		"how long to keep serving, new connections included, after readiness is withdrawn, so that balancers notice")
	usageFlags(flags, &o)
	serve.VerbosityFlag(flags, &o.Verbosity)
	otlp := flags.String("otlp-endpoint", "",
		"OpenTelemetry collector that gets traces by OTLP over HTTP, such as http://collector.monitoring:4318; "+
			"left out it is OTEL_EXPORTER_OTLP_ENDPOINT, and without that there are no traces")
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
	if *issuer == "" {
		return Options{}, errors.New("--issuer is required, such as --issuer=https://hallpass.example.com")
	}
	var err error
	if o.Issuer, err = oauth2.ParseIssuer(*issuer, !o.RequireHTTPS); err != nil {
		return Options{}, fmt.Errorf("--issuer: %w", err)
	}
	if err := oauth2.CheckLoginURL(o.Login.URL, o.Issuer); err != nil {
		return Options{}, fmt.Errorf("--login-url: %w", err)
	}
	if o.TracesURL, err = tracesURL(*otlp, os.Getenv); err != nil {
		return Options{}, fmt.Errorf("--otlp-endpoint or OTEL_EXPORTER_OTLP_ENDPOINT: %w", err)
	}
	if o.RequireHTTPS && (o.CertFile == "" || o.KeyFile == "") {
		return Options{}, errors.New("--tls-cert-file and --tls-key-file are required; --require-https=false serves plain HTTP instead")
	}
	if o.REST, err = clientcmd.BuildConfigFromFlags("", *kubeconfig); err != nil {
		return Options{}, fmt.Errorf("connect to Kubernetes: %w", err)
	}
	return o, nil
}

// formerFlags are those for callers that were written for another server.
func (o *Options) formerFlags(flags *flag.FlagSet) {
	for name, aliases := range map[string]*[]string{
		"token": &o.Aliases.Token, "introspection": &o.Aliases.Introspection, "revocation": &o.Aliases.Revocation,
	} {
		usage := "another path under which the " + name + " endpoint answers"
		if name == "token" {
			usage += ", such as /services/oauth2/token.pxp"
		}
		flags.Func(name+"-endpoint-alias", usage+"; may be repeated", func(path string) error {
			*aliases = append(*aliases, path)
			return nil
		})
	}
	flags.BoolVar(&o.TokenByGet, "token-endpoint-allow-get", false,
		"let the token endpoint answer GET, with credentials in the Authorization header only: "+
			"tokens may then stay in caches and histories on the way")
	flags.BoolVar(&o.PasswordGrant, "unsafe-password-grant", false,
		"serve the grant type password, which RFC 9700 forbids: the password is the token of a ServiceAccount that a client names, never that of a person")
}

// boundFlags are those of what callers and users may take.
func (o *Options) boundFlags(flags *flag.FlagSet) {
	flags.IntVar(&o.ClientRate, "client-rate", tokenserver.DefaultClientRate,
		"how many tokens a second one client may fetch, with bursts of ten seconds' worth; what is beyond is answered 429")
	flags.IntVar(&o.MaxConnections, "max-connections", serve.DefaultMaxConnections,
		"how many connections may be open at the public port; when all are, the source with the most gives way to those with fewer")
	flags.IntVar(&o.MaxConnectionsPerSource, "max-connections-per-source", serve.DefaultMaxConnectionsPerSource,
		"how many of them one address (IPv6: a /64, or an address of --own-prefix) may have; behind a balancer that hides addresses, set it to --max-connections")
	o.MaxRecords = registration.MaxRecords
	flags.Var(&o.MaxRecords, "max-records-memory", "the same flag of the manager, which bounds the records: with more than the default, "+
		"a token server whose GOMEMLIMIT is too low for them does not start")
}

// certificateFlags are those of the serving certificates.
func (o *Options) certificateFlags(flags *flag.FlagSet) {
	flags.StringVar(&o.CertFile, "tls-cert-file", "", "serving certificate in PEM; read again when it changes")
	flags.StringVar(&o.KeyFile, "tls-key-file", "", "key of the serving certificate in PEM")
	flags.StringVar(&o.PublicCertFile, "public-tls-cert-file", "",
		"second serving certificate in PEM, for callers who ask for one of its names, such as the issuer's; read again when it changes")
	flags.StringVar(&o.PublicKeyFile, "public-tls-key-file", "", "key of the second serving certificate in PEM")
}

// sources is the rule by which connections, budgets and audit lines are divided.
func (o Options) sources() budget.Sources { return budget.Sources{OwnPrefixes: o.OwnPrefixes} }

// check refuses settings that are out of bounds.
func (o Options) check() error {
	if err := serve.CheckVerbosity(o.Verbosity); err != nil {
		return err
	}
	if err := serve.CheckAliases(o.Aliases.All(), tokenserver.Serves); err != nil {
		return fmt.Errorf("a path of --token-endpoint-alias, --introspection-endpoint-alias or --revocation-endpoint-alias: %w", err)
	}
	if o.ClientRate < 1 || o.ClientRate > maxClientRate {
		return fmt.Errorf("--client-rate=%d is not between 1 and %d", o.ClientRate, maxClientRate)
	}
	if o.UsageInterval < minUsageInterval {
		return fmt.Errorf("--usage-interval=%s is less than %s", o.UsageInterval, minUsageInterval)
	}
	if o.MaxConnections < 1 || o.MaxConnectionsPerSource < 1 {
		return errors.New("--max-connections and --max-connections-per-source must be positive")
	}
	if (o.PublicCertFile == "") != (o.PublicKeyFile == "") {
		return errors.New("--public-tls-cert-file and --public-tls-key-file belong together")
	}
	if !o.RequireHTTPS && o.PublicCertFile != "" {
		return errors.New("--public-tls-cert-file needs HTTPS, which --require-https=false switches off")
	}
	if !o.RequireHTTPS && o.IntrospectionClientCAFile != "" {
		return errors.New("--introspection-client-ca-file needs HTTPS, which --require-https=false switches off")
	}
	if err := checkMemory(int(o.MaxRecords), debug.SetMemoryLimit(-1)); err != nil {
		return err
	}
	if o.MaxStaleness < minMaxStaleness {
		return fmt.Errorf("--max-staleness=%s is less than %s, which a quiet API server may be silent for", o.MaxStaleness, minMaxStaleness)
	}
	return nil
}
