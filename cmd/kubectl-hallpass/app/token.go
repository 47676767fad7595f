// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/action"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/issuer"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/show"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/verdict"
)

// tokenCommand fetches tokens.
type tokenCommand struct{ *plugin }

// fetching are the flags of token.
type fetching struct {
	resource string
	scopes   []string
	header   bool
	decode   bool
	noCache  bool
}

func (p tokenCommand) command() *cobra.Command {
	var o fetching
	command := &cobra.Command{
		Use: "token CLIENT", Short: "Fetch a token of a client whose Secret you may read, and print it",
		Long: "Fetch a token with the credentials of a client, and print it. You need the right to read the Secret of the client; " +
			"for a client without a secret, the right to create tokens of its ServiceAccount. " +
			"For a client at which you have logged in it is the token of your login.\n\n" +
			"The token is kept until shortly before it expires, in a file that you alone can read; logout deletes all of them.",
		Example: "  # Call an API\n  curl --header \"$(kubectl hallpass token reporting --header)\" https://orders.example.com/\n\n" +
			"  # A token for an API of another team, with one scope\n  kubectl hallpass token reporting --resource orders/orders-api --scope orders.read\n\n" +
			"  # What is in it\n  kubectl hallpass token reporting --decode",
		Args: names("client", 1, 1), ValidArgsFunction: p.completeNames(cluster.Clients(), false),
		RunE: func(command *cobra.Command, args []string) error { return p.runToken(command.Context(), o, args[0]) },
	}
	flags := command.Flags()
	flags.StringVar(&o.resource, "resource", "", "API that the token is for: NAME, NAMESPACE/NAME or its identifier; left out the default of the client")
	flags.StringSliceVar(&o.scopes, "scope", nil, "Scopes to ask for; left out all that are granted")
	flags.BoolVar(&o.header, "header", false, "Print it as a header: Authorization: Bearer …")
	flags.BoolVar(&o.decode, "decode", false, "Print its header and claims instead of the token")
	flags.BoolVar(&o.noCache, "no-cache", false, "Fetch another token, and do not keep it; a login keeps its newest")
	return command
}

func (p tokenCommand) runToken(ctx context.Context, o fetching, name string) error {
	if o.header && o.decode {
		return usagef("--header prints the token and --decode what is in it; give one of them")
	}
	c, err := p.connect()
	if err != nil {
		return err
	}
	client, err := cluster.Read[v1alpha1.OAuth2Client](ctx, c, cluster.Clients(), name)
	if err != nil {
		return err
	}
	resource, err := audience(client, o.resource)
	if err != nil {
		return err
	}
	token, err := p.cachedToken(ctx, c, client, o, resource)
	if err != nil {
		return err
	}
	return p.printToken(token, o)
}

// audience is the identifier of the resource that a person names.
func audience(c *v1alpha1.OAuth2Client, wanted string) (string, error) {
	if wanted == "" || strings.Contains(wanted, "://") {
		return wanted, nil
	}
	for _, g := range c.Status.Grants {
		if g.Audience != "" && verdict.Names(c.Namespace, wanted, g) {
			return g.Audience, nil
		}
	}
	v := verdict.OfClient(c, verdict.Request{Resource: wanted})
	return "", fmt.Errorf("client %q is granted nothing at %q. %s", c.Name, wanted, strings.TrimSpace(v.Sentence+" "+v.Do))
}

func (p tokenCommand) cachedToken(ctx context.Context, c *cluster.Client, client *v1alpha1.OAuth2Client, o fetching, resource string) (issuer.Token, error) {
	if action.IsPublic(client) {
		return p.ofPerson(ctx, c, client, o, resource)
	}
	if o.noCache {
		return p.fetch(ctx, c, client, resource, o.scopes)
	}
	cache, err := issuer.NewCache(p.CacheDir)
	if err != nil {
		return issuer.Token{}, err
	}
	key, err := keyOf(c, client, resource, o.scopes)
	if err != nil {
		return issuer.Token{}, err
	}
	if token, found := cache.Get(key, p.Now()); found && accepted(token, client, p.Now()) {
		return token, nil
	}
	token, err := p.fetch(ctx, c, client, resource, o.scopes)
	if err != nil {
		return issuer.Token{}, err
	}
	if err := cache.Put(key, token, p.Now()); err != nil {
		p.say("The token is not kept: %v.", err)
	}
	return token, nil
}

// accepted reports whether Hallpass still accepts a kept token, as far as its client shows.
func accepted(token issuer.Token, client *v1alpha1.OAuth2Client, now time.Time) bool {
	claims, err := verdict.ReadClaims(token.Value)
	if err != nil {
		return true // an opaque token shows nothing
	}
	return verdict.OfToken(claims, client, now).Allowed && time.Unix(claims.IssuedAt, 0).After(revocationSet(client))
}

// revocationSet is when spec.revokeTokensIssuedBefore was last written, or later. A time in the
// future in this field stands for the time at which it was written.
func revocationSet(client *v1alpha1.OAuth2Client) (at time.Time) {
	for _, entry := range client.ManagedFields {
		if entry.Time != nil && entry.FieldsV1 != nil && entry.Time.After(at) && strings.Contains(entry.FieldsV1.GetRawString(), `"f:revokeTokensIssuedBefore"`) {
			at = entry.Time.Time
		}
	}
	return at
}

// caOf is the CA of the API server, in PEM.
func caOf(c *cluster.Client) ([]byte, error) {
	if len(c.Config.CAData) > 0 || c.Config.CAFile == "" {
		return c.Config.CAData, nil
	}
	ca, err := os.ReadFile(c.Config.CAFile)
	if err != nil {
		return nil, fmt.Errorf("read the CA of the API server: %w", err)
	}
	return ca, nil
}

func (p tokenCommand) fetch(ctx context.Context, c *cluster.Client, client *v1alpha1.OAuth2Client, resource string, scopes []string) (issuer.Token, error) {
	endpoint, data, err := action.Reach{Dial: p.Dial}.Endpoint(ctx, c, client)
	if err != nil {
		return issuer.Token{}, err
	}
	tokenURL := string(data[show.TokenURLEntry(client)])
	if tokenURL == "" {
		return issuer.Token{}, fmt.Errorf("the Secret of client %q has no %s: spec.secret.omit leaves it out", client.Name, show.TokenURLEntry(client))
	}
	token, err := endpoint.Fetch(ctx, tokenURL, resource, scopes, p.Now())
	return token, p.notFetched(err, client, tokenURL)
}

// notFetched explains what to do about a token that was not fetched.
func (p tokenCommand) notFetched(err error, client *v1alpha1.OAuth2Client, tokenURL string) error {
	var unreachable *issuer.UnreachableError
	var refused *issuer.Error
	switch {
	case errors.As(err, &unreachable):
		p.say("Fetch the token where the token server can be reached. In a pod of the cluster:\n\n%s\n\nOn a machine that reaches it by that name:\n\n%s\n",
			show.PodLine(client, tokenURL), show.CurlLine(client, tokenURL))
	case errors.As(err, &refused):
		return fmt.Errorf("%w. For the reason: kubectl hallpass why %s --namespace %s", err, client.Name, client.Namespace)
	}
	return err
}

func (p tokenCommand) printToken(token issuer.Token, o fetching) error {
	text := token.Value.Reveal()
	switch {
	case o.header:
		text = "Authorization: Bearer " + text
	case o.decode:
		header, claims, err := verdict.Decode(token.Value)
		if err != nil {
			return err
		}
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, fmt.Appendf(nil, `{"header":%s,"claims":%s}`, header, claims), "", "  "); err != nil {
			return fmt.Errorf("render the claims: %w", err)
		}
		text = pretty.String()
	}
	return p.text(text + "\n")
}

// ofPerson is an access token of a login, by a refresh token if the last one has expired.
func (p tokenCommand) ofPerson(ctx context.Context, c *cluster.Client, client *v1alpha1.OAuth2Client, o fetching, resource string) (issuer.Token, error) {
	key, err := keyOf(c, client, resource, o.scopes)
	if err != nil {
		return issuer.Token{}, err
	}
	logins, err := issuer.NewLogins(p.CacheDir)
	if err != nil {
		return issuer.Token{}, err
	}
	again := loginLine(client, o)
	login, found := logins.Get(key)
	switch {
	case !found:
		return issuer.Token{}, fmt.Errorf("you are not logged in at client %q for this: %s", client.Name, again)
	case login.Fresh(p.Now()) && !o.noCache:
		return login.Tokens.Token, nil
	case login.Tokens.Refresh.Empty():
		return issuer.Token{}, fmt.Errorf("the token of your login at client %q has expired, and the client gets no refresh tokens. Log in again: %s", client.Name, again)
	}
	endpoint, err := p.endpointOf(login, c)
	if err != nil {
		return issuer.Token{}, err
	}
	fetched, err := endpoint.Refresh(ctx, login.TokenURL, login.Tokens.Refresh, p.Now())
	if refused, ok := errors.AsType[*issuer.Error](err); ok && refused.Code == "invalid_grant" {
		return issuer.Token{}, errors.Join(fmt.Errorf("your login at client %q has ended: %w. Log in again: %s", client.Name, err, again), logins.Delete(key))
	}
	if err != nil {
		return issuer.Token{}, err
	}
	// The former refresh token may be of no use from now on, also with --no-cache.
	login.Tokens = fetched
	if err := logins.Put(key, login); err != nil {
		p.say("The login is not kept: %v. Log in again when the token has expired: %s", err, again)
	}
	return fetched.Token, nil
}

// loginLine is the command for the login of a request.
func loginLine(client *v1alpha1.OAuth2Client, o fetching) string {
	line := fmt.Sprintf("kubectl hallpass login %s --namespace %s", client.Name, client.Namespace)
	if o.resource != "" {
		line += " --resource " + o.resource
	}
	return line + scopeFlags(o.scopes)
}
