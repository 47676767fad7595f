// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/action"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/checkup"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/show"
)

// versionCommand prints versions.
type versionCommand struct{ *plugin }

// versions are those of the plugin and of what runs in the cluster.
type versions struct {
	Client      string `json:"client"`
	Manager     string `json:"manager,omitempty"`
	TokenServer string `json:"tokenserver,omitempty"`
}

func (p versionCommand) command() *cobra.Command {
	var client bool
	var format, system string
	command := &cobra.Command{
		Use: "version", Short: "Print the version of the plugin, and of Hallpass in the cluster",
		Long: "Print the version of the plugin, and those of the manager and the token server in the cluster, by the tags of their images. " +
			"For the latter you need the right to list the Deployments of the system namespace.",
		Example: "  kubectl hallpass version --client",
		Args:    noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			v := versions{Client: p.Version}
			if !client {
				c, err := p.connect()
				if err != nil {
					return err
				}
				if err := v.read(command.Context(), c.In(system)); err != nil {
					p.say("The version in the cluster is not known: %s", show.Sentence(err))
				}
			}
			return p.printVersions(v, format)
		},
	}
	command.Flags().BoolVar(&client, "client", false, "Print the version of the plugin alone; nothing is sent")
	command.Flags().StringVar(&system, "system-namespace", action.SystemNamespace, "Namespace of the processes, if the installation has another one")
	formatFlag(command, &format)
	return command
}

// read reads the tags of the images that the Deployments name.
func (v *versions) read(ctx context.Context, c *cluster.Client) error {
	read, err := c.List(ctx, cluster.Deployments(), metav1.ListOptions{LabelSelector: action.PartOfUs})
	if err != nil {
		return err
	}
	for i := range read.Items {
		deployment, err := cluster.As[appsv1.Deployment](&read.Items[i])
		if err != nil {
			return err
		}
		switch deployment.Labels["app.kubernetes.io/component"] {
		case "manager":
			v.Manager = checkup.Version(deployment)
		case "tokenserver":
			v.TokenServer = checkup.Version(deployment)
		}
	}
	if v.Manager == "" && v.TokenServer == "" {
		return fmt.Errorf("there are no Deployments of Hallpass in namespace %q; name its namespace with --system-namespace", c.Namespace)
	}
	return nil
}

func (p versionCommand) printVersions(v versions, format string) error {
	if format != "" {
		return p.document(v, format)
	}
	text := fmt.Sprintf("kubectl-hallpass %s\n", v.Client)
	if v.Manager != "" || v.TokenServer != "" {
		text += fmt.Sprintf("manager          %s\ntokenserver      %s\n", v.Manager, v.TokenServer)
	}
	return p.text(text)
}
