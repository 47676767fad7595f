// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hallpass-dev/hallpass/client/internal/trust"
)

const (
	// unknownEvery is how often the keys are fetched again because of an unknown kid.
	unknownEvery = 10 * time.Second
	// retryEvery is how long a failed request for keys keeps the next one away: the first while
	// there are keys, the second while there are none.
	retryEvery, retryFirst = 10 * time.Second, time.Second
	// The keys are renewed as the answer asks, within these bounds.
	minFresh, defaultFresh, maxFresh = time.Minute, 15 * time.Minute, 24 * time.Hour
	// maxStale is how long keys count that cannot be renewed.
	maxStale = 24 * time.Hour

	keysTimeout = 10 * time.Second
	maxKeysBody = 256 << 10
	maxKeys     = 100
)

var errUnknownKey = errors.New("its kid is none of the issuer's keys")

// keys are the keys of the issuer, as far as they are known.
type keys struct {
	url     string
	caFile  string
	clients trust.Clients
	// changed is called after the keys were replaced.
	changed func()

	current atomic.Pointer[keySet]

	mu      sync.Mutex
	flight  *keysFlight
	failed  error
	retryAt time.Time // after a failure
	unknown time.Time // when an unknown kid last caused a request
}

// keySet is an answer.
type keySet struct {
	byID               map[string]*publicKey
	fetched, freshTill time.Time
}

func (s *keySet) usable(now time.Time) bool { return s != nil && now.Before(s.fetched.Add(maxStale)) }

type keysFlight struct {
	done chan struct{}
	err  error // set before done is closed
}

// key returns the key of a kid. It waits for an answer only if there are no keys, or if the kid is
// unknown.
func (k *keys) key(ctx context.Context, kid string, now time.Time) (*publicKey, error) {
	set := k.current.Load()
	if set.usable(now) {
		if !now.Before(set.freshTill) {
			k.renew(ctx, now)
		}
		if key := set.byID[kid]; key != nil {
			return key, nil
		}
	}
	flight, err := k.forUnknown(ctx, set.usable(now), now)
	if err != nil {
		return nil, err
	}
	select {
	case <-flight.done:
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
	if flight.err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, flight.err)
	}
	if key := k.current.Load().byID[kid]; key != nil {
		return key, nil
	}
	return nil, invalid("%w", errUnknownKey)
}

// forUnknown returns the request to wait for, because there are no keys or because a kid is
// unknown. It may have to wait for the next one, and is an error then.
func (k *keys) forUnknown(ctx context.Context, some bool, now time.Time) (*keysFlight, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.flight != nil:
		return k.flight, nil
	case k.failed != nil && now.Before(k.retryAt):
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, k.failed)
	case some && now.Before(k.unknown.Add(unknownEvery)):
		return nil, invalid("%w", errUnknownKey)
	}
	if some {
		k.unknown = now
	}
	return k.begin(ctx), nil
}

// renew fetches the keys again and does not wait for them.
func (k *keys) renew(ctx context.Context, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	set := k.current.Load()
	if k.flight == nil && !now.Before(set.freshTill) && !now.Before(k.retryAt) {
		k.begin(ctx)
	}
}

// begin starts a request. The caller holds the lock. It outlives the context of the caller, because
// others wait for it too, and keeps its values.
func (k *keys) begin(ctx context.Context) *keysFlight {
	f := &keysFlight{done: make(chan struct{})}
	k.flight = f
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keysTimeout)
		defer cancel()
		set, err := k.fetch(ctx)
		k.mu.Lock()
		defer k.mu.Unlock()
		if err == nil {
			k.current.Store(set)
			k.changed()
		}
		f.err, k.failed, k.flight = err, err, nil
		k.retryAt = time.Time{}
		if err != nil {
			k.retryAt = time.Now().Add(retryFirst)
			if k.current.Load() != nil {
				k.retryAt = time.Now().Add(retryEvery)
			}
		}
		close(f.done)
	}()
	return f
}

func (k *keys) fetch(ctx context.Context) (*keySet, error) {
	var ca []byte
	if k.caFile != "" && k.clients.Fixed == nil {
		var err error
		if ca, err = os.ReadFile(k.caFile); err != nil {
			return nil, fmt.Errorf("read the CA: %w", err)
		}
	}
	client, err := k.clients.For(ca)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("fetch the keys: %w", err)
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	now := time.Now()
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("fetch the keys: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxKeysBody+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("fetch the keys: %w", err)
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("fetch the keys: the answer is %d", response.StatusCode)
	case len(body) > maxKeysBody:
		return nil, fmt.Errorf("fetch the keys: the answer has more than %d bytes", maxKeysBody)
	}
	byID, err := parseKeys(body)
	if err != nil {
		return nil, err
	}
	return &keySet{byID: byID, fetched: now, freshTill: now.Add(fresh(response.Header))}, nil
}

// fresh is how long an answer may be kept (RFC 9111 section 4.2).
func fresh(header http.Header) time.Duration {
	life, stated := defaultFresh, false
	for _, value := range header.Values("Cache-Control") {
		for directive := range strings.SplitSeq(value, ",") {
			name, argument, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
			seconds, err := strconv.Atoi(strings.Trim(argument, `"`))
			switch {
			case name == "no-store", name == "no-cache":
				return minFresh
			case name == "max-age" && err == nil && !stated:
				life, stated = time.Duration(min(seconds, int(maxFresh/time.Second)))*time.Second, true
			}
		}
	}
	if age, err := strconv.Atoi(header.Get("Age")); err == nil && age > 0 {
		life -= time.Duration(min(age, int(maxFresh/time.Second))) * time.Second
	}
	return min(max(life, minFresh), maxFresh)
}

// jwk is a key of a set (RFC 7517 section 4).
type jwk struct {
	KeyType   string `json:"kty"`
	Use       string `json:"use"`
	Algorithm string `json:"alg"`
	KeyID     string `json:"kid"`
	Curve     string `json:"crv"`
	X         string `json:"x"`
	Y         string `json:"y"`
	N         string `json:"n"`
	E         string `json:"e"`
}

// parseKeys reads a JWK set. Keys that cannot verify a token are left out; two with one kid refuse
// the set, because nothing decides which one counts.
func parseKeys(body []byte) (map[string]*publicKey, error) {
	var set struct {
		Keys []jwk `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, fmt.Errorf("read the keys: %w", err)
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("read the keys: there are more than %d", maxKeys)
	}
	byID := map[string]*publicKey{}
	for _, j := range set.Keys {
		key, ok := j.public()
		if !ok || j.KeyID == "" || j.Use != "" && j.Use != "sig" {
			continue
		}
		if byID[j.KeyID] != nil {
			return nil, fmt.Errorf("read the keys: two have the kid %q", j.KeyID)
		}
		byID[j.KeyID] = key
	}
	if len(byID) == 0 {
		return nil, errors.New("read the keys: none of them can verify tokens")
	}
	return byID, nil
}

const minRSABits, maxRSABits, rsaExponent = 2048, 8192, 65537

func (j *jwk) public() (*publicKey, bool) {
	var algorithm string
	var key crypto.PublicKey
	switch j.KeyType + " " + j.Curve {
	case "EC P-256":
		x, y := decodeSized(j.X, es256Size), decodeSized(j.Y, es256Size)
		if x == nil || y == nil {
			return nil, false
		}
		point, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
		if err != nil {
			return nil, false
		}
		algorithm, key = es256, point
	case "OKP Ed25519":
		x := decodeSized(j.X, ed25519.PublicKeySize)
		if x == nil {
			return nil, false
		}
		algorithm, key = edDSA, ed25519.PublicKey(x)
		if j.Algorithm == ed25519Name {
			j.Algorithm = edDSA
		}
	case "RSA ":
		n, nErr := strictBase64URL.DecodeString(j.N)
		e, eErr := strictBase64URL.DecodeString(j.E)
		modulus, exponent := new(big.Int).SetBytes(n), new(big.Int).SetBytes(e)
		if nErr != nil || eErr != nil || modulus.BitLen() < minRSABits || modulus.BitLen() > maxRSABits || exponent.Cmp(big.NewInt(rsaExponent)) != 0 {
			return nil, false
		}
		algorithm, key = rs256, &rsa.PublicKey{N: modulus, E: rsaExponent}
		if j.Algorithm == ps256 {
			algorithm = ps256
		}
	default:
		return nil, false
	}
	return &publicKey{algorithm, key}, j.Algorithm == "" || j.Algorithm == algorithm
}

func decodeSized(text string, size int) []byte {
	raw, err := strictBase64URL.DecodeString(text)
	if err != nil || len(raw) != size {
		return nil
	}
	return raw
}
