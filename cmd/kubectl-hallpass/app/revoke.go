// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/action"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/change"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/issuer"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/show"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/verdict"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// revokeCommand revokes tokens.
type revokeCommand struct{ *plugin }

// revoking are the flags of revoke client and revoke namespace.
type revoking struct {
	*writing

	yes      *bool
	registry string
}

func (p revokeCommand) command() *cobra.Command {
	command := &cobra.Command{
		Use: "revoke", Short: "Revoke a token, or all tokens of a client or a namespace",
		Long: "Revoke a token, or all tokens of a client or a namespace. Hallpass refuses them within a second. " +
			"A service that verifies signatures itself accepts a token until it expires, an hour at the most, unless it reads the list of revoked tokens.",
		Args: noArguments,
		RunE: help,
	}
	command.AddCommand(p.revokeToken(), p.revokeClient(), p.revokeNamespace())
	return command
}

func (p revokeCommand) revokeClient() *cobra.Command {
	command := &cobra.Command{
		Use: "client NAME", Short: "Revoke all tokens of a client that were issued so far",
		Long: "Revoke all tokens of a client that were issued so far. The client keeps its secret and can fetch new ones: if the secret has leaked, rotate it first.\n\n" +
			"It sets spec.revokeTokensIssuedBefore of the client. If you may not change the client, it creates a TokenRevocation, for which you have to be an administrator of the cluster.",
		Example: "  kubectl hallpass revoke client reporting --namespace shop --yes",
		Args:    names("client", 1, 1), ValidArgsFunction: p.completeNames(cluster.Clients(), false),
	}
	o := p.newRevoking(command)
	command.RunE = func(command *cobra.Command, args []string) error {
		return p.runRevokeClient(command.Context(), o, args[0])
	}
	return command
}

func (p revokeCommand) newRevoking(command *cobra.Command) *revoking {
	o := &revoking{writing: newWriting(command, "revoked"), yes: yesFlag(command)}
	command.Flags().StringVar(&o.registry, "registry-namespace", registration.Namespace, "Namespace of the registrations, if the installation has another one")
	return o
}

func (p revokeCommand) runRevokeClient(ctx context.Context, o *revoking, name string) error {
	c, options, err := p.connectToWrite(o.writing)
	if err != nil {
		return err
	}
	client, err := cluster.Read[v1alpha1.OAuth2Client](ctx, c, cluster.Clients(), name)
	if err != nil {
		return err
	}
	if err := p.confirm(*o.yes || options.DryRun != "", "All tokens of client %q in namespace %q that were issued so far are refused from now on.", name, c.Namespace); err != nil {
		return err
	}
	revoked, err := action.RevokeClient(ctx, c, client, o.registry, p.Now(), options)
	if err != nil {
		return err
	}
	return p.done(o.writing, revoked)
}

func (p revokeCommand) revokeNamespace() *cobra.Command {
	command := &cobra.Command{
		Use: "namespace NAME", Short: "Revoke all tokens of all clients of a namespace that were issued so far",
		Long: "Revoke all tokens of all clients of a namespace that were issued so far.\n\n" +
			"It creates a TokenRevocation, for which you have to be an administrator of the cluster. " +
			"If you may not, it sets spec.revokeTokensIssuedBefore of each client of the namespace.",
		Example: "  kubectl hallpass revoke namespace shop --yes",
		Args:    names("namespace", 1, 1), ValidArgsFunction: p.completeNames(cluster.Namespaces(), false),
	}
	o := p.newRevoking(command)
	command.RunE = func(command *cobra.Command, args []string) error {
		return p.runRevokeNamespace(command.Context(), o, args[0])
	}
	return command
}

func (p revokeCommand) runRevokeNamespace(ctx context.Context, o *revoking, namespace string) error {
	c, options, err := p.connectToWrite(o.writing)
	if err != nil {
		return err
	}
	if err := p.confirm(*o.yes || options.DryRun != "", "All tokens of all clients of namespace %q that were issued so far are refused from now on.", namespace); err != nil {
		return err
	}
	return p.revokeAll(ctx, c, o, namespace, options)
}

// revokeAll revokes the tokens of a namespace in the way that the caller may go.
func (p revokeCommand) revokeAll(ctx context.Context, c *cluster.Client, o *revoking, namespace string, options cluster.Options) error {
	if _, err := c.Get(ctx, cluster.Namespaces(), namespace); apierrors.IsNotFound(err) {
		return err
	}
	revoked, err := action.CreateRevocation(ctx, c.In(o.registry), v1alpha1.RevocationSelector{Namespace: namespace}, p.Now(), options)
	if !apierrors.IsForbidden(err) {
		if err != nil {
			return err
		}
		return p.done(o.writing, revoked)
	}
	return p.revokeEach(ctx, c.In(namespace), o, options)
}

// revokeEach revokes the tokens of each client of a namespace, as an editor of the namespace may.
func (p revokeCommand) revokeEach(ctx context.Context, c *cluster.Client, o *revoking, options cluster.Options) error {
	clients, err := c.List(ctx, cluster.Clients(), metav1.ListOptions{})
	if err != nil {
		return err
	}
	if len(clients.Items) == 0 {
		p.say("There are no clients in namespace %q, so there are no tokens either.", c.Namespace)
	}
	for i := range clients.Items {
		revoked, err := action.Merge(ctx, c, cluster.Clients(), clients.Items[i].GetName(), change.RevokeTokens(p.Now()), options)
		if err == nil {
			err = p.done(o.writing, revoked)
		}
		if err != nil {
			return fmt.Errorf("the tokens of %d of %d clients are revoked: %w", i, len(clients.Items), err)
		}
	}
	return nil
}

func (p revokeCommand) revokeToken() *cobra.Command {
	var o revokingToken
	command := &cobra.Command{
		Use: "token --token-file FILE", Short: "Revoke one token, which is read from a file or from standard input",
		Long: "Revoke one token (RFC 7009), with the credentials of the client that it was issued to. You need the right to read the Secret of that client. " +
			"When the command succeeds, the revocation is stored and every token server refuses the token.\n\n" +
			"The token is no argument, because other users of the machine see these.",
		Example: "  kubectl hallpass revoke token --token-file - <token.txt",
		Args:    noArguments,
		RunE:    func(command *cobra.Command, _ []string) error { return p.runRevokeToken(command.Context(), o) },
	}
	command.Flags().StringVar(&o.file, "token-file", "-", "File with the token, or - for standard input")
	command.Flags().BoolVarP(&o.all, "all-namespaces", "A", false, "Look for the OAuth2Token of an opaque token in all namespaces")
	dryRunFlag(command, &o.dryRun, "none, or client (the client that the token was issued to is named, and nothing is revoked)", noDryRun, string(cluster.ByClient))
	return command
}

// revokingToken are the flags of revoke token.
type revokingToken struct {
	file   string
	all    bool
	dryRun string
}

func (p revokeCommand) runRevokeToken(ctx context.Context, o revokingToken) error {
	dry := o.dryRun == string(cluster.ByClient)
	if !dry && o.dryRun != noDryRun {
		return usagef("--dry-run=%s is none of none and client; the revocation endpoint has no dry run", o.dryRun)
	}
	c, err := p.connect()
	if err != nil {
		return err
	}
	token, err := p.readToken(o.file)
	if err != nil {
		return err
	}
	client, err := p.holder(ctx, c, token, o.all)
	if err != nil {
		return err
	}
	if dry {
		p.say("The token of client %q in namespace %q would be revoked (dry run).", client.Name, client.Namespace)
		return nil
	}
	return p.revokeAs(ctx, c.In(client.Namespace), client, token)
}

// revokeAs revokes a token with the credentials of its client.
func (p revokeCommand) revokeAs(ctx context.Context, c *cluster.Client, client *v1alpha1.OAuth2Client, token oauth2.Secret) error {
	endpoint, data, err := reaching(p).endpoint(ctx, c, client)
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
	p.say("The token of client %q in namespace %q is revoked.", client.Name, client.Namespace)
	return nil
}

// holder finds the client that a token was issued to.
func (p revokeCommand) holder(ctx context.Context, c *cluster.Client, token oauth2.Secret, all bool) (*v1alpha1.OAuth2Client, error) {
	if strings.HasPrefix(token.Reveal(), oauth2.OpaqueTokenPrefix) {
		owner, err := tokenOf(ctx, c, token, all)
		switch {
		case err != nil:
			return nil, err
		case owner == nil:
			return nil, errors.New(verdict.OfOpaque(nil, p.Now()).Sentence + " It was deleted, which revokes its token, or it is in another namespace: try --namespace or --all-namespaces")
		}
		return cluster.Read[v1alpha1.OAuth2Client](ctx, c.In(owner.Namespace), cluster.Clients(), owner.Spec.ClientRef.Name)
	}
	claims, err := verdict.ReadClaims(token)
	if err != nil {
		return nil, err
	}
	client, err := clientOf(ctx, c, claims)
	if err == nil && client == nil {
		return nil, fmt.Errorf("there is no client with the client_id %q any more, so its tokens are refused already", claims.ClientID)
	}
	return client, err
}
