// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

func TestASecretDoesNotPrintItself(t *testing.T) {
	const marker = "canary-7c1f"
	secret := oauth2.NewSecret(marker)
	type holder struct {
		Public  oauth2.Secret
		private oauth2.Secret
	}
	held := holder{secret, secret}
	printed := map[string]string{
		"error":  fmt.Errorf("wrapped %v: %w", secret, errors.New("cause")).Error(),
		"concat": secret.String(),
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%p"} {
		for name, value := range map[string]any{"secret": secret, "pointer": &secret, "struct": held, "slice": []oauth2.Secret{secret}, "map": map[string]oauth2.Secret{"k": secret}} {
			printed[verb+" of a "+name] = fmt.Sprintf(verb, value)
		}
	}
	encoded, err := json.Marshal(map[string]any{"s": secret, "h": held, "l": []oauth2.Secret{secret}})
	if err != nil {
		t.Fatal(err)
	}
	printed["json"] = string(encoded)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "s", secret, "h", held)
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "s", secret, "h", held)
	printed["slog"] = log.String()
	for how, text := range printed {
		if strings.Contains(text, marker) || strings.Contains(text, fmt.Sprintf("%x", marker)) {
			t.Errorf("%s shows the secret: %s", how, text)
		}
	}
	if secret.Reveal() != marker || (oauth2.Secret{}).Reveal() != "" || !(oauth2.Secret{}).Empty() {
		t.Error("Reveal does not return what was wrapped")
	}
}

// documented is the expression of docs/secret-format.md.
var documented = regexp.MustCompile(`^hp_[a-z2-7]{12}_[A-Za-z0-9_-]{43}_[0-9a-f]{8}$`)

func TestAClientSecretHasTheDocumentedForm(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		made, err := oauth2.NewClientSecret(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		value := made.Value.Reveal()
		if !documented.MatchString(value) || !strings.HasPrefix(value, "hp_"+made.ID+"_") {
			t.Fatalf("secret %q with id %q", value, made.ID)
		}
		parsed, err := oauth2.ParseClientSecret(made.Value)
		if err != nil || parsed.ID != made.ID || seen[value] {
			t.Fatalf("parsed as %q (%v), seen before: %t", parsed.ID, err, seen[value])
		}
		seen[value] = true
	}
}

func TestRandomnessThatEndsMakesNoSecret(t *testing.T) {
	if made, err := oauth2.NewClientSecret(strings.NewReader("too little")); err == nil || !made.Value.Empty() {
		t.Errorf("made %q of too little randomness", made.ID)
	}
}

func TestNoOtherStringIsTheClientSecret(t *testing.T) {
	made, err := oauth2.NewClientSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	value := made.Value.Reveal()
	refuse := func(what, other string) {
		if _, err := oauth2.ParseClientSecret(oauth2.NewSecret(other)); other != value && !errors.Is(err, oauth2.ErrMalformedCredential) {
			t.Errorf("%s is read as a secret: %q", what, other)
		}
	}
	for i := range value {
		refuse("a prefix", value[:i])
		refuse("a suffix", value[i+1:])
		refuse("one without a character", value[:i]+value[i+1:])
		for c := range 128 {
			refuse("one with a changed character", value[:i]+string(rune(c))+value[i+1:])
		}
		refuse("one in another case", value[:i]+strings.ToUpper(value[i:i+1])+value[i+1:])
		refuse("one in another case", value[:i]+strings.ToLower(value[i:i+1])+value[i+1:])
	}
	refuse("one with a longer end", value+"0")
	body := value[:20] + "\r\n" + value[22:len(value)-9]
	refuse("one with a line break and the right checksum", fmt.Sprintf("%s_%08x", body, crc32.ChecksumIEEE([]byte(body))))
	refuse("one of another prefix", "hpt"+value[2:])
	refuse("nothing", "")
}

func FuzzParseClientSecret(f *testing.F) {
	made, err := oauth2.NewClientSecret(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(made.Value.Reveal())
	f.Add("hp_aaaaaaaaaaaa_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA_00000000")
	f.Add("hp___")
	f.Fuzz(func(t *testing.T, s string) {
		parsed, err := oauth2.ParseClientSecret(oauth2.NewSecret(s))
		if err == nil && (!documented.MatchString(s) || parsed.ID != s[3:15]) {
			t.Errorf("%q is read as secret %q", s, parsed.ID)
		}
	})
}
