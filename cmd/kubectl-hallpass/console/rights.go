// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package console

import (
	"context"
	"sync"
	"time"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/action"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
)

// rightsLife is how long an answer about a right is used again.
const rightsLife = 30 * time.Second

// rights asks the API server what the caller may do. What is not allowed is not offered; the API
// server decides again when it is done.
type rights struct {
	now func() time.Time

	mu    sync.Mutex
	known map[rightKey]known
}

type rightKey struct{ verb, resource, subresource, namespace string }

type known struct {
	allowed bool
	at      time.Time
}

// may reports for each right whether the caller has it. A review that fails counts as no.
func (r *rights) may(ctx context.Context, c *cluster.Client, asked map[string]action.Right) map[string]bool {
	answers := map[string]bool{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for name, right := range asked {
		all.Go(func() {
			allowed := r.one(ctx, c, right)
			mu.Lock()
			defer mu.Unlock()
			answers[name] = allowed
		})
	}
	all.Wait()
	return answers
}

func (r *rights) one(ctx context.Context, c *cluster.Client, right action.Right) bool {
	key := rightKey{right.Verb, right.Kind.GVR.Resource, right.Subresource, right.Namespace}
	r.mu.Lock()
	k, there := r.known[key]
	r.mu.Unlock()
	if there && r.now().Sub(k.at) < rightsLife {
		return k.allowed
	}
	allowed, err := action.May(ctx, c, right)
	if err != nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.known) > 10_000 { // namespaces come and go
		clear(r.known)
	}
	r.known[key] = known{allowed, r.now()}
	return allowed
}

// inNamespace are the rights that the pages about the objects of a namespace offer by their names.
func (s *Server) inNamespace(ctx context.Context, c *cluster.Client) map[string]bool {
	right := func(verb string, kind cluster.Kind) action.Right {
		return action.Right{Verb: verb, Kind: kind, Namespace: c.Namespace}
	}
	may := s.rights.may(ctx, c, map[string]action.Right{
		"create": right("create", cluster.Clients()), "change": right("patch", cluster.Clients()), "delete": right("delete", cluster.Clients()),
		"secret": right("get", cluster.Secrets()), "configMap": right("get", cluster.ConfigMaps()),
		"createToken": right("create", cluster.Tokens()), "deleteToken": right("delete", cluster.Tokens()),
		"createResource": right("create", cluster.Resources()), "deleteResource": right("delete", cluster.Resources()),
		"grant": right("patch", cluster.Resources()), "events": right("list", cluster.Events()),
		"revokeAny": {Verb: "create", Kind: cluster.Revocations(), Namespace: s.Registry},
	})
	may["revoke"] = may["change"] || may["revokeAny"]
	if s.ReadOnly {
		for _, name := range []string{"create", "change", "delete", "createToken", "deleteToken", "createResource", "deleteResource", "grant", "revoke"} {
			may[name] = false
		}
	}
	delete(may, "revokeAny")
	return may
}
