// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

// packCodes writes how a client gets authorization codes. Only such a client is public.
func packCodes(w *wire.Writer, c *oauth2.Client) {
	codes, flags := c.Codes, byte(0)
	if c.Credentials.Public {
		flags |= codesPublic
	}
	if codes.AskAlways {
		flags |= codesAsk
	}
	if codes.Refresh.Limited {
		flags |= codesLimited
	}
	w.Byte(flags)
	w.Text(codes.IssuerName)
	w.Text(codes.DisplayName)
	packTexts(w, codes.RedirectURIs)
	w.Varint(int64(codes.Refresh.Lifetime / time.Second))
	w.Varint(int64(codes.Refresh.Idle / time.Second))
	w.Varint(int64(codes.Refresh.Max))
}

func unpackCodes(r *wire.Reader, c *oauth2.Client) {
	flags := r.Byte()
	c.Credentials.Public = flags&codesPublic != 0
	c.Codes = &oauth2.Codes{AskAlways: flags&codesAsk != 0, IssuerName: r.Text(), DisplayName: r.Text(), RedirectURIs: unpackTexts(r, nil)}
	c.Codes.Refresh = oauth2.Refreshing{
		Lifetime: time.Duration(r.Varint()) * time.Second, Idle: time.Duration(r.Varint()) * time.Second, Limited: flags&codesLimited != 0, Max: int(r.Varint()),
	}
}

func packFederated(w *wire.Writer, f *oauth2.Federated) {
	w.Text(f.IssuerName)
	w.Text(f.Subject)
	w.Text(f.SubjectPrefix)
	w.Varint(int64(len(f.Claims)))
	for _, claim := range f.Claims {
		w.Text(claim.Name)
		packTexts(w, claim.Values)
	}
}

func unpackFederated(r *wire.Reader) *oauth2.Federated {
	f := &oauth2.Federated{IssuerName: r.Text(), Subject: r.Text(), SubjectPrefix: r.Text()}
	if n := r.Count(); n > 0 {
		f.Claims = make([]oauth2.RequiredClaim, n)
		for i := range f.Claims {
			f.Claims[i] = oauth2.RequiredClaim{Name: r.Text(), Values: unpackTexts(r, nil)}
		}
	}
	return f
}
