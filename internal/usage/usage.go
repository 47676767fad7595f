// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package usage is what the two binaries tell each other about the use of clients: the token server gathers it in memory and
// writes it down in a compact form, the manager reads and merges it. It is pure: values in, values out. It knows no Kubernetes,
// and nothing in it grants anything.
package usage

import (
	"crypto/sha256"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

// Key stands for the UID of an object: a UUID in its sixteen bytes, anything else as a hash of as many. An object that is
// deleted and created again has another UID, so nothing of the old one counts for it.
type Key [16]byte

// KeyOf returns the key of a UID. It does not allocate for a UUID. A UUID in upper case is another UID,
// so its key is a hash.
func KeyOf(uid string) Key {
	if uuid, ok := wire.ParseUUID(uid); ok {
		return Key(uuid)
	}
	sum := sha256.Sum256([]byte(uid))
	return Key(sum[:len(Key{})])
}

// Minute is an instant in minutes since 1970, which is as exactly as uses are told. Zero is never.
type Minute uint32

// MinuteOf is the minute that an instant lies in.
func MinuteOf(t time.Time) Minute {
	if minutes := t.Unix() / 60; minutes > 0 && minutes <= maxMinute {
		return Minute(minutes)
	}
	return 0
}

const maxMinute = 1<<32 - 1

// Time is the beginning of the minute; the zero time for never.
func (m Minute) Time() time.Time {
	if m == 0 {
		return time.Time{}
	}
	return time.Unix(int64(m)*60, 0).UTC()
}

// The bounds of what is told of one object, and of one report.
const (
	// MaxCredentials are the secrets of one object: those that one client can have at a time, and as many that it had before.
	MaxCredentials = 2 * oauth2.MaxVerifiers
	// MaxCredentialID bounds the id of a secret.
	MaxCredentialID = 64
	// MaxSource bounds an address.
	MaxSource = 64
)

// Seen is when an object was last used.
type Seen struct {
	// Issued is when a token was last issued to it, and Presented when a token of its was last presented and good.
	Issued, Presented Minute
	// Credentials are its secrets; at most MaxCredentials.
	Credentials []Credential
	// Stale are the uses of what had its time; at most one of each kind.
	Stale []Stale
}

// Credential is when a secret was last accepted.
type Credential struct {
	ID string
	At Minute
}

// Stale is how often something that had its time was used, when last, and from where if that is known.
type Stale struct {
	Use        oauth2.StaleUse
	Count      uint64
	At         Minute
	Credential string
	Source     string
}

// Entry is what was seen of one object.
type Entry struct {
	Key  Key
	Seen Seen
}

// Last is when the object was last seen at work; what had its time does not count, except for a secret that was still accepted.
func (s Seen) Last() Minute {
	last := max(s.Issued, s.Presented)
	for _, c := range s.Credentials {
		last = max(last, c.At)
	}
	return last
}

// Latest is the latest minute of anything that was seen of the object, stale uses included.
func (s Seen) Latest() Minute {
	last := s.Last()
	for _, stale := range s.Stale {
		last = max(last, stale.At)
	}
	return last
}

// Credential is when the secret of that id was last accepted; zero for never.
func (s Seen) Credential(id string) Minute {
	for _, c := range s.Credentials {
		if c.ID == id {
			return c.At
		}
	}
	return 0
}

// AtMost is an instant after which the secret of that id was not accepted: where it is not told of, others may have pushed it out,
// which were used no earlier.
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

// Merge takes the later of each two instants, and nothing later than now: a clock, or a report, that is ahead does not make
// something used for ever. It reports whether that said anything new.
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

// credential finds the entry of a secret or makes one, in the place of the one that was not used for longest if there is no room.
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
