// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package population

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

const (
	platformName   = "github"
	platformIssuer = "https://token.actions.githubusercontent.com"
	ownerID        = "65"
	// maxMachines bounds the namespaces that have them: the record of the API names each.
	maxMachines = 1000
)

// Machines are further clients, two in each of some namespaces: a job of a platform authenticates
// by a JWT of that platform, and a gateway exchanges the tokens that the clients of its namespace
// send to it for tokens of one API.
type Machines struct {
	Jobs, Gateways []Client
	// API is the resource indicator of the API.
	API string

	// PlatformKey is the public key of the platform in PKIX form.
	PlatformKey []byte

	platform *jws.Signer
}

// apiName is the OAuth2Resource of the API.
var apiName = oauth2.ObjectName{Namespace: "ledger", Name: "api"} //nolint:gochecknoglobals // a constant

// AddMachines makes up the clients of Machines. It has to be called before Serve.
func (p *Population) AddMachines(now time.Time) error {
	key, err := rsa.GenerateKey(rand.Reader, jws.MinRSABits)
	if err != nil {
		return err
	}
	m := &Machines{API: p.Issuer.ResourceIdentifier(apiName)}
	if m.PlatformKey, err = x509.MarshalPKIXPublicKey(key.Public()); err != nil {
		return err
	}
	if m.platform, err = jws.NewSigner(jws.RS256, key); err != nil {
		return err
	}
	for i := range min(maxMachines, (len(p.Clients)+perNamespace-1)/perNamespace) {
		job, gateway := newClient(i, i, "job"), newClient(i, i, "gateway")
		job.federated = &oauth2.Federated{IssuerName: platformName, Claims: []oauth2.RequiredClaim{
			{Name: "repository_id", Values: []string{repositoryOf(i)}}, {Name: "environment", Values: []string{"prod"}},
		}}
		gateway.exchanges = true
		if err := gateway.addSecret(now); err != nil {
			return err
		}
		m.Jobs, m.Gateways = append(m.Jobs, job), append(m.Gateways, gateway)
	}
	p.Machines = m
	return nil
}

func repositoryOf(i int) string { return strconv.Itoa(1316584243 + i) }

// all are the clients of the population.
func (p *Population) all() []Client {
	all := p.Clients
	if p.Machines != nil {
		all = slices.Concat(all, p.Machines.Jobs, p.Machines.Gateways)
	}
	if p.People != nil {
		all = slices.Concat(all, p.People.Portals)
	}
	return all
}

// JWT is the JWT of a job, which is given by its number, as GitHub documents it.
func (p *Population) JWT(job int, now time.Time) (string, error) {
	repository, at := fmt.Sprintf("octo-org/octo-repo-%d", job), now.Unix()
	payload, err := json.Marshal(map[string]any{
		"iss": platformIssuer, "sub": "repo:" + repository + ":environment:prod", "aud": p.Issuer.String(), "jti": rand.Text(),
		"iat": at, "nbf": at - 600, "exp": at + 300, "environment": "prod", "ref": "refs/heads/main", "ref_type": "branch", "ref_protected": "true",
		"sha": "714a629c0b401fdce83e847fc9589983fc6f46bc", "repository": repository, "repository_id": repositoryOf(job), "repository_owner": "octo-org",
		"repository_owner_id": ownerID, "repository_visibility": "private", "actor": "octocat", "actor_id": "12", "event_name": "workflow_dispatch",
		"run_id": "30433642", "run_number": "10", "run_attempt": "2", "runner_environment": "github-hosted", "workflow": "example-workflow",
		"workflow_ref": repository + "/.github/workflows/oidc.yml@refs/heads/main", "job_workflow_ref": repository + "/.github/workflows/oidc.yml@refs/heads/main",
	})
	if err != nil {
		return "", err
	}
	return p.Machines.platform.Sign("JWT", payload)
}

// GatewayOf is the gateway of the namespace of a client, to which its tokens are sent; nil if the
// namespace has none.
func (p *Population) GatewayOf(c Client) *Client {
	if c.namespace >= len(p.Machines.Gateways) {
		return nil
	}
	return &p.Machines.Gateways[c.namespace]
}

// records are the Secrets of the trusted issuer and of the API.
func (m *Machines) records() ([]*corev1.Secret, error) {
	keys, err := jws.PackKeys(m.platform.Public())
	if err != nil {
		return nil, err
	}
	var namespaces []string
	for _, c := range m.Gateways {
		namespaces = append(namespaces, c.Namespace)
	}
	slices.Sort(namespaces)
	issuer, err := registration.EncodeIssuer(oauth2.TrustedIssuer{
		Name: platformName, UID: "uid-of-" + platformName, Issuer: platformIssuer, Keys: oauth2.IssuerKeys{Set: keys}, Algorithms: []jws.Algorithm{jws.RS256},
		Delegations: []oauth2.Delegation{{Namespaces: namespaces, Claims: []oauth2.RequiredClaim{{Name: "repository_owner_id", Values: []string{ownerID}}}}},
	})
	if err != nil {
		return nil, err
	}
	api, err := registration.EncodeResource(oauth2.Resource{
		Identifier: m.API, UID: "uid-of-api", Namespace: apiName.Namespace, Name: apiName.Name, Scopes: scopes(),
		Exchanged: []oauth2.Consent{{Namespaces: namespaces, Scopes: scopes()}},
	})
	if err != nil {
		return nil, err
	}
	var none Client
	return []*corev1.Secret{
		secret(none.meta(registration.Namespace, registration.IssuerSecretName(platformName), "r-issuer"), registration.IssuerSecretType, issuer),
		secret(none.meta(registration.Namespace, registration.ResourceSecretName(m.API), "r-api"), registration.ResourceSecretType, api),
	}, nil
}
