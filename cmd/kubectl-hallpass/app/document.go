// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

// formatFlag adds the flag for the format of what is no object of the API server.
func formatFlag(command *cobra.Command, format *string) {
	command.Flags().StringVarP(format, "output", "o", "", "Output format, json or yaml; left out it is for people")
	mustComplete(command, "output", cobra.FixedCompletions([]string{"json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
}

// document prints what is no object of the API server, as JSON or YAML.
func (p *plugin) document(content any, format string) error {
	var text []byte
	var err error
	switch format {
	case "json":
		text, err = json.MarshalIndent(content, "", "    ")
		text = append(text, '\n')
	case "yaml":
		text, err = yaml.Marshal(content)
	default:
		return usagef("--output=%s is none of json and yaml", format)
	}
	if err == nil {
		_, err = p.Out.Write(text)
	}
	if err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// text prints what is for people.
func (p *plugin) text(content string) error {
	if _, err := fmt.Fprint(p.Out, content); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}
