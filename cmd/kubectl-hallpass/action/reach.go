// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package action

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/issuer"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/show"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Reach authenticates at the token server as a client, wherever it is.
type Reach struct {
	// Dial connects to the token server; nil stands for the network.
	Dial issuer.Dial
}

// dialTimeout is how long a direct connection to the token server may take.
const dialTimeout = 5 * time.Second

// Endpoint authenticates as a client. It returns the entries of its Secret too.
func (r Reach) Endpoint(ctx context.Context, c *cluster.Client, client *v1alpha1.OAuth2Client) (*issuer.Endpoint, map[string][]byte, error) {
	if show.Method(client) == v1alpha1.ByPrivateKeyJWT {
		return nil, nil, fmt.Errorf("client %q signs with a key of its own, which only its software has. Let that software fetch the token", client.Name)
	}
	if show.Method(client) == v1alpha1.ByFederatedToken {
		return nil, nil, fmt.Errorf("client %q sends a JWT of OAuth2TrustedIssuer %q, which only its platform signs. Let the workload fetch the token", client.Name,
			client.Spec.Authentication.FederatedToken.IssuerName)
	}
	if show.Method(client) == v1alpha1.ByNone {
		return nil, nil, fmt.Errorf("client %q is public: it gets tokens for people who log in, and none for itself", client.Name)
	}
	data, err := Credentials(ctx, c, client)
	if err != nil {
		return nil, nil, err
	}
	authenticated := issuer.Credentials{ID: client.ClientID(), Secret: oauth2.NewSecret(string(data[show.SecretEntry(client)]))}
	if show.Method(client) == v1alpha1.ByServiceAccount {
		authenticated.Assertion, err = assertion(ctx, c, client.Spec.Authentication.ServiceAccount.Name, string(data[show.IssuerEntry(client)]))
		if err != nil {
			return nil, nil, err
		}
	}
	endpoint, err := issuer.NewEndpoint(authenticated, data[show.CAEntry(client)], r.To(c, string(data[show.TokenURLEntry(client)])))
	return endpoint, data, err
}

// assertion asks Kubernetes for a token of a service account, which authenticates its client.
func assertion(ctx context.Context, c *cluster.Client, account, audience string) (oauth2.Secret, error) {
	if audience == "" {
		return oauth2.Secret{}, errors.New("the ConfigMap of the client has no issuer_url: spec.secret.omit leaves it out, so the token of its ServiceAccount cannot be made")
	}
	request, err := cluster.Unstructured(cluster.TokenRequests(), &authenticationv1.TokenRequest{
		ObjectMeta: metav1.ObjectMeta{Name: account},
		Spec:       authenticationv1.TokenRequestSpec{Audiences: []string{audience}, ExpirationSeconds: new(int64(show.AssertionLife))},
	})
	if err != nil {
		return oauth2.Secret{}, err
	}
	made, err := c.Create(ctx, cluster.Accounts(), request, cluster.Options{}, "token")
	if err != nil {
		return oauth2.Secret{}, err
	}
	issued, err := cluster.As[authenticationv1.TokenRequest](made)
	if err != nil {
		return oauth2.Secret{}, err
	}
	return oauth2.NewSecret(issued.Status.Token), nil
}

// IsPublic reports whether a client has no credential: people log in at it.
func IsPublic(client *v1alpha1.OAuth2Client) bool { return show.Method(client) == v1alpha1.ByNone }

// EndpointOfPeople calls the token server as a public client, for the people who log in at it. It
// returns the entries of its ConfigMap too.
func (r Reach) EndpointOfPeople(ctx context.Context, c *cluster.Client, client *v1alpha1.OAuth2Client) (*issuer.Endpoint, map[string][]byte, error) {
	data, err := Credentials(ctx, c, client)
	if err != nil {
		return nil, nil, err
	}
	credentials := issuer.Credentials{ID: client.ClientID(), Public: true}
	endpoint, err := issuer.NewEndpoint(credentials, data[show.CAEntry(client)], r.To(c, string(data[show.TokenURLEntry(client)])))
	return endpoint, data, err
}

// To connects to the token server: directly, or else by way of the API server, if there is one.
// Either way its certificate is verified for the name in the URL.
func (r Reach) To(c *cluster.Client, tokenURL string) issuer.Dial {
	direct := r.Dial
	if direct == nil {
		direct = (&net.Dialer{Timeout: dialTimeout}).DialContext
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		connection, err := direct(ctx, network, address)
		// that of a proxy is not the token server
		if err == nil || c == nil || address != addressOf(tokenURL) {
			return connection, err
		}
		forwarded, forwardErr := c.In(namespaceOf(tokenURL)).Forward(ctx)
		if forwardErr != nil {
			return nil, fmt.Errorf("%w; by way of the API server: %w", err, forwardErr)
		}
		return forwarded, nil
	}
}

// addressOf is the host and port of a URL.
func addressOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// namespaceOf is the namespace of the Service that a URL names: <service>.<namespace>.svc. Another
// name has none.
func namespaceOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return SystemNamespace
	}
	if labels := strings.Split(u.Hostname(), "."); len(labels) >= 3 && labels[2] == "svc" {
		return labels[1]
	}
	return SystemNamespace
}
