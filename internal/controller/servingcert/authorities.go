// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package servingcert

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/hallpass-dev/hallpass/internal/apiclock"
)

// Lives is how long certificates live. Zero fields stand for the usual: ten years, thirty days and
// ninety days.
type Lives struct {
	Authority time.Duration
	// Lead is how long a new authority is published before anything that it issued is served,
	// so that callers have it by then.
	Lead    time.Duration
	Serving time.Duration
}

func (l Lives) withDefaults() Lives {
	return Lives{cmp.Or(l.Authority, authorityLife), cmp.Or(l.Lead, authorityLead), cmp.Or(l.Serving, servingLife)}
}

// The entries of the authority's Secret beside those of its type: the authority before, with its
// key for as long as it issues.
const (
	formerCertKey = "former.crt"
	formerKeyKey  = "former.key"
	// publishedAtKey is when the newest authority was made by the later clock, where the clocks
	// differed.
	publishedAtKey = "published-at"
)

// authorities are the newest authority and the one before it. Both are published. The one before
// issues until callers know the newest, and is trusted until it expires.
type authorities struct {
	newest pair
	// publishedAt is when the newest was made, if its certificate has no such time.
	publishedAt time.Time
	// former is empty if there is none. It has no key once it issues no more, or if that was
	// lost.
	former pair
}

// parseAuthorities reads what the Secret holds; a former one that cannot be read is none.
func parseAuthorities(data map[string][]byte) (authorities, error) {
	newest, err := parsePair(data)
	if err != nil {
		return authorities{}, err
	}
	if !newest.certificate.IsCA {
		return authorities{}, fmt.Errorf("read certificate: %s is no authority", newest.certificate.Subject.CommonName)
	}
	a := authorities{newest: newest}
	a.publishedAt, _ = time.Parse(time.RFC3339, string(data[publishedAtKey]))
	if a.former, err = parsePair(map[string][]byte{corev1.TLSCertKey: data[formerCertKey], corev1.TLSPrivateKeyKey: data[formerKeyKey]}); err != nil {
		if published := authoritiesIn(data[formerCertKey]); len(published) > 0 {
			a.former = published[0]
		}
	}
	return a, nil
}

func (a authorities) data() map[string][]byte {
	data := map[string][]byte{corev1.TLSCertKey: a.newest.certPEM, corev1.TLSPrivateKeyKey: a.newest.keyPEM}
	if !a.publishedAt.IsZero() {
		data[publishedAtKey] = []byte(a.publishedAt.UTC().Format(time.RFC3339))
	}
	if a.former.certificate != nil {
		data[formerCertKey] = a.former.certPEM
	}
	if a.former.key != nil {
		data[formerKeyKey] = a.former.keyPEM
	}
	return data
}

// advance makes the next authority when two thirds of a life are over, drops the key of the one
// before when callers know the newest, and forgets it when it has ended. It drops an authority that
// is not yet valid, which a clock that was ahead has made. It drops nothing until the clocks agree.
func (a authorities) advance(now apiclock.Time, lives Lives, random io.Reader) (authorities, error) {
	for now.Agreed && a.newest.certificate != nil && now.Latest.Before(a.newest.certificate.NotBefore) {
		if a.former.key == nil {
			a = authorities{former: a.former}
		} else {
			a = authorities{newest: a.former}
		}
	}
	if now.Agreed && now.Latest.Before(a.publishedAt) {
		a.publishedAt = time.Time{} // the later clock was wrong
	}
	if a.newest.certificate == nil || a.established(now.Earliest, lives) && !now.Earliest.Before(a.newest.renewAt()) {
		made, err := newAuthority(now, lives.Authority, random)
		if err != nil {
			return authorities{}, err
		}
		former := a.newest
		if former.certificate == nil {
			former = a.former // one that was found beside a Secret that was lost
		}
		a = authorities{newest: made, former: former}
		if now.Latest.After(now.Earliest) {
			a.publishedAt = now.Latest
		}
	}
	if a.former.certificate != nil && !now.Past().Before(a.former.certificate.NotAfter) {
		a.former = pair{}
	}
	if a.established(now.Past(), lives) {
		a.former.key, a.former.keyPEM = nil, nil
	}
	return a, nil
}

// established reports whether callers have had the time to read the newest authority.
func (a authorities) established(now time.Time, lives Lives) bool {
	return a.former.certificate == nil || !now.Before(a.establishedAt(lives))
}

func (a authorities) establishedAt(lives Lives) time.Time {
	published := a.newest.madeAt()
	if a.publishedAt.After(published) {
		published = a.publishedAt
	}
	return published.Add(lives.Lead)
}

// issuer is the authority that issues now.
func (a authorities) issuer(now time.Time, lives Lives) pair {
	if a.former.key != nil && !a.established(now, lives) {
		return a.former
	}
	return a.newest
}

// accept reports whether a serving certificate is for all these names and from an authority that
// callers know.
func (a authorities) accept(serving pair, names []string, now time.Time, lives Lives) bool {
	return serving.serves(names, a.issuer(now, lives)) ||
		!a.established(now, lives) && a.former.certificate != nil && serving.serves(names, a.former)
}

func (a authorities) bundle() string { return string(a.newest.certPEM) + string(a.former.certPEM) }

// next is when there is something to do again.
func (a authorities) next(now time.Time, lives Lives) time.Time {
	next := a.newest.renewAt()
	if a.former.certificate != nil {
		for _, at := range []time.Time{a.establishedAt(lives), a.former.certificate.NotAfter} {
			if at.After(now) && at.Before(next) {
				next = at
			}
		}
	}
	return next
}

// authoritiesIn are the authorities in a bundle, without keys.
func authoritiesIn(bundle []byte) []pair {
	var found []pair
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		if certificate, err := x509.ParseCertificate(block.Bytes); err == nil && certificate.IsCA {
			found = append(found, pair{certificate: certificate, certPEM: pem.EncodeToMemory(block)})
		}
	}
	return found
}

// issuerOf is the authority that issued a certificate, or an empty pair.
func issuerOf(issued pair, published []pair, now time.Time) pair {
	for _, authority := range published {
		if now.Before(authority.certificate.NotAfter) && bytes.Equal(issued.certificate.AuthorityKeyId, authority.certificate.SubjectKeyId) &&
			issued.certificate.CheckSignatureFrom(authority.certificate) == nil {
			return authority
		}
	}
	return pair{}
}
