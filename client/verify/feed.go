// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hallpass-dev/hallpass/client/token"
)

const (
	// feedInterval is how often the feed is read.
	feedInterval = 5 * time.Second
	// feedWhole is how often it is read from the beginning. After a restore of etcd from a
	// backup, the position of a reader means something else.
	feedWhole = 15 * time.Minute
	// maxFeedPause is the longest pause after a failure, unless the token server asks for more.
	maxFeedPause = time.Minute
	// maxPages bounds one reading: 8,192 tokens a page, and a million that the server may have.
	maxPages = 256
)

// feed is what is known of revocations.
type feed struct {
	// lateAt is the instant in nanoseconds from which on the feed is late; zero before it was
	// read for the first time.
	lateAt atomic.Int64

	mu     sync.RWMutex
	tokens map[string]int64   // jti -> exp
	issued map[selector]int64 // what was issued before is revoked
}

// selector names whose tokens are revoked. An entry may have both the id and the UID of a client.
// Of a person it has a hash of the sub.
type selector struct{ clientID, clientUID, namespace, subHash, issuerName string }

// feedPage is a page of the feed: docs/revocation.md.
type feedPage struct {
	Tokens []struct {
		ID        string `json:"jti"`
		ExpiresAt int64  `json:"exp"`
	} `json:"tokens"`
	IssuedBefore []struct {
		ClientID   string `json:"client_id"`
		ClientUID  string `json:"client_uid"`
		Namespace  string `json:"namespace"`
		SubHash    string `json:"sub_hash"`
		IssuerName string `json:"issuer_name"`
		Before     int64  `json:"before"`
	} `json:"issued_before"`
	Next string `json:"next"`
	More bool   `json:"more"`
}

// Watch reads the revocation feed every five seconds with the credential of the source, which may
// be of any client, until the context ends. It returns the error of the context. It goes on after
// each failure; FailOpen or FailClosed decides what Verify does meanwhile. Without one of them it
// returns at once.
func (v *Verifier) Watch(ctx context.Context, source *token.Source) error {
	switch {
	case source == nil:
		return errors.New("verify: watch the revocation feed: the token source is nil")
	case !v.options.feed:
		return errors.New("verify: watch the revocation feed: give New FailOpen or FailClosed, which decides about a feed that is late")
	}
	r := reader{feed: &v.feed, source: source, closedAfter: v.options.closedAfter, strict: v.options.users || v.options.exchanged, changed: v.change}
	for failures := 0; ; {
		err := r.read(ctx)
		pause := feedInterval
		if err != nil {
			pause = min(feedInterval<<min(failures, 8), maxFeedPause)
			failures++
			if answer, ok := errors.AsType[*token.Error](err); ok {
				pause = max(pause, answer.RetryAfter)
			}
		} else {
			failures = 0
		}
		pause -= time.Duration(rand.Float64() * float64(pause) / 10) //nolint:gosec // jitter
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("watch the revocation feed: %w", ctx.Err())
		case <-timer.C:
		}
	}
}

// reader reads the feed page by page.
type reader struct {
	feed        *feed
	source      *token.Source
	closedAfter time.Duration
	// strict refuses a page with an entry that selects in an unknown way. A verifier of clients
	// that act for themselves skips it: it is about others.
	strict  bool
	changed func()

	next  string
	whole time.Time // when it was last read from the beginning
}

// read reads from where the reader is up to a page without more.
func (r *reader) read(ctx context.Context) error {
	began := time.Now()
	fromStart := r.next == "" || began.Sub(r.whole) >= feedWhole
	since := r.next
	if fromStart {
		since = ""
	}
	tokens, issued := map[string]int64{}, map[selector]int64{}
	for range maxPages {
		page, err := r.page(ctx, since)
		if answer, ok := errors.AsType[*token.Error](err); ok && answer.Status == http.StatusBadRequest {
			r.next = "" // the position is none any more
		}
		if err != nil {
			return err
		}
		for _, revoked := range page.Tokens {
			tokens[revoked.ID] = revoked.ExpiresAt
		}
		for _, e := range page.IssuedBefore {
			s := selector{e.ClientID, e.ClientUID, e.Namespace, e.SubHash, e.IssuerName}
			if s == (selector{}) {
				if r.strict {
					return errors.New("the revocation feed has an entry that this version does not understand: update the module")
				}
				continue
			}
			issued[s] = max(issued[s], e.Before)
		}
		if since = page.Next; !page.More {
			r.next = page.Next
			if fromStart {
				r.whole = began
			}
			r.feed.update(tokens, issued, fromStart, began)
			if r.closedAfter > 0 {
				r.feed.lateAt.Store(began.Add(r.closedAfter).UnixNano())
			}
			r.changed()
			return nil
		}
	}
	return fmt.Errorf("the revocation feed has more than %d pages", maxPages)
}

func (r *reader) page(ctx context.Context, since string) (feedPage, error) {
	form := url.Values{}
	if since != "" {
		form.Set("since", since)
	}
	body, err := r.source.Post(ctx, feedPath, form)
	if err != nil {
		return feedPage{}, fmt.Errorf("read the revocation feed: %w", err)
	}
	var page feedPage
	if err := json.Unmarshal(body, &page); err != nil || page.Next == "" {
		return feedPage{}, errors.New("read the revocation feed: the answer is no page of it")
	}
	return page, nil
}

// update adds the tokens of a reading and replaces the rest. From the beginning it replaces the
// tokens too.
func (f *feed) update(tokens map[string]int64, issued map[selector]int64, whole bool, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	// A token is accepted for the leeway after its exp, so what revokes it counts as long.
	over := now.Add(-maxLeeway).Unix()
	if whole {
		f.tokens = tokens
	} else {
		maps.Copy(f.tokens, tokens)
	}
	maps.DeleteFunc(f.tokens, func(_ string, expires int64) bool { return expires < over })
	// The server leaves out what is older than an hour.
	for s, before := range f.issued {
		if left := now.Add(-maxLife + time.Minute).Unix(); before < left && before >= over-int64(maxLife/time.Second) {
			issued[s] = max(issued[s], before)
		}
	}
	f.issued = issued
}

// revoked decides by the feed, if it is watched. What revokes an ancestor of a token revokes the
// token, and so does the end of the grant that it belongs to.
func (v *Verifier) revoked(c *Claims, now time.Time) error {
	if !v.options.feed {
		return nil
	}
	if v.options.closedAfter > 0 && now.UnixNano() >= v.feed.lateAt.Load() {
		return ErrFeedLate
	}
	v.feed.mu.RLock()
	defer v.feed.mu.RUnlock()
	earliest := c.IssuedAt
	if v.feed.lists(c.ID, c.ClientID, c.ClientUID, c.IssuedAt) {
		return ErrRevoked
	}
	if _, ended := v.feed.tokens[c.grantID]; ended && c.grantID != "" {
		return ErrRevoked
	}
	for i := range c.ancestors {
		a := &c.ancestors[i]
		if v.feed.lists(a.id, a.clientID, a.clientUID, a.issuedAt) {
			return ErrRevoked
		}
		if a.issuedAt.Before(earliest) {
			earliest = a.issuedAt
		}
	}
	if issuer, _, user := c.User(); user && v.feed.listsPerson(c.Subject, issuer, earliest) {
		return ErrRevoked
	}
	return nil
}

// listsPerson reports whether the feed revokes what acts for a person since an instant, for a
// caller that holds the lock.
func (f *feed) listsPerson(subject, issuer string, since time.Time) bool {
	if len(f.issued) == 0 {
		return false
	}
	sum := sha256.Sum256([]byte(subject))
	for _, s := range [...]selector{{subHash: base64.RawURLEncoding.EncodeToString(sum[:])}, {issuerName: issuer}} {
		if before, listed := f.issued[s]; listed && since.Unix() < before {
			return true
		}
	}
	return false
}

// lists reports whether the feed revokes a token, for a caller that holds the lock.
func (f *feed) lists(id, clientID, clientUID string, issuedAt time.Time) bool {
	if _, listed := f.tokens[id]; listed {
		return true
	}
	selectors := [...]selector{{clientID: clientID}, {clientUID: clientUID}, {clientID: clientID, clientUID: clientUID}, {}}
	if namespace, _, ok := strings.Cut(clientID, "."); ok {
		selectors[3].namespace = namespace
	}
	for _, s := range selectors {
		if before, listed := f.issued[s]; listed && s != (selector{}) && issuedAt.Unix() < before {
			return true
		}
	}
	return false
}
