// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/action"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// installationFlags are the flags for the namespaces of an installation.
func installationFlags(command *cobra.Command, system, registry *string) {
	command.Flags().StringVar(system, "system-namespace", action.SystemNamespace, "Namespace of the processes, if the installation has another one")
	command.Flags().StringVar(registry, "registry-namespace", registration.Namespace, "Namespace of the registrations, if the installation has another one")
}

// right is something that commands need, in words.
type right struct {
	what string
	action.Right
}

// rightsOf are what commands need in a namespace, and in those of the installation.
func rightsOf(namespace, system, registry string) []right {
	here := func(what, verb string, kind cluster.Kind) right {
		return right{what, action.Right{Verb: verb, Kind: kind, Namespace: namespace}}
	}
	return []right{
		here("list clients", "list", cluster.Clients()),
		here("create clients", "create", cluster.Clients()),
		here("change, rotate and suspend clients", "patch", cluster.Clients()),
		here("delete clients", "delete", cluster.Clients()),
		here("read secrets and fetch tokens", "get", cluster.Secrets()),
		{"fetch tokens of service accounts", action.Right{Verb: "create", Kind: cluster.Accounts(), Subresource: "token", Namespace: namespace}},
		here("hand out tokens", "create", cluster.Tokens()),
		here("declare APIs", "create", cluster.Resources()),
		here("grant access to APIs", "patch", cluster.Resources()),
		here("read events", "list", cluster.Events()),
		{"list trusted issuers", action.Right{Verb: "list", Kind: cluster.Issuers()}},
		{"list signing keys", action.Right{Verb: "get", Kind: cluster.Secrets(), Namespace: registry}},
		{"reach the token server by way of the API server", action.Right{Verb: "create", Kind: cluster.Pods(), Subresource: "portforward", Namespace: system}},
		{"read audit lines", action.Right{Verb: "get", Kind: cluster.Pods(), Subresource: "log", Namespace: system}},
		{"revoke whole namespaces", action.Right{Verb: "create", Kind: cluster.Revocations(), Namespace: registry}},
	}
}

// myRights asks the API server what the caller may do in the namespace, and in those of the
// installation.
func myRights(ctx context.Context, c *cluster.Client, system, registry string) (may, mayNot []string, _ error) {
	rights := rightsOf(c.Namespace, system, registry)
	questions := make([]action.Right, len(rights))
	for i, r := range rights {
		questions[i] = r.Right
	}
	answers, err := action.MayEach(ctx, c, questions)
	if err != nil {
		return nil, nil, err
	}
	for i, r := range rights {
		if answers[i] {
			may = append(may, r.what)
		} else {
			mayNot = append(mayNot, r.what)
		}
	}
	return may, mayNot, nil
}
