// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"context"
	"errors"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
)

// A client that authenticates by its service account has nothing to hide: what it needs to know is in a ConfigMap, under the name
// that a Secret would have. Of the ConfigMaps of the users none is read or written but those that carry our label.
//
// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;list;watch;create;update;delete

// byServiceAccount reports whether the client has a ConfigMap and no Secret.
func byServiceAccount(c *v1alpha1.OAuth2Client) bool {
	return c.Spec.Authentication.Method == v1alpha1.ByServiceAccount
}

// findConfigMap reads the client's ConfigMap from the cache, which holds those with our label alone.
func (r *Reconciler) findConfigMap(ctx context.Context, c *v1alpha1.OAuth2Client, w *world) error {
	return r.readConfigMap(ctx, r.Client, c, w)
}

func (r *Reconciler) readConfigMap(ctx context.Context, from client.Reader, c *v1alpha1.OAuth2Client, w *world) error {
	w.configMap = nil
	var found corev1.ConfigMap
	err := from.Get(ctx, types.NamespacedName{Namespace: c.Namespace, Name: secretName(c)}, &found)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read ConfigMap %s/%s: %w", c.Namespace, secretName(c), err)
	}
	ours, err := r.ownsConfigMap(ctx, c, &found)
	if err != nil {
		return err
	}
	if !ours {
		w.condition = new(v1alpha1.ConfigMapConflict(found.Name))
		return nil
	}
	w.configMap = &found
	return nil
}

// ownsConfigMap decides whether a ConfigMap is this client's as owns does of Secrets. A ConfigMap has no type: in its place are
// our label, or the client's own owner reference where somebody took the label away.
func (r *Reconciler) ownsConfigMap(ctx context.Context, c *v1alpha1.OAuth2Client, found *corev1.ConfigMap) (bool, error) {
	marked := found.Labels[v1alpha1.LabelClientConfig] == "true"
	for _, owner := range found.OwnerReferences {
		marked = marked || owner.UID == c.UID
	}
	if !marked {
		return false, nil
	}
	return ownerOf(c).Owns(ctx, r.Live, found)
}

// checkConfigMap looks at what is there now, before one is created: the cache sees no ConfigMaps of others.
func (r *Reconciler) checkConfigMap(ctx context.Context, c *v1alpha1.OAuth2Client, w *world) error {
	if w.configMap != nil {
		return nil
	}
	if err := r.checkAlive(ctx, c); err != nil {
		return err
	}
	return r.readConfigMap(ctx, r.Live, c, w)
}

// applyConfigMap writes the ConfigMap if it differs, on the version that was read. Labels and annotations that others put there
// stay.
func (r *Reconciler) applyConfigMap(ctx context.Context, c *v1alpha1.OAuth2Client, w *world) error {
	wanted := r.renderConfigMap(c, w)
	if w.configMap != nil && sameConfigMap(w.configMap, wanted) {
		return nil
	}
	err := output.WriteConfigMap(ctx, r.Client, w.configMap, wanted)
	if err == nil || errors.Is(err, output.ErrAltered) {
		w.configMap = wanted
	}
	return err
}

// renderConfigMap is the ConfigMap as it should be; checkTemplates has said that it can be.
func (r *Reconciler) renderConfigMap(c *v1alpha1.OAuth2Client, w *world) *corev1.ConfigMap {
	rendered, _ := r.renderData(c, w)
	data := make(map[string]string, len(rendered))
	for entry, value := range rendered {
		data[entry] = string(value)
	}
	configMap := &corev1.ConfigMap{ObjectMeta: outputMeta(c), Data: data}
	configMap.Labels[v1alpha1.LabelClientConfig] = "true"
	return configMap
}

func sameConfigMap(stored, wanted *corev1.ConfigMap) bool {
	return maps.Equal(stored.Data, wanted.Data) && len(stored.BinaryData) == 0 &&
		output.SameMeta(stored, wanted) && output.SameOwners(stored, wanted)
}

// removeFormerConfigMaps removes the client's ConfigMaps under names that it does not use any more, and every one of a client that
// has a Secret by now.
func (r *Reconciler) removeFormerConfigMaps(ctx context.Context, c *v1alpha1.OAuth2Client) error {
	var cached corev1.ConfigMapList
	if err := r.Client.List(ctx, &cached, client.InNamespace(c.Namespace), client.MatchingFields{indexByClient: c.Name}); err != nil {
		return fmt.Errorf("list the ConfigMaps of OAuth2Client %s/%s: %w", c.Namespace, c.Name, err)
	}
	for i := range cached.Items {
		if byServiceAccount(c) && cached.Items[i].Name == secretName(c) {
			continue
		}
		var found corev1.ConfigMap
		err := r.Live.Get(ctx, client.ObjectKeyFromObject(&cached.Items[i]), &found)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read ConfigMap %s/%s: %w", c.Namespace, cached.Items[i].Name, err)
		}
		ours, err := r.ownsConfigMap(ctx, c, &found)
		if err != nil {
			return err
		}
		if !ours {
			continue
		}
		err = r.Client.Delete(ctx, &found, client.Preconditions{UID: &found.UID, ResourceVersion: &found.ResourceVersion})
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("remove ConfigMap %s/%s, which is not used any more: %w", found.Namespace, found.Name, err)
		}
	}
	return nil
}
