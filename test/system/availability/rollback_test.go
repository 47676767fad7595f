// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package availability_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/revocation"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// beforeGenerations is the last commit whose token servers and manager know no generations of
// grants and no redemptions of codes.
const beforeGenerations = "4afdfd46"

// TestARollbackKeepsGenerations runs the manager and the token server of before on what this
// release has stored of logins: the generations that count, in one object with revoked tokens, and
// redeemed codes. The token server refuses the tokens that are revoked there, and serves other
// clients. The manager merges what is of its own version, and leaves these objects alone, so that
// no refresh token that was replaced counts again after the next upgrade.
func TestARollbackKeepsGenerations(t *testing.T) {
	if testing.Short() {
		t.Skip("it compiles a release of before")
	}
	old := release(t, beforeGenerations)
	const where, each = "rollback", 20
	must(t, hallpass.StopManager())
	must(t, hallpass.StartManager(unbounded(t)))
	must(t, client.IgnoreAlreadyExists(cluster.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: where}})))
	tenant := newTenant(t, where, "machine", teamClaim)
	now := newReplica(t, "v1.0.0")
	now.waitReady(t)
	c := &call{t: t, address: now.address, roots: trusted(t)}
	var revoked []string
	for range each {
		token, err := c.token(tenant)
		must(t, err)
		revoked = append(revoked, token)
	}
	must(t, hallpass.StopManager())
	stop := startOldManager(t, old)
	t.Cleanup(func() {
		stop()
		must(t, hallpass.StartManager(unbounded(t)))
	})

	end := time.Now().Add(time.Hour)
	config, err := plane.ServiceAccountConfig(t.Context(), installation.SystemNamespace, installation.TokenServerAccount)
	must(t, err)
	server, err := installation.Connect(config)
	must(t, err)
	wanted := map[string]v1alpha1.TokenRevocationSpec{}
	for i, token := range revoked {
		batch := revocation.Batch{
			Tokens: []revocation.Entry{revocation.NewEntry(jtiOf(t, token), end)},
			Generations: []revocation.Generation{{
				Grant: revocation.IDOf(fmt.Sprint("grant ", i)), Number: 7, From: revocation.SecondsOf(time.Now()), Until: revocation.SecondsOf(end),
			}},
		}
		tokens, assertions, origins, until := batch.Encode()
		object := v1alpha1.NewTokenRevocation(installation.RegistryNamespace, fmt.Sprintf("rollback-new-%d", i), v1alpha1.NewRevocationBatch(tokens, assertions, origins, until))
		object.SetGenerations(batch.EncodeGenerations(), revocation.Version, revocation.OldestReader)
		redeemed := v1alpha1.NewRedemption(installation.RegistryNamespace, fmt.Sprintf("redeemed-rollback%d", i), v1alpha1.CodeRedemption{
			ClientID: tenant.ID, Namespace: where, GrantID: strings.Repeat("g", 22), Attempt: fmt.Sprint("attempt-", i), ExpiresAt: new(metav1.NewTime(end)),
		}, v1alpha1.RecordForm{Version: revocation.Version, MinReader: revocation.OldestReader})
		for _, o := range []*v1alpha1.TokenRevocation{object, redeemed} {
			must(t, server.Create(t.Context(), o))
			wanted[o.Name] = o.Spec
			t.Cleanup(func() { must(t, client.IgnoreNotFound(cluster.Delete(unbounded(t), o))) })
		}
		plain := revocation.Batch{Tokens: []revocation.Entry{revocation.NewEntry(revocation.IDOf(fmt.Sprint("plain ", i)), end)}}
		tokens, assertions, origins, until = plain.Encode()
		must(t, server.Create(t.Context(), v1alpha1.NewTokenRevocation(installation.RegistryNamespace, fmt.Sprintf("rollback-old-%d", i),
			v1alpha1.NewRevocationBatch(tokens, assertions, origins, until))))
	}
	unchanged := func() bool {
		var all v1alpha1.TokenRevocationList
		must(t, cluster.List(t.Context(), &all, client.InNamespace(installation.RegistryNamespace)))
		plain, found := 0, 0
		for i := range all.Items {
			o := &all.Items[i]
			if strings.HasPrefix(o.Name, "rollback-old-") {
				plain++
			}
			spec, ours := wanted[o.Name]
			if !ours {
				continue
			}
			found++
			if o.Spec.Batch.Generations != spec.Batch.Generations || o.Spec.Redemption.Attempt != spec.Redemption.Attempt || o.Spec.Version != spec.Version {
				t.Fatalf("%s was changed to %+v", o.Name, o.Spec)
			}
		}
		if found != len(wanted) {
			t.Fatalf("%d of %d objects of this release are left", found, len(wanted))
		}
		return plain == 0
	}
	eventually(t, "the manager of before merges what is of its own version", unchanged)

	before := newReplica(t, "v1.0.0", func(r *replica) { r.program = filepath.Join(old, "tokenserver") })
	before.waitReady(t)
	c = &call{t: t, address: before.address, roots: trusted(t)}
	token, err := c.token(tenant)
	must(t, err)
	must(t, c.introspect(tenant, token))
	for _, token := range revoked {
		if err := c.introspect(tenant, token); !errors.Is(err, errInactive) {
			t.Fatalf("the token server of before, about a token that is revoked beside generations: %v", err)
		}
	}
	unchanged()
}

// jtiOf is the id of a token in revocations.
func jtiOf(t *testing.T, token string) revocation.ID {
	t.Helper()
	var claims struct {
		ID string `json:"jti"`
	}
	must(t, json.Unmarshal([]byte(payloadText(token)), &claims))
	return revocation.IDOf(claims.ID)
}
