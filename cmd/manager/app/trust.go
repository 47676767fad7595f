// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/hallpass-dev/hallpass/internal/controller/servingcert"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// publicCA is the value of --issuer-ca for authorities that every machine trusts.
const publicCA = "public"

// Trust is where callers reach the token server beside the issuer, and what they have to trust.
type Trust struct {
	// InternalURL is another origin of the token server, for callers inside the cluster; empty
	// if there is none.
	InternalURL string
	// IssuerCA is "public", or a file with the authorities of the certificate at the issuer in
	// PEM; empty if it is the one that the manager publishes the authority of.
	IssuerCA string
	// ServingSecret is the Secret with a serving certificate that the manager does not make.
	ServingSecret string
}

func (t *Trust) flags(flags *flag.FlagSet) {
	flags.StringVar(&t.InternalURL, "internal-url", "",
		"origin of the token server for callers inside the cluster, such as https://hallpass-tokenserver.hallpass-system.svc: "+
			"each client's Secret then has internal_token_url beside token_url")
	flags.StringVar(&t.ServingSecret, "serving-certificate-secret", servingcert.ServingSecretName,
		"Secret of the token server's certificate with --manage-serving-certificate=false: its ca.crt is published for callers")
	flags.StringVar(&t.IssuerCA, "issuer-ca", "",
		"what callers trust at the issuer, if that shows another certificate than the Service: public, or a file in PEM, which is added to ca.crt; "+
			"with public, ca.crt is for internal_token_url, and left out without --internal-url")
}

// complete checks the settings against the names of the serving certificate, and adds the internal
// origin to the issuer.
func (t *Trust) complete(o *Options, insecure bool) error {
	if t.IssuerCA != "" && t.IssuerCA != publicCA {
		if _, err := t.read(); err != nil {
			return fmt.Errorf("--issuer-ca: %w", err)
		}
	}
	if t.InternalURL == "" {
		return nil
	}
	var err error
	if o.Issuer, err = oauth2.ParseIssuers(o.Issuer.String(), t.InternalURL, insecure); err != nil {
		return fmt.Errorf("--internal-url: %w", err)
	}
	parsed, err := url.Parse(t.InternalURL)
	if err != nil {
		return fmt.Errorf("--internal-url: %w", err)
	}
	if o.ManageServingCertificate && !slices.Contains(o.ServingNames, parsed.Hostname()) {
		return fmt.Errorf("--internal-url=%s: the serving certificate is not for that name; add %s to --serving-dns-names", t.InternalURL, parsed.Hostname())
	}
	return nil
}

// read reads the authorities of the certificate at the issuer.
func (t *Trust) read() (string, error) {
	content, err := os.ReadFile(t.IssuerCA)
	if err != nil {
		return "", fmt.Errorf("read authorities: %w", err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(content) {
		return "", errors.New("read authorities: " + t.IssuerCA + " has no certificate in PEM")
	}
	return string(content), nil
}

// issuerCA is what servingcert adds to its bundle.
func (t *Trust) issuerCA() func() (string, error) {
	if t.IssuerCA == "" || t.IssuerCA == publicCA {
		return nil
	}
	return t.read
}

// caBundle is where clients' Secrets get ca.crt from. It is no place where no URL of theirs needs
// one: where public authorities verify the issuer, and where a token server without a certificate
// has callers by http only.
func (o *Options) caBundle() types.NamespacedName {
	public := o.Trust.IssuerCA == publicCA && o.Trust.InternalURL == ""
	plain := !o.ManageServingCertificate && o.Trust.IssuerCA == "" && isPlain(o.Issuer.String()) && (o.Trust.InternalURL == "" || isPlain(o.Trust.InternalURL))
	if public || plain {
		return types.NamespacedName{}
	}
	return types.NamespacedName{Namespace: o.SystemNamespace, Name: servingcert.BundleConfigMapName}
}

func isPlain(origin string) bool { return strings.HasPrefix(origin, "http://") }
