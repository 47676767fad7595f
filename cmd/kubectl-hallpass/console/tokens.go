// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package console

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/action"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/change"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/show"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// tokenRoutes are the routes of tokens: of OAuth2Tokens, and of others that are revoked.
type tokenRoutes struct{ *Server }

func (s tokenRoutes) tokens(ctx context.Context, c call) (any, error) {
	return viewsOf(ctx, c, cluster.Tokens(), func(t *v1alpha1.OAuth2Token) tokenView { return viewToken(t, s.Now()) })
}

// createToken creates an OAuth2Token of a client: with an end, or refreshed if there is none.
func (s tokenRoutes) createToken(ctx context.Context, c call) (any, error) {
	var body struct {
		Name      string   `json:"name"`
		ExpiresAt string   `json:"expiresAt"`
		Notes     string   `json:"notes"`
		Resource  string   `json:"resource"`
		Scopes    []string `json:"scopes"`
	}
	if err := decode(c.Request, &body); err != nil {
		return nil, err
	}
	if err := checkNewName("token", body.Name, "dashboard"); err != nil {
		return nil, err
	}
	n := change.NewToken{Name: body.Name, Namespace: c.cluster.Namespace, Client: c.name, Description: body.Notes, Resource: body.Resource, Scopes: body.Scopes}
	if body.ExpiresAt != "" {
		end, err := change.ParseEnd(body.ExpiresAt, s.Now())
		if err != nil {
			return nil, inputError{err}
		}
		n.End = end
	}
	object, err := cluster.Unstructured(cluster.Tokens(), n.Token())
	return c.create(ctx, cluster.Tokens(), object, err)
}

// revealToken answers the token in the Secret of an OAuth2Token.
func (s tokenRoutes) revealToken(ctx context.Context, c call) (any, error) {
	t, err := cluster.Read[v1alpha1.OAuth2Token](ctx, c.cluster, cluster.Tokens(), c.name)
	if err != nil {
		return nil, err
	}
	if t.Status.Secret.Name == "" {
		return nil, errors.New("the manager of Hallpass has not written the token yet; wait some seconds")
	}
	secret, err := cluster.Read[corev1.Secret](ctx, c.cluster, cluster.Secrets(), t.Status.Secret.Name)
	if err != nil {
		return nil, err
	}
	return revealed(secret.Data, show.TokenEntry(t))
}

// revokeToken revokes a token that was pasted, as the client that it was issued to.
func (s tokenRoutes) revokeToken(ctx context.Context, c call) (any, error) {
	var body struct {
		Token string `json:"token"`
	}
	if err := decode(c.Request, &body); err != nil {
		return nil, err
	}
	token, err := action.ReadToken(strings.NewReader(body.Token), "the form")
	if err != nil {
		return nil, inputError{err}
	}
	client, err := action.Holder(ctx, c.cluster, token, c.cluster.Namespace == "")
	if err != nil {
		return nil, err
	}
	if err := (action.Reach{Dial: s.Dial}).RevokeToken(ctx, c.cluster.In(client.Namespace), client, token); err != nil {
		return nil, err
	}
	return map[string]string{"sentence": fmt.Sprintf("The token of client %s in namespace %s is revoked.", client.Name, client.Namespace)}, nil
}

// revokeNamespace revokes all tokens of the clients of a namespace, if its name was typed.
func (s tokenRoutes) revokeNamespace(ctx context.Context, c call) (any, error) {
	namespace := c.cluster.Namespace
	if err := c.typed(namespace, "nothing is revoked"); err != nil {
		return nil, err
	}
	revoked, err := action.RevokeNamespace(ctx, c.cluster, namespace, s.Registry, s.Now(), options())
	if err != nil {
		return nil, err
	}
	sentence := "All tokens that were issued in namespace " + namespace + " so far are revoked."
	if len(revoked) == 0 {
		sentence = "There are no clients in namespace " + namespace + ", so there are no tokens either."
	}
	return map[string]string{"sentence": sentence}, nil
}

// revokePerson revokes all tokens that act for a person, named as in the sub of the tokens.
func (s tokenRoutes) revokePerson(ctx context.Context, c call) (any, error) {
	var body struct {
		Subject string `json:"subject"`
	}
	if err := decode(c.Request, &body); err != nil {
		return nil, err
	}
	if _, err := oauth2.ParsePerson(body.Subject); err != nil {
		return nil, inputError{fmt.Errorf("%q is no person: %w", body.Subject, err)}
	}
	if _, err := action.RevokePersons(ctx, c.cluster, body.Subject, "", s.Registry, s.Now(), options()); err != nil {
		return nil, err
	}
	return map[string]string{"sentence": "All tokens that act for " + body.Subject + " and were issued so far are revoked."}, nil
}
