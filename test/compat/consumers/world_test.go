// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package consumers_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/test/kit/memory"
)

// declare declares a resource with one scope, for which every client may ask.
func declare(hallpass *memory.Server, issuer, namespace, name, scope string) oauth2.Resource {
	resource := oauth2.Resource{
		Identifier: issuer + "/resources/" + namespace + "/" + name, UID: "uid-of-" + name, Namespace: namespace, Name: name, Scopes: []string{scope},
		Consents: []oauth2.Consent{{Namespaces: []string{memory.Namespace}, Scopes: []string{scope}}},
	}
	hallpass.Declare(resource)
	return resource
}

// registerFor adds a client that asks for all scopes of a resource.
func registerFor(hallpass *memory.Server, name string, resource oauth2.Resource) (clientID string) {
	clientID = hallpass.Register(name)
	hallpass.Change(clientID, func(c *oauth2.Client) {
		c.Access = []oauth2.Access{{Resource: oauth2.ObjectName{Namespace: resource.Namespace, Name: resource.Name}, Scopes: resource.Scopes}}
	})
	return clientID
}

// tokensOf is how many tokens a client has fetched.
func tokensOf(hallpass *memory.Server, clientID string) int {
	tokens := 0
	for line := range strings.Lines(hallpass.Audit.String()) {
		var read struct {
			Endpoint string `json:"endpoint"`
			ClientID string `json:"client_id"`
			TokenID  string `json:"jti"`
		}
		if json.Unmarshal([]byte(line), &read) == nil && read.Endpoint == "token" && read.ClientID == clientID && read.TokenID != "" {
			tokens++
		}
	}
	return tokens
}

// tokenClaims are those of a token of a client, with some in the place of others.
func tokenClaims(t *testing.T, issuer, audience, clientID string, others map[string]any) string {
	t.Helper()
	claims := map[string]any{
		"iss": issuer, "sub": clientID, "aud": audience, "client_id": clientID, "client_uid": memory.UID(clientID), "scope": "read", "jti": "MDEyMzQ1Njc4OWFiY2RlZg",
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	}
	maps.Copy(claims, others)
	encoded, err := json.Marshal(claims)
	must(t, err)
	return string(encoded)
}

// certify writes a certificate and its key for a server on this machine, and returns their files
// and that of the CA.
func certify(t *testing.T) (certFile, keyFile, caFile string) {
	t.Helper()
	certificate, caFile := memory.Certify(t, []string{"localhost", "127.0.0.1"})
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	must(t, err)
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	must(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}), 0o600))
	must(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600))
	return certFile, keyFile, caFile
}

// trust reads a file of CAs.
func trust(t *testing.T, caFile string) *tls.Config {
	t.Helper()
	ca, err := os.ReadFile(caFile)
	must(t, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}

// httpsClient is a client that trusts a CA.
func httpsClient(t *testing.T, caFile string) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: trust(t, caFile)}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}
