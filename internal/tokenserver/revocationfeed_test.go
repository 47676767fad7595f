// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

// feed reads a page, which has to be there.
func (w *world) feed(since string) (feedBody, string) {
	w.t.Helper()
	answer := w.do(call{method: http.MethodGet, path: oauth2.RevocationFeedPath + "?since=" + url.QueryEscape(since), basic: stranger})
	if answer.Code != http.StatusOK {
		w.t.Fatalf("feed: %d %s", answer.Code, answer.Body)
	}
	var body feedBody
	if err := json.Unmarshal(answer.Body.Bytes(), &body); err != nil {
		w.t.Fatal(err)
	}
	return body, answer.Header().Get("ETag")
}

func TestWhatIsRevokedIsFoundInTheFeed(t *testing.T) {
	w := newWorld(t)
	first, _ := w.feed("")
	if diff := cmp.Diff(feedBody{Tokens: []feedToken{}, IssuedBefore: []feedEpoch{}, Next: "0"}, first); diff != "" {
		t.Errorf("nothing was revoked yet (-want +got):\n%s", diff)
	}
	id, end := revocation.ID{7}, w.now.Add(time.Hour)
	w.dir.revoked.LearnAt(42, revocation.Batch{Tokens: []revocation.Entry{revocation.NewEntry(id, end)}}, false, w.now)
	w.dir.revoked.Select("one", revocation.Selector{Namespace: "shop", IssuedBefore: w.now})
	w.dir.revoked.Select("two", revocation.Selector{ClientID: reporting, IssuedBefore: w.now})
	w.dir.revoked.Select("old", revocation.Selector{ClientID: billing, IssuedBefore: w.now.Add(-oauth2.MaxTokenLifetime)})
	w.dir.revoked.Select("person", revocation.Selector{Subject: "user:corp:U1", IssuedBefore: w.now})
	w.dir.revoked.Select("issuer", revocation.Selector{IssuerName: "corp", IssuedBefore: w.now})
	w.dir.epochs = []revocation.Selector{{ClientUID: "uid-of-x", IssuedBefore: w.now}}
	// of a person the feed has the SHA-256 of the sub
	const person = "GSNev5sD2y2whQqe4vzhmTMcv4BO_C2gjB7OQwumeXw"
	want := feedBody{
		Tokens: []feedToken{{id.String(), end.Unix()}},
		IssuedBefore: []feedEpoch{
			{IssuerName: "corp", Before: w.now.Unix()}, {SubHash: person, Before: w.now.Unix()},
			{ClientUID: "uid-of-x", Before: w.now.Unix()}, {ClientID: reporting, Before: w.now.Unix()}, {Namespace: "shop", Before: w.now.Unix()},
		},
		Next: "42",
	}
	for _, since := range []string{first.Next, ""} {
		got, _ := w.feed(since)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("since %q (-want +got):\n%s", since, diff)
		}
	}
	want.Tokens = []feedToken{}
	later, tag := w.feed("42")
	if diff := cmp.Diff(want, later); diff != "" {
		t.Errorf("once all was read (-want +got):\n%s", diff)
	}
	for _, known := range []string{tag, "W/" + tag, `"other", ` + tag, "*"} {
		answer := w.do(call{method: http.MethodGet, path: oauth2.RevocationFeedPath + "?since=42", basic: stranger, header: http.Header{"If-None-Match": {known}}})
		if answer.Code != http.StatusNotModified || answer.Body.Len() != 0 || answer.Header().Get("ETag") != tag {
			t.Errorf("If-None-Match %s: %d %s", known, answer.Code, answer.Body)
		}
	}
	if answer := w.do(call{path: oauth2.RevocationFeedPath, body: w.post(stranger) + "&since=42"}); answer.Code != http.StatusOK {
		t.Errorf("by POST: %d %s", answer.Code, answer.Body)
	}
}

func TestTheFeedRefuses(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		call call
		want int
	}{
		"nobody":                    {call{method: http.MethodGet}, http.StatusUnauthorized},
		"a suspended client":        {call{method: http.MethodGet, basic: suspended}, http.StatusUnauthorized},
		"a secret in the URL":       {call{method: http.MethodGet, path: oauth2.RevocationFeedPath + "?" + w.post(stranger)}, http.StatusBadRequest},
		"a cursor that is none":     {call{method: http.MethodGet, path: oauth2.RevocationFeedPath + "?since=yesterday", basic: stranger}, http.StatusBadRequest},
		"another tag than the last": {call{method: http.MethodGet, basic: stranger, header: http.Header{"If-None-Match": {`"x"`}}}, http.StatusOK},
		"DELETE":                    {call{method: http.MethodDelete, basic: stranger}, http.StatusMethodNotAllowed},
	} {
		if c.call.path == "" {
			c.call.path = oauth2.RevocationFeedPath
		}
		if answer := w.do(c.call); answer.Code != c.want {
			t.Errorf("%s: %d %s", name, answer.Code, answer.Body)
		}
	}
	throttled := false
	for range feedLevel.Burst + 1 {
		throttled = w.do(call{method: http.MethodGet, path: oauth2.RevocationFeedPath, basic: stranger}).Code == http.StatusTooManyRequests
	}
	if !throttled {
		t.Error("a client reads as fast as it likes")
	}
}

// TestManyEpochsTakePagesOfBoundedBytes and all pages together have each epoch, beside all tokens.
func TestManyEpochsTakePagesOfBoundedBytes(t *testing.T) {
	w := newWorld(t)
	want := map[feedEpoch]bool{}
	for i := range 10_000 {
		epoch := feedEpoch{ClientUID: fmt.Sprintf("00000000-0000-0000-0000-%012d", i*7919%10_000), Before: w.now.Unix()}
		want[epoch] = true
		w.dir.epochs = append(w.dir.epochs, revocation.Selector{ClientUID: epoch.ClientUID, IssuedBefore: w.now})
	}
	for i := range 600 { // each letter of these takes six bytes
		epoch := feedEpoch{ClientID: fmt.Sprintf("%s%d", strings.Repeat("&", 200), i), Before: w.now.Unix()}
		want[epoch] = true
		w.dir.revoked.Select(epoch.ClientID, revocation.Selector{ClientID: epoch.ClientID, IssuedBefore: w.now})
	}
	tokens := map[string]bool{}
	for batch := range 3 {
		var entries []revocation.Entry
		for i := range 8000 {
			entries = append(entries, revocation.NewEntry(revocation.ID{byte(batch + 1), byte(i >> 8), byte(i)}, w.now.Add(time.Hour)))
			tokens[entries[i].ID.String()] = true
		}
		w.dir.revoked.LearnAt(uint64(batch+1), revocation.Batch{Tokens: entries}, false, w.now)
	}
	since, pages := "", 0
	for more := true; more; pages++ {
		page, _ := w.feed(since)
		if rendered, err := json.Marshal(page); err != nil || len(rendered) > 512<<10 {
			t.Fatalf("a page of %d bytes, %v", len(rendered), err)
		}
		for _, epoch := range page.IssuedBefore {
			delete(want, epoch)
		}
		for _, token := range page.Tokens {
			delete(tokens, token.ID)
		}
		since, more = page.Next, page.More
	}
	if len(want) > 0 || len(tokens) > 0 || pages > 30 || since != "3" {
		t.Errorf("%d epochs and %d tokens are on none of %d pages; the last cursor is %q", len(want), len(tokens), pages, since)
	}
	for _, since := range []string{"3~", "3~AA", "3~AAA\n", "~AAA", "3~AAB", "x~AAA", "3~AAA~"} {
		if answer := w.do(call{method: http.MethodGet, path: oauth2.RevocationFeedPath + "?since=" + url.QueryEscape(since), basic: stranger}); answer.Code != http.StatusBadRequest {
			t.Errorf("since %q: %d", since, answer.Code)
		}
	}
}
