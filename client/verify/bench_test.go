// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/asn1"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/client/verify"
)

// BenchmarkSeenBefore prints, as x-lookup, how often the time of a map look-up of the same string a
// token takes that was seen before: at most 2. It allocates nothing.
func BenchmarkSeenBefore(b *testing.B) {
	key := newKey(b, "ES256", "one")
	v := newIssuer(key).verifier(b)
	raw := key.token(b, nil)
	if _, err := v.Verify(b.Context(), raw); err != nil {
		b.Fatal(err)
	}
	known := map[string]*string{raw: &raw}
	for i := range 127 {
		other := strings.Replace(raw, ".", "."+strings.Repeat("a", i+1), 1)
		known[other] = &other
	}
	sent := strings.Clone(raw) // a request has a copy of its own
	var found *string
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(b.Context(), sent); err != nil {
			b.Fatal(err)
		}
	}
	perToken := float64(b.Elapsed()) / float64(b.N)
	b.ReportMetric(perToken/timed(b.N, func() { found = known[sent] }), "x-lookup")
	if found == nil {
		b.Fatal("the map has no token")
	}
}

// timed returns the nanoseconds of one call.
func timed(n int, call func()) float64 {
	begin := time.Now()
	for range n {
		call()
	}
	return float64(time.Since(begin)) / float64(n)
}

// BenchmarkNotSeenBefore prints, as x-signature, how often the time of the signature's check a
// token takes that was not seen before: at most 1.05. It is the median of rounds of 1,000 tokens,
// so that what else the machine does in one round does not count.
func BenchmarkNotSeenBefore(b *testing.B) {
	for _, algorithm := range []string{"ES256", "EdDSA"} {
		b.Run(algorithm, func(b *testing.B) {
			key := newKey(b, algorithm, "one")
			tokens, alone := make([]string, 1000), make([]func(), 1000)
			for i := range tokens {
				tokens[i] = key.token(b, map[string]any{"jti": strconv.Itoa(100_000 + i)})
				alone[i] = signatureAlone(b, key, tokens[i])
			}
			forgetful := func() *verify.Verifier { // it has the keys and no token
				v := newIssuer(key).verifier(b)
				if _, err := v.Verify(b.Context(), key.token(b, nil)); err != nil {
					b.Fatal(err)
				}
				return v
			}
			v := forgetful()
			timed := func(sum *time.Duration, work func()) {
				begin := time.Now()
				work()
				*sum += time.Since(begin)
			}
			var verified, signatures time.Duration
			var rounds []float64
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				if i > 0 && i%len(tokens) == 0 {
					b.StopTimer()
					rounds = append(rounds, float64(verified)/float64(signatures))
					verified, signatures = 0, 0
					v = forgetful()
					b.StartTimer()
				}
				verify := func() {
					if _, err := v.Verify(b.Context(), tokens[i%len(tokens)]); err != nil {
						b.Fatal(err)
					}
				}
				// The two beside each other, so that both meet the same machine.
				// They take turns to be first: the second one finds the tables of
				// the curve and the token in the caches of the processor.
				if i%2 == 0 {
					timed(&verified, verify)
					timed(&signatures, alone[i%len(tokens)])
				} else {
					timed(&signatures, alone[i%len(tokens)])
					timed(&verified, verify)
				}
			}
			rounds = append(rounds, float64(verified)/float64(signatures))
			slices.Sort(rounds)
			b.ReportMetric(rounds[len(rounds)/2], "x-signature")
		})
	}
}

func signatureAlone(b *testing.B, key signingKey, raw string) func() {
	b.Helper()
	dot := strings.LastIndexByte(raw, '.')
	input, signature := []byte(raw[:dot]), decode(b, raw[dot+1:])
	if public, ok := key.signer.Public().(ed25519.PublicKey); ok {
		return func() {
			if !ed25519.Verify(public, input, signature) {
				b.Fatal("the signature is bad")
			}
		}
	}
	public, _ := key.signer.Public().(*ecdsa.PublicKey)
	der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])})
	must(b, err)
	return func() {
		digest := sha256.Sum256(input)
		if !ecdsa.VerifyASN1(public, digest[:], der) {
			b.Fatal("the signature is bad")
		}
	}
}
