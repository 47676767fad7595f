// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"github.com/spf13/cobra"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/change"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
)

// stateCommand suspends and resumes clients.
type stateCommand struct{ *plugin }

func (p stateCommand) suspend() *cobra.Command {
	return p.stateSetter("suspended", v1alpha1.ClientSuspended, &cobra.Command{
		Use: "suspend CLIENT...", Short: "Refuse a client and its tokens until it is resumed",
		Long: "Refuse a client and its tokens until it is resumed. It gets no tokens, and those that it has are refused. " +
			"Its secret and its grants are kept.",
		Example: "  # Find out whether a caller still needs a client that looks unused\n  kubectl hallpass suspend reporting",
	})
}

func (p stateCommand) resume() *cobra.Command {
	return p.stateSetter("resumed", v1alpha1.ClientActive, &cobra.Command{
		Use: "resume CLIENT...", Short: "Let a suspended client work again",
		Long:    "Let a suspended client work again, with the secret and the tokens that it had.",
		Example: "  kubectl hallpass resume reporting",
	})
}

func (p stateCommand) stateSetter(done string, state v1alpha1.ClientState, command *cobra.Command) *cobra.Command {
	w := newWriting(command, done)
	command.Args = names("client", 1, 1000)
	command.ValidArgsFunction = p.completeNames(cluster.Clients(), true)
	command.RunE = func(command *cobra.Command, args []string) error {
		return p.merge(command.Context(), cluster.Clients(), w, args, change.State(state))
	}
	return command
}
