// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package console

import (
	"context"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/show"
)

// issuerRoutes are the routes of OAuth2TrustedIssuers.
type issuerRoutes struct{ *Server }

// issuerView is an OAuth2TrustedIssuer.
type issuerView struct {
	Name        string      `json:"name"`
	DisplayName string      `json:"displayName,omitempty"`
	Issuer      string      `json:"issuer"`
	Uses        string      `json:"uses"`
	Health      string      `json:"health"`
	State       []show.Line `json:"state"`
	Clients     *int32      `json:"clients,omitempty"`
	Created     metav1.Time `json:"created"`

	issuerKeys

	Audience string            `json:"audience"`
	JWTs     string            `json:"jwts"`
	Entries  []issuerEntryView `json:"entries"`
	YAML     string            `json:"yaml,omitempty"`
}

// issuerKeys are the keys of an issuer, and how old they are.
type issuerKeys struct {
	KeysFrom  string          `json:"keysFrom"`
	Inline    bool            `json:"inline,omitempty"`
	Fetched   metav1.Time     `json:"fetched,omitzero"`
	KeysUntil metav1.Time     `json:"keysUntil,omitzero"`
	Keys      []issuerKeyView `json:"keys"`
}

type issuerKeyView struct {
	ID        string `json:"id"`
	Algorithm string `json:"algorithm"`
}

// issuerEntryView is which clients may name an issuer, and what their JWTs must have.
type issuerEntryView struct {
	Clients string `json:"clients"`
	JWT     string `json:"jwt"`
}

func viewIssuer(i *v1alpha1.OAuth2TrustedIssuer) issuerView {
	v := issuerView{
		Name: i.Name, DisplayName: i.Spec.DisplayName, Issuer: show.IssuerIdentifier(i), Health: show.IssuerHealth(i), State: show.IssuerConditions(i),
		Clients: i.Status.Clients, Created: i.CreationTimestamp, Audience: show.IssuerAudience(i), JWTs: show.IssuerJWTs(i), Entries: []issuerEntryView{},
		issuerKeys: issuerKeys{
			KeysFrom: show.IssuerKeysFrom(i), Inline: i.Spec.Keys.Source == v1alpha1.KeysInline, Fetched: i.Status.FetchedAt, KeysUntil: i.Status.KeysExpireAt,
			Keys: []issuerKeyView{},
		},
	}
	var uses []string
	for _, use := range i.Spec.Uses {
		uses = append(uses, string(use))
	}
	v.Uses = strings.Join(uses, ", ")
	for _, key := range i.Status.Keys {
		v.Keys = append(v.Keys, issuerKeyView{key.ID, string(key.Algorithm)})
	}
	for _, entry := range i.Spec.Namespaces {
		v.Entries = append(v.Entries, issuerEntryView{show.IssuerClients(entry), show.RequiredJWT(entry)})
	}
	return v
}

func (s issuerRoutes) issuers(ctx context.Context, c call) (any, error) {
	return viewsOf(ctx, c, cluster.Issuers(), viewIssuer)
}

func (s issuerRoutes) issuer(ctx context.Context, c call) (any, error) {
	object, err := c.cluster.Get(ctx, cluster.Issuers(), c.name)
	if err != nil {
		return nil, err
	}
	i, err := cluster.As[v1alpha1.OAuth2TrustedIssuer](object)
	if err != nil {
		return nil, err
	}
	view := viewIssuer(i)
	view.YAML = manifest(object)
	return view, nil
}
