// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/action"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/change"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
)

// grantCommand changes grants.
type grantCommand struct{ *plugin }

func (p grantCommand) grant() *cobra.Command {
	var to, scopes []string
	command := &cobra.Command{
		Use:   "grant RESOURCE --to NAMESPACE --scopes SCOPE,...",
		Short: "Grant scopes of an API to the clients of namespaces",
		Long: "Grant scopes of an API to all clients of namespaces. Clients that ask for the scopes in spec.access get them within seconds.\n\n" +
			"Grants to namespaces by their labels, or to some of their clients alone, are written in spec.grants of the OAuth2Resource.",
		Example:           "  kubectl hallpass grant orders-api --namespace orders --to shop --scopes orders.read",
		Args:              names("resource", 1, 1),
		ValidArgsFunction: p.completeNames(cluster.Resources(), false),
	}
	w := newWriting(command, "changed")
	command.Flags().StringSliceVar(&to, "to", nil, "Namespaces whose clients are granted the scopes (required)")
	command.Flags().StringSliceVar(&scopes, "scopes", nil, "Scopes that the resource defines (required)")
	mustComplete(command, "to", p.completeNames(cluster.Namespaces(), true))
	command.RunE = func(command *cobra.Command, args []string) error {
		access, err := accessOf("to", to, scopes)
		if err == nil && len(scopes) == 0 {
			err = usagef("give the scopes that are granted: --scopes=orders.read")
		}
		if err != nil {
			return err
		}
		return p.edit(command.Context(), w, args[0], to, func(r *v1alpha1.OAuth2Resource) ([]change.Operation, error) {
			operations, err := change.Grant(r, access)
			if err == nil && len(operations) == 0 {
				p.say("OAuth2Resource %q grants that already.", r.Name)
			}
			return operations, err
		})
	}
	return command
}

func (p grantCommand) ungrant() *cobra.Command {
	var from, scopes []string
	command := &cobra.Command{
		Use:   "ungrant RESOURCE --from NAMESPACE [--scopes SCOPE,...]",
		Short: "Take scopes of an API away from the clients of namespaces",
		Long: "Take scopes of an API away from the clients of namespaces. No more tokens with the scopes are issued, and Hallpass no longer counts them in tokens " +
			"that were issued.\n\nA grant to namespaces by their labels is left alone, and named.",
		Example: "  # All scopes\n  kubectl hallpass ungrant orders-api --namespace orders --from shop\n\n" +
			"  # One of them\n  kubectl hallpass ungrant orders-api --namespace orders --from shop --scopes orders.write",
		Args:              names("resource", 1, 1),
		ValidArgsFunction: p.completeNames(cluster.Resources(), false),
	}
	w := newWriting(command, "changed")
	command.Flags().StringSliceVar(&from, "from", nil, "Namespaces whose clients lose the scopes (required)")
	command.Flags().StringSliceVar(&scopes, "scopes", nil, "Scopes that they lose; left out all")
	mustComplete(command, "from", p.completeNames(cluster.Namespaces(), true))
	command.RunE = func(command *cobra.Command, args []string) error {
		access, err := accessOf("from", from, scopes)
		if err != nil {
			return err
		}
		return p.edit(command.Context(), w, args[0], nil, func(r *v1alpha1.OAuth2Resource) ([]change.Operation, error) {
			operations, byLabels := change.Ungrant(r, access)
			if len(operations) == 0 {
				p.say("No grant of OAuth2Resource %q names that.", r.Name)
			}
			for _, position := range byLabels {
				p.say("Grant %d of spec.grants selects namespaces by their labels, and may still give the scopes: kubectl edit hpr %s --namespace %s",
					position, r.Name, r.Namespace)
			}
			return operations, nil
		})
	}
	return command
}

func accessOf(flag string, namespaces, scopes []string) (change.Access, error) {
	if len(namespaces) == 0 {
		return change.Access{}, usagef("give the namespaces of the clients: --%s=shop", flag)
	}
	var access change.Access
	for _, namespace := range namespaces {
		if problems := validation.IsDNS1123Label(namespace); len(problems) > 0 {
			return change.Access{}, usagef("--%s=%s cannot be the name of a namespace: %s", flag, namespace, strings.TrimSuffix(problems[0], "."))
		}
		access.Namespaces = append(access.Namespaces, v1alpha1.NamespaceName(namespace))
	}
	for _, scope := range scopes {
		access.Scopes = append(access.Scopes, v1alpha1.Scope(scope))
	}
	return access, nil
}

// edit changes an OAuth2Resource, for the clients of some namespaces if it grants something.
func (p grantCommand) edit(
	ctx context.Context, w *writing, name string, to []string, operations func(*v1alpha1.OAuth2Resource) ([]change.Operation, error),
) error {
	c, options, err := p.connectToWrite(w)
	if err != nil {
		return err
	}
	object, changed, err := action.EditResource(ctx, c, name, options, operations)
	if err != nil {
		return err
	}
	for _, namespace := range to {
		p.warnOfNamespace(ctx, c, namespace)
	}
	if !changed {
		w.did = "unchanged"
	}
	return p.done(w, object)
}

// warnOfNamespace reports a namespace that is not there. It may be created later, or its name is
// misspelt.
func (p *plugin) warnOfNamespace(ctx context.Context, c *cluster.Client, namespace string) {
	if _, err := c.Get(ctx, cluster.Namespaces(), namespace); apierrors.IsNotFound(err) {
		p.say("There is no namespace %q yet. If the name is misspelt, choose another one; kubectl get namespaces lists them.", namespace)
	}
}
