// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package seal_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/seal"
)

const issuer = "https://hallpass.example.com"

var start = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)

func ringAt(t testing.TB, now time.Time) seal.Ring {
	t.Helper()
	ring, changed, err := seal.Ring{}.Rotate(now, now, rand.Reader)
	if err != nil || !changed {
		t.Fatalf("the first rotation: changed %t, %v", changed, err)
	}
	return ring
}

func TestAValueOpensForItsPurposeAndIssuerAlone(t *testing.T) {
	ring := ringAt(t, start)
	sealed, err := ring.Seal(seal.Code, issuer, []byte("state"), start, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if value, err := ring.Open(seal.Code, issuer, sealed); err != nil || string(value) != "state" {
		t.Fatalf("opened %q, %v", value, err)
	}
	again, err := ring.Seal(seal.Code, issuer, []byte("state"), start, rand.Reader)
	if err != nil || again == sealed {
		t.Errorf("two sealed values of one state are equal, %v", err)
	}
	for name, open := range map[string]func() ([]byte, error){
		"of another purpose": func() ([]byte, error) { return ring.Open(seal.Refresh, issuer, sealed) },
		"of another purpose with its prefix": func() ([]byte, error) {
			return ring.Open(seal.Refresh, issuer, "hpf_"+strings.TrimPrefix(sealed, "hpc_"))
		},
		"of another issuer":  func() ([]byte, error) { return ring.Open(seal.Code, issuer+".evil", sealed) },
		"of another ring":    func() ([]byte, error) { return ringAt(t, start).Open(seal.Code, issuer, sealed) },
		"without its prefix": func() ([]byte, error) { return ring.Open(seal.Code, issuer, strings.TrimPrefix(sealed, "hpc_")) },
		"with a line break":  func() ([]byte, error) { return ring.Open(seal.Code, issuer, sealed[:10]+"\n"+sealed[10:]) },
		"empty":              func() ([]byte, error) { return ring.Open(seal.Code, issuer, "") },
		"too long": func() ([]byte, error) {
			return ring.Open(seal.Code, issuer, "hpc_"+strings.Repeat("A", seal.MaxSealed))
		},
	} {
		if value, err := open(); !errors.Is(err, seal.ErrNotOurs) || value != nil {
			t.Errorf("a value %s opened: %q, %v", name, value, err)
		}
	}
}

// Each change of each bit is refused, and so is each part of the value.
func TestNoChangedValueOpens(t *testing.T) {
	ring := ringAt(t, start)
	sealed, err := ring.Seal(seal.Ticket, issuer, []byte("some state"), start, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for i := range sealed {
		if _, err := ring.Open(seal.Ticket, issuer, sealed[:i]); err == nil {
			t.Fatalf("the first %d characters open", i)
		}
		for bit := range 8 {
			changed := []byte(sealed)
			changed[i] ^= 1 << bit
			if _, err := ring.Open(seal.Ticket, issuer, string(changed)); err == nil {
				t.Fatalf("it opens with bit %d of character %d changed", bit, i)
			}
		}
	}
}

func TestAValueOpensForAsLongAsARefreshTokenLives(t *testing.T) {
	ring, now := ringAt(t, start), start
	type value struct {
		sealed string
		until  time.Time
	}
	var values []value
	most := 0
	for range 400 * 24 {
		now = now.Add(time.Hour)
		var err error
		if ring, _, err = ring.Rotate(now, now.Add(-5*time.Minute), rand.Reader); err != nil {
			t.Fatal(err)
		}
		most = max(most, len(ring.Keys()))
		sealed, err := ring.Seal(seal.Refresh, issuer, []byte("state"), now, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, value{sealed, now.Add(seal.MaxLife)})
		for len(values) > 0 && !now.Before(values[0].until) {
			values = values[1:]
		}
		for _, at := range []int{0, len(values) / 2} {
			if _, err := ring.Open(seal.Refresh, issuer, values[at].sealed); err != nil {
				t.Fatalf("at %s a value that is valid until %s does not open: %v", now, values[at].until, err)
			}
		}
	}
	if most < 4 || most > 6 {
		t.Errorf("the ring had up to %d keys", most)
	}
}

func TestANewKeySealsOnlyAfterEveryReplicaHasIt(t *testing.T) {
	before := ringAt(t, start)
	due := before.Due()
	if same, changed, err := before.Rotate(due.Add(-time.Second), start, rand.Reader); err != nil || changed || len(same.Keys()) != 1 {
		t.Fatalf("the ring changes before it is due: %t, %v", changed, err)
	}
	after, changed, err := before.Rotate(due, start, rand.Reader)
	if err != nil || !changed || len(after.Keys()) != 2 {
		t.Fatalf("the ring does not change when it is due: %t, %v", changed, err)
	}
	for name, at := range map[string]time.Time{"with the new key already": due, "just before it is active": due.Add(seal.Lead - time.Second)} {
		sealed, err := after.Seal(seal.Code, issuer, []byte("state"), at, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := before.Open(seal.Code, issuer, sealed); err != nil {
			t.Errorf("%s, a replica that lacks it cannot open what another one seals", name)
		}
	}
	sealed, err := after.Seal(seal.Code, issuer, []byte("state"), due.Add(seal.Lead), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := before.Open(seal.Code, issuer, sealed); err == nil {
		t.Error("the old key seals after its successor is active")
	}
}

func TestAClockThatIsBehindDoesNotStopLogins(t *testing.T) {
	ring := ringAt(t, start)
	if _, err := ring.Seal(seal.Code, issuer, nil, start.Add(-365*24*time.Hour), rand.Reader); err != nil {
		t.Error(err)
	}
	if _, err := (seal.Ring{}).Seal(seal.Code, issuer, nil, start, rand.Reader); !errors.Is(err, seal.ErrNoKey) {
		t.Errorf("an empty ring seals: %v", err)
	}
}

func TestTheStoredFormIsReadBack(t *testing.T) {
	ring := ringAt(t, start)
	ring, _, err := ring.Rotate(ring.Due(), start, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	document, err := ring.Encode()
	if err != nil {
		t.Fatal(err)
	}
	read, err := seal.Decode(document)
	if err != nil {
		t.Fatal(err)
	}
	again, err := read.Encode()
	if err != nil || !bytes.Equal(again, document) {
		t.Errorf("read and written again it is\n%s\nand was\n%s", again, document)
	}
	sealed, err := ring.Seal(seal.Refresh, issuer, []byte("state"), start, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := read.Open(seal.Refresh, issuer, sealed); err != nil {
		t.Error(err)
	}
	for name, document := range map[string]string{
		"empty": "", "no keys": `{"version":1,"keys":[]}`, "another version": `{"version":2,"keys":[{"secret":"AAAA"}]}`,
		"a short secret": `{"version":1,"keys":[{"secret":"AAAA","activeAt":"2026-08-01T12:00:00Z"}]}`,
		"a key twice":    strings.Replace(string(document), `"keys":[`, `"keys":[`+strings.TrimSuffix(strings.SplitAfter(string(document)[len(`{"version":1,"keys":[`):], "}")[0], ",")+",", 1),
	} {
		if _, err := seal.Decode([]byte(document)); !errors.Is(err, seal.ErrUnreadable) {
			t.Errorf("%s is read: %v", name, err)
		}
	}
}

func TestKeysDoNotPrint(t *testing.T) {
	ring := ringAt(t, start)
	document, err := ring.Encode()
	if err != nil {
		t.Fatal(err)
	}
	secret := strings.Split(string(document), `"`)[7]
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if text := fmt.Sprintf(verb+" "+verb, ring, ring.Keys()[0]); strings.Contains(text, secret) || len(text) > 120 {
			t.Errorf("%s prints %s", verb, text)
		}
	}
}

func FuzzOpen(f *testing.F) {
	ring := ringAt(f, start)
	for _, purpose := range []seal.Purpose{seal.Ticket, seal.Code, seal.Refresh} {
		sealed, err := ring.Seal(purpose, issuer, []byte("state"), start, rand.Reader)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(sealed)
	}
	f.Fuzz(func(t *testing.T, sealed string) {
		for _, purpose := range []seal.Purpose{seal.Ticket, seal.Code, seal.Refresh} {
			if value, err := ring.Open(purpose, issuer, sealed); err == nil && string(value) != "state" {
				t.Errorf("%q opens as %q", sealed, value)
			}
		}
	})
}

func FuzzDecode(f *testing.F) {
	document, err := ringAt(f, start).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(document)
	f.Fuzz(func(t *testing.T, document []byte) {
		ring, err := seal.Decode(document)
		if err != nil {
			return
		}
		if ring.Empty() {
			t.Error("an empty ring was read")
		}
		if _, err := ring.Seal(seal.Code, issuer, nil, start, rand.Reader); err != nil {
			t.Error(err)
		}
	})
}
