// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/internal/controller/attempt"
	"github.com/hallpass-dev/hallpass/internal/controller/fair"
	"github.com/hallpass-dev/hallpass/internal/controller/oauth2resource"
	"github.com/hallpass-dev/hallpass/internal/controller/poll"
	"github.com/hallpass-dev/hallpass/internal/controller/publish"
	"github.com/hallpass-dev/hallpass/internal/controller/trustedissuer"
	"github.com/hallpass-dev/hallpass/test/kit/conditions"
)

// pauses are the longest that the manager waits by itself before it notices what ended a condition:
// soon, and after the condition has lasted for minutes. What is left of the time in the table is
// for the API server.
func pauses(row conditions.Row) (soon, later time.Duration) {
	switch {
	case strings.Contains(row.NoticedBy, "asking by name"):
		return poll.Often, poll.Seldom
	case strings.HasPrefix(row.NoticedBy, "a retry") && row.Kind == "OAuth2TrustedIssuer" && row.Reason != "WriteRefused" && row.Reason != "Progressing":
		return trustedissuer.LastRetry, 0
	case strings.HasPrefix(row.NoticedBy, "a retry"):
		return attempt.LastPause, 0
	case strings.HasSuffix(row.NoticedBy, "and a check"):
		return oauth2resource.HeldAgain, 0
	case row.NoticedBy == "a count of the records":
		return publish.Gather, 0
	case strings.HasPrefix(row.Reason, "TooMany") && row.Reason != "TooManyRevocations":
		return fair.Gather, 0
	}
	return 0, 0
}

// TestAConditionEndsWithinTheTimeOfItsRow, as far as the manager's own pauses decide. That nothing
// else holds it up, e2e.TestEachWaitHasAWake tests.
func TestAConditionEndsWithinTheTimeOfItsRow(t *testing.T) {
	rows, err := conditions.Table(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		soon, later := pauses(row)
		longest := row.Longest()
		switch {
		case strings.HasPrefix(row.NoticedBy, "a start"):
			if row.Within != "the start" {
				t.Errorf("%s: noticed by a start within %q", row.Name(), row.Within)
			}
		case row.Reason == "RepairDoesNotHold": // its message has the time
			if longest != 0 {
				t.Errorf("%s: within %q, which is not what its message has", row.Name(), row.Within)
			}
		case soon >= time.Second && longest != soon, later != row.Later():
			t.Errorf("%s: within %q, but the manager waits for %s, and later for %s", row.Name(), row.Within, soon, later)
		case soon < time.Second && (longest <= soon || longest > 2*time.Second):
			t.Errorf("%s: within %q, but the manager waits for %s", row.Name(), row.Within, soon)
		case 0 < soon && soon < time.Second && longest < 2*time.Second:
			t.Errorf("%s: within %q, which leaves the API server %s", row.Name(), row.Within, longest-soon)
		}
		// only that which no watch includes is asked for by name
		asked := poll.Expected("x", &metav1.Condition{Reason: row.Reason}) != poll.Object{}
		if named := strings.Contains(row.NoticedBy, "asking by name") || row.Reason == "SecretNotLabelled"; asked != named && row.Kind != "OAuth2Resource" {
			t.Errorf("%s: noticed by %q; asked for by name: %t", row.Name(), row.NoticedBy, asked)
		}
	}
}

func TestThePageHasTheIntervalsOfTheRequestsByName(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(root, "docs", "conditions.md"))
	if err != nil {
		t.Fatal(err)
	}
	if poll.OftenFor != 10*time.Minute || poll.Seldom != time.Minute {
		t.Error("correct this test, and the words of the page")
	}
	for _, part := range []string{
		fmt.Sprintf("every %d seconds for ten minutes after the condition appears, or after a start of the manager, and every minute after that", poll.Often/time.Second),
		fmt.Sprintf("at most %d requests a second", poll.PerSecond),
		fmt.Sprintf("waits %d milliseconds longer for each namespace with waiting objects", time.Second/poll.PerSecond/time.Millisecond),
		fmt.Sprintf("after a pause that grows to %d seconds", attempt.LastPause/time.Second),
	} {
		if !strings.Contains(string(content), part) {
			t.Errorf("docs/conditions.md does not have: %s", part)
		}
	}
}
