// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/show"
)

// getCommand lists objects.
type getCommand struct{ *plugin }

func (p getCommand) command() *cobra.Command {
	command := &cobra.Command{
		Use:   "get",
		Short: "List clients, APIs, tokens, trusted issuers or signing keys, or show the Secret of a client",
		Args:  noArguments,
		RunE:  help,
	}
	command.AddCommand(
		getter(p, listed[v1alpha1.OAuth2Client]{kind: cluster.Clients(), table: show.Clients, unused: show.UnusedClients}, &cobra.Command{
			Use: "clients [NAME...]", Aliases: []string{"client", "hpc", "oauth2clients", "oauth2client"},
			Short: "List OAuth2Clients: whether they are ready, what they are granted, and when they were last used",
			Long: "List OAuth2Clients.\n\nHEALTH is Ready, or why the client is not. GRANTS is how many of the scopes that it asks for are granted. " +
				"LAST USED is when it last authenticated, or a service last asked about one of its tokens.",
			Example: "  # All clients of the namespace, and of all namespaces\n  kubectl hallpass get clients\n  kubectl hallpass get clients --all-namespaces\n\n" +
				"  # Clients that were not used for 90 days\n  kubectl hallpass get clients --all-namespaces --unused-for 90d",
		}),
		getter(p, listed[v1alpha1.OAuth2Resource]{kind: cluster.Resources(), table: show.Resources}, &cobra.Command{
			Use: "resources [NAME...]", Aliases: []string{"resource", "hpr", "oauth2resources", "oauth2resource"},
			Short: "List OAuth2Resources: the declared APIs, and to whom they grant scopes",
			Example: "  # All APIs of the namespace, with their identifiers and scopes\n" +
				"  kubectl hallpass get resources --output wide",
		}),
		getter(p, listed[v1alpha1.OAuth2Token]{kind: cluster.Tokens(), table: show.Tokens, unused: show.UnusedTokens}, &cobra.Command{
			Use: "tokens [NAME...]", Aliases: []string{"token", "hpt", "oauth2tokens", "oauth2token"},
			Short: "List OAuth2Tokens: the tokens that were handed out, when they expire and when they were last used",
			Long: "List OAuth2Tokens. These are the tokens that Hallpass writes into Secrets. " +
				"Tokens that clients fetch themselves are not stored, so no command can list them.",
			Example: "  # Tokens that have not been used for 30 days\n  kubectl hallpass get tokens --unused-for 30d",
		}),
		getter(p, listed[v1alpha1.OAuth2TrustedIssuer]{kind: cluster.Issuers(), table: show.Issuers}, &cobra.Command{
			Use: "issuers [NAME...]", Aliases: []string{"issuer", "hpi", "oauth2trustedissuers", "oauth2trustedissuer"},
			Short: "List OAuth2TrustedIssuers: the platforms whose JWTs authenticate clients, and their keys",
			Long: "List OAuth2TrustedIssuers.\n\nHEALTH is Ready, or why JWTs of the issuer are refused. KEYS AGE is how long ago its keys were fetched; keys in the spec have no age. " +
				"CLIENTS is how many OAuth2Clients name it.\n\nThey belong to the cluster, and by default its administrators alone may read them.",
			Example: "  # All issuers, with where their keys come from and the namespaces that may use them\n  kubectl hallpass get issuers --output wide",
		}),
		secretCommand(p).command(),
		keysCommand(p).command(),
	)
	return command
}

// listed is a kind that get lists.
type listed[T any] struct {
	kind  cluster.Kind
	table func([]T, time.Time) *metav1.Table
	// unused keeps the objects that were not used since an instant; nil for a kind without
	// uses.
	unused func([]T, time.Time) []T
}

// listing are the flags of a list.
type listing struct {
	*output

	all       bool
	watch     bool
	selector  string
	unusedFor string
}

func getter[T any](p getCommand, l listed[T], command *cobra.Command) *cobra.Command {
	o := &listing{output: newOutput(command, "")}
	flags := command.Flags()
	everywhere := "List those of all namespaces"
	if l.kind.Clusterwide {
		everywhere = "List all, as without it: they are in no namespace"
	}
	flags.BoolVarP(&o.all, "all-namespaces", "A", false, everywhere)
	flags.BoolVarP(&o.watch, "watch", "w", false, "List, and then print each change until Ctrl-C")
	flags.StringVarP(&o.selector, "selector", "l", "", "Labels that the objects have, such as team=orders")
	if l.unused != nil {
		flags.StringVar(&o.unusedFor, "unused-for", "", "List those that were not used for so long, such as 90d, the longest first")
	}
	command.Args = names(l.kind.Noun[:len(l.kind.Noun)-1], 0, 1000)
	command.ValidArgsFunction = p.completeNames(l.kind, true)
	command.RunE = func(command *cobra.Command, args []string) error { return runGet(command.Context(), p, l, o, args) }
	return command
}

func (o *listing) check(args []string) error {
	switch {
	case len(args) > 0 && (o.all || o.selector != "" || o.unusedFor != ""):
		return usagef("names choose the objects: leave out --all-namespaces, --selector and --unused-for, or the names")
	case o.watch && (len(args) > 1 || o.unusedFor != ""):
		return usagef("--watch watches one object, or a list without --unused-for")
	}
	if _, err := labels.Parse(o.selector); err != nil {
		return usagef("--selector=%s: %w", o.selector, err)
	}
	return nil
}

func runGet[T any](ctx context.Context, p getCommand, l listed[T], o *listing, args []string) error {
	if err := o.check(args); err != nil {
		return err
	}
	since, err := p.unusedSince(o.unusedFor)
	if err != nil {
		return err
	}
	c, err := p.connect()
	if err != nil {
		return err
	}
	if o.all {
		c = c.In(metav1.NamespaceAll)
	}
	read, err := readAll(ctx, c, l.kind, o.selector, args)
	if err != nil {
		return err
	}
	typed, err := cluster.All[T](read.Items)
	if err != nil {
		return err
	}
	if !since.IsZero() {
		typed = l.unused(typed, since)
		read.Items = sameOrder(typed, read.Items)
	}
	if len(typed) == 0 && o.forPeople() {
		p.sayNothingFound(ctx, c, l.kind, o)
	}
	printer, err := newPrinter(p, l, o)
	if err != nil {
		return err
	}
	if err := printer.print(read.Items, typed, len(args) == 1); err != nil || !o.watch {
		return err
	}
	return watchAll(ctx, c, printer, read, args)
}

func (p getCommand) unusedSince(span string) (time.Time, error) {
	if span == "" {
		return time.Time{}, nil
	}
	d, err := show.ParseSpan(span)
	if err != nil {
		return time.Time{}, usagef("--unused-for: %w", err)
	}
	return p.Now().Add(-d), nil
}

// readAll reads the named objects, or all that a selector chooses.
func readAll(ctx context.Context, c *cluster.Client, kind cluster.Kind, selector string, named []string) (*unstructured.UnstructuredList, error) {
	if len(named) == 0 {
		return c.List(ctx, kind, metav1.ListOptions{LabelSelector: selector})
	}
	read := &unstructured.UnstructuredList{}
	for _, name := range named {
		one, err := c.Get(ctx, kind, name)
		if err != nil {
			return nil, err
		}
		read.Items = append(read.Items, *one)
		read.SetResourceVersion(one.GetResourceVersion())
	}
	return read, nil
}

// sameOrder are the objects that are among the typed ones, in the order of these.
func sameOrder[T any](typed []T, items []unstructured.Unstructured) []unstructured.Unstructured {
	byUID := map[string]unstructured.Unstructured{}
	for _, item := range items {
		byUID[string(item.GetUID())] = item
	}
	kept := make([]unstructured.Unstructured, 0, len(typed))
	for i := range typed {
		if object, ok := any(&typed[i]).(metav1.Object); ok {
			kept = append(kept, byUID[string(object.GetUID())])
		}
	}
	return kept
}

// sayNothingFound reports that a list is empty, and whether its namespace is missing.
func (p getCommand) sayNothingFound(ctx context.Context, c *cluster.Client, kind cluster.Kind, o *listing) {
	which := kind.Noun
	if o.selector != "" {
		which += " with the labels " + o.selector
	}
	if o.unusedFor != "" {
		which += " that were not used for " + o.unusedFor
	}
	if o.all || kind.Clusterwide {
		p.say("There are no %s in the cluster.", which)
		return
	}
	if _, err := c.Get(ctx, cluster.Namespaces(), c.Namespace); apierrors.IsNotFound(err) {
		p.say("There is no namespace %q. Choose another one with --namespace; kubectl get namespaces lists them.", c.Namespace)
		return
	}
	p.say("There are no %s in namespace %q.", which, c.Namespace)
}
