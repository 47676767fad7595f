// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
)

// Follow hands over each object that was added, modified or deleted, until the context ends. A
// watch that the API server ends is begun again where it was.
func (c *Client) Follow(ctx context.Context, kind Kind, options metav1.ListOptions, each func(watch.EventType, *unstructured.Unstructured) error) error {
	options.AllowWatchBookmarks = true // a watch that begins again needs a recent version
	for ctx.Err() == nil {
		watched, err := c.Watch(ctx, kind, options)
		if err != nil {
			return ignoreEnd(ctx, err)
		}
		err = drain(watched, &options, each)
		watched.Stop()
		if err != nil {
			return ignoreEnd(ctx, err)
		}
	}
	return nil
}

func drain(watched watch.Interface, options *metav1.ListOptions, each func(watch.EventType, *unstructured.Unstructured) error) error {
	for event := range watched.ResultChan() {
		object, ok := event.Object.(*unstructured.Unstructured)
		if event.Type == watch.Error || !ok {
			return fmt.Errorf("the API server has ended the watch: %w. Start the command again", apierrors.FromObject(event.Object))
		}
		options.ResourceVersion = object.GetResourceVersion()
		if event.Type == watch.Bookmark {
			continue
		}
		if err := each(event.Type, object); err != nil {
			return err
		}
	}
	return nil
}

// ignoreEnd is nil if the error is only that Ctrl-C was pressed.
func ignoreEnd(ctx context.Context, err error) error {
	if context.Cause(ctx) == nil {
		return err
	}
	return nil
}
