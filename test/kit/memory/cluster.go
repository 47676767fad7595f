// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

const clusterIssuer = "https://kubernetes.default.svc.cluster.local"

// cluster issues the tokens of service accounts, and honours each of them.
type cluster struct{ signer *jws.Signer }

func newCluster(t testing.TB) *cluster {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jws.NewSigner(jws.ES256, key)
	if err != nil {
		t.Fatal(err)
	}
	return &cluster{signer}
}

func (c *cluster) Trust() oauth2.Cluster {
	return oauth2.Cluster{Issuer: clusterIssuer, Keys: jws.KeySet{Keys: []jws.PublicKey{c.signer.Public()}}}
}

func (*cluster) LookUpTrust(context.Context) error { return nil }

func (*cluster) Review(context.Context, oauth2.Secret, oauth2.UsedAccountToken, string) oauth2.Verdict {
	return oauth2.Honoured
}

// AuthenticateBy makes a client authenticate by the tokens of a service account.
func (s *Server) AuthenticateBy(clientID, account string) {
	s.Change(clientID, func(c *oauth2.Client) {
		c.Credentials = oauth2.Credentials{ServiceAccount: &oauth2.ServiceAccount{Name: account, UID: "uid-of-" + account}}
	})
}

// AccountToken is the token of a service account of the namespace of all clients, as a kubelet
// mounts it into a pod.
func (s *Server) AccountToken(account string) string {
	s.t.Helper()
	issued := time.Now().Add(-time.Minute)
	claims, err := json.Marshal(map[string]any{
		"iss": clusterIssuer, "sub": "system:serviceaccount:" + Namespace + ":" + account, "aud": []string{s.Authority.Issuer.String()}, "jti": "from-the-cluster",
		"iat": issued.Unix(), "nbf": issued.Unix(), "exp": issued.Add(time.Hour).Unix(),
		"kubernetes.io": map[string]any{
			"namespace": Namespace, "pod": map[string]any{"name": account + "-0", "uid": "uid-of-pod"},
			"serviceaccount": map[string]any{"name": account, "uid": "uid-of-" + account},
		},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	token, err := s.cluster.signer.Sign("", claims)
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}
