// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"context"

	"github.com/hallpass-dev/hallpass/internal/budget"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Tokens that were minted for software which cannot fetch its own. Each stands in the record of its OAuth2Token, and is good no
// longer than it stands there: an opaque one cannot be read without the record, of a JWT it is asked for besides.

// validateOpaque reads an opaque token by the record that its id belongs to, in memory or, if memory cannot recognise it, at the
// source.
func (s *Server) validateOpaque(ctx context.Context, asker string, token oauth2.Credential, e *event) (oauth2.Claims, error) {
	record := s.Directory.Minted(token.ID)
	claims, err := s.Issuer.ReadOpaque(token.Value, record, e.now)
	if reason := oauth2.ReasonOf(err); reason != oauth2.ReasonTokenUnknown && reason != oauth2.ReasonTokenReplaced {
		return claims, err
	}
	if record, err = s.lookUpMinted(ctx, asker, token.ID, e); err != nil {
		return oauth2.Claims{}, err
	}
	return s.Issuer.ReadOpaque(token.Value, record, e.now)
}

// minted decides about a token by its OAuth2Token: why it is refused, or its claims as far as they are still asked for.
func (s *Server) minted(
	ctx context.Context, asker string, claims oauth2.Claims, client *oauth2.Client, e *event,
) (oauth2.Claims, oauth2.Reason, error) {
	id := oauth2.OpaqueID(claims.TokenUID)
	record := s.Directory.Minted(id)
	if record.Unknown(claims.ID) {
		var err error
		if record, err = s.lookUpMinted(ctx, asker, id, e); err != nil {
			return oauth2.Claims{}, "", err
		}
	}
	narrowed, denial := record.Narrow(claims)
	if denial == "" && record.Minted.Opaque {
		narrowed.Custom = s.Issuer.CustomClaims(client) // a JWT says them itself
	}
	return narrowed, denial, nil
}

// lookUpMinted asks the source about an OAuth2Token, within the asker's budget.
func (s *Server) lookUpMinted(ctx context.Context, asker, opaqueID string, e *event) (oauth2.MintedRecord, error) {
	if !s.questions.Take(e.now, budget.Key{Who: asker, What: opaqueID}).OK {
		return oauth2.MintedRecord{}, oauth2.Unavailable(lookupRetry)
	}
	defer s.waited(e)
	return s.lookups.minted(ctx, opaqueID)
}
