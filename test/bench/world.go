// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/test/bench/population"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

const (
	issuer = "https://hallpass.bench.test"
	module = "github.com/hallpass-dev/hallpass/"
)

// world is the servers that are compared and what they know.
type world struct {
	settings

	dir       string
	people    *population.Population
	api       *population.APIServer
	seen      []string
	processes []*process
	// tokenServerProgram and floorProgram are where they were built.
	tokenServerProgram, floorProgram string
	// plain and overTLS are the token server, a process for each; floor serves both, and
	// envoyFloor stands beside plain for Envoy.
	plain, overTLS, floor, envoyFloor *process
	before, beforeOverTLS             *process // those of -against; nil without it
	others                            []*running
	roots                             *x509.CertPool
}

// newWorld makes up clients and as many tokens that are seen before, and serves them to token
// servers.
func newWorld(s settings, algorithm jws.Algorithm, tokens int) (_ *world, err error) {
	w := &world{settings: s}
	defer func() {
		if err != nil {
			w.stop()
		}
	}()
	if w.dir, err = os.MkdirTemp("", "hallpass-bench-"); err != nil {
		return nil, err
	}
	origin, err := oauth2.ParseIssuer(issuer, false)
	if err != nil {
		return nil, err
	}
	if w.people, err = population.New(origin, s.clients, algorithm, time.Now()); err != nil {
		return nil, err
	}
	if err = w.people.AddMachines(time.Now()); err != nil {
		return nil, err
	}
	if err = w.people.AddPeople(time.Now()); err != nil {
		return nil, err
	}
	for i := range tokens {
		token, err := w.people.Token(w.client(i), time.Now())
		if err != nil {
			return nil, err
		}
		w.seen = append(w.seen, token)
	}
	if w.api, err = w.people.Serve(); err != nil {
		return nil, err
	}
	return w, errors.Join(w.api.WriteKubeconfig(w.file("kubeconfig")), w.writeCertificate())
}

// startAll builds and starts everything. The token server starts first: the floors' answers are the
// token server's own.
func (w *world) startAll(ctx context.Context) (err error) {
	if err := w.buildTokenServer(ctx); err != nil {
		return err
	}
	if w.floorProgram, err = build(ctx, w.dir, "floor", module+"test/bench/floor"); err != nil {
		return err
	}
	if w.plain, err = w.startTokenServer(ctx, w.tokenServerProgram, "hallpass", false); err != nil {
		return err
	}
	if w.overTLS, err = w.startTokenServer(ctx, w.tokenServerProgram, "hallpass-tls", true); err != nil {
		return err
	}
	if err := w.startBefore(ctx); err != nil {
		return err
	}
	if err := w.writeFixture(ctx); err != nil {
		return err
	}
	if w.floor, err = w.startFloor(ctx, "floor"); err != nil {
		return err
	}
	return errors.Join(w.startEnvoyFloor(ctx), w.startPeers(ctx))
}

// buildTokenServer builds the real binary, or the one with profiles.
func (w *world) buildTokenServer(ctx context.Context) (err error) {
	program := "cmd/tokenserver"
	if w.profiles != "" {
		program = "test/bench/profiled"
	}
	w.tokenServerProgram, err = build(ctx, w.dir, "tokenserver", module+program)
	return err
}

// client spreads the requests over the whole population.
func (w *world) client(i int) population.Client {
	const stride = 7919 // a prime: neighbours in time are no neighbours in memory
	return w.people.Clients[i*stride%len(w.people.Clients)]
}

func (w *world) file(name string) string { return filepath.Join(w.dir, name) }

// startTokenServer starts a token server. All flags but --login-url must exist in commit 37318f4,
// because the binary of -against gets the same ones.
func (w *world) startTokenServer(ctx context.Context, program, name string, overTLS bool) (*process, error) {
	listen, err := installation.FreeAddress()
	if err != nil {
		return nil, err
	}
	ops, err := installation.FreeAddress()
	if err != nil {
		return nil, err
	}
	envoy, err := installation.FreeAddress()
	if err != nil {
		return nil, err
	}
	args := []string{
		program, "--issuer=" + issuer, "--kubeconfig=" + w.file("kubeconfig"), "--listen=" + listen, "--ops-listen=" + ops, "--client-rate=100000",
	}
	if overTLS {
		args = append(args, "--tls-cert-file="+w.file("tls.crt"), "--tls-key-file="+w.file("tls.key"))
	} else {
		args = append(args, "--require-https=false", "--ext-authz-bind-address="+envoy)
		people, err := servingPeople(ctx, program)
		if err != nil {
			return nil, err
		}
		args = append(args, people...)
	}
	profiles, err := installation.FreeAddress()
	if err != nil {
		return nil, err
	}
	p, err := launch(ctx, w.dir, name, []string{"HALLPASS_PROFILES=" + profiles}, args...)
	if err != nil {
		return nil, err
	}
	w.processes = append(w.processes, p)
	p.profiles = "http://" + profiles
	p.ops = "http://" + ops
	if overTLS {
		p.tls = "https://" + listen
	} else {
		p.plain, p.envoy = "http://"+listen, envoy
	}
	return p, answers(ctx, http.DefaultClient, p.ops+"/readyz")
}

// servingPeople are the flags by which a token server redeems codes; none for one that does not
// know them.
func servingPeople(ctx context.Context, program string) ([]string, error) {
	// which ends with an error
	usage, _ := exec.CommandContext(ctx, program, "--help").CombinedOutput()
	if !bytes.Contains(usage, []byte("-login-url")) {
		return nil, nil
	}
	listen, err := installation.FreeAddress()
	return []string{"--login-url=" + population.LoginURL, "--login-listen=" + listen}, err
}

// writeFixture prepares what the floor answers from.
func (w *world) writeFixture(ctx context.Context) error {
	fixture, err := w.people.Fixture(w.seen, time.Now())
	if err != nil {
		return err
	}
	if err := w.copyAnswers(ctx, &fixture); err != nil {
		return err
	}
	raw, err := json.Marshal(fixture)
	if err != nil {
		return err
	}
	return os.WriteFile(w.file("fixture.json"), raw, 0o600)
}

func (w *world) startFloor(ctx context.Context, name string) (*process, error) {
	plain, err := installation.FreeAddress()
	if err != nil {
		return nil, err
	}
	overTLS, err := installation.FreeAddress()
	if err != nil {
		return nil, err
	}
	p, err := launch(ctx, w.dir, name, nil, w.floorProgram, "-fixture="+w.file("fixture.json"), "-listen="+plain, "-listen-tls="+overTLS,
		"-tls-cert-file="+w.file("tls.crt"), "-tls-key-file="+w.file("tls.key"))
	if err != nil {
		return nil, err
	}
	w.processes = append(w.processes, p)
	p.plain, p.tls = "http://"+plain, "https://"+overTLS
	return p, answers(ctx, http.DefaultClient, p.plain+oauth2.JWKSPath)
}

// startEnvoyFloor starts the floor of ext_authz.
func (w *world) startEnvoyFloor(ctx context.Context) error {
	program, err := build(ctx, w.dir, "floor-envoy", module+"test/bench/floor/extauthz")
	if err != nil {
		return err
	}
	address, err := installation.FreeAddress()
	if err != nil {
		return err
	}
	if w.envoyFloor, err = launch(ctx, w.dir, "floor-envoy", nil, program, "-fixture="+w.file("fixture.json"), "-listen="+address); err != nil {
		return err
	}
	w.processes = append(w.processes, w.envoyFloor)
	w.envoyFloor.envoy = address
	asking, err := w.byGRPC(address)
	if err != nil {
		return err
	}
	defer asking.close()
	return patiently(ctx, func() error { return asking.ask(ctx, path{}, w.question(0)) })
}

// stop ends what runs and removes what was written.
func (w *world) stop() {
	for _, p := range w.processes {
		p.stop()
	}
	if w.api != nil {
		_ = w.api.Stop()
	}
	_ = os.RemoveAll(w.dir)
}

// writeCertificate makes the serving certificate that both use: ECDSA, as the manager's.
func (w *world) writeCertificate() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	w.roots = x509.NewCertPool()
	w.roots.AppendCertsFromPEM(certificate)
	return errors.Join(
		os.WriteFile(w.file("tls.crt"), certificate, 0o600),
		os.WriteFile(w.file("tls.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600),
	)
}
