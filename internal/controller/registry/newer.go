// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"sync"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/hallpass-dev/hallpass/internal/registration"
)

// newer has the names of the records that a newer version wrote. There are at most as many as
// records.
type newer struct {
	mu    sync.Mutex
	names map[string]struct{}
}

// note notes a record as it is now, and reports whether a newer version wrote it. The first one is
// logged: after a rollback there may be as many as clients.
func (n *newer) note(ctx context.Context, stored *corev1.Secret) bool {
	reason := registration.CheckWrite(stored.Data)
	n.mu.Lock()
	defer n.mu.Unlock()
	if reason == nil {
		delete(n.names, stored.Name)
		return false
	}
	if len(n.names) == 0 {
		n.names = map[string]struct{}{}
		ctrl.LoggerFrom(ctx).Info("a newer version wrote records of the registry: they stay as they are until a manager of that version runs",
			"record", stored.Name, "reason", reason.Error())
	}
	n.names[stored.Name] = struct{}{}
	return true
}

func (n *newer) forget(_ context.Context, e event.DeleteEvent, _ queue) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.names, e.Object.GetName())
}

func (n *newer) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.names)
}
