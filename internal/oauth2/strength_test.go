// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

func TestDeclaredSecrets(t *testing.T) {
	made, err := oauth2.NewClientSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	generated := made.Value.Reveal()
	for name, c := range map[string]struct {
		secret  string
		problem string
	}{
		"128 bits in base64url":           {"u2Fv9Qk1ZpX7mB4nT0sJcA", ""},
		"a UUID":                          {"0d2f1c9e-7a4b-4e61-9c3d-5b8f2a6e1740", ""},
		"with a colon and a percent sign": {"xK9:%pQ2+vL7/mN4=tR6aBc", ""},
		"one of ours":                     {generated, ""},
		"nothing":                         {"", "missing or empty"},
		"21 characters":                   {"u2Fv9Qk1ZpX7mB4nT0sJc", "fewer than 22"},
		"1025 characters":                 {strings.Repeat("u2Fv9Qk1Z", 200)[:1025], "more than 1024"},
		"a line break at the end":         {"u2Fv9Qk1ZpX7mB4nT0sJcA\n", "printable ASCII"},
		"a space before it":               {" u2Fv9Qk1ZpX7mB4nT0sJcA", "printable ASCII"},
		"a letter beyond ASCII":           {"u2Fv9Qk1ZpX7mB4nT0sJcä", "printable ASCII"},
		"one character":                   {strings.Repeat("a", 32), "repetition"},
		"few characters":                  {"abcabdabcabdacbdabcdabca", "repetition"},
		"a word twice":                    {"correcthorsebcorrecthorseb", "repetition"},
		"a word and a half":               {strings.Repeat("changeme1234", 3), "repetition"},
		"the alphabet":                    {"abcdefghijklmnopqrstuvwxyz", "repetition"},
		"digits downwards":                {"zyxwvutsrqponmlkjihgfedcba", "repetition"},
		"one of ours, mistyped":           {generated[:len(generated)-1] + "z", "checksum"},
		"one of ours, cut off":            {generated[:len(generated)-4], "checksum"},
	} {
		t.Run(name, func(t *testing.T) {
			err := oauth2.CheckDeclaredSecret(oauth2.NewSecret(c.secret))
			if (err == nil) != (c.problem == "") || err != nil && !strings.Contains(err.Error(), c.problem) {
				t.Errorf("%v, want %q", err, c.problem)
			}
			if err != nil && c.secret != "" && strings.Contains(err.Error(), c.secret) {
				t.Errorf("the refusal shows the secret: %v", err)
			}
		})
	}
}

func TestRandomSecretsPass(t *testing.T) {
	for range 2000 {
		raw := make([]byte, 16)
		_, _ = rand.Read(raw)
		for _, secret := range []string{hex.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw), base64.StdEncoding.EncodeToString(raw)} {
			if strings.HasPrefix(secret, oauth2.ClientSecretPrefix) {
				continue // one of 262,144 looks like a damaged secret of Hallpass
			}
			if err := oauth2.CheckDeclaredSecret(oauth2.NewSecret(secret)); err != nil {
				t.Errorf("%s is refused: %v", secret, err)
			}
		}
	}
}
