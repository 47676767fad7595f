// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package show_test

import (
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/show"
)

func TestALoginIsDescribedByItsEnd(t *testing.T) {
	at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	for want, login := range map[string]show.Login{
		"user:corp:alice at client shop/cli for https://orders with read, until 2026-11-30T13:00:00Z\n": {
			Person: "user:corp:alice", Namespace: "shop", Client: "cli", Audience: "https://orders", Scope: "read", ExpiresAt: at.Add(time.Hour)},
		"a person at client shop/cli, until 2026-11-30T13:00:00Z and renewed by token\n": {Namespace: "shop", Client: "cli", ExpiresAt: at.Add(time.Hour), Renewed: true},
		"a person at client shop/cli, renewed by token\n":                                {Namespace: "shop", Client: "cli", ExpiresAt: at, Renewed: true},
		"a person at client shop/cli, expired at 2026-11-30T12:00:00Z: log in again\n":   {Namespace: "shop", Client: "cli", ExpiresAt: at},
	} {
		if got := show.DescribeIdentity(show.Identity{User: "alice", Logins: []show.Login{login}}, at); !strings.HasSuffix(got, "\nYou are logged in as\n  "+want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := show.DescribeIdentity(show.Identity{User: "alice"}, at); strings.Contains(got, "logged in") {
		t.Errorf("without a login: %s", got)
	}
}
