// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package action

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/show"
)

// Credentials are the entries of the Secret of a client and of its ConfigMap: one with an Existing
// Secret has both.
func Credentials(ctx context.Context, c *cluster.Client, client *v1alpha1.OAuth2Client) (map[string][]byte, error) {
	secret, config := client.Status.Secret.Name, client.Status.ConfigMap.Name
	if secret == "" && config == "" {
		why := "the manager of Hallpass has not handled it yet; wait some seconds"
		if ready := meta.FindStatusCondition(client.Status.Conditions, v1alpha1.ConditionReady); ready != nil {
			why = ready.Message
		}
		object := "Secret"
		if method := show.Method(client); method == v1alpha1.ByServiceAccount || method == v1alpha1.ByFederatedToken || method == v1alpha1.ByNone {
			object = "ConfigMap"
		}
		return nil, fmt.Errorf("client %q has no %s: %s", client.Name, object, why)
	}
	data := map[string][]byte{}
	if config != "" {
		read, err := cluster.Read[corev1.ConfigMap](ctx, c, cluster.ConfigMaps(), config)
		if err != nil {
			return nil, err
		}
		for name, value := range read.Data {
			data[name] = []byte(value)
		}
	}
	if secret != "" {
		read, err := cluster.Read[corev1.Secret](ctx, c, cluster.Secrets(), secret)
		if err != nil {
			return nil, err
		}
		maps.Copy(data, read.Data)
	}
	return data, nil
}
