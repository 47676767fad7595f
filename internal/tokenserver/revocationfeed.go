// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/budget"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

const (
	// maxFeeding is how many pages are rendered at once, of half a megabyte each at the most.
	maxFeeding = 8
	// A client may read a million revocations at once, and then ten pages a second.
	feedBurst    = 150
	feedInterval = 100 * time.Millisecond
)

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

// feedEpoch takes back what was issued before an instant, to whomever its one other member names.
type feedEpoch struct {
	ClientID  string `json:"client_id,omitempty"`
	ClientUID string `json:"client_uid,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Before    int64  `json:"before"`
}

// revocationFeed tells verifiers that ask about no token what was revoked: our own, there is no standard for it. The caller is a client
// that authenticates as at the token endpoint, by GET in the Authorization header only.
func (s *Server) revocationFeed(r *http.Request, form oauth2.Form, e *event) (answer, error) {
	record, err := s.authenticate(r, form, e)
	if err != nil {
		return answer{}, err
	}
	caller := record.Client
	if d := s.feeds.Take(e.now, budget.Key{What: caller.ID}); !d.OK {
		return answer{}, throttled(d.Wait, "this client reads the feed faster than it may")
	}
	at, err := revocation.ParseCursor(form.Get("since"))
	if err != nil {
		return answer{}, oauth2.Refuse(oauth2.InvalidRequest, oauth2.ReasonMalformedRequest, "since is the next of an earlier answer, or left out")
	}
	if !s.feeding.Enter() {
		return answer{}, overloaded()
	}
	defer s.feeding.Leave()
	body, err := json.Marshal(s.feedPage(at))
	if err != nil {
		return answer{}, fmt.Errorf("render the feed: %w", err)
	}
	sum := sha256.Sum256(body)
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
	header := http.Header{"Etag": {tag}, "Cache-Control": {"private, no-cache"}, "Vary": {"Authorization"}}
	return answer{body: rawJSON(body), header: header, notModified: hasTag(r.Header.Values("If-None-Match"), tag)}, nil
}

func (s *Server) feedPage(at revocation.Cursor) feedBody {
	now := s.Now()
	page := s.Directory.Revocations().Feed(at, now)
	body := feedBody{Tokens: make([]feedToken, 0, len(page.Tokens)), IssuedBefore: []feedEpoch{}, Next: page.Next.String(), More: page.More}
	for _, token := range page.Tokens {
		body.Tokens = append(body.Tokens, feedToken{token.ID.String(), token.ExpiresAt().Unix()})
	}
	epochs := s.Directory.ClientEpochs()
	for _, selector := range s.Directory.Revocations().Selectors() {
		epochs = append(epochs, selector)
	}
	for _, epoch := range epochs {
		if now.Sub(epoch.IssuedBefore) < oauth2.MaxTokenLifetime { // no older token of a verifier's is still alive
			body.IssuedBefore = append(body.IssuedBefore, feedEpoch{epoch.ClientID, epoch.ClientUID, epoch.Namespace, epoch.IssuedBefore.Unix()})
		}
	}
	slices.SortFunc(body.IssuedBefore, func(a, b feedEpoch) int {
		return cmp.Or(
			cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.ClientID, b.ClientID), cmp.Compare(a.ClientUID, b.ClientUID),
			cmp.Compare(a.Before, b.Before),
		)
	})
	return body
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
