// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/attempt"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/controller/packed"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// DeclaredCache is a cache of the Secrets that carry the label which lets them be read, and of no
// others. One cache cannot select by type and by label at once, so it is one of its own. It is of
// all namespaces unless some are named. Of a Secret that no client names it keeps the name alone.
func DeclaredCache(mgr ctrl.Manager, informers *packed.Informers, namespaces []string) (cache.Cache, error) {
	return output.SecretCache(mgr, informers, cache.ByObject{
		Label: labels.SelectorFromSet(labels.Set{v1alpha1.LabelCredentials: "true"}), Transform: trimDeclared(func(secret types.NamespacedName) bool {
			informers.Await(&v1alpha1.OAuth2Client{})
			named, err := informers.Indexed(&v1alpha1.OAuth2Client{}, indexByDeclared, secret.Namespace, secret.Name)
			return err != nil || len(named) > 0
		}).Transform,
	}, namespaces)
}

// trimDeclared is what is kept of the Secrets that carry the label.
func trimDeclared(named func(secret types.NamespacedName) bool) output.Trim {
	return output.Trim{Value: oauth2.CutDeclaredSecret, Used: named}
}

// declaredFor is how long a Secret is remembered that was read from the API server.
const declaredFor = 24 * time.Hour

// declaredReader reads Secrets from a cache, and from the API server those of which the cache has
// the name alone: they are older than the client that names them. It remembers what it read until
// the cache has another version.
type declaredReader struct {
	client.Reader

	live   client.Reader
	memory *attempt.Proposals[*corev1.Secret]
	clock  clock.PassiveClock
}

// Get implements client.Reader.
func (d declaredReader) Get(ctx context.Context, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
	if err := d.Reader.Get(ctx, key, o, options...); err != nil {
		return err //nolint:wrapcheck // callers wrap it
	}
	secret, ok := o.(*corev1.Secret)
	if !ok || !output.Reduced(secret) {
		return nil
	}
	if read, there := d.memory.Get(secret.UID, d.clock.Now()); there && read.ResourceVersion == secret.ResourceVersion {
		read.DeepCopyInto(secret)
		return nil
	}
	*secret = corev1.Secret{}
	if err := d.live.Get(ctx, key, secret, options...); err != nil {
		return err //nolint:wrapcheck // callers wrap it
	}
	trimmed, err := trimDeclared(nil).Transform(secret.DeepCopy())
	if kept, ok := trimmed.(*corev1.Secret); ok && err == nil && !output.Reduced(kept) {
		d.memory.Put(secret, kept, d.clock.Now().Add(declaredFor))
	}
	return nil
}
