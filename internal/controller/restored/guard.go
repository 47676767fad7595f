// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package restored

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/internal/restore"
)

const (
	guardTimeout = 5 * time.Second
	// maxList bounds the list of one that a guard reads, without what the object holds.
	maxList = 1 << 20
)

// Guard answers 410, Gone, to a watch from a revision which proves that the store was restored
// since, so that a cache lists anew. A watch from a revision that the store has not reached is
// silent until it has; one from before revisions were raised never reports what the backup lacks.
func Guard(next http.RoundTripper) http.RoundTripper { return guard{next} }

type guard struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (g guard) RoundTrip(request *http.Request) (*http.Response, error) {
	query := request.URL.Query()
	from, err := strconv.ParseUint(query.Get("resourceVersion"), 10, 64)
	if request.Method != http.MethodGet || !isTrue(query.Get("watch")) || isTrue(query.Get("sendInitialEvents")) || err != nil || from == 0 {
		return g.next.RoundTrip(request) //nolint:wrapcheck // it is the answer
	}
	answer, err := g.next.RoundTrip(request)
	if err != nil || answer.StatusCode != http.StatusOK {
		return answer, err //nolint:wrapcheck // it is the answer
	}
	// It is asked after the watch was opened: a restore of etcd restarts the API servers, which
	// ends this watch.
	current, err := g.current(request)
	// How long ago that revision was current is not known here. If it is long ago, a list too
	// many is no harm.
	proof := restore.Prove(restore.Facts{Revision: from}, restore.Facts{Revision: current}, 0)
	if err != nil || proof != restore.None {
		_ = answer.Body.Close()
		if err != nil {
			return nil, err
		}
		return gone(request, from, current), nil
	}
	return answer, nil
}

func isTrue(value string) bool { return value == "true" || value == "1" }

// current asks how far the store is, by a list of one of what is watched.
func (g guard) current(watch *http.Request) (uint64, error) {
	ctx, cancel := context.WithTimeout(watch.Context(), guardTimeout)
	defer cancel()
	request := watch.Clone(ctx)
	query := url.Values{"limit": {"1"}}
	// a right may be for one name alone
	for _, selector := range []string{"fieldSelector", "labelSelector"} {
		if value := watch.URL.Query().Get(selector); value != "" {
			query.Set(selector, value)
		}
	}
	request.URL.RawQuery = query.Encode()
	request.Header.Set("Accept", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json")
	answer, err := g.next.RoundTrip(request)
	if err != nil {
		return 0, fmt.Errorf("ask how far the API server is: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	var list metav1.PartialObjectMetadataList
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxList)).Decode(&list); err != nil || answer.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("ask how far the API server is: %s: %w", answer.Status, err)
	}
	current, err := strconv.ParseUint(list.ResourceVersion, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("ask how far the API server is: %w", err)
	}
	return current, nil
}

// gone is the answer of an API server that has that revision no more.
func gone(request *http.Request, from, current uint64) *http.Response {
	document := fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d,"message":%q}`, metav1.StatusReasonExpired,
		http.StatusGone, fmt.Sprintf("the API server was restored from a backup: it went from resource version %d to %d", from, current))
	return &http.Response{
		Status: "410 Gone", StatusCode: http.StatusGone, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: request,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(document)), ContentLength: int64(len(document)),
	}
}
