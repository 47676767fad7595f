// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package show

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
)

// ago is how long ago an instant was, such as 5m; or never.
func ago(at metav1.Time, now time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return duration.HumanDuration(max(now.Sub(at.Time), 0))
}

// since is ago in a sentence: 5m ago, or never.
func since(at metav1.Time, now time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return ago(at, now) + " ago"
}

// until is how far an instant is: in 5m, or expired 5m ago.
func until(at metav1.Time, now time.Time) string {
	switch left := at.Sub(now); {
	case at.IsZero():
		return "-"
	case left <= 0:
		return "expired " + duration.HumanDuration(-left) + " ago"
	default:
		return "in " + duration.HumanDuration(left)
	}
}

// stamp is an instant for machines and for tickets.
func stamp(at metav1.Time) string {
	if at.IsZero() {
		return "-"
	}
	return at.UTC().Format(time.RFC3339)
}

// maxDays keeps days within what a time.Duration holds.
const maxDays = 36500

// ParseSpan reads a span of time as people write it: 90d, 2w, 720h, 1d12h.
func ParseSpan(text string) (time.Duration, error) {
	var total time.Duration
	rest := text
	for rest != "" {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		unit := strings.TrimLeft(rest, "0123456789")
		if digits == 0 || unit == "" {
			return 0, badSpan(text)
		}
		number, err := strconv.Atoi(rest[:digits])
		days := map[byte]int{'d': 1, 'w': 7}[unit[0]]
		if days == 0 { // hours and smaller are the last part, and those of Go
			tail, err := time.ParseDuration(rest)
			if err != nil || tail < 0 {
				return 0, badSpan(text)
			}
			total, rest = total+tail, ""
			continue
		}
		if err != nil || number > maxDays/days {
			return 0, badSpan(text)
		}
		total += time.Duration(number*days) * 24 * time.Hour
		rest = unit[1:]
	}
	if total <= 0 {
		return 0, badSpan(text)
	}
	return total, nil
}

func badSpan(text string) error {
	return fmt.Errorf("%q is no span of time; write it as 90d, 2w, 720h or 1d12h, of at most %d days", text, maxDays)
}
