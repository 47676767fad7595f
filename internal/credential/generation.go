// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Generation is how many secrets of a client were replaced before a value was current, and when the
// value was made. A user's Secret proves it, so that a registry restored from a backup is known to
// be older than the Secret.
type Generation struct {
	Number int64
	Made   time.Time
}

// generationOf is the generation that the value at a place has once it is current.
func (r Record) generationOf(at int) Generation {
	if at < 0 {
		return Generation{}
	}
	v := r.Verifiers[at]
	g := Generation{Number: r.Rotation.Generation, Made: v.CreatedAt}
	replaced := func(other oauth2.Verifier) bool { return !other.Pending && other.ID != v.ID }
	if (v.Pending || v.Replaced()) && slices.ContainsFunc(r.Verifiers, replaced) {
		g.Number++
	}
	return g
}

// Reported is what the status of a client whose registration was lost reports of its secrets: the
// id of the current one, empty if it lists none, and its generation. The status proves nothing: a
// tenant may have edited it, and a backup may have put it back. So it only raises the generation
// of a value that is registered anyway.
type Reported struct {
	Current    string
	Generation int64
}

// maxReported is the highest generation that a status may report. So many rotations are left above
// it that their number does not overflow.
const maxReported = 1 << 52

// after is the generation with which a record begins that takes the place of a lost one, if the
// secret with an id becomes current. A secret that the status does not list as current has replaced
// the one that it lists.
func (r Reported) after(id string) int64 {
	number := min(max(r.Generation, 0), maxReported)
	if (number > 0 || r.Current != "") && id != r.Current {
		number++
	}
	return number
}

// precedes reports whether the record is older than a Secret that proves a generation. One that has
// a secret of later as current is not, whatever its number: an earlier version drops the number
// from the records that it writes. What was made within PendingLife is not later: the clocks of two
// managers may differ.
func (r Record) precedes(proven Generation) bool {
	isLater := func(v oauth2.Verifier) bool {
		return !v.Pending && !v.Replaced() && v.CreatedAt.After(proven.Made.Add(PendingLife))
	}
	return proven.Number > r.Rotation.Generation && !slices.ContainsFunc(r.Verifiers, isLater)
}

// Withdraw is the record of a client that does not authenticate by secrets any more. Its generation
// rises, so that the next secret proves a higher one than those that are withdrawn.
func (r Record) Withdraw() Record {
	if len(r.Verifiers) > 0 {
		r.Rotation.Generation++
	}
	r.Verifiers = nil
	return r
}

// endReplaced ends the secret that a record has as current although the Secret, which is newer, has
// another value: when it would end at the latest if the record had not been lost. The value reached
// the Secret within PendingLife of its making.
func endReplaced(r Record, s Seen, p Policy, now Time) Record {
	replaced := now.Latest
	if last := s.Generation.Made.Add(PendingLife); last.Before(replaced) {
		replaced = last
	}
	end := replaced.Add(p.Overlap).UTC().Truncate(time.Second)
	current := r.place(s.Value, p, now.Past())
	var left []oauth2.Verifier
	for i, v := range r.Verifiers {
		if v.ExpiresAt.IsZero() && i != current {
			v.ExpiresAt = end
			if p.Overlap == 0 || !v.Live(now.Past()) {
				continue
			}
		}
		left = append(left, v)
	}
	r.Verifiers = left
	return r
}

// GenerationKey is the key of a registry for proofs of generations. The zero GenerationKey proves
// nothing. It cannot be printed.
type GenerationKey struct{ bytes []byte }

const (
	generationKeySize = 32
	// proofSize is how much of the MAC stands in a proof.
	proofSize = 16
)

// NewGenerationKey makes a key.
func NewGenerationKey(random io.Reader) (GenerationKey, error) {
	bytes := make([]byte, generationKeySize)
	if _, err := io.ReadFull(random, bytes); err != nil {
		return GenerationKey{}, fmt.Errorf("make the key of generations: %w", err)
	}
	return GenerationKey{bytes}, nil
}

// ParseGenerationKey reads a key as Reveal returned it.
func ParseGenerationKey(bytes []byte) (GenerationKey, error) {
	if len(bytes) != generationKeySize {
		return GenerationKey{}, fmt.Errorf("the key of generations has %d bytes, not %d", len(bytes), generationKeySize)
	}
	return GenerationKey{slices.Clone(bytes)}, nil
}

// Reveal returns the key to be stored.
func (k GenerationKey) Reveal() []byte { return slices.Clone(k.bytes) }

// Format implements fmt.Formatter for every verb.
func (GenerationKey) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, "REDACTED") }

// Prove returns a text that proves the generation of a value to a holder of the key. It is empty
// for number 0: no record has a lower one.
func (k GenerationKey) Prove(uid string, value oauth2.Secret, g Generation) string {
	if len(k.bytes) == 0 || g.Number <= 0 {
		return ""
	}
	mac := hmac.New(sha256.New, k.bytes)
	for _, text := range []string{"hallpass.dev/generation/v1", uid, value.Reveal()} {
		_ = binary.Write(mac, binary.BigEndian, uint32(len(text))) //nolint:gosec // the API server bounds UIDs and Secrets
		_, _ = io.WriteString(mac, text)
	}
	_ = binary.Write(mac, binary.BigEndian, []int64{g.Number, g.Made.Unix()})
	return fmt.Sprintf("%d.%d.%s", g.Number, g.Made.Unix(), base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:proofSize]))
}

// Proven returns the generation of a value that a text proves; zero if it proves none.
func (k GenerationKey) Proven(uid string, value oauth2.Secret, text string) Generation {
	number, rest, _ := strings.Cut(text, ".")
	made, _, _ := strings.Cut(rest, ".")
	n, numberErr := strconv.ParseInt(number, 10, 64)
	at, madeErr := strconv.ParseInt(made, 10, 64)
	if numberErr != nil || madeErr != nil {
		return Generation{}
	}
	g := Generation{Number: n, Made: time.Unix(at, 0).UTC()}
	if proof := k.Prove(uid, value, g); proof == "" || !hmac.Equal([]byte(proof), []byte(text)) {
		return Generation{}
	}
	return g
}
