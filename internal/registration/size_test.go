// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package registration_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// A client that lists as much as it may has room for all its secrets and for the longest rotation
// requests.
func TestARegistrationHasRoomForWhatIsNotListed(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 678_912_345, time.UTC)
	client := oauth2.Client{
		ID: strings.Repeat("i", 255), UID: "00000000-0000-0000-0000-000000000000", Namespace: strings.Repeat("n", 63), Name: strings.Repeat("c", 253),
		Tokens: oauth2.TokenForm{Lifetime: time.Hour},
	}
	for i := range oauth2.MaxVerifiers {
		client.Credentials.Verifiers = append(client.Credentials.Verifiers, oauth2.Verifier{
			ID: fmt.Sprintf("%012d", i), Digest: oauth2.Digest{1}, CreatedAt: now, ExpiresAt: now, Pending: true, WatchedSince: now,
		})
	}
	const longest = 256 // of a rotation request, of which each byte may take six
	rotation := credential.Rotation{
		Handled: strings.Repeat("\x01", longest), Planned: strings.Repeat("\x01", longest), PlannedBy: "000000000000", First: "000000000000",
		Cause: "repaired", Generation: math.MaxInt64,
	}
	client.Scopes = []string{"s"}
	client.Scopes[0] = strings.Repeat("s", 1+registration.MaxListed-registration.Listed(client))
	data, err := registration.Encode(registration.Registration{Client: client, Rotation: rotation})
	if err != nil {
		t.Fatal(err)
	}
	if size := len(data["client.json"]); size > registration.MaxSize || size < registration.MaxSize-1<<10 {
		t.Errorf("%d bytes with all that is not listed, at most %d", size, registration.MaxSize)
	}
}

func TestKeysAndSecretsAreNotListed(t *testing.T) {
	client := full().Client
	with := registration.Listed(client)
	client.Credentials.Verifiers = nil
	if without := registration.Listed(client); with != without {
		t.Errorf("%d bytes with secrets, %d without", with, without)
	}
	client.Scopes = append(client.Scopes, strings.Repeat("s", 100))
	if more := registration.Listed(client); more != with+103 {
		t.Errorf("a scope of 100 letters takes %d bytes", more-with)
	}
}
