// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package show

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// page is a description: sections with a heading, and pairs or sentences in them.
type page struct{ text strings.Builder }

// heading begins a section.
func (p *page) heading(format string, args ...any) {
	if p.text.Len() > 0 {
		p.text.WriteByte('\n')
	}
	p.line(0, format, args...)
}

// say prints a sentence into the section.
func (p *page) say(format string, args ...any) { p.line(1, format, args...) }

// next writes what to do about the sentence before.
func (p *page) next(do string) {
	if do != "" {
		p.line(2, "-> %s", do)
	}
}

func (p *page) line(depth int, format string, args ...any) {
	p.text.WriteString(strings.Repeat("  ", depth) + Plain(fmt.Sprintf(format, args...)) + "\n")
}

// pairs writes names and values in two columns. A pair without a value is left out.
func (p *page) pairs(all ...[2]string) {
	w := tabwriter.NewWriter(&p.text, 0, 8, 2, ' ', 0)
	for _, pair := range all {
		if pair[1] == "" {
			continue
		}
		lines := strings.Split(Plain(pair[1]), "\n")
		_, _ = fmt.Fprintf(w, "  %s\t%s\n", pair[0], lines[0])
		for _, line := range lines[1:] {
			_, _ = fmt.Fprintf(w, "  \t%s\n", line)
		}
	}
	_ = w.Flush() // it writes into memory
}

func (p *page) String() string { return p.text.String() }

// Line is a sentence, and what to do about it.
type Line struct {
	Text string `json:"text"`
	// Next is empty if there is nothing to do.
	Next string `json:"next,omitempty"`
}

// conditions writes the meaning of the conditions.
func (p *page) conditions(deleting bool, generation, observed int64, all []metav1.Condition) {
	p.lines(Conditions(deleting, generation, observed, all))
}

// lines writes sentences with what to do about each.
func (p *page) lines(all []Line) {
	for _, line := range all {
		p.say("%s", line.Text)
		p.next(line.Next)
	}
}

// Conditions is the meaning of the conditions of an object: whether it is ready, and what is wrong.
func Conditions(deleting bool, generation, observed int64, all []metav1.Condition) []Line {
	if deleting {
		return []Line{{Text: "It is being deleted."}}
	}
	ready := meta.FindStatusCondition(all, v1alpha1.ConditionReady)
	if ready == nil {
		return []Line{{
			"The manager of Hallpass has not handled it yet.",
			"wait some seconds; if that does not end, ask the administrator of Hallpass whether the manager runs",
		}}
	}
	lines := []Line{{Text: fmt.Sprintf("It is not ready, reason %s. %s", ready.Reason, ready.Message)}}
	if ready.Status == metav1.ConditionTrue {
		lines[0].Text = "It is ready. " + ready.Message
	}
	if observed < generation {
		lines = append(lines, Line{Text: "The manager has not handled the last change of its spec yet."})
	}
	for _, c := range all {
		switch c.Type {
		case v1alpha1.ConditionReady, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled:
			// the last two repeat the first
		default:
			if wrong(c) && c.Message != ready.Message {
				lines = append(lines, Line{Text: fmt.Sprintf("%s is %s, reason %s. %s", c.Type, c.Status, c.Reason, c.Message)})
			}
		}
	}
	return lines
}

// wrong reports whether a condition reports an error: some do by False, others by True.
func wrong(c metav1.Condition) bool {
	switch c.Type {
	case v1alpha1.ConditionGrantsComplete, v1alpha1.ConditionKeysComplete, v1alpha1.ConditionWithinLimits, v1alpha1.ConditionKeysFresh:
		return c.Status == metav1.ConditionFalse
	}
	return c.Status == metav1.ConditionTrue
}

// staleUses writes uses of what has expired, was revoked or was replaced.
func (p *page) staleUses(all []v1alpha1.StaleUseStatus, now time.Time) {
	for _, use := range all {
		p.say("%s, last %s.", StaleUse(use), since(use.LastUsedAt, now))
	}
}

// StaleUse is a use of what has expired, was revoked or was replaced, without its time.
func StaleUse(use v1alpha1.StaleUseStatus) string {
	what := map[v1alpha1.StaleUseReason]string{
		"ExpiredTokenUsed": "An expired token was used, and refused", "RevokedTokenUsed": "A revoked token was used, and refused",
		"PreviousSecretUsed": "A replaced secret was used, and accepted",
	}[use.Reason]
	if what == "" {
		what = string(use.Reason)
	}
	if use.Credential != "" {
		what += ": " + use.Credential
	}
	if use.Source != "" {
		what += ", from " + use.Source
	}
	return what
}
