// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"

	"github.com/spf13/cobra"
	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/action"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/issuer"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/show"
)

// whoamiCommand reports who the caller is for the cluster.
type whoamiCommand struct{ *plugin }

func (p whoamiCommand) command() *cobra.Command {
	var system, registry, format string
	command := &cobra.Command{
		Use: "whoami", Short: "Print who you are for the cluster, and what you may do in the namespace",
		Long: "Print who you are for the cluster, the context, the cluster and the namespace that commands use, " +
			"what you may do in the namespace and in those of the installation, and your logins at clients of the cluster, without their tokens.",
		Example: "  kubectl hallpass whoami --namespace shop\n\n  # What may an editor do?\n  kubectl hallpass whoami --namespace shop --as jane --as-group editors",
		Args:    noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			return p.runWhoami(command.Context(), system, registry, format)
		},
	}
	installationFlags(command, &system, &registry)
	formatFlag(command, &format)
	return command
}

func (p whoamiCommand) runWhoami(ctx context.Context, system, registry, format string) error {
	c, err := p.connect()
	if err != nil {
		return err
	}
	user, err := whoIs(ctx, c)
	if err != nil {
		return err
	}
	i := show.Identity{User: user.Username, Groups: user.Groups, Context: p.contextName(), Cluster: c.Config.Host, Namespace: c.Namespace}
	if i.May, i.MayNot, err = myRights(ctx, c, system, registry); err != nil {
		return err
	}
	i.Logins = p.logins(c)
	p.warnOfNamespace(ctx, c, c.Namespace)
	if format != "" {
		return p.document(i, format)
	}
	return p.text(show.DescribeIdentity(i, p.Now()))
}

// logins are those that this machine keeps for the cluster; none if it keeps nothing.
func (p whoamiCommand) logins(c *cluster.Client) []show.Login {
	kept, err := issuer.NewLogins(p.CacheDir)
	if err != nil {
		return nil
	}
	ca, err := caOf(c)
	if err != nil {
		return nil
	}
	var all []show.Login
	for _, l := range kept.In(issuer.Key{Server: c.Config.Host, CA: ca}) {
		all = append(all, show.Login{
			Person: l.Person, Namespace: l.Namespace, Client: l.Client, ClientID: l.ClientID, Audience: l.Audience,
			Scope: l.Tokens.Scope, ExpiresAt: l.Tokens.ExpiresAt, Renewed: !l.Tokens.Refresh.Empty(),
		})
	}
	return all
}

// whoIs asks the API server who the caller is, and whether it has Hallpass. A caller without rights
// here may have some elsewhere.
func whoIs(ctx context.Context, c *cluster.Client) (authenticationv1.UserInfo, error) {
	if _, err := c.Page(ctx, cluster.Clients(), metav1.ListOptions{Limit: 1}); err != nil && !apierrors.IsForbidden(err) {
		return authenticationv1.UserInfo{}, err
	}
	user, err := action.User(ctx, c)
	if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) {
		return authenticationv1.UserInfo{Username: "unknown"}, nil
	}
	return user, err
}
