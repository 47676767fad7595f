// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
)

// deleteCommand deletes clients, APIs and tokens, after a sentence about what that means.
type deleteCommand struct{ *plugin }

func (p deleteCommand) command() *cobra.Command {
	command := &cobra.Command{
		Use:   "delete",
		Short: "Delete clients, APIs or tokens",
		Long:  "Delete clients, APIs or tokens, as kubectl delete does. It asks first, and names what is refused from then on.",
		Args:  noArguments,
		RunE:  help,
	}
	command.AddCommand(
		p.deleter(cluster.Clients(), "The credentials and tokens of these clients are refused from now on: %s in namespace %q. This cannot be undone: a new client of the same name has another secret.",
			&cobra.Command{
				Use: "client NAME...", Aliases: []string{"clients", "hpc", "oauth2client"}, Short: "Delete clients: their credentials and tokens are refused at once",
				Long: "Delete clients. Their credentials and tokens are refused at once, and their Secrets are deleted unless spec.secret.deletionPolicy is Retain. " +
					"To refuse a client for some time, suspend it instead.",
				Example: "  kubectl hallpass delete client reporting --yes",
			}),
		p.deleter(cluster.Resources(), "Clients lose what these APIs grant: %s in namespace %q.",
			&cobra.Command{
				Use: "resource NAME...", Aliases: []string{"resources", "hpr", "oauth2resource"}, Short: "Delete APIs: no client gets tokens for them any more",
				Example: "  kubectl hallpass delete resource orders-api --namespace orders --yes",
			}),
		p.deleter(cluster.Tokens(), "These tokens are revoked, and their Secrets deleted: %s in namespace %q.",
			&cobra.Command{
				Use: "token NAME...", Aliases: []string{"tokens", "hpt", "oauth2token"}, Short: "Delete tokens that were handed out, which revokes them",
				Example: "  kubectl hallpass delete token dashboard --yes",
			}),
	)
	return command
}

// deleter makes a command that deletes objects. The question takes their names and their namespace.
func (p deleteCommand) deleter(kind cluster.Kind, question string, command *cobra.Command) *cobra.Command {
	w, yes := newWriting(command, "deleted"), yesFlag(command)
	command.Args = names(kind.Noun[:len(kind.Noun)-1], 1, 1000)
	command.ValidArgsFunction = p.completeNames(kind, true)
	command.RunE = func(command *cobra.Command, args []string) error {
		c, options, err := p.connectToWrite(w)
		if err == nil {
			err = p.confirm(*yes || options.DryRun != "", question, strings.Join(args, ", "), c.Namespace)
		}
		if err != nil {
			return err
		}
		return p.deleteAll(command.Context(), c, kind, w, options, args)
	}
	return command
}

func (p deleteCommand) deleteAll(ctx context.Context, c *cluster.Client, kind cluster.Kind, w *writing, options cluster.Options, named []string) error {
	return each(named, func(name string) error {
		object, err := c.Get(ctx, kind, name)
		if err == nil {
			err = c.Delete(ctx, kind, name, object.GetUID(), options)
		}
		if err == nil {
			err = p.done(w, object)
		}
		return err
	})
}
