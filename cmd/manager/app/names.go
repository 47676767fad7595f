// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// addresses checks the names under which the token server is reached.
func (o *Options) addresses(names string, insecure bool) (err error) {
	if o.ServingNames, err = servingNames(o.Issuer, names, o.SystemNamespace); err != nil {
		return err
	}
	return o.Trust.complete(o, insecure)
}

// servingNames are the issuer's host and those that were named beside it, each once. The names that
// are given include those of the token server's Service: an issuer of the system namespace that is
// none of them is the address of no Service, as after a rename that did not include the issuer.
func servingNames(issuer oauth2.Issuer, further, systemNamespace string) ([]string, error) {
	parsed, err := url.Parse(issuer.String())
	if err != nil {
		return nil, fmt.Errorf("--issuer: %w", err)
	}
	host := parsed.Hostname()
	var given []string
	for name := range strings.SplitSeq(further, ",") {
		if name = strings.TrimSpace(name); name != "" {
			given = append(given, name)
		}
	}
	services := slices.DeleteFunc(slices.Clone(given), func(name string) bool { return !ofService(name, systemNamespace) })
	if ofService(host, systemNamespace) && len(services) > 0 && !slices.Contains(given, host) {
		return nil, fmt.Errorf("--issuer=%s is not an address of the token server's Service, which is called %s: "+
			"set the issuer to https://%[3]s, or add %s to --serving-dns-names if another Service has that name",
			issuer, strings.Join(services, ", "), services[0], host)
	}
	return append([]string{host}, slices.DeleteFunc(given, func(name string) bool { return name == host })...), nil
}

// ofService reports whether a host is the name of a Service of a namespace.
func ofService(host, namespace string) bool {
	labels := strings.Split(host, ".")
	return len(labels) >= 3 && labels[1] == namespace && labels[2] == "svc"
}
