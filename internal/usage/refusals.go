// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

// The bounds of the refusals in a report.
const (
	// MaxRefusals bounds the clients and reasons that one replica reports.
	MaxRefusals = 2 << 10
	// MaxRefusalBytes bounds their encoded form. MaxRefusals without subject and source fit in.
	MaxRefusalBytes = 192 << 10
	MaxReason       = 40
	MaxSubject      = oauth2.MaxSubject
	// KeepRefusals is how long a refusal is reported, and stays in the status.
	KeepRefusals = 7 * 24 * time.Hour
)

// Refusal is what was refused to one client for one reason. It proves no use: every caller that
// knows a client_id can cause one.
type Refusal struct {
	Key    Key
	Reason string
	// Namespace is that of the client, so that namespaces share the room of a report. It is not
	// encoded: the manager has it from the cluster.
	Namespace string
	// Count is how many were refused since the replica began to count, At when the last one
	// was.
	Count uint64
	At    Minute
	// Subject is what was asked for and is not granted; Source the address of the caller. Both
	// are of one of the last requests, and empty if not known.
	Subject, Source string
}

// SortRefusals sorts by client and reason.
func SortRefusals(refusals []Refusal) {
	slices.SortFunc(refusals, compareRefusals)
}

func compareRefusals(a, b Refusal) int {
	return cmp.Or(slices.Compare(a.Key[:], b.Key[:]), strings.Compare(a.Reason, b.Reason))
}

// EncodeRefusals encodes sorted refusals, at most MaxRefusals. Numbers are unsigned varints, and
// each text follows its length:
//
//	version (1), base in minutes since 1970, number of refusals, then for each: 16 bytes of
//	key, reason, count, minutes before the base, subject, source
//
// If they are longer than MaxRefusalBytes, the namespaces with the longest subjects and sources
// lose those of their oldest refusals.
func EncodeRefusals(refusals []Refusal) []byte {
	encoded := encodeRefusals(refusals)
	if excess := len(encoded) - MaxRefusalBytes; excess > 0 {
		encoded = encodeRefusals(shortened(refusals, excess))
	}
	return encoded
}

// texts is the length of what may be left out of a refusal.
func (r *Refusal) texts() int { return len(r.Subject) + len(r.Source) }

// shortened returns refusals whose subjects and sources are shorter by an excess.
func shortened(refusals []Refusal, excess int) []Refusal {
	texts, room := map[string]int{}, -excess
	for i := range refusals {
		texts[refusals[i].Namespace] += refusals[i].texts()
		room += refusals[i].texts()
	}
	share := FairShare(slices.Collect(maps.Values(texts)), room)
	short := slices.Clone(refusals)
	oldestFirst := make([]*Refusal, len(short))
	for i := range short {
		oldestFirst[i] = &short[i]
	}
	slices.SortStableFunc(oldestFirst, func(a, b *Refusal) int { return cmp.Compare(a.At, b.At) })
	for _, r := range oldestFirst {
		if texts[r.Namespace] > share {
			texts[r.Namespace] -= r.texts()
			r.Subject, r.Source = "", ""
		}
	}
	return short
}

func encodeRefusals(refusals []Refusal) []byte {
	w := writer{}
	for _, r := range refusals {
		w.base = max(w.base, r.At)
	}
	w.out.Uvarint(wireVersion)
	w.out.Uvarint(uint64(w.base))
	w.out.Uvarint(uint64(len(refusals)))
	for _, r := range refusals {
		w.out.Bytes = append(w.out.Bytes, r.Key[:]...)
		w.text(r.Reason)
		w.out.Uvarint(r.Count)
		w.minute(r.At)
		w.text(r.Subject)
		w.text(r.Source)
	}
	return w.out.Bytes
}

// DecodeRefusals decodes the refusals of a report, or returns ErrUnreadable.
func DecodeRefusals(data []byte) ([]Refusal, error) {
	if len(data) > MaxRefusalBytes {
		return nil, fmt.Errorf("%w: %d bytes of refusals, at most %d", ErrUnreadable, len(data), MaxRefusalBytes)
	}
	r := reader{in: wire.NewReader(string(data))}
	version, base, count := r.in.Uvarint(), r.in.Uvarint(), r.in.Uvarint()
	if r.in.Failed() || version != wireVersion || base > maxMinute || count > MaxRefusals {
		return nil, fmt.Errorf("%w: the head of its refusals is out of bounds", ErrUnreadable)
	}
	r.base = Minute(base)
	refusals := make([]Refusal, 0, count)
	for range count {
		next := r.refusal()
		n := len(refusals)
		if r.in.Failed() || next.Reason == "" || next.Count == 0 || n > 0 && compareRefusals(refusals[n-1], next) >= 0 {
			return nil, fmt.Errorf("%w: refusal %d is not whole, not in order or out of bounds", ErrUnreadable, n)
		}
		refusals = append(refusals, next)
	}
	if r.in.Len() > 0 {
		return nil, fmt.Errorf("%w: %d bytes too many behind its refusals", ErrUnreadable, r.in.Len())
	}
	return refusals, nil
}

func (r *reader) refusal() Refusal {
	var next Refusal
	copy(next.Key[:], r.in.Raw(len(next.Key)))
	next.Reason = r.text(MaxReason)
	next.Count, next.At = r.in.Uvarint(), r.minute()
	next.Subject, next.Source = r.text(MaxSubject), r.text(MaxSource)
	return next
}
