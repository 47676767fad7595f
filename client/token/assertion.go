// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// assertionLife is how long an assertion is valid. The token server forgives a minute to either
// side, and accepts exp up to five minutes ahead.
const assertionLife = 2 * time.Minute

const es256Size = 32

var errKeyType = errors.New("neither ECDSA on P-256 nor Ed25519 nor RSA of 2048 bits or more")

// signAssertion makes a JWT that authenticates a client once (RFC 7523 section 2.2).
func signAssertion(key crypto.Signer, keyID, clientID string, to recipient) (string, error) {
	algorithm, hash, err := algorithmOf(key.Public())
	if err != nil {
		return "", err
	}
	header := map[string]string{"alg": algorithm, "typ": "JWT"}
	if keyID != "" {
		header["kid"] = keyID
	}
	// Without iat, the clocks may differ by more.
	claims := map[string]any{
		"iss": clientID, "sub": clientID, "aud": to.issuer, "jti": rand.Text(), "exp": to.now.Add(assertionLife).Unix(),
	}
	input := segment(header) + "." + segment(claims)
	signed := []byte(input)
	if hash == crypto.SHA256 {
		sum := sha256.Sum256(signed)
		signed = sum[:]
	}
	signature, err := key.Sign(rand.Reader, signed, hash)
	if err != nil {
		return "", fmt.Errorf("sign the assertion: %w", err)
	}
	if algorithm == "ES256" {
		if signature, err = rawECDSA(signature); err != nil {
			return "", err
		}
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

func segment(value any) string {
	encoded, err := json.Marshal(value)
	if err != nil {
		panic("token: internal error: encode strings and numbers: " + err.Error())
	}
	return base64.RawURLEncoding.EncodeToString(encoded)
}

const minRSABits = 2048

func algorithmOf(key crypto.PublicKey) (string, crypto.Hash, error) {
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		if key.Curve.Params().BitSize == 8*es256Size {
			return "ES256", crypto.SHA256, nil
		}
	case ed25519.PublicKey:
		return "EdDSA", 0, nil
	case *rsa.PublicKey:
		if key.N.BitLen() >= minRSABits {
			return "RS256", crypto.SHA256, nil
		}
	}
	return "", 0, fmt.Errorf("%w: a private key is %w", ErrCredential, errKeyType)
}

// rawECDSA puts r and s side by side (RFC 7518 section 3.4); crypto/ecdsa has ASN.1.
func rawECDSA(der []byte) ([]byte, error) {
	var numbers struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(der, &numbers); err != nil || len(rest) > 0 ||
		numbers.R.Sign() <= 0 || numbers.S.Sign() <= 0 || numbers.R.BitLen() > 8*es256Size || numbers.S.BitLen() > 8*es256Size {
		return nil, errors.New("sign the assertion: the key made no ECDSA signature")
	}
	raw := make([]byte, 2*es256Size)
	numbers.R.FillBytes(raw[:es256Size])
	numbers.S.FillBytes(raw[es256Size:])
	return raw, nil
}

// thumbprint is the RFC 7638 thumbprint of a key.
func thumbprint(key crypto.PublicKey) (string, error) {
	encode := base64.RawURLEncoding.EncodeToString
	var canonical string
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		point, err := key.Bytes()
		if err != nil || len(point) != 1+2*es256Size {
			return "", fmt.Errorf("%w: a private key is %w", ErrCredential, errKeyType)
		}
		canonical = `{"crv":"P-256","kty":"EC","x":"` + encode(point[1:1+es256Size]) + `","y":"` + encode(point[1+es256Size:]) + `"}`
	case ed25519.PublicKey:
		canonical = `{"crv":"Ed25519","kty":"OKP","x":"` + encode(key) + `"}`
	case *rsa.PublicKey:
		canonical = `{"e":"` + encode(big.NewInt(int64(key.E)).Bytes()) + `","kty":"RSA","n":"` + encode(key.N.Bytes()) + `"}`
	default:
		return "", fmt.Errorf("%w: a private key is %w", ErrCredential, errKeyType)
	}
	sum := sha256.Sum256([]byte(canonical))
	return encode(sum[:]), nil
}
