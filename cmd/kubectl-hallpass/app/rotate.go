// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/action"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
)

// rotateCommand replaces client secrets.
type rotateCommand struct{ *plugin }

// defaultTimeout is how long rotate waits for the new secret.
const defaultTimeout = 30 * time.Second

// rotation are the flags of rotate.
type rotation struct {
	*writing

	now     bool
	yes     *bool
	timeout time.Duration
}

func (p rotateCommand) command() *cobra.Command {
	command := &cobra.Command{
		Use: "rotate CLIENT", Short: "Replace the client secret of a client",
		Long: "Replace the client secret of a client, and wait until the Secret has the new one. " +
			"The old secret is accepted until the overlap of the client ends, a day unless spec.rotation.overlap sets another, so that nothing fails meanwhile.\n\n" +
			"With --now the old secret is refused at once, as after a leak, and the overlap of other rotations stays as it is. " +
			"Tokens that were fetched with the old secret stay valid: revoke client ends them.",
		Example: "  kubectl hallpass rotate reporting\n\n  # The secret has leaked\n  kubectl hallpass rotate reporting --now --yes\n  kubectl hallpass revoke client reporting --yes",
		Args:    names("client", 1, 1), ValidArgsFunction: p.completeNames(cluster.Clients(), false),
	}
	o := &rotation{writing: newWriting(command, "rotated"), yes: yesFlag(command)}
	command.Flags().BoolVar(&o.now, "now", false, "Refuse the old secret at once")
	command.Flags().DurationVar(&o.timeout, "timeout", defaultTimeout, "How long to wait for the new secret; 0s does not wait")
	command.RunE = func(command *cobra.Command, args []string) error { return p.runRotate(command.Context(), o, args[0]) }
	return command
}

func (p rotateCommand) runRotate(ctx context.Context, o *rotation, name string) error {
	options, err := o.options()
	if err != nil {
		return err
	}
	if o.timeout < 0 {
		return usagef("--timeout=%s is negative; 0s does not wait", o.timeout)
	}
	c, err := p.connect()
	if err != nil {
		return err
	}
	before, err := cluster.Read[v1alpha1.OAuth2Client](ctx, c, cluster.Clients(), name)
	if err != nil {
		return err
	}
	if err := action.Rotatable(before); err != nil {
		return err
	}
	if o.now {
		if err := p.confirm(*o.yes || options.DryRun != "", "Software that still has the old secret of client %q is refused from now on.", name); err != nil {
			return err
		}
	}
	rotated, err := action.Rotation{Now: o.now, Timeout: o.timeout, Options: options}.Run(ctx, c, before, p.Now())
	if rotated.Client != nil {
		p.sayRotated(rotated.Client, o.now)
	}
	if err != nil {
		return err
	}
	return p.done(o.writing, rotated.Object)
}

// sayRotated reports which secret is there now, and until when the one before is accepted.
func (p rotateCommand) sayRotated(c *v1alpha1.OAuth2Client, now bool) {
	if len(c.Status.Credentials) == 0 {
		return
	}
	p.say("Secret %q has the new client secret %s.", c.Status.Secret.Name, c.Status.Credentials[0].ID)
	p.sayOld(c.Status.Credentials[1:], now)
}

func (p rotateCommand) sayOld(replaced []v1alpha1.CredentialStatus, now bool) {
	for _, old := range replaced {
		end := old.ExpiresAt.UTC().Format(time.RFC3339)
		switch {
		case !old.ExpiresAt.After(p.Now()): // the status is about to lose it
		case now:
			p.say("An older one, %s, was replaced before and is accepted until %s. If it has leaked too, suspend the client until then.", old.ID, end)
		default:
			p.say("The old one, %s, is accepted until %s.", old.ID, end)
		}
	}
}
