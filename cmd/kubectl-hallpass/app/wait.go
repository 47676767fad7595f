// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/action"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
)

// waitCommand waits for a client.
type waitCommand struct{ *plugin }

const defaultWait = 30 * time.Second

// goals are the values of --for.
var goals = map[string]action.Goal{ //nolint:gochecknoglobals // a constant table
	"ready": action.Ready(), "grants": action.AllGranted(), "deleted": action.Deleted(),
}

func (p waitCommand) command() *cobra.Command {
	var goal string
	var timeout time.Duration
	command := &cobra.Command{
		Use: "wait CLIENT...", Short: "Wait until clients are ready, have all their scopes, or are deleted",
		Long: "Wait until clients are ready (--for ready), have all the scopes that they ask for (--for grants), or are deleted (--for deleted).\n\n" +
			"A client is ready when the manager has handled the last change of its spec and its credentials are written. " +
			"If the time is over, the error explains what is in the way.",
		Example: "  kubectl hallpass wait reporting --namespace shop\n\n  # Until another team has granted the scopes\n" +
			"  kubectl hallpass wait reporting --namespace shop --for grants --timeout 10m",
		Args: names("client", 1, 1000), ValidArgsFunction: p.completeNames(cluster.Clients(), true),
		RunE: func(command *cobra.Command, args []string) error {
			return p.runWait(command.Context(), goal, timeout, args)
		},
	}
	values := slices.Sorted(maps.Keys(goals))
	command.Flags().StringVar(&goal, "for", "ready", "What to wait for: one of "+strings.Join(values, ", "))
	command.Flags().DurationVar(&timeout, "timeout", defaultWait, "How long to wait for all of them")
	mustComplete(command, "for", cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	return command
}

func (p waitCommand) runWait(ctx context.Context, name string, timeout time.Duration, clients []string) error {
	goal, known := goals[name]
	switch {
	case !known:
		return usagef("--for=%s is none of %s", name, strings.Join(slices.Sorted(maps.Keys(goals)), ", "))
	case timeout <= 0:
		return usagef("--timeout=%s is over at once; give a time such as 30s", timeout)
	}
	c, err := p.connect()
	if err != nil {
		return err
	}
	end := time.Now().Add(timeout)
	for _, client := range clients {
		if err := goal.Await(ctx, c, client, time.Until(end), timeout); err != nil {
			return err
		}
		if err := p.text(fmt.Sprintf("oauth2client.hallpass.dev/%s %s\n", client, goal.Done)); err != nil {
			return err
		}
	}
	return nil
}
