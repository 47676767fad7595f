// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"time"

	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// recordOf is what a registration has of the client's secrets.
func recordOf(r registration.Registration) credential.Record {
	return credential.Record{Verifiers: r.Client.Verifiers, Rotation: r.Rotation}
}

func with(r registration.Registration, record credential.Record) registration.Registration {
	r.Client.Verifiers, r.Rotation = record.Verifiers, record.Rotation
	return r
}

func settle(r registration.Registration, value oauth2.Secret, p credential.Policy, now time.Time) (registration.Registration, bool) {
	record, found := credential.Settle(recordOf(r), value, p, now)
	return with(r, record), found
}

func propose(r registration.Registration, secret oauth2.Credential, p credential.Policy, now time.Time) registration.Registration {
	return with(r, credential.Propose(recordOf(r), secret, p, now))
}
