// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// sources are the Go files of a package that are not tests.
func sources(t *testing.T, pkg string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, pkg, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

func firstGroups(expression, text string) []string {
	var groups []string
	for _, match := range regexp.MustCompile(expression).FindAllStringSubmatch(text, -1) {
		groups = append(groups, match[1])
	}
	return groups
}

// TestEachAuditLineIsExplained: a page has the message of each line that the manager writes about a
// change of credentials or keys.
func TestEachAuditLineIsExplained(t *testing.T) {
	dirs, err := filepath.Glob(filepath.Join(root, "internal/controller/*"))
	if err != nil {
		t.Fatal(err)
	}
	var messages []string
	for _, dir := range dirs {
		messages = append(messages, firstGroups(`(?:Audit|audit)\.Info\("([^"]+)"`, sources(t, strings.TrimPrefix(dir, root)))...)
	}
	if len(messages) < 5 {
		t.Fatalf("%q; does this test still find all?", messages)
	}
	page := read(t, "docs/audit.md")
	for _, message := range messages {
		if !strings.Contains(page, `"msg":"`+message+`"`) {
			t.Errorf("docs/audit.md does not explain lines of %q", message)
		}
	}
}

// Every reason is explained with what to do, no reason is explained that does not exist, and those
// that are listed as reasons of conditions are.
func TestEveryReasonIsExplained(t *testing.T) {
	page := read(t, "docs/audit.md")
	_, table, _ := strings.Cut(page, "## Reasons")
	var documented, inConditions []string
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) != 6 {
			continue
		}
		for _, reason := range firstGroups("`([A-Z][A-Za-z]+)`", cells[1]) {
			documented = append(documented, reason)
			if strings.TrimSpace(cells[4]) == "yes" {
				inConditions = append(inConditions, reason)
			}
			if len(strings.TrimSpace(cells[3])) < 10 {
				t.Errorf("docs/audit.md does not say what to do about %s", reason)
			}
		}
	}
	reasons := firstGroups(`[rR]eason\w+\s+(?:oauth2[.])?Reason = "(\w+)"`, sources(t, "internal/oauth2")+sources(t, "internal/auth")+sources(t, "internal/audit")+sources(t, "internal/tokenserver"))
	conditions := firstGroups(`Reason\w+ = "(\w+)"`, sources(t, "api/v1alpha1"))
	if len(reasons) < 30 || len(conditions) < 10 {
		t.Fatalf("%d reasons and %d of conditions; does this test still read them right?", len(reasons), len(conditions))
	}
	for _, reason := range reasons {
		if !slices.Contains(documented, reason) {
			t.Errorf("docs/audit.md does not explain %s", reason)
		}
		if slices.Contains(conditions, reason) != slices.Contains(inConditions, reason) {
			t.Errorf("docs/audit.md is wrong about whether %s stands in conditions", reason)
		}
	}
	for _, reason := range documented {
		if !slices.Contains(reasons, reason) {
			t.Errorf("docs/audit.md explains %s, which there is not", reason)
		}
	}
}

// The fields of the audit line are those of the page.
func TestEveryAuditFieldIsExplained(t *testing.T) {
	page := read(t, "docs/audit.md")
	source := read(t, "internal/audit/record.go")
	fields := append(firstGroups(`\{"(\w+)", `, source), firstGroups(`[.](?:Text|Number|Time)\("(\w+)"`, source)...)
	fields = append(fields, firstGroups(`"(change|kid|alg|at)", `, read(t, "internal/controller/signingkeys/controller.go"))...)
	if len(fields) < 20 {
		t.Fatalf("only %d fields were found; does this test still read them right?", len(fields))
	}
	for _, field := range fields {
		if !strings.Contains(page, "`"+field+"`") {
			t.Errorf("docs/audit.md does not explain the field %s", field)
		}
	}
}

// The words of events about stale uses, and every metric that a page asks Prometheus for.
func TestEveryStaleUseAndEveryMetricOfAPageExists(t *testing.T) {
	page := read(t, "docs/find-unused-clients.md")
	uses := firstGroups(`StaleUse = "(\w+)"`, sources(t, "internal/oauth2"))
	if len(uses) < 3 {
		t.Fatalf("%d stale uses; does this test still read them right?", len(uses))
	}
	for _, use := range uses {
		if !strings.Contains(page, "| `"+use+"` |") {
			t.Errorf("docs/find-unused-clients.md does not explain %s", use)
		}
	}
	var named []string
	for _, query := range firstGroups("(?s)```promql\n(.*?)```", page) {
		named = append(named, firstGroups(`\b(hallpass_\w+)`, query)...)
	}
	metrics := firstGroups(`"(hallpass_\w+)"`,
		sources(t, "internal/audit")+sources(t, "internal/controller/inventory")+sources(t, "internal/controller/usagereport")+sources(t, "internal/reporter"))
	if len(named) < 3 {
		t.Fatalf("the page names %v; does this test still read it right?", named)
	}
	for _, metric := range named {
		if !slices.Contains(metrics, metric) {
			t.Errorf("docs/find-unused-clients.md asks for %s, which there is not", metric)
		}
	}
}

// ofNoClient are the reasons for which nothing is reported to the owner of a client: the request
// names no client, it may succeed later, or it is about a token that was presented, or the person.
var ofNoClient = regexp.MustCompile(`^(Token|Owner|NoCredentials|SeveralAuthenticationMethods|ClientCertificateRequired|MalformedCredential|UnknownClient|` +
	`PeopleNotServed|ClientIDNeeded|TicketRefused|Person|Provider|WrongIDToken|IDToken|GroupsNotInToken|GrantNotDurable|NoSealingKey|` +
	`NoSigningKey|SigningAlgorithmNotReady|RevocationNotDurable|NotForCaller|WrongAudience|InsufficientScope|RequirementMalformed|IdentityTooLarge|UseUnreported|` +
	`LookupUnavailable|DirectoryStale|Throttled|Overloaded|InternalError)`)

// Every reason that the owner of a client can read in its status has a message of its own.
func TestEveryRefusalOfAClientSaysWhatToDo(t *testing.T) {
	reasons := firstGroups(`[rR]eason\w+\s+(?:oauth2[.])?Reason = "(\w+)"`, sources(t, "internal/oauth2")+sources(t, "internal/auth")+sources(t, "internal/tokenserver"))
	other, told := v1alpha1.RefusalMessage("", "", ""), 0
	for _, reason := range reasons {
		message := v1alpha1.RefusalMessage(reason, "", "")
		switch {
		case message != other:
			told++
		case !ofNoClient.MatchString(reason):
			t.Errorf("%s has no message in v1alpha1.RefusalMessage", reason)
		}
	}
	if told < 20 {
		t.Errorf("%d reasons have a message", told)
	}
}
