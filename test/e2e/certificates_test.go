// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	manager "github.com/hallpass-dev/hallpass/cmd/manager/app"
	tokenserver "github.com/hallpass-dev/hallpass/cmd/tokenserver/app"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

const internalHost = "tokens.hallpass-system.svc"

// TestEachURLOfASecretIsVerifiedByItsCA serves the manager's certificate for the internal address,
// and that of another authority for the issuer, and calls both with ca.crt of a client's Secret
// alone.
func TestEachURLOfASecretIsVerifiedByItsCA(t *testing.T) {
	dir := t.TempDir()
	public := publicCertificate(t, dir)
	restart := func(trust manager.Trust) {
		t.Helper()
		must(t, hallpass.StopManager())
		hallpass.Trust = trust
		must(t, hallpass.StartManager(t.Context()))
	}
	defer restart(manager.Trust{})
	restart(manager.Trust{InternalURL: "https://" + internalHost, IssuerCA: public.CAFile})
	own := certificateFor(t, dir, internalHost)
	address := startWithTwo(t, own, public)

	c := apply(t, "two-certificates", newClient("caller"))
	both := entries(t, c.Namespace, c.Name, func(s *corev1.Secret) bool { return strings.Count(string(s.Data["ca.crt"]), "BEGIN CERTIFICATE") == 2 })
	if !strings.HasPrefix(string(both.Data["internal_token_url"]), "https://"+internalHost+"/") {
		t.Errorf("internal_token_url %s", both.Data["internal_token_url"])
	}
	signers := map[string]string{}
	for _, entry := range []string{"token_url", "internal_token_url"} {
		signer, err := callVia(t, address, both, entry, both.Data["ca.crt"])
		if err != nil {
			t.Errorf("%s with the bundle of both: %v", entry, err)
		}
		signers[entry] = signer
	}
	if signers["token_url"] != publicAuthority || signers["internal_token_url"] == publicAuthority {
		t.Errorf("certificates signed by %v", signers)
	}

	restart(manager.Trust{InternalURL: "https://" + internalHost, IssuerCA: "public"})
	one := entries(t, c.Namespace, c.Name, func(s *corev1.Secret) bool { return strings.Count(string(s.Data["ca.crt"]), "BEGIN CERTIFICATE") == 1 })
	if _, err := callVia(t, address, one, "internal_token_url", one.Data["ca.crt"]); err != nil {
		t.Errorf("the internal address with ca.crt: %v", err)
	}
	var unknown x509.UnknownAuthorityError
	if _, err := callVia(t, address, one, "token_url", one.Data["ca.crt"]); !errors.As(err, &unknown) {
		t.Errorf("the issuer with ca.crt, which is for the internal address alone: %v", err)
	}
	ofMachine, err := os.ReadFile(public.CAFile)
	must(t, err)
	if _, err := callVia(t, address, one, "token_url", ofMachine); err != nil {
		t.Errorf("the issuer with the public authorities: %v", err)
	}
}

// TestATemplateHasNothingForAnAddressThatThereIsNot: one manifest is for clusters with an internal
// address and without.
func TestATemplateHasNothingForAnAddressThatThereIsNot(t *testing.T) {
	c := newClient("caller")
	c.Spec.Secret.Template = v1alpha1.SecretTemplate{"settings": "internal=$(internal_token_url);"}
	c = apply(t, "no-internal-address", c)
	secret := &corev1.Secret{}
	eventually(t, "the template is rendered", func() bool {
		return cluster.Get(t.Context(), client.ObjectKeyFromObject(c), secret) == nil && secret.Data["settings"] != nil
	})
	if got := string(secret.Data["settings"]); got != "internal=;" {
		t.Errorf("rendered %q", got)
	}
	if _, there := secret.Data["internal_token_url"]; there {
		t.Error("the Secret has internal_token_url")
	}
}

// entries waits until the Secret of a client is as wanted.
func entries(t *testing.T, namespace, name string, wanted func(*corev1.Secret) bool) *corev1.Secret {
	t.Helper()
	secret := &corev1.Secret{}
	eventually(t, "the Secret has the authorities", func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, secret))
		return len(secret.Data["internal_token_url"]) > 0 && wanted(secret)
	})
	return secret
}

// callVia fetches a token at a URL of a Secret, which is reached at an address, and trusts some
// authorities alone. It returns who signed the certificate that was shown.
func callVia(t *testing.T, address string, secret *corev1.Secret, entry string, authorities []byte) (signer string, err error) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authorities)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
	}
	defer transport.CloseIdleConnections()
	form := url.Values{"grant_type": {"client_credentials"}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, string(secret.Data[entry]), strings.NewReader(form.Encode()))
	must(t, err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(string(secret.Data["client_id"]), string(secret.Data["client_secret"]))
	response, err := transport.RoundTrip(request)
	if err != nil {
		return "", err
	}
	must(t, response.Body.Close())
	if response.StatusCode != http.StatusOK {
		t.Errorf("%s answers %d", entry, response.StatusCode)
	}
	return response.TLS.PeerCertificates[0].Issuer.CommonName, nil
}

// certificateFor waits until the manager's certificate is for a host, and writes it into files.
func certificateFor(t *testing.T, dir, host string) installation.Certificate {
	t.Helper()
	files := installation.Certificate{CertFile: filepath.Join(dir, "own.crt"), KeyFile: filepath.Join(dir, "own.key")}
	eventually(t, "the serving certificate is for "+host, func() bool {
		secret := &corev1.Secret{}
		must(t, cluster.Get(t.Context(), client.ObjectKey{Namespace: installation.SystemNamespace, Name: "hallpass-tokenserver-tls"}, secret))
		pair, err := tls.X509KeyPair(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey])
		must(t, err)
		if pair.Leaf.VerifyHostname(host) != nil {
			return false
		}
		must(t, os.WriteFile(files.CertFile, secret.Data[corev1.TLSCertKey], 0o600))
		must(t, os.WriteFile(files.KeyFile, secret.Data[corev1.TLSPrivateKeyKey], 0o600))
		return true
	})
	return files
}

const publicAuthority = "an authority that everybody trusts"

// publicCertificate makes a certificate for the host of the issuer, by an authority of its own.
func publicCertificate(t *testing.T, dir string) installation.Certificate {
	t.Helper()
	issuer, err := url.Parse(hallpass.Issuer.String())
	must(t, err)
	files := installation.Certificate{
		CertFile: filepath.Join(dir, "public.crt"), KeyFile: filepath.Join(dir, "public.key"), CAFile: filepath.Join(dir, "public-ca.crt"),
	}
	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: publicAuthority}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	authorityDER, err := x509.CreateCertificate(rand.Reader, authority, authority, authorityKey.Public(), authorityKey)
	must(t, err)
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: []string{issuer.Hostname()}, NotBefore: authority.NotBefore, NotAfter: authority.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, authority, key.Public(), authorityKey)
	must(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	for file, block := range map[string]*pem.Block{
		files.CAFile: {Type: "CERTIFICATE", Bytes: authorityDER}, files.CertFile: {Type: "CERTIFICATE", Bytes: der},
		files.KeyFile: {Type: "PRIVATE KEY", Bytes: private},
	} {
		must(t, os.WriteFile(file, pem.EncodeToMemory(block), 0o600))
	}
	return files
}

// startWithTwo starts another replica, with two certificates.
func startWithTwo(t *testing.T, own, public installation.Certificate) (address string) {
	t.Helper()
	config, err := hallpass.ControlPlane.ServiceAccountConfig(t.Context(), installation.SystemNamespace, installation.TokenServerAccount)
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	listening, stopped := make(chan [2]string, 1), make(chan error, 1)
	go func() {
		stopped <- tokenserver.Run(ctx, tokenserver.Options{
			Issuer: hallpass.Issuer, REST: config, RegistryNamespace: installation.RegistryNamespace,
			Listen: "localhost:0", OpsListen: "127.0.0.1:0", RequireHTTPS: true, ShutdownLag: time.Millisecond, Log: hallpass.Log,
			CertFile: own.CertFile, KeyFile: own.KeyFile, PublicCertFile: public.CertFile, PublicKeyFile: public.KeyFile,
			Listening: func(public, ops string) { listening <- [2]string{public, ops} },
		})
	}()
	t.Cleanup(func() {
		stop()
		must(t, <-stopped)
	})
	at := <-listening
	eventually(t, "the replica is ready", func() bool { return installation.Ready(t.Context(), "http://"+at[1]) })
	return at[0]
}
