// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	xoauth2 "golang.org/x/oauth2"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/action"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/callback"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/issuer"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/show"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/verdict"
)

// loginCommand logs a person in.
type loginCommand struct{ *plugin }

// defaultLoginTime is how long an attempt is valid at the token server.
const defaultLoginTime = 10 * time.Minute

// loggingIn are the flags of login.
type loggingIn struct {
	resource  string
	scopes    []string
	noBrowser bool
	timeout   time.Duration
}

func (p loginCommand) command() *cobra.Command {
	var o loggingIn
	command := &cobra.Command{
		Use: "login CLIENT", Short: "Log in at a client in the browser, so that it can act for you",
		Long: "Log in with the browser at the identity provider of your company, so that a client can act for you. " +
			"It is a public client (authentication method None) with AuthorizationCode in spec.grantTypes and a redirect URI on this machine, such as http://127.0.0.1/callback.\n\n" +
			"The tokens are kept in a file that you alone can read. The command token prints one and fetches the next one, whoami lists your logins, and logout ends them.\n\n" +
			"This is no login at the cluster: that is what your kubeconfig does.",
		Example: "  kubectl hallpass login reports-cli --namespace shop\n\n  # Call an API as yourself\n" +
			"  curl --header \"$(kubectl hallpass token reports-cli --header)\" https://orders.example.com/\n\n" +
			"  # On a machine without a browser: open the URL in one that reaches this machine's port\n  kubectl hallpass login reports-cli --no-browser",
		Args: names("client", 1, 1), ValidArgsFunction: p.completeNames(cluster.Clients(), false),
		RunE: func(command *cobra.Command, args []string) error { return p.runLogin(command.Context(), o, args[0]) },
	}
	flags := command.Flags()
	flags.StringVar(&o.resource, "resource", "", "API that the tokens are for: NAME, NAMESPACE/NAME or its identifier; left out the default of the client")
	flags.StringSliceVar(&o.scopes, "scope", nil, "Scopes to ask for; left out all that are granted")
	flags.BoolVar(&o.noBrowser, "no-browser", false, "Print the URL to open, and start no browser")
	flags.DurationVar(&o.timeout, "timeout", defaultLoginTime, "How long to wait for the browser")
	return command
}

func (p loginCommand) runLogin(ctx context.Context, o loggingIn, name string) error {
	if o.timeout <= 0 {
		return usagef("--timeout=%s is over at once; give a time such as 5m", o.timeout)
	}
	c, err := p.connect()
	if err != nil {
		return err
	}
	client, err := cluster.Read[v1alpha1.OAuth2Client](ctx, c, cluster.Clients(), name)
	if err != nil {
		return err
	}
	redirect, err := redirectOf(client)
	if err != nil {
		return err
	}
	resource, err := audience(client, o.resource)
	if err != nil {
		return err
	}
	key, err := keyOf(c, client, resource, o.scopes)
	if err != nil {
		return err
	}
	logins, err := issuer.NewLogins(p.CacheDir)
	if err != nil {
		return err
	}
	login, err := p.logIn(ctx, c, client, redirect, o, resource)
	if err != nil {
		return err
	}
	if err := logins.Put(key, login); err != nil {
		return fmt.Errorf("you are logged in, and the tokens cannot be kept: %w. They are lost; an administrator can revoke them", err)
	}
	p.welcome(login, o, resource)
	return nil
}

// redirectOf is the redirect URI on this machine of a client at which people log in with this
// command.
func redirectOf(client *v1alpha1.OAuth2Client) (*url.URL, error) {
	if !action.IsPublic(client) {
		return nil, fmt.Errorf("client %q authenticates with a credential of its own, so people log in by its own program. "+
			"This command is for a client with spec.authentication.method None", client.Name)
	}
	if !slices.Contains(client.Spec.GrantTypes, v1alpha1.GrantAuthorizationCode) {
		return nil, fmt.Errorf("people cannot log in at client %q: spec.grantTypes has no AuthorizationCode", client.Name)
	}
	redirects := make([]string, 0, len(client.Spec.RedirectURIs))
	for _, uri := range client.Spec.RedirectURIs {
		redirects = append(redirects, string(uri))
	}
	redirect, err := callback.Choose(redirects)
	if err != nil {
		return nil, fmt.Errorf("client %q is not for programs on your machine: %w. Add http://127.0.0.1/callback to spec.redirectURIs", client.Name, err)
	}
	return redirect, nil
}

// logIn walks through a login: the browser, the code and the tokens.
func (p loginCommand) logIn(
	ctx context.Context, c *cluster.Client, client *v1alpha1.OAuth2Client, redirect *url.URL, o loggingIn, resource string,
) (issuer.Login, error) {
	endpoint, data, err := action.Reach{Dial: p.Dial}.EndpointOfPeople(ctx, c, client)
	if err != nil {
		return issuer.Login{}, err
	}
	issuerURL := string(data[show.IssuerEntry(client)])
	if issuerURL == "" {
		return issuer.Login{}, fmt.Errorf("the ConfigMap of client %q has no %s: spec.secret.omit leaves it out", client.Name, show.IssuerEntry(client))
	}
	metadata, err := endpoint.Discover(ctx, issuerURL)
	if errors.Is(err, issuer.ErrNoLogin) {
		err = fmt.Errorf("%w. An administrator installs them: login.enabled in the chart", err)
	}
	if err != nil {
		return issuer.Login{}, err
	}
	code, err := p.ask(ctx, metadata, client, redirect, o, resource)
	if err != nil {
		return issuer.Login{}, err
	}
	tokens, err := endpoint.Redeem(ctx, metadata.Token, code, p.Now())
	if err != nil {
		return issuer.Login{}, notRedeemed(err)
	}
	// An opaque token has no claims, and what is shown of them decides nothing.
	claims, _ := verdict.ReadClaims(tokens.Value)
	return issuer.Login{
		Namespace: client.Namespace, Client: client.Name, ClientID: client.ClientID(), Person: claims.Subject, Audience: claims.Audience,
		TokenURL: metadata.Token, RevocationURL: metadata.Revocation, CA: data[show.CAEntry(client)], Tokens: tokens,
	}, nil
}

// ask sends the browser to the pages, and waits for the code that it brings.
func (p loginCommand) ask(
	ctx context.Context, metadata issuer.Metadata, client *v1alpha1.OAuth2Client, redirect *url.URL, o loggingIn, resource string,
) (issuer.Code, error) {
	state, verifier := xoauth2.GenerateVerifier(), xoauth2.GenerateVerifier()
	receiver, err := callback.Listen(ctx, redirect, callback.Expected{State: state, Issuer: metadata.Issuer})
	if err != nil {
		return issuer.Code{}, fmt.Errorf("%w. If another program has the port, end it", err)
	}
	defer receiver.Close()
	config := xoauth2.Config{
		ClientID: client.ClientID(), RedirectURL: receiver.RedirectURI(), Scopes: o.scopes, Endpoint: xoauth2.Endpoint{AuthURL: metadata.Authorization},
	}
	options := []xoauth2.AuthCodeOption{xoauth2.S256ChallengeOption(verifier)}
	if resource != "" {
		options = append(options, xoauth2.SetAuthURLParam("resource", resource))
	}
	waiting, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	p.open(waiting, config.AuthCodeURL(state, options...), o.noBrowser)
	code, err := receiver.Await(waiting)
	if err != nil {
		return issuer.Code{}, p.notLoggedIn(err, o, client)
	}
	return issuer.Code{Value: code, RedirectURI: receiver.RedirectURI(), Verifier: verifier, Resource: resource}, nil
}

// open opens the first page in the browser, or prints where it is. Other users of the machine may
// see the URL among the arguments of the browser. It has nothing that redeems a code: the verifier
// stays here.
func (p loginCommand) open(ctx context.Context, address string, noBrowser bool) {
	if noBrowser {
		p.say("Open this URL in a browser on this machine, within %s:\n\n%s\n", remaining(ctx), address)
		return
	}
	p.say("The browser opens, and you log in there. If it does not, open this URL in a browser on this machine:\n\n%s\n", address)
	go func() {
		if err := p.Open(ctx, address); err != nil && ctx.Err() == nil {
			p.say("No browser was opened: %s", show.Sentence(err))
		}
	}()
}

// remaining is how long a context lasts, in whole seconds.
func remaining(ctx context.Context) time.Duration {
	end, _ := ctx.Deadline()
	return time.Until(end).Round(time.Second)
}

// notLoggedIn explains what to do about a login that brought no code.
func (p loginCommand) notLoggedIn(err error, o loggingIn, client *v1alpha1.OAuth2Client) error {
	var refusal *callback.RefusedError
	again := fmt.Sprintf("kubectl hallpass login %s --namespace %s", client.Name, client.Namespace)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the browser has brought no answer within %s. Start again: %s. A browser on another machine does not reach this one", o.timeout, again)
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted")
	case errors.Is(err, callback.ErrForeignIssuer):
		return fmt.Errorf("%w, so it was not used. Start again, and check which page asks for your password: %s", err, again)
	case errors.As(err, &refusal) && refusal.Code == "access_denied":
		return fmt.Errorf("you are not logged in: %w. Either you have refused, or the identity provider has. Start again: %s", refusal, again)
	case errors.As(err, &refusal):
		return fmt.Errorf("the token server refuses the login: %w. For what the client may have: kubectl hallpass describe client %s --namespace %s", refusal, client.Name, client.Namespace)
	}
	return fmt.Errorf("%w. Start again: %s", err, again)
}

// notRedeemed explains what to do about a code that brought no tokens.
func notRedeemed(err error) error {
	var refused *issuer.Error
	var unreachable *issuer.UnreachableError
	switch {
	case errors.As(err, &refused) && refused.Code == "invalid_grant":
		return fmt.Errorf("%w. A code is good once, for a minute: start again", err)
	case errors.As(err, &unreachable):
		return fmt.Errorf("%w. The code has to be redeemed from this machine: make the token server reachable for it, and start again", err)
	}
	return err
}

// welcome reports a login, and what was asked for in vain.
func (p loginCommand) welcome(login issuer.Login, o loggingIn, resource string) {
	person := login.Person
	if person == "" {
		person = "a person"
	}
	p.say("You are logged in as %s at client %s/%s%s.", person, login.Namespace, login.Client, withScopes(login.Tokens.Scope))
	granted := strings.Fields(login.Tokens.Scope)
	if lost := slices.DeleteFunc(slices.Clone(o.scopes), func(scope string) bool { return slices.Contains(granted, scope) }); len(lost) > 0 {
		p.say("Not granted: %s.", strings.Join(lost, " "))
	}
	line := fmt.Sprintf("kubectl hallpass token %s --namespace %s", login.Client, login.Namespace)
	if resource != "" {
		line += " --resource " + resource
	}
	p.say("For a token: %s%s", line, scopeFlags(o.scopes))
}

// scopeFlags are the flags of a command that asks for scopes.
func scopeFlags(scopes []string) string {
	if len(scopes) == 0 {
		return ""
	}
	return " --scope " + strings.Join(scopes, ",")
}

func withScopes(scope string) string {
	if scope == "" {
		return ""
	}
	return ", with the scopes " + scope
}

// keyOf names what is kept of a client and a request.
func keyOf(c *cluster.Client, client *v1alpha1.OAuth2Client, resource string, scopes []string) (issuer.Key, error) {
	ca, err := caOf(c)
	if err != nil {
		return issuer.Key{}, err
	}
	return issuer.Key{Server: c.Config.Host, CA: ca, ClientUID: string(client.UID), Resource: resource, Scopes: scopes}, nil
}

// endpointOf calls the token server of a login, from within a cluster if that is known.
func (p *plugin) endpointOf(login issuer.Login, c *cluster.Client) (*issuer.Endpoint, error) {
	return issuer.NewEndpoint(issuer.Credentials{ID: login.ClientID, Public: true}, login.CA, action.Reach{Dial: p.Dial}.To(c, login.TokenURL))
}
