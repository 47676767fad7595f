// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	k8swatch "k8s.io/apimachinery/pkg/watch"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/action"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/show"
)

// eventsCommand prints events.
type eventsCommand struct{ *plugin }

func (p eventsCommand) command() *cobra.Command {
	var watch bool
	command := &cobra.Command{
		Use: "events CLIENT", Short: "Print the events of a client: rotations, refusals, and uses of what has expired or was revoked",
		Example: "  kubectl hallpass events reporting\n\n  # As they happen\n  kubectl hallpass events reporting --watch",
		Args:    names("client", 1, 1), ValidArgsFunction: p.completeNames(cluster.Clients(), false),
	}
	o := newOutput(command, "")
	command.Flags().BoolVarP(&watch, "watch", "w", false, "Print the events, and then each new one until Ctrl-C")
	command.RunE = func(command *cobra.Command, args []string) error {
		if watch && !o.forPeople() {
			return usagef("--watch prints tables; leave out --output, or use kubectl get events --watch")
		}
		return p.runEvents(command.Context(), o, args[0], watch)
	}
	return command
}

func (p eventsCommand) runEvents(ctx context.Context, o *output, name string, watch bool) error {
	c, err := p.connect()
	if err != nil {
		return err
	}
	client, err := cluster.Read[v1alpha1.OAuth2Client](ctx, c, cluster.Clients(), name)
	if err != nil {
		return err
	}
	options := action.EventsOf(client)
	read, err := c.List(ctx, cluster.Events(), options)
	if err != nil {
		return err
	}
	if !o.forPeople() {
		return p.objects(o, list(cluster.Events(), read.Items))
	}
	typed, err := cluster.All[corev1.Event](read.Items)
	if err != nil {
		return err
	}
	action.SortEvents(typed)
	if len(typed) == 0 {
		p.say("There are no events of client %q. Kubernetes deletes events after an hour, unless the cluster has another limit.", name)
	}
	printer := o.table(false)
	if err := printer.PrintObj(show.Events(typed, p.Now()), p.Out); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	if !watch {
		return nil
	}
	options.ResourceVersion = read.GetResourceVersion()
	return c.Follow(ctx, cluster.Events(), options, func(_ k8swatch.EventType, object *unstructured.Unstructured) error {
		event, err := cluster.As[corev1.Event](object)
		if err != nil {
			return err
		}
		if err := printer.PrintObj(show.Events([]corev1.Event{*event}, p.Now()), p.Out); err != nil {
			return fmt.Errorf("print: %w", err)
		}
		return nil
	})
}
