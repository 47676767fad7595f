// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package seal encrypts state that a client or a browser carries for the server: tickets of a
// login, authorization codes and refresh tokens. A sealed value can be read and made only with a
// key of the ring (AES-256-GCM, NIST SP 800-38D). Each purpose has a key of its own, derived from a
// secret of the ring (HKDF, RFC 5869), and purpose, version, issuer and key id are authenticated
// with the value, so that no value passes for one of another purpose or of another issuer. The
// package imports the standard library alone; the time is an argument.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Purpose is what a value is sealed for.
type Purpose string

// The purposes.
const (
	// Ticket is an authorization request that was accepted, while the person logs in.
	Ticket Purpose = "ticket"
	// Code is an authorization code.
	Code Purpose = "code"
	// Refresh is a refresh token.
	Refresh Purpose = "refresh"
)

// purposes are all of them.
var purposes = [...]Purpose{Ticket, Code, Refresh} //nolint:gochecknoglobals // a constant list

// prefixes begin the sealed values, so that leak scanners and log filters recognise them.
var prefixes = map[Purpose]string{Ticket: "hpl_", Code: "hpc_", Refresh: "hpf_"} //nolint:gochecknoglobals // a constant table

// format is the version of the sealed form.
const format = 1

// MaxSealed bounds a sealed value that is opened, in bytes.
const MaxSealed = 8 << 10

// headSize is the size of what precedes the ciphertext: the format, the key id and the nonce.
const (
	nonceSize = 12
	tagSize   = 16
	headSize  = 1 + idSize + nonceSize
)

// ErrNotOurs is the refusal of a value that no key of the ring has sealed for the purpose and the
// issuer.
var ErrNotOurs = errors.New("the value was not sealed here for this purpose")

// ErrNoKey means that the ring has no key.
var ErrNoKey = errors.New("there is no sealing key")

// Seal seals a value for an issuer with the key that is active now.
func (r Ring) Seal(purpose Purpose, issuer string, value []byte, now time.Time, random io.Reader) (string, error) {
	key := r.active(now)
	if key == nil {
		return "", ErrNoKey
	}
	sealed := make([]byte, headSize, headSize+len(value)+tagSize)
	sealed[0] = format
	copy(sealed[1:], key.id[:])
	nonce := sealed[1+idSize : headSize]
	if _, err := io.ReadFull(random, nonce); err != nil {
		return "", fmt.Errorf("read randomness for a sealed value: %w", err)
	}
	sealed = key.ciphers[purpose].Seal(sealed, nonce, value, key.associated(purpose, issuer))
	return prefixes[purpose] + base64.RawURLEncoding.EncodeToString(sealed), nil
}

// Open returns a sealed value. It does not decide whether the value is still valid.
func (r Ring) Open(purpose Purpose, issuer, sealed string) ([]byte, error) {
	text, ours := strings.CutPrefix(sealed, prefixes[purpose])
	if !ours || len(sealed) > MaxSealed {
		return nil, ErrNotOurs
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") || len(raw) < headSize+tagSize || raw[0] != format {
		return nil, ErrNotOurs
	}
	key := r.byID(id(raw[1 : 1+idSize]))
	if key == nil {
		return nil, ErrNotOurs
	}
	value, err := key.ciphers[purpose].Open(nil, raw[1+idSize:headSize], raw[headSize:], key.associated(purpose, issuer))
	if err != nil {
		return nil, ErrNotOurs
	}
	return value, nil
}

// Looks reports whether a text has the form of a sealed value, which must not be logged.
func Looks(text string) bool {
	for _, prefix := range prefixes {
		if strings.HasPrefix(text, prefix) {
			return true
		}
	}
	return false
}

// associated is what is authenticated with a value, each part behind its length.
func (k *Key) associated(purpose Purpose, issuer string) []byte {
	data := make([]byte, 0, 32+len(issuer))
	for _, part := range []string{string(purpose), string(rune(format)), issuer, string(k.id[:])} {
		data = binary.BigEndian.AppendUint32(data, uint32(len(part))) //nolint:gosec // an issuer is short
		data = append(data, part...)
	}
	return data
}

// derive makes the cipher of each purpose from a secret.
func derive(secret []byte) (map[Purpose]cipher.AEAD, error) {
	ciphers := make(map[Purpose]cipher.AEAD, len(purposes))
	for _, purpose := range purposes {
		key, err := hkdf.Key(sha256.New, secret, nil, "hallpass sealed "+string(purpose), secretSize)
		if err != nil {
			return nil, fmt.Errorf("derive the key of purpose %s: %w", purpose, err)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, fmt.Errorf("make the cipher of purpose %s: %w", purpose, err)
		}
		if ciphers[purpose], err = cipher.NewGCM(block); err != nil {
			return nil, fmt.Errorf("make the cipher of purpose %s: %w", purpose, err)
		}
	}
	return ciphers, nil
}
