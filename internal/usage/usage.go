// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package usage is the data about the use of clients that the token server reports and the manager
// merges. It is pure, knows no Kubernetes, and grants nothing.
package usage

import (
	"crypto/sha256"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

// Key identifies an object by its UID: a UUID in binary, or a hash of another UID. An object that
// was made anew has another one.
type Key [16]byte

// KeyOf returns the key of a UID. It does not allocate for a UUID. A UUID in upper case is another
// UID, so its key is a hash.
func KeyOf(uid string) Key {
	if uuid, ok := wire.ParseUUID(uid); ok {
		return Key(uuid)
	}
	sum := sha256.Sum256([]byte(uid))
	return Key(sum[:len(Key{})])
}

// Minute is an instant in minutes since 1970. Zero is never.
type Minute uint32

// MinuteOf returns the minute of an instant.
func MinuteOf(t time.Time) Minute {
	if minutes := t.Unix() / 60; minutes > 0 && minutes <= maxMinute {
		return Minute(minutes)
	}
	return 0
}

const maxMinute = 1<<32 - 1

// Time returns the beginning of the minute; the zero time for never.
func (m Minute) Time() time.Time {
	if m == 0 {
		return time.Time{}
	}
	return time.Unix(int64(m)*60, 0).UTC()
}

// The bounds of a report.
const (
	// MaxCredentials bounds the secrets of one object: twice those that a client can have.
	MaxCredentials  = 2 * oauth2.MaxVerifiers
	MaxCredentialID = 64
	MaxSource       = 64
)

// Seen is when an object was last used.
type Seen struct {
	// Issued is when a token was last issued, Presented when a valid one was last presented.
	Issued, Presented Minute
	Credentials       []Credential
	// Stale are the uses of stale credentials; at most one of each StaleUse.
	Stale []Stale
}

// Credential is when a secret was last accepted.
type Credential struct {
	ID string
	At Minute
}

// Stale is the use of a stale credential: count, last instant and, if known, the source.
type Stale struct {
	Use        oauth2.StaleUse
	Count      uint64
	At         Minute
	Credential string
	Source     string
}

// Entry is the uses of one object.
type Entry struct {
	Key  Key
	Seen Seen
}

// Last returns the last use. Stale ones do not count, except for an accepted secret.
func (s Seen) Last() Minute {
	last := max(s.Issued, s.Presented)
	for _, c := range s.Credentials {
		last = max(last, c.At)
	}
	return last
}

// Latest returns the last use, stale ones included.
func (s Seen) Latest() Minute {
	last := s.Last()
	for _, stale := range s.Stale {
		last = max(last, stale.At)
	}
	return last
}

// Credential returns when a secret was last accepted; zero for never.
func (s Seen) Credential(id string) Minute {
	for _, c := range s.Credentials {
		if c.ID == id {
			return c.At
		}
	}
	return 0
}

// AtMost returns an instant after which the secret was not accepted. If it is not listed, others
// may have evicted it, which were used no earlier.
func (s Seen) AtMost(id string) Minute {
	at := s.Credential(id)
	if at != 0 || len(s.Credentials) < MaxCredentials {
		return at
	}
	at = s.Credentials[0].At
	for _, c := range s.Credentials {
		at = min(at, c.At)
	}
	return at
}

// Merge takes the later of each two instants, but none after now: a clock that is ahead must not
// make an object look used for ever. It reports whether anything changed.
func (s *Seen) Merge(other Seen, now Minute) (news bool) {
	later := func(mine *Minute, theirs Minute) bool {
		if theirs = min(theirs, now); theirs <= *mine {
			return false
		}
		*mine = theirs
		return true
	}
	news = later(&s.Issued, other.Issued)
	news = later(&s.Presented, other.Presented) || news
	for _, theirs := range other.Credentials {
		news = later(s.credential(theirs.ID), theirs.At) || news
	}
	for _, theirs := range other.Stale {
		mine := s.stale(theirs.Use)
		if later(&mine.At, theirs.At) {
			mine.Credential, mine.Source = strings.Clone(theirs.Credential), strings.Clone(theirs.Source)
			news = true
		}
		mine.Count = max(mine.Count, theirs.Count)
	}
	return news
}

// credential returns the entry of a secret. It replaces the least recently used if there is no
// room.
func (s *Seen) credential(id string) *Minute {
	oldest := 0
	for i := range s.Credentials {
		if s.Credentials[i].ID == id {
			return &s.Credentials[i].At
		}
		if s.Credentials[i].At < s.Credentials[oldest].At {
			oldest = i
		}
	}
	if len(s.Credentials) < MaxCredentials {
		s.Credentials = append(s.Credentials, Credential{ID: strings.Clone(id)})
		return &s.Credentials[len(s.Credentials)-1].At
	}
	s.Credentials[oldest] = Credential{ID: strings.Clone(id)}
	return &s.Credentials[oldest].At
}

func (s *Seen) stale(use oauth2.StaleUse) *Stale {
	for i := range s.Stale {
		if s.Stale[i].Use == use {
			return &s.Stale[i]
		}
	}
	s.Stale = append(s.Stale, Stale{Use: use})
	return &s.Stale[len(s.Stale)-1]
}
