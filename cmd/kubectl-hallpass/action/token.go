// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package action

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/issuer"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/show"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/verdict"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// maxTokenFile bounds what is read as a token.
const maxTokenFile = 64 << 10

// ReadToken reads a token, alone or behind Bearer.
func ReadToken(from io.Reader, name string) (oauth2.Secret, error) {
	content, err := io.ReadAll(io.LimitReader(from, maxTokenFile))
	if err != nil {
		return oauth2.Secret{}, fmt.Errorf("read the token: %w", err)
	}
	text := strings.TrimSpace(string(content))
	if _, rest, found := strings.Cut(text, "Bearer "); found { // a header was pasted
		text = strings.TrimSpace(rest)
	}
	if text == "" {
		return oauth2.Secret{}, fmt.Errorf("there is no token in %s", name)
	}
	return oauth2.NewSecret(text), nil
}

// Holder finds the client that a token was issued to.
func Holder(ctx context.Context, c *cluster.Client, token oauth2.Secret, all bool) (*v1alpha1.OAuth2Client, error) {
	if strings.HasPrefix(token.Reveal(), oauth2.OpaqueTokenPrefix) {
		owner, err := TokenOf(ctx, c, token, all)
		switch {
		case err != nil:
			return nil, err
		case owner == nil:
			return nil, errors.New(verdict.OfOpaque(nil, time.Time{}).Sentence + " It was deleted, which revokes its token, or it is in another namespace: try --namespace or --all-namespaces")
		}
		return cluster.Read[v1alpha1.OAuth2Client](ctx, c.In(owner.Namespace), cluster.Clients(), owner.Spec.ClientRef.Name)
	}
	claims, err := verdict.ReadClaims(token)
	if err != nil {
		return nil, err
	}
	client, err := ClientOf(ctx, c, claims)
	if err == nil && client == nil {
		return nil, fmt.Errorf("there is no client with the client_id %q any more, so its tokens are refused already", claims.ClientID)
	}
	return client, err
}

// TokenOf finds the OAuth2Token of an opaque token; nil if there is none.
func TokenOf(ctx context.Context, c *cluster.Client, token oauth2.Secret, all bool) (*v1alpha1.OAuth2Token, error) {
	credential, err := oauth2.ParseOpaqueToken(token)
	if err != nil {
		return nil, errors.New("that is no whole token: its checksum is wrong. Copy it again, without a space or a line break")
	}
	if all {
		c = c.In(metav1.NamespaceAll)
	}
	read, err := c.List(ctx, cluster.Tokens(), metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for i := range read.Items {
		if oauth2.OpaqueID(string(read.Items[i].GetUID())) == credential.ID {
			return cluster.As[v1alpha1.OAuth2Token](&read.Items[i])
		}
	}
	return nil, nil //nolint:nilnil // no OAuth2Token is an answer
}

// ClientOf finds the client of a token, by its name in the client_id or among those of the
// namespace; nil if there is none.
func ClientOf(ctx context.Context, c *cluster.Client, claims verdict.Claims) (*v1alpha1.OAuth2Client, error) {
	namespace, name, dotted := strings.Cut(claims.ClientID, ".")
	dotted = dotted && len(validation.IsDNS1123Label(namespace)) == 0 && len(validation.IsDNS1123Subdomain(name)) == 0
	if dotted {
		client, err := cluster.Read[v1alpha1.OAuth2Client](ctx, c.In(namespace), cluster.Clients(), name)
		if err == nil && client.ClientID() == claims.ClientID || err != nil && !apierrors.IsNotFound(err) {
			return client, err
		}
	}
	client, err := clientWithID(ctx, c, claims.ClientID)
	if err == nil && client == nil && !dotted {
		return nil, fmt.Errorf("no client of namespace %q has the client_id %q of the token. Choose the namespace of the client with --namespace", c.Namespace, claims.ClientID)
	}
	return client, err
}

// clientWithID finds the client of the namespace with a client_id; nil if there is none.
func clientWithID(ctx context.Context, c *cluster.Client, id string) (*v1alpha1.OAuth2Client, error) {
	read, err := c.List(ctx, cluster.Clients(), metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for i := range read.Items {
		client, err := cluster.As[v1alpha1.OAuth2Client](&read.Items[i])
		if err != nil || client.ClientID() == id {
			return client, err
		}
	}
	return nil, nil //nolint:nilnil // no client is an answer
}

// RevokeToken revokes a token at the revocation endpoint, with the credentials of its client.
func (r Reach) RevokeToken(ctx context.Context, c *cluster.Client, client *v1alpha1.OAuth2Client, token oauth2.Secret) error {
	endpoint, data, err := r.Endpoint(ctx, c, client)
	if err != nil {
		return err
	}
	origin := strings.TrimSuffix(string(data[show.TokenURLEntry(client)]), oauth2.TokenPath)
	if issuerURL := string(data[show.IssuerEntry(client)]); issuerURL != "" {
		origin = issuerURL
	}
	if err := endpoint.Revoke(ctx, origin+oauth2.RevocationPath, token); err != nil {
		if _, unreachable := errors.AsType[*issuer.UnreachableError](err); unreachable {
			return fmt.Errorf("%w. All tokens of the client can be revoked from here: kubectl hallpass revoke client %s --namespace %s", err, client.Name, client.Namespace)
		}
		return err
	}
	return nil
}
