// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package jws_test

import (
	"testing"

	"github.com/hallpass-dev/hallpass/internal/jws"
)

func BenchmarkSign(b *testing.B) {
	for _, algorithm := range []jws.Algorithm{jws.ES256, jws.RS256, jws.EdDSA} {
		b.Run(string(algorithm), func(b *testing.B) {
			s := signer(b, algorithm)
			payload := []byte(`{"sub":"somebody","scope":"read write"}`)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Sign("at+jwt", payload); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, algorithm := range []jws.Algorithm{jws.ES256, jws.RS256, jws.EdDSA} {
		b.Run(string(algorithm), func(b *testing.B) {
			s := signer(b, algorithm)
			token := sign(b, s, `{"sub":"somebody","scope":"read write"}`)
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := accepted(token, s.Public()); !ok {
					b.Fatal("refused")
				}
			}
		})
	}
}
