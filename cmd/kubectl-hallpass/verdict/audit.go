// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Decision is an audit line of a token server, as far as a verdict needs it.
type Decision struct {
	Message         string    `json:"msg"`
	Time            time.Time `json:"time"`
	RequestID       string    `json:"request_id"`
	CallerRequestID string    `json:"caller_request_id"`
	Endpoint        string    `json:"endpoint"`
	Outcome         string    `json:"outcome"`
	Status          int       `json:"status"`
	Source          string    `json:"source"`
	Reason          string    `json:"reason"`
	TokenDenial     string    `json:"token_denial"`
	ClientID        string    `json:"client_id"`
	RequiredScope   string    `json:"required_scope"`
	Repeated        int       `json:"repeated"`
}

// maxLine bounds a line of a log.
const maxLine = 1 << 20

// FindDecision finds the audit line of a request in a log, by its own id or that of the caller; nil
// if it has none.
func FindDecision(log io.Reader, requestID string) (*Decision, error) {
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		// most lines are of other requests
		if !bytes.Contains(lines.Bytes(), []byte(requestID)) {
			continue
		}
		var d Decision
		if err := json.Unmarshal(lines.Bytes(), &d); err != nil {
			continue // a line of a library
		}
		if d.Message == "decision" && (d.RequestID == requestID || d.CallerRequestID == requestID) {
			return &d, nil
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read a log: %w", err)
	}
	return nil, nil //nolint:nilnil // no line is an answer
}

// OfDecision explains an audit line.
func OfDecision(d Decision) Verdict {
	who := ""
	if d.ClientID != "" {
		who = " of client " + d.ClientID
	}
	if d.Source != "" {
		who += " from " + d.Source
	}
	what := fmt.Sprintf("The request%s to the endpoint %s at %s was %s with status %d.", who, d.Endpoint, instant(d.Time), d.Outcome, d.Status)
	if d.Repeated > 1 {
		what += fmt.Sprintf(" The line stands for %d refusals of that second.", d.Repeated)
	}
	switch {
	case d.Reason != "":
		return Verdict{Reason: d.Reason, Sentence: what, Do: advice(d.Reason, d.RequiredScope)}
	case d.TokenDenial != "":
		return Verdict{Reason: d.TokenDenial, Sentence: what + " The token that it was about is not active.", Do: advice(d.TokenDenial, "")}
	}
	return Verdict{Allowed: true, Sentence: what}
}

// advice is what to do about a reason.
func advice(reason, subject string) string {
	// no client is known, so no status has it
	if reason == string(oauth2.ReasonClientIDNeeded) {
		return "Send the client_id of the OAuth2Client in the request, beside the assertion."
	}
	if known := v1alpha1.RefusalMessage(reason, subject, ""); !strings.HasPrefix(known, "docs/") {
		return known
	}
	return "docs/audit.md has under Reasons what to do about " + reason + "."
}
