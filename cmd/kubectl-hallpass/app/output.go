// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
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
	formats    []string
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
	o.formats = formats
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

// printer is the printer of a format for machines.
func (o *output) printer() (printers.ResourcePrinter, error) {
	printer, err := o.print.ToPrinter()
	switch {
	case genericclioptions.IsNoCompatiblePrinterError(err):
		return nil, usagef("--output=%s is none of %s", *o.print.OutputFormat, strings.Join(o.formats, ", "))
	case err != nil:
		return nil, usageError{err}
	}
	return printer, nil
}

// objects prints objects as a format for machines.
func (p *plugin) objects(o *output, object runtime.Object) error {
	printer, err := o.printer()
	if err != nil {
		return err
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

	// did is what was done to the object, such as created.
	did     string
	manager string
	dryRun  string
}

// newWriting adds the flags of a command that writes objects.
func newWriting(command *cobra.Command, done string) *writing {
	w := &writing{output: newOutput(command, done), did: done}
	command.Flags().StringVar(&w.manager, "field-manager", "kubectl-hallpass", "Name of the manager of the fields that are written")
	dryRunFlag(command, &w.dryRun, "none, server (the API server validates the write and stores nothing), or client (nothing is written; --output prints the object)",
		noDryRun, string(cluster.ByServer), string(cluster.ByClient))
	return w
}

// noDryRun is the value of --dry-run of a command that writes.
const noDryRun = "none"

func dryRunFlag(command *cobra.Command, value *string, usage string, values ...string) {
	command.Flags().StringVar(value, "dry-run", noDryRun, usage)
	mustComplete(command, "dry-run", cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

// options are those of a write. A format that cannot be printed is refused before anything is
// written.
func (w *writing) options() (cluster.Options, error) {
	if _, err := w.printer(); err != nil {
		return cluster.Options{}, err
	}
	if w.manager == "" {
		return cluster.Options{}, usagef("--field-manager is empty; leave it out, or give a name")
	}
	o := cluster.Options{Manager: w.manager}
	switch dry := cluster.DryRun(w.dryRun); dry {
	case cluster.ByServer, cluster.ByClient:
		o.DryRun = dry
	case noDryRun:
	default:
		return cluster.Options{}, usagef("--dry-run=%s is none of none, server and client", w.dryRun)
	}
	return o, nil
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
	suffixes := map[cluster.DryRun]string{cluster.ByClient: " (dry run)", cluster.ByServer: " (server dry run)"}
	w.print.NamePrintFlags.Operation = w.did + suffixes[cluster.DryRun(w.dryRun)]
	return p.objects(w.output, object)
}
