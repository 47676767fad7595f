// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/action"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/change"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
)

// setCommand sets what people read.
type setCommand struct{ *plugin }

func (p setCommand) command() *cobra.Command {
	command := &cobra.Command{
		Use:   "set",
		Short: "Set what people read about a client, an API or a token",
		Args:  noArguments,
		RunE:  help,
	}
	command.AddCommand(
		p.setter(cluster.Clients(), &cobra.Command{
			Use: "client NAME", Short: "Set the display name, the notes or the contacts of a client",
			Example: "  kubectl hallpass set client reporting --display-name 'Nightly report' --contacts shop@example.com\n\n" +
				"  # Remove the notes\n  kubectl hallpass set client reporting --notes ''",
		}, "displayName", "description", "contacts"),
		p.setter(cluster.Resources(), &cobra.Command{
			Use: "resource NAME", Short: "Set the display name of an API",
			Example: "  kubectl hallpass set resource orders-api --display-name Orders",
		}, "displayName"),
		p.setter(cluster.Tokens(), &cobra.Command{
			Use: "token NAME", Short: "Set the notes of a token",
			Example: "  kubectl hallpass set token dashboard --notes 'Wall display on floor 3'",
		}, "description"),
	)
	return command
}

// settable are the flags of fields of spec.
var settable = map[string]struct{ flag, usage string }{ //nolint:gochecknoglobals // a constant table
	"displayName": {"display-name", "Name for people; empty removes it"},
	"description": {"notes", "Notes for people; empty removes them"},
	"contacts":    {"contacts", "E-mail addresses or URIs of people to contact, in the place of those before; empty removes them"},
}

// setter makes a command that sets fields of spec.
func (p setCommand) setter(kind cluster.Kind, command *cobra.Command, fields ...string) *cobra.Command {
	w := newWriting(command, "changed")
	texts, lists := map[string]*string{}, map[string]*[]string{}
	for _, field := range fields {
		if field == "contacts" {
			lists[field] = command.Flags().StringSlice(settable[field].flag, nil, settable[field].usage)
		} else {
			texts[field] = command.Flags().String(settable[field].flag, "", settable[field].usage)
		}
	}
	command.Args = names(kind.Noun[:len(kind.Noun)-1], 1, 1)
	command.ValidArgsFunction = p.completeNames(kind, false)
	command.RunE = func(command *cobra.Command, args []string) error {
		values := map[string]any{}
		for _, field := range fields {
			switch text, list := texts[field], lists[field]; {
			case !command.Flags().Changed(settable[field].flag):
			case text != nil:
				values[field] = *text
			default:
				values[field] = *list
			}
		}
		if len(values) == 0 {
			return usagef("nothing is to be set: give %s", flagsOf(fields))
		}
		return p.merge(command.Context(), kind, w, args, change.Fields(values))
	}
	return command
}

func flagsOf(fields []string) string {
	flags := make([]string, 0, len(fields))
	for _, field := range fields {
		flags = append(flags, "--"+settable[field].flag)
	}
	return strings.Join(flags, " or ")
}

// merge applies a merge patch to objects, and prints each.
func (p *plugin) merge(ctx context.Context, kind cluster.Kind, w *writing, named []string, patch change.Patch) error {
	c, options, err := p.connectToWrite(w)
	if err != nil {
		return err
	}
	return each(named, func(name string) error {
		object, err := action.Merge(ctx, c, kind, name, patch, options)
		if err == nil {
			err = p.done(w, object)
		}
		return err
	})
}

// each does something to each object, also after one to which it could not be done, as kubectl
// does.
func each(named []string, do func(name string) error) error {
	var failed []error
	for _, name := range named {
		if err := do(name); err != nil {
			failed = append(failed, err)
		}
	}
	return joined(failed)
}
