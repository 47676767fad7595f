// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/action"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/issuer"
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
		Use: "revoke", Short: "Revoke a token, or all tokens of a client, a namespace or a person",
		Long: "Revoke a token, or all tokens of a client, a namespace or a person. Hallpass refuses them within a second. " +
			"A service that verifies signatures itself accepts a token until it expires, an hour at the most, unless it reads the list of revoked tokens.",
		Args: noArguments,
		RunE: help,
	}
	command.AddCommand(p.revokeToken(), p.revokeClient(), p.revokeNamespace(), p.revokePerson(), p.revokeIssuer())
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
	p.forgetTokens(options.DryRun)
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
	revoked, err := action.RevokeNamespace(ctx, c, namespace, o.registry, p.Now(), options)
	p.forgetTokens(options.DryRun)
	for _, object := range revoked {
		if err := p.done(o.writing, object); err != nil {
			return err
		}
	}
	if err == nil && len(revoked) == 0 {
		p.say("There are no clients in namespace %q, so there are no tokens either.", namespace)
	}
	return err
}

func (p revokeCommand) revokePerson() *cobra.Command {
	command := &cobra.Command{
		Use: "person SUBJECT", Short: "Revoke all tokens that act for a person and were issued so far",
		Long: "Revoke all tokens that act for a person and were issued so far, whichever client has them. " +
			"The person is named as in the claim sub of the tokens: user:, the name of the OAuth2TrustedIssuer, a colon, and the subject of the person there.\n\n" +
			"It creates a TokenRevocation, for which you have to be an administrator of the cluster. " +
			"A client that the person is brought to again gets a new token: end the person's access at the issuer first.",
		Example: "  kubectl hallpass revoke person user:corp:00u1a2b3 --yes",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("name one person, such as user:corp:00u1a2b3")
			}
			if _, err := oauth2.ParsePerson(args[0]); err != nil {
				return usagef("%q is no person: %w", args[0], err)
			}
			return nil
		},
	}
	o := p.newRevoking(command)
	command.RunE = func(command *cobra.Command, args []string) error {
		return p.runRevokePersons(command.Context(), o, args[0], "", fmt.Sprintf("for the person %q", args[0]))
	}
	return command
}

func (p revokeCommand) revokeIssuer() *cobra.Command {
	command := &cobra.Command{
		Use: "issuer NAME", Short: "Revoke all tokens that act for any person of a trusted issuer and were issued so far",
		Long: "Revoke all tokens that act for any person of an OAuth2TrustedIssuer and were issued so far. Tokens of clients that authenticate by JWTs of the issuer stay.\n\n" +
			"It creates a TokenRevocation, for which you have to be an administrator of the cluster. " +
			"To refuse these tokens for good, set spec.state of the OAuth2TrustedIssuer to Suspended.",
		Example: "  kubectl hallpass revoke issuer corp --yes",
		Args:    names("issuer", 1, 1), ValidArgsFunction: p.completeNames(cluster.Issuers(), false),
	}
	o := p.newRevoking(command)
	command.RunE = func(command *cobra.Command, args []string) error {
		return p.runRevokePersons(command.Context(), o, "", args[0], fmt.Sprintf("for persons of the issuer %q", args[0]))
	}
	return command
}

func (p revokeCommand) runRevokePersons(ctx context.Context, o *revoking, subject, issuerName, whom string) error {
	c, options, err := p.connectToWrite(o.writing)
	if err != nil {
		return err
	}
	p.warnOfIssuer(ctx, c, subject, issuerName)
	if err := p.confirm(*o.yes || options.DryRun != "", "All tokens %s that were issued so far are refused from now on.", whom); err != nil {
		return err
	}
	revoked, err := action.RevokePersons(ctx, c, subject, issuerName, o.registry, p.Now(), options)
	if err != nil {
		return err
	}
	return p.done(o.writing, revoked)
}

// warnOfIssuer reports an issuer that is not there: its persons have no tokens, or its name is
// misspelt. The revocation is written all the same, because the issuer may come back.
func (p revokeCommand) warnOfIssuer(ctx context.Context, c *cluster.Client, subject, issuerName string) {
	if person, err := oauth2.ParsePerson(subject); err == nil {
		issuerName = person.Issuer
	}
	if _, err := c.Get(ctx, cluster.Issuers(), issuerName); apierrors.IsNotFound(err) {
		p.say("There is no OAuth2TrustedIssuer %q, so there are no tokens of its persons, and nothing is revoked now. "+
			"If the name is misspelt, repeat the command with the right one; kubectl hallpass get issuers lists them.", issuerName)
	}
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
	client, err := action.Holder(ctx, c, token, o.all)
	if err != nil {
		return err
	}
	if dry {
		p.say("The token of client %q in namespace %q would be revoked (dry run).", client.Name, client.Namespace)
		return nil
	}
	if err := (action.Reach{Dial: p.Dial}).RevokeToken(ctx, c.In(client.Namespace), client, token); err != nil {
		return err
	}
	p.forgetTokens("")
	p.say("The token of client %q in namespace %q is revoked.", client.Name, client.Namespace)
	return nil
}

// forgetTokens deletes the tokens that are kept on this machine, because what was revoked may be
// among them. The next ones are fetched.
func (p revokeCommand) forgetTokens(dry cluster.DryRun) {
	if dry != "" {
		return
	}
	cache, err := issuer.NewCache(p.CacheDir)
	if err == nil {
		_, err = cache.Clear()
	}
	if err != nil {
		p.say("The tokens that are kept on this machine are still there, and may be revoked ones: %v. Delete them with kubectl hallpass logout.", err)
	}
}
