// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package action

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/change"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/show"
)

// Rotation replaces the client secret of a client.
type Rotation struct {
	// Now refuses the old secret at once.
	Now bool
	// Timeout is how long to wait for the new secret; zero does not wait.
	Timeout time.Duration
	Options cluster.Options
}

// Rotated is the result of a rotation.
type Rotated struct {
	// Client has the new secret; nil if nothing waited for it, or it was not there in time.
	Client *v1alpha1.OAuth2Client
	// Object is the client as it was written last.
	Object *unstructured.Unstructured
}

// errFound ends a watch that has found its object.
var errFound = errors.New("found")

// Run rotates the secret of a client that is Rotatable. The name of the request is made of now.
func (r Rotation) Run(ctx context.Context, c *cluster.Client, before *v1alpha1.OAuth2Client, now time.Time) (Rotated, error) {
	request := now.UTC().Format(time.RFC3339Nano)
	patch := change.Rotate(request)
	if r.Now {
		patch = change.RotateNow(request)
	}
	changed, err := Merge(ctx, c, cluster.Clients(), before.Name, patch, r.Options)
	if err != nil || r.Options.DryRun != "" || r.Timeout == 0 {
		return Rotated{Object: changed}, err
	}
	rotated, err := r.await(ctx, c, before.Name, request)
	if err == nil && r.Now {
		err = ended(rotated.Client, before, now)
	}
	return rotated, err
}

// ended checks that the secret which was current before is not accepted any more. A manager of an
// older version keeps the overlap.
func ended(after, before *v1alpha1.OAuth2Client, now time.Time) error {
	if len(before.Status.Credentials) == 0 {
		return nil
	}
	former := before.Status.Credentials[0].ID
	for _, accepted := range after.Status.Credentials {
		if accepted.ID == former && accepted.ExpiresAt.After(now) {
			return fmt.Errorf("the secret is replaced, but the old one, %s, is accepted until %s: the manager in the cluster is older than this plugin, and keeps the overlap. "+
				"Suspend the client until then, kubectl hallpass suspend %s --namespace %s, or upgrade Hallpass", former, accepted.ExpiresAt.UTC().Format(time.RFC3339), after.Name, after.Namespace)
		}
	}
	return nil
}

// Rotatable refuses a client whose secret Hallpass does not make.
func Rotatable(c *v1alpha1.OAuth2Client) error {
	switch {
	case show.Method(c) == v1alpha1.ByServiceAccount:
		return fmt.Errorf("client %q has no client secret: its pods send the token of ServiceAccount %q, which Kubernetes replaces by itself", c.Name,
			c.Spec.Authentication.ServiceAccount.Name)
	case show.Method(c) == v1alpha1.ByFederatedToken:
		return fmt.Errorf("client %q has no client secret: it sends a JWT of OAuth2TrustedIssuer %q", c.Name, c.Spec.Authentication.FederatedToken.IssuerName)
	case show.Method(c) == v1alpha1.ByNone:
		return fmt.Errorf("client %q has no client secret: it is public, and authenticates by nothing", c.Name)
	case show.Method(c) == v1alpha1.ByPrivateKeyJWT:
		return fmt.Errorf("client %q has no client secret but a key of its own. Add the new public key to spec.authentication.privateKeyJWT.jwks, "+
			"and remove the old one when nothing signs with it any more", c.Name)
	case c.Spec.Secret.Source == v1alpha1.SecretExisting:
		return fmt.Errorf("another tool writes the Secret of client %q, such as External Secrets. Change the client secret there: Hallpass reads it within seconds", c.Name)
	}
	return nil
}

// await waits until the manager has handled a request.
func (r Rotation) await(ctx context.Context, c *cluster.Client, name, request string) (Rotated, error) {
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	var last v1alpha1.RotationStatus
	var rotated Rotated
	err := c.Follow(ctx, cluster.Clients(), metav1.ListOptions{FieldSelector: "metadata.name=" + name}, func(_ watch.EventType, object *unstructured.Unstructured) error {
		client, err := cluster.As[v1alpha1.OAuth2Client](object)
		if err != nil {
			return err
		}
		if last = client.Status.Rotation; last.HandledRequest != request {
			return nil
		}
		rotated = Rotated{client, object}
		return errFound
	})
	switch {
	case rotated.Client != nil:
		return rotated, nil
	case err != nil:
		return rotated, err
	case last.Reason != "":
		return rotated, fmt.Errorf("the rotation is asked for and waits, reason %s: %s", last.Reason, last.Message)
	}
	return rotated, fmt.Errorf("the rotation is asked for, and was not handled within %s. It follows as soon as the manager of Hallpass can: "+
		"kubectl hallpass describe client %s --namespace %s", r.Timeout, name, c.Namespace)
}
