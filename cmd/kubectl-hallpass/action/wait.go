// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package action

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/show"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/verdict"
)

// Goal is a state of a client that can be waited for.
type Goal struct {
	// Done is the state in words, such as ready, and missing that it is not reached.
	Done, missing string
	// reached reports whether the client is in the state; nil is that there is no client.
	reached func(*v1alpha1.OAuth2Client) bool
}

// Ready is that the manager has handled the last change of the spec, and the client gets tokens.
func Ready() Goal {
	return Goal{"ready", "is not ready", func(c *v1alpha1.OAuth2Client) bool { return c != nil && show.ClientHealth(c) == "Ready" }}
}

// AllGranted is that the client is ready, and has all the scopes that it asks for.
func AllGranted() Goal {
	return Goal{"has all scopes", "has not all scopes", func(c *v1alpha1.OAuth2Client) bool {
		return c != nil && show.ClientHealth(c) == "Ready" && !meta.IsStatusConditionFalse(c.Status.Conditions, v1alpha1.ConditionGrantsComplete)
	}}
}

// Deleted is that there is no such client any more.
func Deleted() Goal {
	return Goal{"deleted", "is not deleted", func(c *v1alpha1.OAuth2Client) bool { return c == nil }}
}

// Await waits until a client is in the state. The error after the time explains what is in the way;
// total is the time that it names.
func (g Goal) Await(ctx context.Context, c *cluster.Client, name string, timeout, total time.Duration) error {
	object, err := c.Get(ctx, cluster.Clients(), name)
	if apierrors.IsNotFound(err) && !cluster.IsMissingKind(err) && g.reached(nil) {
		return nil
	}
	if err != nil {
		return err
	}
	w := waiting{Goal: g, uid: object.GetUID()}
	if err := w.see(watch.Modified, object); err != nil {
		return ignoreFound(err)
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	options := metav1.ListOptions{FieldSelector: "metadata.name=" + name, ResourceVersion: object.GetResourceVersion()}
	err = c.Follow(limited, cluster.Clients(), options, w.see)
	if errors.Is(err, errFound) || err != nil && limited.Err() == nil {
		return ignoreFound(err)
	}
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return w.tooLate(total)
}

// waiting is what was seen of a client that is waited for.
type waiting struct {
	Goal

	uid  types.UID
	last *v1alpha1.OAuth2Client
}

// see returns errFound if the client is in the state, or why it will never be.
func (w *waiting) see(what watch.EventType, object *unstructured.Unstructured) error {
	gone := what == watch.Deleted || object.GetUID() != w.uid
	switch {
	case gone && w.reached(nil):
		return errFound
	case gone:
		return fmt.Errorf("client %q was deleted while it was waited for", object.GetName())
	}
	client, err := cluster.As[v1alpha1.OAuth2Client](object)
	if err != nil {
		return err
	}
	w.last = client
	if w.reached(client) {
		return errFound
	}
	return nil
}

func ignoreFound(err error) error {
	if errors.Is(err, errFound) {
		return nil
	}
	return err
}

// tooLate is the error after the time, with what is in the way.
func (w *waiting) tooLate(after time.Duration) error {
	missing := fmt.Sprintf("client %q %s after %s", w.last.Name, w.missing, after)
	switch v := verdict.OfClient(w.last, verdict.Request{}); {
	case w.reached(nil) && w.last.DeletionTimestamp == nil:
		return fmt.Errorf("%s: it is not being deleted. kubectl hallpass delete client %s --namespace %s", missing, w.last.Name, w.last.Namespace)
	case !v.Allowed:
		return errors.New(missing + ". " + strings.TrimSpace(v.Sentence+" "+v.Do))
	}
	for _, g := range w.last.Status.Grants {
		for _, s := range g.Scopes {
			if v := verdict.OfScope(w.last, g, s); !v.Allowed {
				return errors.New(missing + ". " + strings.TrimSpace(v.Sentence+" "+v.Do))
			}
		}
	}
	return errors.New(missing)
}
