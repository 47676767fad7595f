// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"cmp"
	"slices"
	"strings"
)

// Loss is that uses of objects of a namespace, from before an instant, may be missing from a
// report: the namespace had more than its share of the memory of the replica.
type Loss struct {
	Namespace string
	// Until is the minute from which on nothing is missing.
	Until Minute
}

// The bounds of the losses in a report. MaxLosses bounds the namespaces; where more lose uses, the
// coverage of all namespaces begins after the earliest loss, which then need not be listed.
const (
	MaxLosses    = 256
	maxNamespace = 63
)

func (w *writer) losses(losses []Loss) {
	w.out.Uvarint(uint64(len(losses)))
	for _, loss := range losses {
		w.text(loss.Namespace)
		w.out.Uvarint(uint64(loss.Until))
	}
}

// losses reads the losses of a report, at least one; nil if they are unreadable.
func (r *reader) losses() []Loss {
	count := r.in.Uvarint()
	if count == 0 || count > MaxLosses || r.in.Failed() {
		return nil
	}
	losses := make([]Loss, 0, count)
	for range count {
		namespace, until := r.text(maxNamespace), r.in.Uvarint()
		last := len(losses) - 1
		if r.in.Failed() || namespace == "" || until == 0 || until > maxMinute || last >= 0 && losses[last].Namespace >= namespace {
			return nil
		}
		losses = append(losses, Loss{namespace, Minute(until)})
	}
	return losses
}

// lostUntil is the minute until which uses of a namespace may be missing; zero if none is. Without
// a namespace it is that of the latest loss of any.
func lostUntil(losses []Loss, namespace string) (until Minute) {
	for _, loss := range losses {
		if namespace == "" || loss.Namespace == namespace {
			until = max(until, loss.Until)
		}
	}
	return until
}

// BoundLosses returns losses sorted by namespace, at most MaxLosses, and the minute from which on
// the uses of all other namespaces are covered, which is from or later: where there are too many
// losses, the earliest are left out, and coverage begins after them.
func BoundLosses(losses map[string]Minute, from Minute) ([]Loss, Minute) {
	var list []Loss
	for namespace, until := range losses {
		list = append(list, Loss{namespace, until})
	}
	slices.SortFunc(list, func(a, b Loss) int { return cmp.Compare(b.Until, a.Until) })
	if len(list) > MaxLosses {
		from = max(from, list[MaxLosses].Until)
	}
	list = slices.DeleteFunc(list, func(loss Loss) bool { return loss.Until <= from })
	slices.SortFunc(list, func(a, b Loss) int { return strings.Compare(a.Namespace, b.Namespace) })
	return list, from
}
