// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/foreign"
)

// importCommand renders manifests from the export of another server.
type importCommand struct{ *plugin }

func (p importCommand) command() *cobra.Command {
	var format string
	var reveal bool
	command := &cobra.Command{
		Use: "import FILE --format hydra|keycloak|csv", Short: "Print manifests for the clients of another authorization server",
		Long: "Print OAuth2Clients for the clients in an export of Ory Hydra or Keycloak, or in a CSV file. Nothing is sent: apply the manifests, or commit them.\n\n" +
			"The clients keep their client_id, which an OAuth2Policy or --allow-client-id of the manager has to allow, and their secrets, which Hallpass reads from Secrets of the same names. " +
			"With --reveal the Secrets are printed too, if the export has them. What cannot be imported is named.",
		Example: "  hydra list clients --format json >clients.json\n  kubectl hallpass import clients.json --format hydra --namespace shop >clients.yaml",
		Args: func(command *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("give one file, or - for standard input: %s", useLine(command))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return p.run(args[0], format, reveal) },
	}
	command.Flags().StringVar(&format, "format", "", "Format of the export: "+strings.Join(foreign.Formats(), ", ")+" (required)")
	command.Flags().BoolVar(&reveal, "reveal", false, "Print Secrets with the client secrets too")
	mustComplete(command, "format", cobra.FixedCompletions(foreign.Formats(), cobra.ShellCompDirectiveNoFileComp))
	return command
}

func (p importCommand) run(file, format string, reveal bool) error {
	switch {
	case format == "":
		return usagef("give the format of the export: --format=hydra, keycloak or csv")
	case !slices.Contains(foreign.Formats(), format):
		return usagef("--format=%s is none of %s", format, strings.Join(foreign.Formats(), ", "))
	}
	namespace, _, err := p.flags.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return fmt.Errorf("find the namespace: %w", err)
	}
	clients, err := p.read(file, format)
	if err != nil {
		return err
	}
	var names foreign.Names
	for _, c := range clients {
		if c.Skipped != "" {
			p.say("%s is left out: %s.", c.ID, c.Skipped)
			continue
		}
		if err := p.print(names.Render(namespace, c), reveal); err != nil {
			return err
		}
	}
	return nil
}

func (p importCommand) read(file, format string) ([]foreign.Client, error) {
	from := p.In
	if file != "-" {
		opened, err := os.Open(file) //nolint:gosec // the file that the user names
		if err != nil {
			return nil, fmt.Errorf("read the export: %w", err)
		}
		defer func() { _ = opened.Close() }()
		from = opened
	}
	clients, err := foreign.Read(format, from)
	if err != nil {
		return nil, fmt.Errorf("read the export: %w", err)
	}
	return clients, nil
}

func (p importCommand) print(r foreign.Rendered, reveal bool) error {
	object, err := cluster.Unstructured(cluster.Clients(), r.Client)
	if err != nil {
		return err
	}
	documents := []any{object.Object}
	switch {
	case r.Secret != nil && reveal:
		documents = append(documents, r.Secret)
	case r.Secret != nil:
		p.say("%s: the export has its secret; add --reveal to print Secret %s.", r.Client.Spec.ClientID, r.Secret.Name)
	}
	for _, note := range r.Notes {
		p.say("%s: %s.", r.Client.Spec.ClientID, note)
	}
	return p.manifests(documents)
}

func (p importCommand) manifests(documents []any) error {
	for _, document := range documents {
		text, err := yaml.Marshal(document)
		if err != nil {
			return fmt.Errorf("render a manifest: %w", err)
		}
		if err := p.text("---\n" + string(text)); err != nil {
			return err
		}
	}
	return nil
}
