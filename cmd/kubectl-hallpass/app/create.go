// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/change"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/show"
)

// createCommand creates objects.
type createCommand struct{ *plugin }

func (p createCommand) command() *cobra.Command {
	command := &cobra.Command{
		Use:   "create",
		Short: "Create a client, an API or a token",
		Long: "Create a client, an API or a token.\n\n" +
			"With --dry-run=client --output yaml nothing is sent, and the manifest is printed, for a repository that Argo CD or Flux applies.",
		Args: noArguments,
		RunE: help,
	}
	command.AddCommand(p.createClient(), p.createResource(), p.createToken())
	return command
}

// creator makes a command that creates what made renders.
func (p createCommand) creator(kind cluster.Kind, command *cobra.Command, made func(namespace, name string) (any, error)) *cobra.Command {
	w := newWriting(command, "created")
	command.Args = names(kind.Noun[:len(kind.Noun)-1], 1, 1)
	command.ValidArgsFunction = cobra.NoFileCompletions
	command.RunE = func(command *cobra.Command, args []string) error {
		return p.runCreate(command.Context(), kind, w, args[0], made)
	}
	return command
}

func (p createCommand) runCreate(ctx context.Context, kind cluster.Kind, w *writing, name string, made func(namespace, name string) (any, error)) error {
	c, options, err := p.connectToWrite(w)
	if err != nil {
		return err
	}
	object, err := renderNew(kind, c.Namespace, name, made)
	if err != nil {
		return err
	}
	if object, err = c.Create(ctx, kind, object, options); err != nil {
		return err
	}
	return p.done(w, object)
}

// renderNew renders an object as requests have it.
func renderNew(kind cluster.Kind, namespace, name string, made func(namespace, name string) (any, error)) (*unstructured.Unstructured, error) {
	typed, err := made(namespace, name)
	if err != nil {
		return nil, err
	}
	return cluster.Unstructured(kind, typed)
}

func (p createCommand) createClient() *cobra.Command {
	var n change.NewClient
	var claims []string
	var metadata string
	command := &cobra.Command{
		Use:   "client NAME",
		Short: "Create an OAuth2Client: Hallpass writes its credentials into a Secret beside it",
		Example: "  # A client with scopes for the APIs of its own namespace\n  kubectl hallpass create client reporting --scopes read,write\n\n" +
			"  # A client that calls an API of another team\n  kubectl hallpass create client reporting --access orders/orders-api=orders.read\n\n" +
			"  # A client without a secret: the pods of a service account\n  kubectl hallpass create client worker --service-account worker --scopes read\n\n" +
			"  # A client without a secret: a CI job, by the JWT of its platform\n" +
			"  kubectl hallpass create client deploy --issuer github --claim repository_id=74 --claim environment=prod,staging --scopes deploy\n\n" +
			"  # A program on the machines of people, who log in with a browser\n" +
			"  kubectl hallpass create client shop-cli --public --redirect-uri http://localhost/callback --access orders/orders-api=orders.read\n\n" +
			"  # A program that publishes a client metadata document\n" +
			"  kubectl hallpass create client editor --from-metadata https://editor.example.com/client.json --access orders/orders-api=orders.read\n\n" +
			"  # The manifest, for a repository that Argo CD or Flux applies\n" +
			"  kubectl hallpass create client reporting --scopes read --dry-run=client --output yaml",
	}
	flags := command.Flags()
	flags.StringVar(&n.DisplayName, "display-name", "", "Name for people")
	flags.StringVar(&n.Description, "notes", "", "Notes for people, such as what the client does and which team runs it")
	flags.StringSliceVar(&n.Contacts, "contacts", nil, "E-mail addresses or URIs of people to contact about it")
	flags.StringSliceVar(&n.Scopes, "scopes", nil, "Scopes for the APIs of its own namespace")
	flags.StringArrayVar(&n.Access, "access", nil, "Scopes of an OAuth2Resource, such as orders/orders-api=orders.read,orders.write; may be repeated")
	flags.StringVar(&metadata, "from-metadata", "",
		"https URL of a client metadata document, which is fetched now and becomes the clientID; other flags replace its members")
	flags.StringVar(&n.ServiceAccount, "service-account", "", "ServiceAccount whose pods authenticate with their own token; there is then no client secret")
	flags.StringVar(&n.Federated.Issuer, "issuer", "", "OAuth2TrustedIssuer whose JWTs authenticate the client; there is then no client secret")
	flags.StringVar(&n.Federated.Subject, "subject", "", "With --issuer: the sub of the JWT")
	flags.StringVar(&n.Federated.SubjectPrefix, "subject-prefix", "", "With --issuer: the beginning of the sub of the JWT, up to a : or /; needs --claim")
	flags.StringArrayVar(&claims, "claim", nil, "With --issuer: a claim of the JWT and the values that it may have, such as environment=prod,staging; may be repeated")
	flags.StringArrayVar(&n.Codes.RedirectURIs, "redirect-uri", nil,
		"URI to which people may be sent with a code, such as https://app.example.com/callback; may be repeated. People log in for the client then")
	flags.BoolVar(&n.Codes.Public, "public", false, "With --redirect-uri: the client does not authenticate, because it can keep no secret")
	flags.StringSliceVar(&n.Codes.GrantTypes, "grant-type", nil, "Grant types, such as ClientCredentials,AuthorizationCode; left out AuthorizationCode with --redirect-uri, and else ClientCredentials")
	flags.StringVar(&n.Codes.Issuer, "login-issuer", "", "With --redirect-uri: OAuth2TrustedIssuer at which people log in; left out the only one that the namespace may use")
	flags.StringVar(&n.Codes.RefreshLifetime, "refresh-lifetime", "", "With --redirect-uri: how long people stay logged in, such as 8h; left out as long as a token is valid")
	flags.StringVar(&n.TokenLifetime, "token-lifetime", "", "How long its tokens are valid, from 1m to 1h; left out 1h")
	flags.StringVar(&n.Rotate, "rotate-every", "", "Time between two automatic rotations of its secret, such as 720h; left out there are none")
	mustComplete(command, "service-account", p.completeNames(cluster.Accounts(), true))
	mustComplete(command, "issuer", p.completeNames(cluster.Issuers(), true))
	mustComplete(command, "login-issuer", p.completeNames(cluster.Issuers(), true))
	return p.creator(cluster.Clients(), command, func(namespace, name string) (any, error) {
		n.Namespace, n.Name = namespace, name
		if flags.Changed("from-metadata") {
			m, err := fetchMetadata(command.Context(), p.Web, metadata)
			if err == nil {
				err = p.fromMetadata(&n, m, flags.Changed)
			}
			if err != nil {
				return nil, err
			}
		}
		var err error
		if n.Federated.Claims, err = change.ParseClaims(claims); err != nil {
			return nil, usageError{err}
		}
		c, err := n.Client()
		if err != nil {
			return nil, usageError{err}
		}
		return c, nil
	})
}

func (p createCommand) createResource() *cobra.Command {
	var n change.NewResource
	var scopes []string
	command := &cobra.Command{
		Use:   "resource NAME",
		Short: "Create an OAuth2Resource: declare an API, its scopes, and who may have them",
		Example: "  # An API with two scopes that clients of the namespace shop may have\n" +
			"  kubectl hallpass create resource orders-api --scopes 'orders.read=Read orders,orders.write=Change orders' --to shop",
	}
	flags := command.Flags()
	flags.StringVar(&n.DisplayName, "display-name", "", "Name for people")
	flags.StringVar(&n.Identifier, "identifier", "", "Resource indicator (aud) that an OAuth2Policy allows; left out it is derived from namespace and name")
	flags.StringSliceVar(&scopes, "scopes", nil, "Scopes, each a name or name=description")
	flags.StringSliceVar(&n.To, "to", nil, "Namespaces whose clients may have all of the scopes")
	flags.StringVar(&n.TokenLifetime, "token-lifetime", "", "How long its tokens are valid at most, from 1m to 1h; left out 1h")
	flags.StringVar(&n.MaxFixedTokenLifetime, "max-fixed-token-lifetime", "", "How long a token with a chosen end may be valid, such as 720h")
	mustComplete(command, "to", p.completeNames(cluster.Namespaces(), true))
	return p.creator(cluster.Resources(), command, func(namespace, name string) (any, error) {
		n.Namespace, n.Name, n.Scopes = namespace, name, change.ParseScopes(scopes)
		r, err := n.Resource()
		if err != nil {
			return nil, usageError{err}
		}
		return r, nil
	})
}

func (p createCommand) createToken() *cobra.Command {
	var n change.NewToken
	var expiresIn, expiresAt string
	command := &cobra.Command{
		Use:   "token NAME --client CLIENT",
		Short: "Create an OAuth2Token: Hallpass writes a token of a client into a Secret",
		Long: "Create an OAuth2Token: a token for software that cannot fetch one. Hallpass writes it into a Secret.\n\n" +
			"With --expires-in or --expires-at it is one token that is valid until then, for software into which a person copies it; " +
			"an API verifies it by asking Hallpass. Without, the token in the Secret is replaced before it expires, for software that reads a file.\n\n" +
			"Deleting the OAuth2Token revokes the token.",
		Example: "  # A token for a dashboard, valid for 30 days\n  kubectl hallpass create token dashboard --client reporting --expires-in 30d\n\n" +
			"  # A token that is renewed in a Secret\n  kubectl hallpass create token exporter --client reporting --scopes read",
	}
	flags := command.Flags()
	flags.StringVar(&n.Client, "client", "", "OAuth2Client of the namespace that the token is issued to (required)")
	flags.StringVar(&expiresIn, "expires-in", "", "How long the token is valid, such as 30d or 720h")
	flags.StringVar(&expiresAt, "expires-at", "", "When the token expires, such as 2027-01-31 or 2027-01-31T12:00:00Z")
	flags.StringVar(&n.Description, "notes", "", "Notes for people, such as who uses the token and why")
	flags.StringVar(&n.Resource, "resource", "", "Resource indicator that the token is for; left out it is the default of the client")
	flags.StringSliceVar(&n.Scopes, "scopes", nil, "Scopes of the token; left out all that the client is granted")
	flags.StringVar(&n.SecretName, "secret-name", "", "Name of the Secret; left out that of the OAuth2Token")
	mustComplete(command, "client", p.completeNames(cluster.Clients(), true))
	return p.creator(cluster.Tokens(), command, func(namespace, name string) (any, error) {
		n.Namespace, n.Name = namespace, name
		if n.Client == "" {
			return nil, usagef("give the client that the token is issued to: --client=reporting")
		}
		var err error
		if n.End, err = end(expiresIn, expiresAt, p.Now()); err != nil {
			return nil, err
		}
		return n.Token(), nil
	})
}

// end is when a token expires: after a span, or at a time; zero if neither is given.
func end(in, at string, now time.Time) (time.Time, error) {
	switch {
	case in != "" && at != "":
		return time.Time{}, usagef("give --expires-in or --expires-at, not both")
	case in != "":
		span, err := show.ParseSpan(in)
		if err != nil {
			return time.Time{}, usagef("--expires-in: %w", err)
		}
		return now.Add(span), nil
	case at == "":
		return time.Time{}, nil
	}
	expires, err := change.ParseEnd(at, now)
	if err != nil {
		return time.Time{}, usagef("--expires-at=%w", err)
	}
	return expires, nil
}
