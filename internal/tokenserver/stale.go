// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// reasonStale is the reason of every refusal while the directory's memory is too old.
const reasonStale oauth2.Reason = "DirectoryStale"

const staleRetry = 30 * time.Second

// fresh refuses while memory is too old to decide by: it still honours whoever was denied since.
func (s *Server) fresh() error {
	if s.Stale == nil || !s.Stale() {
		return nil
	}
	return &oauth2.Error{
		Code: oauth2.TemporarilyUnavailable, Reason: reasonStale, RetryAfter: staleRetry,
		Description: "this server has heard nothing for so long that what it knows may not be used any more",
	}
}

// freshFor is fresh for an endpoint. The keys are refused too: one of them may have been withdrawn, and verifiers go on with those
// that they have. What proxies ask is refused in their own way, and metadata says nothing of whom to trust.
func (s *Server) freshFor(endpoint string) error {
	switch endpoint {
	case endpointForward, endpointMetadata, endpointNone:
		return nil
	}
	return s.fresh()
}
