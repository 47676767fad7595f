// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/action"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/show"
)

// secretCommand shows the Secret of a client.
type secretCommand struct{ *plugin }

func (p secretCommand) command() *cobra.Command {
	var reveal bool
	var entry, format string
	command := &cobra.Command{
		Use: "secret CLIENT", Aliases: []string{"credentials"},
		Short: "Show the Secret of a client, with the client secret masked",
		Long: "Show the entries of the Secret of a client: its client_id, client secret and URLs. Of a client without a secret they are in a ConfigMap.\n\n" +
			"The client secret, and every entry that Hallpass does not write itself, is masked unless you give --reveal. " +
			"The letters behind hp_ are the id of the secret. They are not confidential: audit lines have them.",
		Example: "  # The entries, with the client secret masked\n  kubectl hallpass get secret reporting\n\n" +
			"  # The client secret alone, for a program that reads it\n  kubectl hallpass get secret reporting --entry client_secret --reveal",
		Args:              names("client", 1, 1),
		ValidArgsFunction: p.completeNames(cluster.Clients(), false),
		RunE: func(command *cobra.Command, args []string) error {
			c, err := p.connect()
			if err != nil {
				return err
			}
			client, err := cluster.Read[v1alpha1.OAuth2Client](command.Context(), c, cluster.Clients(), args[0])
			if err != nil {
				return err
			}
			data, err := action.Credentials(command.Context(), c, client)
			if err != nil {
				return err
			}
			return p.printEntries(show.Entries(client, data, reveal), entry, format)
		},
	}
	command.Flags().BoolVar(&reveal, "reveal", false, "Print the values that are masked otherwise")
	command.Flags().StringVar(&entry, "entry", "", "Print the value of this entry alone, such as token_url")
	formatFlag(command, &format)
	return command
}

// printEntries prints all entries, or the value of one.
func (p secretCommand) printEntries(entries []show.Entry, only, format string) error {
	if only != "" {
		return p.printEntry(entries, only, format)
	}
	values := map[string]string{}
	for _, e := range entries {
		values[e.Name] = e.Text
	}
	if format == "" {
		return p.entryTable(entries)
	}
	return p.document(values, format)
}

func (p secretCommand) printEntry(entries []show.Entry, only, format string) error {
	if format != "" {
		return usagef("--entry prints a value alone; leave out --output")
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name)
		switch {
		case e.Name != only:
		case e.Masked:
			return usagef("the entry %q is masked; add --reveal to print its value", only)
		default:
			return p.text(e.Text + "\n")
		}
	}
	return fmt.Errorf("there is no entry %q; there are %s", only, strings.Join(all, ", "))
}

func (p secretCommand) entryTable(entries []show.Entry) error {
	t := &metav1.Table{ColumnDefinitions: []metav1.TableColumnDefinition{{Name: "Entry", Type: "string"}, {Name: "Value", Type: "string"}}}
	for _, e := range entries {
		value := e.Text
		if lines := strings.Split(strings.TrimSpace(value), "\n"); len(lines) > 1 {
			value = fmt.Sprintf("%s … (%d lines)", lines[0], len(lines))
		}
		t.Rows = append(t.Rows, metav1.TableRow{Cells: []any{e.Name, value}})
	}
	if err := printers.NewTablePrinter(printers.PrintOptions{}).PrintObj(t, p.Out); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}
