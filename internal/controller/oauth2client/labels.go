// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"context"
	"fmt"
	"maps"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
)

// seeLabels reads live those labels of a client that are registered and that the cache dropped: the
// client was registered before registrations had a bound, or got more labels since. It keeps the
// consents that select labels which it still has. Other clients are not read for their labels.
func seeLabels(live client.Reader) func(context.Context, *v1alpha1.OAuth2Client, seen) (seen, error) {
	return func(ctx context.Context, c *v1alpha1.OAuth2Client, s seen) (seen, error) {
		s.labels = c.Labels
		if !s.held || !output.LabelsAreCut(c) {
			return s, nil
		}
		missing := maps.Clone(s.registered.Client.Labels)
		maps.DeleteFunc(missing, func(key, _ string) bool { _, cached := c.Labels[key]; return cached })
		if len(missing) == 0 {
			return s, nil
		}
		stored := &v1alpha1.OAuth2Client{}
		if err := live.Get(ctx, client.ObjectKeyFromObject(c), stored); err != nil {
			if apierrors.IsNotFound(err) {
				return s, nil // its event is coming
			}
			return s, fmt.Errorf("read the labels of OAuth2Client %s/%s: %w", c.Namespace, c.Name, err)
		}
		if stored.UID != c.UID {
			return s, nil
		}
		s.labels = maps.Clone(c.Labels)
		for key, value := range missing {
			if stored.Labels[key] == value {
				s.labels[key] = value
			}
		}
		return s, nil
	}
}
