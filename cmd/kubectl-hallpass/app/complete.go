// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
)

type completion = func(command *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective)

// completeNames completes the names of objects: of the first argument, or of all.
func (p *plugin) completeNames(kind cluster.Kind, all bool) completion {
	return func(command *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 && !all {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		found := slices.DeleteFunc(p.objectNames(command, kind), func(name string) bool {
			return !strings.HasPrefix(name, prefix) || slices.Contains(args, name)
		})
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

// objectNames are the names of the objects of the namespace; none if they cannot be read.
func (p *plugin) objectNames(command *cobra.Command, kind cluster.Kind) []string {
	c, err := p.connect()
	if err != nil {
		return nil
	}
	c.Slow = nil
	read, err := c.List(command.Context(), kind, metav1.ListOptions{})
	if err != nil {
		return nil
	}
	found := make([]string, 0, len(read.Items))
	for _, item := range read.Items {
		found = append(found, item.GetName())
	}
	return found
}

// completeFlags completes the flags of all commands.
func (p *plugin) completeFlags(root *cobra.Command) {
	mustComplete(root, "namespace", p.completeNames(cluster.Namespaces(), true))
	for flag, of := range map[string]func(clientcmdapi.Config) []string{
		"context": func(c clientcmdapi.Config) []string { return slices.Sorted(maps.Keys(c.Contexts)) },
		"cluster": func(c clientcmdapi.Config) []string { return slices.Sorted(maps.Keys(c.Clusters)) },
		"user":    func(c clientcmdapi.Config) []string { return slices.Sorted(maps.Keys(c.AuthInfos)) },
	} {
		mustComplete(root, flag, func(_ *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
			raw, err := p.flags.ToRawKubeConfigLoader().RawConfig()
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return slices.DeleteFunc(of(raw), func(name string) bool { return !strings.HasPrefix(name, prefix) }), cobra.ShellCompDirectiveNoFileComp
		})
	}
}

// mustComplete registers a completion. It fails for a flag that is not there alone.
func mustComplete(command *cobra.Command, flag string, complete completion) {
	if err := command.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic(err)
	}
}
