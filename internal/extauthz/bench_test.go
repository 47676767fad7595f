// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package extauthz

import (
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/hallpass-dev/hallpass/test/kit/memory"
)

// BenchmarkCheck answers one request again and again, without gRPC.
func BenchmarkCheck(b *testing.B) {
	server := memory.New(b, issuer)
	asked := question(map[string]string{"audience": server.Audience, "scope": "read"}, map[string]string{
		"authorization": "Bearer " + server.Token(server.Register("reporting", "read", "write")),
	})
	envoy := &service{authority: server.Authority, auditor: server.Auditor}
	b.ReportAllocs()
	for b.Loop() {
		server.Audit.Reset()
		response, err := envoy.Check(b.Context(), asked)
		if err != nil || codes.Code(response.GetStatus().GetCode()) != codes.OK { //nolint:gosec // 0 to 16
			b.Fatal(response, err)
		}
	}
}
