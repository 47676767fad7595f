// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/action"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/checkup"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/show"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// doctorCommand checks the installation.
type doctorCommand struct{ *plugin }

// examining are the flags of doctor.
type examining struct {
	system, registry, format string
}

func (p doctorCommand) command() *cobra.Command {
	var o examining
	command := &cobra.Command{
		Use: "doctor", Short: "Check the installation, and what you may do in it",
		Long: "Check the installation: the custom resources, the replicas and versions, signing keys, the serving certificate, clocks, admission policies and trusted issuers; " +
			"and what you may do in the namespace. What you may not read is unknown.\n\nThe exit code is 0 if there is no problem, and 3 if there is one.",
		Example: "  kubectl hallpass doctor --namespace shop",
		Args:    noArguments,
		RunE:    func(command *cobra.Command, _ []string) error { return p.runDoctor(command.Context(), o) },
	}
	command.Flags().StringVar(&o.system, "system-namespace", action.SystemNamespace, "Namespace of the processes, if the installation has another one")
	command.Flags().StringVar(&o.registry, "registry-namespace", registration.Namespace, "Namespace of the registrations, if the installation has another one")
	formatFlag(command, &o.format)
	return command
}

func (p doctorCommand) runDoctor(ctx context.Context, o examining) error {
	c, err := p.connect()
	if err != nil {
		return err
	}
	if _, err := c.List(ctx, cluster.Clients(), metav1.ListOptions{}); err != nil && !apierrors.IsForbidden(err) {
		// without an answer, or without the custom resources, there is nothing to check
		return err
	}
	findings := []checkup.Finding{{Check: "custom resources", State: checkup.OK, Sentence: "The cluster has OAuth2Clients."}}
	findings = append(findings, action.Examination{System: o.system, Registry: o.registry, Version: p.Version, Now: p.Now}.Findings(ctx, c)...)
	findings = append(findings, examineRights(ctx, c, o)...)
	return p.report(findings, o.format)
}

func (p doctorCommand) report(findings []checkup.Finding, format string) error {
	if format != "" {
		if err := p.document(findings, format); err != nil {
			return err
		}
	}
	for _, f := range findings {
		if format != "" {
			break
		}
		if err := p.text(show.Plain(f.Text())); err != nil {
			return err
		}
	}
	if slices.ContainsFunc(findings, func(f checkup.Finding) bool { return f.State == checkup.Problem }) {
		return errRefused
	}
	return nil
}

// right is something that commands need.
type right struct {
	what string
	action.Right
}

// rights are what commands need in a namespace, and in those of the installation.
func rights(namespace string, o examining) []right {
	return []right{
		{"list clients", action.Right{Verb: "list", Kind: cluster.Clients(), Namespace: namespace}},
		{"change clients", action.Right{Verb: "patch", Kind: cluster.Clients(), Namespace: namespace}},
		{"grant access to APIs", action.Right{Verb: "patch", Kind: cluster.Resources(), Namespace: namespace}},
		{"read secrets and fetch tokens", action.Right{Verb: "get", Kind: cluster.Secrets(), Namespace: namespace}},
		{"reach the token server by way of the API server", action.Right{Verb: "create", Kind: cluster.Pods(), Subresource: "portforward", Namespace: o.system}},
		{"read audit lines", action.Right{Verb: "get", Kind: cluster.Pods(), Subresource: "log", Namespace: o.system}},
		{"revoke whole namespaces", action.Right{Verb: "create", Kind: cluster.Revocations(), Namespace: o.registry}},
	}
}

// examineRights reports what the caller may do. A missing right is no problem.
func examineRights(ctx context.Context, c *cluster.Client, o examining) []checkup.Finding {
	var may, mayNot []string
	for _, r := range rights(c.Namespace, o) {
		allowed, err := action.May(ctx, c, r.Right)
		if err != nil {
			return []checkup.Finding{action.Unread("rights", err)}
		}
		if allowed {
			may = append(may, r.what)
		} else {
			mayNot = append(mayNot, r.what)
		}
	}
	findings := []checkup.Finding{{Check: "rights", State: checkup.OK, Sentence: fmt.Sprintf("In namespace %s you may: %s.", c.Namespace, orNothing(may))}}
	if len(mayNot) > 0 {
		findings[0].Sentence += " You may not: " + strings.Join(mayNot, ", ") + "."
	}
	return findings
}

func orNothing(all []string) string {
	if len(all) == 0 {
		return "nothing"
	}
	return strings.Join(all, ", ")
}
