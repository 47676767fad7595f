// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
)

// output are the flags about how objects are printed, as kubectl has them.
type output struct {
	print *genericclioptions.PrintFlags
	// tables is whether the format without a name is a table, or else a sentence.
	tables     bool
	noHeaders  bool
	showLabels bool
}

// newOutput adds the flags for a command that prints tables, or else a sentence that ends in done,
// such as created.
func newOutput(command *cobra.Command, done string) *output {
	o := &output{print: genericclioptions.NewPrintFlags(done), tables: done == ""}
	formats := o.print.AllowedFormats()
	if o.tables {
		formats = append(formats, "wide")
		command.Flags().BoolVar(&o.noHeaders, "no-headers", false, "Print the table without its headers")
		command.Flags().BoolVar(&o.showLabels, "show-labels", false, "Print the labels in the last column")
	}
	o.print.AddFlags(command)
	command.Flags().Lookup("output").Usage = fmt.Sprintf("Output format, one of %v", formats)
	mustComplete(command, "output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	return o
}

// forPeople reports whether a table or a sentence is asked for.
func (o *output) forPeople() bool {
	format := *o.print.OutputFormat
	return (format == "" && *o.print.TemplatePrinterFlags.TemplateArgument == "") || o.tables && format == "wide"
}

// table is the printer of tables.
func (o *output) table(withNamespace bool) printers.ResourcePrinter {
	return printers.NewTablePrinter(printers.PrintOptions{
		NoHeaders: o.noHeaders, WithNamespace: withNamespace, Wide: *o.print.OutputFormat == "wide", ShowLabels: o.showLabels,
	})
}

// objects prints objects as a format for machines.
func (p *plugin) objects(o *output, object runtime.Object) error {
	printer, err := o.print.ToPrinter()
	if err != nil {
		return usageError{err}
	}
	if err := printer.PrintObj(object, p.Out); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// list is the list that kubectl prints for several objects.
func list(kind cluster.Kind, items []unstructured.Unstructured) *unstructured.UnstructuredList {
	l := &unstructured.UnstructuredList{Items: items}
	l.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: "List"})
	for i := range l.Items {
		l.Items[i].SetGroupVersionKind(kind.GVK())
	}
	return l
}

// writing are the flags of commands that write.
type writing struct {
	*output

	manager string
	dryRun  string
	// dryRuns are the values of --dry-run. A change is made to what the API server has, so it
	// has no dry run without it.
	dryRuns []string
}

// newCreating adds the flags of a command that creates an object.
func newCreating(command *cobra.Command) *writing {
	return addWriting(command, &writing{output: newOutput(command, "created"), dryRuns: []string{"none", "server", "client"}},
		"none, server (the API server validates the object and stores nothing), or client (nothing is sent)")
}

// newWriting adds the flags of a command that changes an object.
func newWriting(command *cobra.Command, done string) *writing {
	return addWriting(command, &writing{output: newOutput(command, done), dryRuns: []string{"none", "server"}},
		"none, or server (the API server validates the change and stores nothing)")
}

func addWriting(command *cobra.Command, w *writing, usage string) *writing {
	command.Flags().StringVar(&w.manager, "field-manager", "kubectl-hallpass", "Name of the manager of the fields that are written")
	command.Flags().StringVar(&w.dryRun, "dry-run", "none", usage)
	mustComplete(command, "dry-run", cobra.FixedCompletions(w.dryRuns, cobra.ShellCompDirectiveNoFileComp))
	return w
}

// options are those of a write.
func (w *writing) options() (cluster.Options, error) {
	switch {
	case !slices.Contains(w.dryRuns, w.dryRun):
		return cluster.Options{}, usagef("--dry-run=%s is none of %s", w.dryRun, strings.Join(w.dryRuns, ", "))
	case w.manager == "":
		return cluster.Options{}, usagef("--field-manager is empty; leave it out, or give a name")
	}
	return cluster.Options{Manager: w.manager, DryRun: w.dryRun == "server"}, nil
}

// connectToWrite connects to the cluster, for a command whose flags of writing are right.
func (p *plugin) connectToWrite(w *writing) (*cluster.Client, cluster.Options, error) {
	options, err := w.options()
	if err != nil {
		return nil, options, err
	}
	c, err := p.connect()
	return c, options, err
}

// done prints the result of a write: a sentence, or the object in a format for machines.
func (p *plugin) done(w *writing, object runtime.Object) error {
	if suffix := map[string]string{"client": "%s (dry run)", "server": "%s (server dry run)"}[w.dryRun]; suffix != "" {
		if err := w.print.Complete(suffix); err != nil {
			return fmt.Errorf("print: %w", err)
		}
	}
	return p.objects(w.output, object)
}
