// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// What is held of a body is counted by what was received of it, twice.
func TestABufferIsNoLongerThanTwiceWhatWasReceived(t *testing.T) {
	for _, length := range []int64{-1, 0, 1, 100, firstRead, firstRead + 1, 20_000, oauth2.MaxFormBytes, oauth2.MaxFormBytes + 1, 1 << 20} {
		declared := length
		if length < 0 {
			length = 30_000
		}
		body := &trickle{left: int(length)}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", body)
		r.ContentLength = declared
		read, err := readUpTo(r, make([]byte, 0, usualBody), oauth2.MaxFormBytes+1)
		if want := min(int(length), oauth2.MaxFormBytes+1); err != nil || len(read) != want {
			t.Errorf("of %d bytes %d were read, want %d: %v", length, len(read), want, err)
		}
		if body.longest > 0 {
			t.Errorf("of %d bytes the buffer had room for %d more than were received", length, body.longest)
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", &trickle{left: 99})
	r.ContentLength = 100
	if read, err := readUpTo(r, make([]byte, 0, usualBody), oauth2.MaxFormBytes+1); err == nil {
		t.Errorf("a body that ends early is read as %d bytes", len(read))
	}
}

// trickle is a body that comes in small parts.
type trickle struct{ left, received, longest int }

func (b *trickle) Read(p []byte) (int, error) {
	if b.received >= firstRead {
		b.longest = max(b.longest, len(p)-b.received)
	}
	if b.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), b.left, 700)
	b.left -= n
	b.received += n
	return n, nil
}
