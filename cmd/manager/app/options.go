// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/apiclock"
	"github.com/hallpass-dev/hallpass/internal/controller/issuerkeys"
	"github.com/hallpass-dev/hallpass/internal/controller/servingcert"
	"github.com/hallpass-dev/hallpass/internal/controller/usagereport"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/serve"
)

// Options are the flags. A setting that is missing and has no safe default keeps the manager from
// starting.
type Options struct {
	// Issuer is where callers reach the token server.
	Issuer oauth2.Issuer
	// REST connects with the manager's own rights.
	REST *rest.Config
	// RegistryNamespace and SystemNamespace are the two namespaces of the installation.
	RegistryNamespace, SystemNamespace string
	// Namespaces are those of users that the manager works in; none stands for all. With chosen
	// ones it reads no labels of namespaces and no OAuth2Policies.
	Namespaces []string
	// ServingNames are the names of the serving certificate, if it is the manager that makes
	// it.
	ServingNames             []string
	Trust                    Trust
	ManageServingCertificate bool
	CertificateLives         servingcert.Lives
	SigningKeys              keyring.Policy
	// Clock is that of the manager; nil stands for that of the machine.
	Clock *apiclock.Clock
	// AllowClientID lets OAuth2Clients choose their client_id.
	AllowClientID bool
	// AllowClaims are the claims of plain names that OAuth2Clients may set where no
	// OAuth2Policy speaks of claims.
	AllowClaims []oauth2.ClaimRule
	// AllowGrantTypes are grant types that OAuth2Clients may have where no OAuth2Policies are
	// read.
	AllowGrantTypes []string
	// MaxTokenLifetime is the longest life of a token with a chosen end; zero allows none.
	MaxTokenLifetime time.Duration
	// MaxObjects are the most objects of each kind that a namespace may have where no
	// OAuth2Policy has a limit.
	MaxObjects oauth2.Numbers
	// MaxRecords and MaxNamespaceRecords bound the memory of each token server for the records
	// of all namespaces, and of one; zero stands for the shipped bounds.
	MaxRecords, MaxNamespaceRecords serve.Bytes
	// ProtectedLabels are labels of namespaces that their owners cannot set: those that grants
	// and policies may select by.
	ProtectedLabels []string
	// APIAudiences are audiences that the Kubernetes API server accepts; no resource may take
	// one for its identifier.
	APIAudiences []string
	// UsageRefresh is how often the status of a client in constant use is written; zero stands
	// for the default.
	UsageRefresh time.Duration
	// LoginURL is the origin of login; empty for an installation without one.
	LoginURL string
	// IssuerFetcher fetches the keys of trusted issuers. The zero Fetcher does so by the
	// network of the process.
	IssuerFetcher issuerkeys.Fetcher
	// LeaderElect makes several managers stand by for one, by a lease with these times.
	LeaderElect bool
	Lease       Lease
	// MetricsListen and HealthListen are addresses; "0" opens none.
	MetricsListen, HealthListen string
	// Verbosity is how much is logged; see serve.MaxVerbosity.
	Verbosity int
	// Log gets everything; it is JSON on standard output from the command line.
	Log     logr.Logger
	Version string
}

// DefaultMaxTokenLifetime is how long tokens with a chosen end may live unless an installation sets
// another limit.
const DefaultMaxTokenLifetime = 90 * 24 * time.Hour

// What a namespace may have unless an installation sets another limit.
const (
	DefaultMaxClients   = 10_000
	DefaultMaxTokens    = 10_000
	DefaultMaxResources = 1_000
)

// nameLabel is the label that the API server itself gives each namespace.
const nameLabel = "kubernetes.io/metadata.name"

// usualAPIAudiences are what API servers accept by default.
var usualAPIAudiences = []string{ //nolint:gochecknoglobals // a constant list
	"https://kubernetes.default.svc.cluster.local", "https://kubernetes.default.svc", "https://kubernetes.default", "https://kubernetes",
}

// ParseFlags reads the command line. It prints what is wrong with it, and the usage, to output.
func ParseFlags(args []string, output io.Writer) (Options, error) {
	o := Options{ProtectedLabels: []string{nameLabel}, APIAudiences: slices.Clone(usualAPIAudiences)}
	flags := flag.NewFlagSet("manager", flag.ContinueOnError)
	flags.SetOutput(output)
	issuer := flags.String("issuer", "", "issuer identifier: the https origin under which callers reach the token server (required)")
	kubeconfig := flags.String("kubeconfig", os.Getenv("KUBECONFIG"), "kubeconfig file; empty inside a cluster")
	names := flags.String("serving-dns-names", "", "further names of the serving certificate beside the issuer's host, separated by commas")
	insecure := flags.Bool("allow-http-issuer", false, "accept an issuer that begins with http://, for a token server that runs with --require-https=false")
	flags.BoolVar(&o.ManageServingCertificate, "manage-serving-certificate", true,
		"make and renew the token server's certificate; false if another issuer of certificates does: "+
			"then callers trust the ca.crt in the Secret of --serving-certificate-secret")
	o.boundFlags(flags)
	flags.StringVar(&o.RegistryNamespace, "registry-namespace", registration.Namespace, "namespace of registrations and signing keys")
	flags.StringVar(&o.SystemNamespace, "system-namespace", "hallpass-system", "namespace of the processes, the lease and the certificate authority")
	o.SigningKeys = keyring.DefaultPolicy(oauth2.MaxTokenLifetime)
	algorithms := flags.String("signing-algorithms", "ES256",
		"algorithms of tokens, separated by commas, of ES256, RS256, EdDSA and Ed25519; the first is for clients that ask for none")
	flags.DurationVar(&o.SigningKeys.Period, "signing-key-period", o.SigningKeys.Period, "how long a key signs")
	flags.DurationVar(&o.SigningKeys.Lead, "signing-key-lead", o.SigningKeys.Lead, "how long a key is published before it signs, at least 1h")
	flags.BoolVar(&o.LeaderElect, "leader-elect", true, "work only while holding the lease, so that several managers can stand by")
	o.Lease.flags(flags)
	flags.StringVar(&o.MetricsListen, "metrics-bind-address", ":8080", "address of /metrics; 0 for none")
	flags.StringVar(&o.HealthListen, "health-probe-bind-address", ":8081", "address of /healthz and /readyz; 0 for none")
	serve.VerbosityFlag(flags, &o.Verbosity)
	serve.ShortDefaults(flags)
	if err := flags.Parse(args); err != nil {
		return Options{}, err
	}
	if err := serve.CheckVerbosity(o.Verbosity); err != nil {
		return Options{}, err
	}
	o.Log = logr.FromSlogHandler(serve.NewLog(os.Stdout, o.Verbosity).Handler())
	if flags.NArg() > 0 {
		return Options{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if err := o.checkBounds(); err != nil {
		return Options{}, err
	}
	if *issuer == "" {
		return Options{}, errors.New("--issuer is required, such as --issuer=https://hallpass.example.com")
	}
	var err error
	if o.Issuer, err = oauth2.ParseIssuer(*issuer, *insecure); err != nil {
		return Options{}, fmt.Errorf("--issuer: %w", err)
	}
	o.SigningKeys.Algorithms = signingAlgorithms(*algorithms)
	if err := o.SigningKeys.Validate(); err != nil {
		return Options{}, fmt.Errorf("--signing-algorithms, --signing-key-period, --signing-key-lead: %w", err)
	}
	if err := errors.Join(o.checkLogin(), checkNamespaces(o)); err != nil {
		return Options{}, err
	}
	if err := o.addresses(*names, *insecure); err != nil {
		return Options{}, err
	}
	if o.REST, err = clientcmd.BuildConfigFromFlags("", *kubeconfig); err != nil {
		return Options{}, fmt.Errorf("connect to Kubernetes: %w", err)
	}
	return o, nil
}

func (o *Options) checkLogin() error {
	if err := oauth2.CheckLoginURL(o.LoginURL, o.Issuer); err != nil {
		return fmt.Errorf("--login-url: %w", err)
	}
	return nil
}

func (o *Options) checkBounds() error {
	switch {
	case o.MaxTokenLifetime < 0:
		return fmt.Errorf("--max-token-lifetime=%s is negative; 0 allows no token with a chosen end", o.MaxTokenLifetime)
	case min(*o.MaxObjects.Clients, *o.MaxObjects.Tokens, *o.MaxObjects.Resources) < 0:
		return errors.New("--max-clients, --max-tokens and --max-resources must be 0 or more; 0 allows none")
	case o.UsageRefresh < time.Second:
		return fmt.Errorf("--usage-refresh=%s must be a second or more", o.UsageRefresh)
	case o.MaxRecords < registration.LeastRecords || o.MaxRecords > registration.MostRecords:
		return fmt.Errorf("--max-records-memory=%s is not between %s and %s",
			o.MaxRecords, serve.Bytes(registration.LeastRecords), serve.Bytes(registration.MostRecords))
	case o.MaxNamespaceRecords < registration.GuaranteedRecords || o.MaxNamespaceRecords > o.MaxRecords:
		return fmt.Errorf("--max-namespace-records-memory=%s is not between %s, which each namespace is guaranteed, and --max-records-memory=%s",
			o.MaxNamespaceRecords, serve.Bytes(registration.GuaranteedRecords), o.MaxRecords)
	}
	return o.Lease.check()
}

// boundFlags set the namespaces in which the manager works, and what users may have at most.
func (o *Options) boundFlags(flags *flag.FlagSet) {
	o.Trust.flags(flags)
	flags.StringVar(&o.LoginURL, "login-url", "",
		"the https origin of login, at which people log in, such as https://login.example.com; left out there is none. The token servers have the same flag")
	flags.Func("namespaces", "the users' namespaces to work in, separated by commas, for a manager that has rights in these alone; "+
		"left out it is all of them. Without rights on the cluster there are no OAuth2Policies, and grants name namespaces", func(list string) error {
		o.Namespaces = strings.Split(list, ",")
		return nil
	})
	flags.DurationVar(&o.UsageRefresh, "usage-refresh", usagereport.DefaultRefresh,
		"how often the status reports the use of a client that is used all the time, and of what is refused to a client, at least 1s; after a pause it does so at once")
	flags.BoolVar(&o.AllowClientID, "allow-client-id", false, "let OAuth2Clients choose their client_id, for clients that are migrated from elsewhere")
	flags.Func("allow-claim", "a claim that OAuth2Clients may set although its name has no '/' and ':', with patterns of its values, such as roles=shop-*,viewer; "+
		"it holds where no OAuth2Policy speaks of claims; may be repeated", o.allowClaim)
	flags.Func("allow-grant-type", "a grant type that OAuth2Clients may have with --namespaces, where there are no OAuth2Policies that could list it: TokenExchange",
		appendTo(&o.AllowGrantTypes))
	flags.DurationVar(&o.MaxTokenLifetime, "max-token-lifetime", DefaultMaxTokenLifetime,
		"longest life of an OAuth2Token with mode Fixed, from its creation on; 0 allows none")
	o.MaxObjects = oauth2.Numbers{
		Clients:   flags.Int("max-clients", DefaultMaxClients, "most OAuth2Clients of a namespace for which no OAuth2Policy sets maxClients"),
		Tokens:    flags.Int("max-tokens", DefaultMaxTokens, "most OAuth2Tokens of a namespace for which no OAuth2Policy sets maxTokens"),
		Resources: flags.Int("max-resources", DefaultMaxResources, "most OAuth2Resources of a namespace for which no OAuth2Policy sets maxResources"),
	}
	o.MaxRecords, o.MaxNamespaceRecords = registration.MaxRecords, registration.MaxNamespaceRecords
	flags.Var(&o.MaxRecords, "max-records-memory", "memory of each token server for the records of clients, resources and minted tokens of all namespaces, such as 22.5Mi; "+
		"give the token servers the same flag, and the memory for it")
	flags.Var(&o.MaxNamespaceRecords, "max-namespace-records-memory", "how much of it the records of one namespace may take")
	flags.Func("protected-namespace-label",
		"a label of namespaces that their owners cannot set, beside "+nameLabel+"; grants and policies may select by it; may be repeated",
		appendTo(&o.ProtectedLabels))
	flags.Func("api-audience", "an audience that the Kubernetes API server accepts, beside its usual ones: no OAuth2Resource may have it; may be repeated",
		appendTo(&o.APIAudiences))
}

// allowClaim reads NAME=PATTERN[,PATTERN…].
func (o *Options) allowClaim(value string) error {
	name, patterns, found := strings.Cut(value, "=")
	if !found {
		return errors.New("it must be a name and patterns of values, such as roles=shop-*,viewer")
	}
	rule := oauth2.ClaimRule{Name: name, Values: strings.Split(patterns, ",")}
	if err := oauth2.CheckClaimRule(rule); err != nil {
		return err
	}
	o.AllowClaims = append(o.AllowClaims, rule)
	return nil
}

func appendTo(list *[]string) func(string) error {
	return func(value string) error {
		*list = append(*list, value)
		return nil
	}
}

// checkNamespaces refuses one namespace for both processes and registry, and names of users'
// namespaces that are none, which includes that of an empty list, or those of the installation.
func checkNamespaces(o Options) error {
	if o.RegistryNamespace == o.SystemNamespace {
		return fmt.Errorf("--registry-namespace and --system-namespace are both %s: a user who can read a Secret beside the processes could sign tokens; "+
			"give the registry a namespace of its own", o.RegistryNamespace)
	}
	for i, name := range o.Namespaces {
		switch {
		case len(validation.IsDNS1123Label(name)) > 0:
			return fmt.Errorf("--namespaces: %q is no name of a namespace", name)
		case name == o.RegistryNamespace || name == o.SystemNamespace:
			return fmt.Errorf("--namespaces: %s belongs to the installation itself", name)
		case slices.Contains(o.Namespaces[:i], name):
			return fmt.Errorf("--namespaces: %s is named twice", name)
		}
	}
	return checkGrantTypes(o)
}

// checkGrantTypes refuses grant types where OAuth2Policies are read, and those that the flag cannot
// allow.
func checkGrantTypes(o Options) error {
	for _, name := range o.AllowGrantTypes {
		switch {
		case len(o.Namespaces) == 0:
			return fmt.Errorf("--allow-grant-type is for --namespaces; list %s in spec.grantTypes of an OAuth2Policy", name)
		case name != string(v1alpha1.GrantTokenExchange):
			return fmt.Errorf("--allow-grant-type=%s: only %s can be allowed; the others are allowed already, or need an OAuth2TrustedIssuer", name, v1alpha1.GrantTokenExchange)
		}
	}
	return nil
}

func signingAlgorithms(list string) []jws.Algorithm {
	var algorithms []jws.Algorithm
	for name := range strings.SplitSeq(list, ",") {
		algorithms = append(algorithms, jws.Algorithm(strings.TrimSpace(name)))
	}
	return algorithms
}
