// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/action"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/show"
)

// describeCommand describes objects in plain words.
type describeCommand struct{ *plugin }

func (p describeCommand) command() *cobra.Command {
	command := &cobra.Command{
		Use:   "describe",
		Short: "Describe a client, an API, a token or a trusted issuer in plain words",
		Args:  noArguments,
		RunE:  help,
	}
	command.AddCommand(
		p.describer(cluster.Clients(), &cobra.Command{
			Use: "client NAME...", Aliases: []string{"clients", "hpc", "oauth2client"},
			Short:   "Describe a client: its secrets, what it may call and what is missing, and what was refused to it",
			Example: "  kubectl hallpass describe client reporting",
		}, p.describeClient),
		p.describer(cluster.Resources(), &cobra.Command{
			Use: "resource NAME...", Aliases: []string{"resources", "hpr", "oauth2resource"},
			Short:   "Describe an API: its scopes, and who may call it",
			Example: "  kubectl hallpass describe resource orders-api --namespace orders",
		}, func(ctx context.Context, c *cluster.Client, name string) (string, error) {
			r, err := cluster.Read[v1alpha1.OAuth2Resource](ctx, c, cluster.Resources(), name)
			if err != nil {
				return "", err
			}
			return show.DescribeResource(r, p.Now()), nil
		}),
		p.describer(cluster.Tokens(), &cobra.Command{
			Use: "token NAME...", Aliases: []string{"tokens", "hpt", "oauth2token"},
			Short:   "Describe a token that was handed out: for whom, until when, and when it was last used",
			Example: "  kubectl hallpass describe token dashboard",
		}, func(ctx context.Context, c *cluster.Client, name string) (string, error) {
			t, err := cluster.Read[v1alpha1.OAuth2Token](ctx, c, cluster.Tokens(), name)
			if err != nil {
				return "", err
			}
			return show.DescribeToken(t, p.Now()), nil
		}),
		p.describer(cluster.Issuers(), &cobra.Command{
			Use: "issuer NAME...", Aliases: []string{"issuers", "hpi", "oauth2trustedissuer"},
			Short:   "Describe a trusted issuer: its keys, which namespaces may use it, and why its JWTs are refused",
			Example: "  kubectl hallpass describe issuer github",
		}, func(ctx context.Context, c *cluster.Client, name string) (string, error) {
			i, err := cluster.Read[v1alpha1.OAuth2TrustedIssuer](ctx, c, cluster.Issuers(), name)
			if err != nil {
				return "", err
			}
			return show.DescribeIssuer(i, p.Now()), nil
		}),
	)
	return command
}

// description describes the object of a name.
type description func(ctx context.Context, c *cluster.Client, name string) (string, error)

func (p describeCommand) describer(kind cluster.Kind, command *cobra.Command, text description) *cobra.Command {
	command.Args = names(kind.Noun[:len(kind.Noun)-1], 1, 1000)
	command.ValidArgsFunction = p.completeNames(kind, true)
	command.RunE = func(command *cobra.Command, args []string) error { return p.describeAll(command.Context(), args, text) }
	return command
}

func (p describeCommand) describeAll(ctx context.Context, named []string, text description) error {
	c, err := p.connect()
	if err != nil {
		return err
	}
	for i, name := range named {
		described, err := text(ctx, c, name)
		if err != nil {
			return err
		}
		if i > 0 {
			described = "\n" + described
		}
		if err := p.text(described); err != nil {
			return err
		}
	}
	return nil
}

func (p describeCommand) describeClient(ctx context.Context, c *cluster.Client, name string) (string, error) {
	client, err := cluster.Read[v1alpha1.OAuth2Client](ctx, c, cluster.Clients(), name)
	if err != nil {
		return "", err
	}
	tokens, err := action.TokensOf(ctx, c, name)
	if err != nil {
		return "", err
	}
	issuer, err := action.IssuerOf(ctx, c, client)
	if err != nil && !apierrors.IsForbidden(err) && !apierrors.IsNotFound(err) {
		return "", err
	}
	return show.DescribeClient(client, issuer, tokens, p.Now()), nil
}
