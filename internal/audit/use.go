// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// noteUse reports the use of the client that called, and of the one whose token was presented.
func (a *Auditor) noteUse(r *Record, now time.Time) {
	used := &r.Trail.Used
	if used.Caller != "" {
		use := oauth2.Use{
			Subject: used.Caller, At: now, Credential: used.Secret, Issued: r.Endpoint == Token && r.Reason == "", Source: r.caller(),
		}
		if used.Replaced {
			use.Stale = oauth2.PreviousSecretUsed
		}
		a.note(use)
	}
	if used.TokenOf == "" {
		return
	}
	denial := r.Trail.Denial
	if denial == "" {
		denial = r.Reason
	}
	use := oauth2.Use{Subject: used.TokenOf, At: now, Presented: denial == "", Stale: denial.StaleUse(), Source: r.caller()}
	if used.Token != "" { // the OAuth2Token has the events about stale uses
		if use.Presented {
			a.note(use)
		}
		use.Subject = used.Token
	}
	a.note(use)
}

func (a *Auditor) note(use oauth2.Use) {
	if use.Stale != "" {
		a.Metrics.stale(use.Stale)
	}
	if a.Usage != nil {
		a.Usage.Note(use)
	}
}

// caller is the address that something was used from, or "" where only a proxy's is known.
func (r *Record) caller() string {
	switch {
	case r.ForwardedFor != "":
		return r.ForwardedFor
	case r.Endpoint == ForwardAuth, r.Endpoint == ExtAuthz:
		return ""
	}
	return r.Source
}
