// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"
	"io"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
)

// listPrinter prints the objects of a kind: in a table, or as a format for machines.
type listPrinter[T any] struct {
	out     io.Writer
	now     func() time.Time
	listed  listed[T]
	options *listing
	printer printers.ResourcePrinter
}

func newPrinter[T any](p getCommand, l listed[T], o *listing) (listPrinter[T], error) {
	printer := listPrinter[T]{out: p.Out, now: p.Now, listed: l, options: o}
	if o.forPeople() {
		printer.printer = o.table(o.all && !l.kind.Clusterwide)
		return printer, nil
	}
	var err error
	printer.printer, err = o.printer()
	return printer, err
}

// print prints objects, which are also there as their type. A watch prints each by itself, as
// kubectl does, and one that was named is no list.
func (p listPrinter[T]) print(objects []unstructured.Unstructured, typed []T, one bool) error {
	var all []runtime.Object
	switch {
	case p.options.forPeople():
		all = []runtime.Object{p.listed.table(typed, p.now())}
	case one || p.options.watch:
		for i := range objects {
			all = append(all, &objects[i])
		}
	default:
		all = []runtime.Object{list(p.listed.kind, objects)}
	}
	for _, object := range all {
		if err := p.printer.PrintObj(object, p.out); err != nil {
			return fmt.Errorf("print: %w", err)
		}
	}
	return nil
}

// watchAll prints each change from a list on.
func watchAll[T any](ctx context.Context, c *cluster.Client, printer listPrinter[T], from *unstructured.UnstructuredList, args []string) error {
	options := metav1.ListOptions{LabelSelector: printer.options.selector, ResourceVersion: from.GetResourceVersion()}
	if len(args) == 1 {
		options.FieldSelector = "metadata.name=" + args[0]
	}
	return c.Follow(ctx, printer.listed.kind, options, func(_ watch.EventType, object *unstructured.Unstructured) error {
		typed, err := cluster.As[T](object)
		if err != nil {
			return err
		}
		return printer.print([]unstructured.Unstructured{*object}, []T{*typed}, true)
	})
}
