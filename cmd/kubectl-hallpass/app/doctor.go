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
	installationFlags(command, &o.system, &o.registry)
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
	p.warnOfNamespace(ctx, c, c.Namespace)
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

// examineRights reports what the caller may do. A missing right is no problem.
func examineRights(ctx context.Context, c *cluster.Client, o examining) []checkup.Finding {
	may, mayNot, err := myRights(ctx, c, o.system, o.registry)
	if err != nil {
		return []checkup.Finding{action.Unread("rights", err)}
	}
	finding := checkup.Finding{Check: "rights", State: checkup.OK, Sentence: fmt.Sprintf("In namespace %s you may: %s.", c.Namespace, orNothing(may))}
	if len(mayNot) > 0 {
		finding.Sentence += " You may not: " + strings.Join(mayNot, ", ") + "."
	}
	return []checkup.Finding{finding}
}

func orNothing(all []string) string {
	if len(all) == 0 {
		return "nothing"
	}
	return strings.Join(all, ", ")
}
