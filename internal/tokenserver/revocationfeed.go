// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/answer"
	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/budget"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

const (
	// maxFeeding is how many pages are rendered at once, of half a megabyte each at the most.
	maxFeeding = 8
	// lentFeeding is how many of them namespaces may have beyond their shares, of one page
	// each.
	lentFeeding = maxFeeding / 2
	// maxEpochBytes bounds the epochs of a page as JSON, beside some 400 KiB of tokens.
	maxEpochBytes = 96 << 10
	// leastEpochBytes is less than any epoch takes.
	leastEpochBytes = len(`{"client_id":"","before":0},`)
	// epochSeparator precedes the position among the epochs in a cursor.
	epochSeparator = "~"
)

// feedLevel lets a client read a million revocations at once, and then ten pages a second.
var feedLevel = budget.Level{Burst: 150, Interval: 100 * time.Millisecond} //nolint:gochecknoglobals // a constant

// feedBody is a page of the feed.
type feedBody struct {
	Tokens       []feedToken `json:"tokens"`
	IssuedBefore []feedEpoch `json:"issued_before"`
	Next         string      `json:"next"`
	More         bool        `json:"more"`
}

// feedToken is a token that was revoked.
type feedToken struct {
	ID        string `json:"jti"`
	ExpiresAt int64  `json:"exp"`
}

// feedEpoch revokes what was issued before an instant to the client or namespace that its other
// member names, or for the person or the persons of the issuer. Of a person it has a hash: every
// client may read the feed.
type feedEpoch struct {
	ClientID   string `json:"client_id,omitempty"`
	ClientUID  string `json:"client_uid,omitempty"`
	Namespace  string `json:"namespace,omitempty"`
	SubHash    string `json:"sub_hash,omitempty"`
	IssuerName string `json:"issuer_name,omitempty"`
	Before     int64  `json:"before"`
}

// epochOf is an epoch as the feed lists it.
func epochOf(s revocation.Selector) feedEpoch {
	e := feedEpoch{ClientID: s.ClientID, ClientUID: s.ClientUID, Namespace: s.Namespace, IssuerName: s.IssuerName, Before: s.IssuedBefore.Unix()}
	if s.Subject != "" {
		sum := sha256.Sum256([]byte(s.Subject))
		e.SubHash = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return e
}

// names are what the epoch names, in the order in which the feed lists epochs.
func (e feedEpoch) names() []string {
	return []string{e.Namespace, e.ClientID, e.ClientUID, e.SubHash, e.IssuerName}
}

// feedEndpoint lists what was revoked, for verifiers that do not introspect. No standard describes
// such a feed. The caller is a client that authenticates as at the token endpoint, by GET in the
// Authorization header only.
type feedEndpoint struct {
	authority *auth.Authority
	rate      *clientRate
	rendering *budget.Places // by namespace
}

func (e *feedEndpoint) serve(r *http.Request, in request) (answer.Answer, auth.Trail, error) {
	caller, err := e.authority.Authenticate(r.Context(), in.credentials(r, e.rate))
	if err != nil {
		return answer.Answer{}, caller.Trail, err
	}
	at, err := parseFeedCursor(in.form.Get("since"))
	if err != nil {
		return answer.Answer{}, caller.Trail, oauth2.Refuse(oauth2.InvalidRequest, oauth2.ReasonMalformedRequest,
			"since is the next of an earlier answer, or left out")
	}
	if !e.rendering.Enter(caller.Client.Namespace) {
		return answer.Answer{}, caller.Trail, auth.Overloaded()
	}
	defer e.rendering.Leave(caller.Client.Namespace)
	page, err := e.page(at)
	if err != nil {
		return answer.Answer{}, caller.Trail, err
	}
	body, err := json.Marshal(page)
	if err != nil {
		return answer.Answer{}, caller.Trail, fmt.Errorf("render the feed: %w", err)
	}
	sum := sha256.Sum256(body)
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
	return answer.Tagged(answer.JSON, body, tag, hasTag(r.Header.Values("If-None-Match"), tag)), caller.Trail, nil
}

// feedCursor is a position among the tokens and one among the epochs. Without the latter a page
// begins with the first epoch, so that few epochs are on every page.
type feedCursor struct {
	tokens revocation.Cursor
	epoch  feedEpoch
}

// errFeedCursor is returned for a cursor that no page had.
var errFeedCursor = errors.New("the cursor is none of the feed's")

func parseFeedCursor(text string) (at feedCursor, err error) {
	tokens, epoch, within := strings.Cut(text, epochSeparator)
	if at.tokens, err = revocation.ParseCursor(tokens); err != nil || !within {
		return at, err
	}
	raw, err := jws.DecodeBase64URL(epoch)
	parts := strings.Split(string(raw), "\x00")
	const former, all = 3, 5
	if err != nil || tokens == "" || len(parts) != former && len(parts) != all {
		return at, errFeedCursor
	}
	at.epoch = feedEpoch{Namespace: parts[0], ClientID: parts[1], ClientUID: parts[2]}
	if len(parts) == all {
		at.epoch.SubHash, at.epoch.IssuerName = parts[3], parts[4]
	}
	return at, nil
}

func (e feedEpoch) position() string {
	return epochSeparator + base64.RawURLEncoding.EncodeToString([]byte(strings.Join(e.names(), "\x00")))
}

// compareSubjects orders epochs as the feed lists them. The order is the same at every replica.
func compareSubjects(a, b feedEpoch) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.ClientID, b.ClientID), cmp.Compare(a.ClientUID, b.ClientUID),
		cmp.Compare(a.SubHash, b.SubHash), cmp.Compare(a.IssuerName, b.IssuerName))
}

// page lists the tokens and the epochs from a cursor on. The pages up to one without more have all
// of both.
func (e *feedEndpoint) page(at feedCursor) (feedBody, error) {
	now := e.authority.Now()
	page := e.authority.Directory.Revocations().Feed(at.tokens, now)
	body := feedBody{Tokens: make([]feedToken, 0, len(page.Tokens)), IssuedBefore: []feedEpoch{}, Next: page.Next.String(), More: page.More}
	for _, token := range page.Tokens {
		body.Tokens = append(body.Tokens, feedToken{token.ID.String(), token.ExpiresAt().Unix()})
	}
	var found firstEpochs
	for _, list := range [...]iter.Seq[revocation.Selector]{e.authority.Directory.ClientEpochs(), slices.Values(e.authority.Directory.Revocations().Epochs())} {
		for epoch := range list {
			if now.Sub(epoch.IssuedBefore) >= oauth2.MaxTokenLifetime {
				continue // no older token of a verifier's is still alive
			}
			if listed := epochOf(epoch); compareSubjects(listed, at.epoch) >= 0 {
				found.add(listed)
			}
		}
	}
	room := maxEpochBytes
	for _, epoch := range found.sorted() {
		rendered, err := json.Marshal(epoch)
		if err != nil {
			return feedBody{}, fmt.Errorf("render an epoch: %w", err)
		}
		if room -= len(rendered) + len(","); room < 0 {
			body.Next, body.More = body.Next+epoch.position(), true
			break
		}
		body.IssuedBefore = append(body.IssuedBefore, epoch)
	}
	return body, nil
}

// firstEpochs are the first epochs of many, at least as many as a page has room for. So a page
// takes little memory, however many there are.
type firstEpochs struct{ list []feedEpoch }

func (f *firstEpochs) add(epoch feedEpoch) {
	const most = maxEpochBytes/leastEpochBytes + 1
	if f.list = append(f.list, epoch); len(f.list) >= 2*most {
		f.list = f.sorted()[:most]
	}
}

func (f *firstEpochs) sorted() []feedEpoch {
	slices.SortFunc(f.list, func(a, b feedEpoch) int { return cmp.Or(compareSubjects(a, b), cmp.Compare(a.Before, b.Before)) })
	return f.list
}

// hasTag reports whether If-None-Match names an entity tag: RFC 9110 section 13.1.2.
func hasTag(values []string, tag string) bool {
	for _, value := range values {
		for named := range strings.SplitSeq(value, ",") {
			if named = strings.TrimSpace(named); named == "*" || strings.TrimPrefix(named, "W/") == tag {
				return true
			}
		}
	}
	return false
}
