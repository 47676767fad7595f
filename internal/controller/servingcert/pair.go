// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package servingcert

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/hallpass-dev/hallpass/internal/apiclock"
)

const (
	authorityLife = 10 * 365 * 24 * time.Hour
	authorityLead = 30 * 24 * time.Hour
	servingLife   = 90 * 24 * time.Hour
	// backdate lets callers whose clocks are behind accept a new certificate.
	backdate = 10 * time.Minute
	// serialBits is the size of a random serial number: two managers never give the same.
	serialBits = 128
)

// pair is a certificate with its key, parsed and as it is stored.
type pair struct {
	certificate     *x509.Certificate
	key             *ecdsa.PrivateKey
	certPEM, keyPEM []byte
}

func parsePair(data map[string][]byte) (pair, error) {
	p := pair{certPEM: data[corev1.TLSCertKey], keyPEM: data[corev1.TLSPrivateKeyKey]}
	loaded, err := tls.X509KeyPair(p.certPEM, p.keyPEM)
	if err != nil {
		return pair{}, fmt.Errorf("read certificate: %w", err)
	}
	key, ok := loaded.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return pair{}, errors.New("read certificate: its key is not an ECDSA key")
	}
	p.certificate, p.key = loaded.Leaf, key
	return p, nil
}

func (p pair) madeAt() time.Time { return p.certificate.NotBefore.Add(backdate) }

// renewAt is when two thirds of its life are over.
func (p pair) renewAt() time.Time {
	life := p.certificate.NotAfter.Sub(p.madeAt())
	return p.madeAt().Add(life * 2 / 3)
}

// isDue reports whether a serving certificate has to be replaced by one of an issuer that lives for
// so long. It is renewed by either clock: one too many does no harm.
func (p pair) isDue(issuer pair, now apiclock.Time, life time.Duration) bool {
	end := p.certificate.NotAfter
	switch {
	case now.Agreed && (now.Earliest.Before(p.certificate.NotBefore) || end.After(now.Latest.Add(life+backdate))):
		return true // made by a clock that was ahead
	case !now.Earliest.Before(p.renewAt()):
		return true
	}
	return !now.Latest.Before(end.Add(-life/3)) && end.Before(issuer.certificate.NotAfter)
}

// serves reports whether the certificate is for all these names and from that authority.
func (p pair) serves(names []string, authority pair) bool {
	if p.certificate.CheckSignatureFrom(authority.certificate) != nil || !bytes.Equal(p.certificate.AuthorityKeyId, authority.certificate.SubjectKeyId) {
		return false
	}
	for _, name := range names {
		if p.certificate.VerifyHostname(name) != nil {
			return false
		}
	}
	return true
}

// newAuthority makes an authority that is valid by either clock.
func newAuthority(now apiclock.Time, life time.Duration, random io.Reader) (pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), random)
	if err != nil {
		return pair{}, fmt.Errorf("make a certificate authority: %w", err)
	}
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: "Hallpass"},
		NotBefore: now.Earliest.Add(-backdate), NotAfter: now.Latest.Add(life),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	return certify(template, template, key, key)
}

// issue makes a serving certificate for names, which are DNS names or IP addresses. It is valid by
// either clock, and does not outlive its authority.
func (p pair) issue(names []string, now apiclock.Time, life time.Duration, random io.Reader) (pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), random)
	if err != nil {
		return pair{}, fmt.Errorf("make a serving certificate: %w", err)
	}
	end := now.Latest.Add(life)
	if last := p.certificate.NotAfter; end.After(last) {
		end = last
	}
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: "hallpass-tokenserver"},
		NotBefore: now.Earliest.Add(-backdate), NotAfter: end,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if address := net.ParseIP(name); address != nil {
			template.IPAddresses = append(template.IPAddresses, address)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	return certify(template, p.certificate, key, p.key)
}

func certify(template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) (pair, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), serialBits))
	if err != nil {
		return pair{}, fmt.Errorf("pick a serial number: %w", err)
	}
	template.SerialNumber = serial
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return pair{}, fmt.Errorf("certify %s: %w", template.Subject.CommonName, err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return pair{}, fmt.Errorf("encode the key of %s: %w", template.Subject.CommonName, err)
	}
	return parsePair(map[string][]byte{
		corev1.TLSCertKey:       pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		corev1.TLSPrivateKeyKey: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	})
}
