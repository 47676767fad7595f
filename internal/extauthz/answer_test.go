// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package extauthz

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

func TestTheMetadataOfAnExchangedToken(t *testing.T) {
	claims := &oauth2.Claims{Subject: "shop.web", ClientID: "orders.api", Actors: []string{"orders.api", "edge.gateway"}}
	fields := metadata(auth.Verdict{Claims: claims, Client: &oauth2.Client{Namespace: "orders"}}).AsMap()
	got := map[string]any{"sub": fields["sub"], "sub_type": fields["sub_type"], "client_id": fields["client_id"], "act": fields["act"]}
	want := map[string]any{
		"sub": "shop.web", "sub_type": "client", "client_id": "orders.api",
		"act": map[string]any{"sub": "orders.api", "act": map[string]any{"sub": "edge.gateway"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
