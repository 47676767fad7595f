// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package outbound has an HTTPS client for addresses that cluster-scoped objects name: the name of
// the host is verified, each address is checked after its name was resolved, and no redirect and no
// proxy is used. Its errors quote nothing that the other side has answered. It depends on no other
// package of this module.
package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// Timeout bounds one request with its answer.
const Timeout = 5 * time.Second

const (
	maxHeaders = 16 << 10
	// maxAddresses is how many addresses of a name are tried.
	maxAddresses = 4
)

// The errors of a connection. They are found with errors.Is in the error of a request.
var (
	ErrNoCertificate = errors.New("the bundle of authorities has no certificate in PEM")
	ErrNotResolved   = errors.New("the name of the host could not be resolved")
	ErrNotAllowed    = errors.New("the name of the host resolves to an address that is not public and not allowed")
	ErrNotConnected  = errors.New("the host could not be connected to")
)

// Network resolves names and connects. Its zero value is the network of the process.
type Network struct {
	// Resolve returns the addresses of a name, and Dial connects to one of them.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	Dial    func(ctx context.Context, network, address string) (net.Conn, error)
}

// Client makes the client for one host. caBundle are the authorities in PEM; without any, those of
// the system count. allowed are the ranges of addresses that may be connected to although they are
// private. Connections are not kept: the next request is far away.
func (n Network) Client(caBundle []byte, allowed []netip.Prefix) (*http.Client, error) {
	var roots *x509.CertPool
	if len(caBundle) > 0 {
		if roots = x509.NewCertPool(); !roots.AppendCertsFromPEM(caBundle) {
			return nil, ErrNoCertificate
		}
	}
	return &http.Client{
		Timeout: Timeout,
		Transport: &http.Transport{
			DialContext:            n.dialer(allowed),
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: maxHeaders,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// dialer connects to an address that was checked, and to no other one: a name that resolves to
// another address the next time has no effect.
func (n Network) dialer(allowed []netip.Prefix) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, ErrNotResolved
		}
		addresses, err := n.resolve(ctx, host)
		if err != nil || len(addresses) == 0 {
			return nil, ErrNotResolved
		}
		for _, a := range addresses {
			if !MayDial(a, allowed) {
				return nil, ErrNotAllowed
			}
		}
		for _, a := range addresses[:min(len(addresses), maxAddresses)] {
			var conn net.Conn
			if conn, err = n.dial(ctx, network, net.JoinHostPort(a.Unmap().String(), port)); err == nil {
				return conn, nil
			}
		}
		return nil, ErrNotConnected
	}
}

func (n Network) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if address, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{address}, nil
	}
	if n.Resolve != nil {
		return n.Resolve(ctx, host)
	}
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host) //nolint:wrapcheck // the caller names what failed
}

func (n Network) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if n.Dial != nil {
		return n.Dial(ctx, network, address)
	}
	return new(net.Dialer).DialContext(ctx, network, address) //nolint:wrapcheck // the caller names what failed
}
