// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// The files of the control plane's own certificate authority.
const (
	fileCA         = "ca.crt"
	fileServerCert = "kube-apiserver.crt"
	fileServerKey  = "kube-apiserver.key"
	fileAccountKey = "service-accounts.key"

	certificateLife = 365 * 24 * time.Hour
	accountKeyBits  = 2048
)

// pki is what clients need of it, in PEM.
type pki struct{ ca, adminCert, adminKey []byte }

// authority signs certificates while they are being written; its key is kept nowhere.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	serial      int64
}

// writePKI makes the certificates of one start, the service accounts' key unless it is there
// already, so that the tokens of an earlier start on the same data stay good, and the
// administrator's kubeconfig.
func writePKI(dir, server string) (pki, error) {
	ca, caPEM, err := newAuthority()
	if err != nil {
		return pki{}, err
	}
	serverCert, serverKey, err := ca.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver"},
		IPAddresses: []net.IP{net.ParseIP(loopback), net.ParseIP("10.0.0.1")},
		DNSNames:    []string{"localhost", "kubernetes.default.svc"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return pki{}, err
	}
	adminCert, adminKey, err := ca.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return pki{}, err
	}
	for name, content := range map[string][]byte{fileCA: caPEM, fileServerCert: serverCert, fileServerKey: serverKey} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return pki{}, fmt.Errorf("write certificates: %w", err)
		}
	}
	if err := writeAccountKey(filepath.Join(dir, fileAccountKey)); err != nil {
		return pki{}, err
	}
	admin := &clientcmdapi.AuthInfo{ClientCertificateData: adminCert, ClientKeyData: adminKey}
	if err := writeKubeconfig(filepath.Join(dir, "admin.kubeconfig"), server, caPEM, admin); err != nil {
		return pki{}, err
	}
	return pki{ca: caPEM, adminCert: adminCert, adminKey: adminKey}, nil
}

func newAuthority() (*authority, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make certificate authority: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "embedded control plane"},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(certificateLife),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, fmt.Errorf("make certificate authority: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, fmt.Errorf("make certificate authority: %w", err)
	}
	return &authority{certificate: certificate, key: key, serial: 1}, encodePEM("CERTIFICATE", der), nil
}

func (a *authority) issue(template *x509.Certificate) (certificate, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make key of %s: %w", template.Subject.CommonName, err)
	}
	a.serial++
	template.SerialNumber = big.NewInt(a.serial)
	template.NotBefore, template.NotAfter = a.certificate.NotBefore, a.certificate.NotAfter
	template.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, private.Public(), a.key)
	if err != nil {
		return nil, nil, fmt.Errorf("certify %s: %w", template.Subject.CommonName, err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, fmt.Errorf("encode key of %s: %w", template.Subject.CommonName, err)
	}
	return encodePEM("CERTIFICATE", der), encodePEM("PRIVATE KEY", keyDER), nil
}

func writeAccountKey(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look for the service accounts' key: %w", err)
	}
	key, err := rsa.GenerateKey(rand.Reader, accountKeyBits)
	if err != nil {
		return fmt.Errorf("make the service accounts' key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode the service accounts' key: %w", err)
	}
	if err := os.WriteFile(path, encodePEM("PRIVATE KEY", der), 0o600); err != nil {
		return fmt.Errorf("write the service accounts' key: %w", err)
	}
	return nil
}

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func writeKubeconfig(path, server string, ca []byte, user *clientcmdapi.AuthInfo) error {
	config := clientcmdapi.NewConfig()
	config.Clusters["embedded"] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: ca}
	config.AuthInfos["user"] = user
	config.Contexts["embedded"] = &clientcmdapi.Context{Cluster: "embedded", AuthInfo: "user"}
	config.CurrentContext = "embedded"
	// a program that was started with it may just read it
	partial := filepath.Join(filepath.Dir(path), "."+filepath.Base(path))
	if err := clientcmd.WriteToFile(*config, partial); err != nil {
		return fmt.Errorf("write kubeconfig: %w", err)
	}
	if err := os.Rename(partial, path); err != nil {
		return fmt.Errorf("write kubeconfig: %w", err)
	}
	return nil
}
