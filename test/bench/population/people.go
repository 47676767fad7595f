// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package population

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/hallpass-dev/hallpass/internal/codegrant"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/seal"
)

// LoginURL is the origin of a login, which is not there: codes are made up.
const LoginURL = "https://login.bench.test"

const (
	corpName    = "corp"
	corpIssuer  = "https://corp.example.org"
	corpUID     = "uid-of-" + corpName
	redirectURI = "https://portal.example.com/callback"
	verifier    = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	refreshLife = 8 * time.Hour
)

// People are clients for which persons have logged in, one in each of some namespaces.
type People struct {
	Portals []Client
	// API is the resource indicator of the API that they call.
	API string

	issuer string
	ring   seal.Ring
	keys   jws.PackedKeys
}

// officeName is the OAuth2Resource of the API.
var officeName = oauth2.ObjectName{Namespace: "office", Name: "api"} //nolint:gochecknoglobals // a constant

// AddPeople makes up the clients of People. It has to be called before Serve.
func (p *Population) AddPeople(now time.Time) error {
	people := &People{API: p.Issuer.ResourceIdentifier(officeName), issuer: p.Issuer.String()}
	var err error
	if people.ring, _, err = people.ring.Rotate(now.Add(-seal.Lead), now.Add(-seal.Lead), rand.Reader); err != nil {
		return err
	}
	// nothing is verified by it
	key, err := p.Ring.SigningKey(now)
	if err != nil {
		return err
	}
	if people.keys, err = jws.PackKeys(key.Public()); err != nil {
		return err
	}
	for i := range min(maxMachines, (len(p.Clients)+perNamespace-1)/perNamespace) {
		portal := newClient(i, i, "portal")
		portal.codes = &oauth2.Codes{RedirectURIs: []string{redirectURI}, Refresh: oauth2.Refreshing{Lifetime: refreshLife}}
		if err := portal.addSecret(now); err != nil {
			return err
		}
		people.Portals = append(people.Portals, portal)
	}
	p.People = people
	return nil
}

// Redemption is the form of a request that redeems a code of a client, which no server has seen.
func (p *People) Redemption(c Client, now time.Time) (url.Values, error) {
	code, err := p.code(c, now)
	if err != nil {
		return nil, err
	}
	sealed, err := p.ring.Seal(seal.Code, p.issuer, code.Encode(), now, rand.Reader)
	return url.Values{
		"grant_type": {oauth2.GrantAuthorizationCode}, "code": {sealed}, "redirect_uri": {redirectURI}, "code_verifier": {verifier},
	}, err
}

// Refresh is the form of a request that refreshes a grant of a client.
func (p *People) Refresh(c Client, now time.Time) (url.Values, error) {
	code, err := p.code(c, now)
	if err != nil {
		return nil, err
	}
	token, ok := codegrant.NewRefresh(code, c.codes.Refresh, now)
	if !ok {
		return nil, fmt.Errorf("%s gets no refresh token", c.ID)
	}
	sealed, err := p.ring.Seal(seal.Refresh, p.issuer, token.Encode(), now, rand.Reader)
	return url.Values{"grant_type": {oauth2.GrantRefreshToken}, "refresh_token": {sealed}}, err
}

func (p *People) code(c Client, now time.Time) (codegrant.Code, error) {
	person, err := oauth2.NewPerson(corpName, "00u1a2b3c4d5e6f7g8h9")
	if err != nil {
		return codegrant.Code{}, err
	}
	challenge := sha256.Sum256([]byte(verifier))
	return codegrant.NewCode(codegrant.Ticket{
		ClientID: c.ID, ClientUID: c.UID, RedirectURI: redirectURI, Challenge: base64.RawURLEncoding.EncodeToString(challenge[:]),
		Resource: p.API, Scopes: scopes(), IssuerName: corpName, IssuerUID: corpUID,
	}, person, now, now, rand.Reader)
}

// records are the Secrets of the sealing keys, of the identity provider and of the API.
func (p *People) records() ([]*corev1.Secret, error) {
	sealing, err := registration.EncodeSealing(p.ring)
	if err != nil {
		return nil, err
	}
	var namespaces []string
	for _, c := range p.Portals {
		namespaces = append(namespaces, c.Namespace)
	}
	slices.Sort(namespaces)
	issuer, err := registration.EncodeIssuer(oauth2.TrustedIssuer{
		Name: corpName, UID: corpUID, Issuer: corpIssuer, Uses: oauth2.UsePerson, Keys: oauth2.IssuerKeys{Set: p.keys},
		Delegations: []oauth2.Delegation{{Namespaces: namespaces}},
		Login:       &oauth2.Login{ClientID: "hallpass", SecretName: corpName, Scopes: []string{"openid"}},
	})
	if err != nil {
		return nil, err
	}
	api, err := registration.EncodeResource(oauth2.Resource{
		Identifier: p.API, UID: "uid-of-office", Namespace: officeName.Namespace, Name: officeName.Name, Scopes: scopes(),
		Users: []oauth2.Consent{{Namespaces: namespaces, Scopes: scopes()}},
	})
	if err != nil {
		return nil, err
	}
	var none Client
	return []*corev1.Secret{
		secret(none.meta(registration.Namespace, registration.SealingSecretName, "sealing"), registration.SealingSecretType, sealing),
		secret(none.meta(registration.Namespace, registration.IssuerSecretName(corpName), "r-corp"), registration.IssuerSecretType, issuer),
		secret(none.meta(registration.Namespace, registration.ResourceSecretName(p.API), "r-office"), registration.ResourceSecretType, api),
	}, nil
}
