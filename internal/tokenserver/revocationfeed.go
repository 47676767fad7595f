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

	"github.com/hallpass-dev/hallpass/internal/answer"
	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/budget"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

const (
	// maxFeeding is how many pages are rendered at once, of half a megabyte each at the most.
	maxFeeding = 8
	// lentFeeding is how many of them namespaces may have beyond their shares, of one page each.
	lentFeeding = maxFeeding / 2
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
// member names.
type feedEpoch struct {
	ClientID  string `json:"client_id,omitempty"`
	ClientUID string `json:"client_uid,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Before    int64  `json:"before"`
}

// feedEndpoint lists what was revoked, for verifiers that do not introspect. No standard describes
// such a feed. The caller is a client that authenticates as at the token endpoint, by GET in the
// Authorization header only.
type feedEndpoint struct {
	authority *auth.Authority
	limit     *budget.Budget // by client
	rendering *budget.Places // by namespace
}

func (e *feedEndpoint) serve(r *http.Request, in request) (answer.Answer, *auth.Trail, error) {
	caller, err := e.authority.Authenticate(r.Context(), in.credentials(r))
	if err != nil {
		return answer.Answer{}, caller.Trail, err
	}
	if d := e.limit.Take(caller.At, budget.Key{Who: caller.Client.ID}); !d.OK {
		return answer.Answer{}, caller.Trail, auth.Throttled(d.Wait, "this client reads the feed faster than it may")
	}
	at, err := revocation.ParseCursor(in.form.Get("since"))
	if err != nil {
		return answer.Answer{}, caller.Trail, oauth2.Refuse(oauth2.InvalidRequest, oauth2.ReasonMalformedRequest,
			"since is the next of an earlier answer, or left out")
	}
	if !e.rendering.Enter(caller.Client.Namespace) {
		return answer.Answer{}, caller.Trail, auth.Overloaded()
	}
	defer e.rendering.Leave(caller.Client.Namespace)
	body, err := json.Marshal(e.page(at))
	if err != nil {
		return answer.Answer{}, caller.Trail, fmt.Errorf("render the feed: %w", err)
	}
	sum := sha256.Sum256(body)
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
	return answer.Tagged(answer.JSON, body, tag, hasTag(r.Header.Values("If-None-Match"), tag)), caller.Trail, nil
}

func (e *feedEndpoint) page(at revocation.Cursor) feedBody {
	now := e.authority.Now()
	page := e.authority.Directory.Revocations().Feed(at, now)
	body := feedBody{Tokens: make([]feedToken, 0, len(page.Tokens)), IssuedBefore: []feedEpoch{}, Next: page.Next.String(), More: page.More}
	for _, token := range page.Tokens {
		body.Tokens = append(body.Tokens, feedToken{token.ID.String(), token.ExpiresAt().Unix()})
	}
	for _, epoch := range append(e.authority.Directory.ClientEpochs(), e.authority.Directory.Revocations().Epochs()...) {
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
