// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/action"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/show"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// keysCommand lists signing keys.
type keysCommand struct{ *plugin }

func (p keysCommand) command() *cobra.Command {
	var registry, format string
	command := &cobra.Command{
		Use: "keys", Aliases: []string{"key", "signingkeys"},
		Short: "List the keys that sign tokens, and their lives",
		Long: "List the keys that sign tokens: which are published, sign, are retired or were withdrawn, and when that changes.\n\n" +
			"The lives are in the Secret of the signing keys, beside the private keys, so an administrator of the cluster alone can list them. " +
			"The private keys are read and not printed. Everybody can read the public keys at /oauth2/jwks of the issuer.",
		Example: "  kubectl hallpass get keys",
		Args:    noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			c, err := p.connect()
			if err != nil {
				return err
			}
			keys, err := action.Keys(command.Context(), c.In(registry), p.Now())
			if err != nil {
				return err
			}
			return p.printKeys(keys, format)
		},
	}
	command.Flags().StringVar(&registry, "registry-namespace", registration.Namespace, "Namespace of the registrations, if the installation has another one")
	formatFlag(command, &format)
	return command
}

func (p keysCommand) printKeys(keys []show.Key, format string) error {
	if format != "" {
		return p.document(keys, format)
	}
	if err := printers.NewTablePrinter(printers.PrintOptions{}).PrintObj(show.KeyTable(keys), p.Out); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}
