// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package registration

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

// How the records of declared resources are kept.
const (
	// ResourceSecretType is the type of their Secrets.
	ResourceSecretType = "hallpass.dev/resource"
	// AnnotationResource names the resource of a record for people. Nothing reads it.
	AnnotationResource = "hallpass.dev/resource-identifier"

	resourceDataKey = "resource.json"
	// maxResource bounds a record that was written before MaxResource: a Secret holds 1 MiB,
	// and base64 takes a third of that.
	maxResource = 700 << 10
)

// MaxResource bounds the record of a resource, in bytes. A record that was written before is read
// up to the size of a Secret.
const MaxResource = 64 << 10

// ErrTooLarge means that a record does not fit into a Secret.
var ErrTooLarge = errors.New("the record is larger than a Secret can be")

// wireResource is the stored form of a resource's record, under the same promise as that of a
// client.
type wireResource struct {
	wire.Form `json:",inline"`

	Identifier  string        `json:"identifier"`
	Owner       wireOwner     `json:"owner"`
	DisplayName string        `json:"displayName,omitempty"`
	Scopes      []string      `json:"scopes,omitempty"`
	Consents    []wireConsent `json:"consents,omitempty"`
	// Exchanged are the consents to exchanged tokens, beside those of Consents; a reader that
	// ignores them issues none. ExchangeHeld is there while a token server runs that does not
	// read such tokens, and then none is issued.
	Exchanged    []wireConsent `json:"exchanged,omitempty"`
	ExchangeHeld bool          `json:"exchangeHeld,omitempty"`
	// Users and ExchangedUsers are the consents to tokens of persons, beside the others in the
	// same way.
	Users          []wireConsent `json:"users,omitempty"`
	UsersHeld      bool          `json:"usersHeld,omitempty"`
	ExchangedUsers []wireConsent `json:"exchangedUsers,omitempty"`
	// Descriptions are for consent pages. A reader that ignores them shows the names alone.
	Descriptions         []wireDescription `json:"descriptions,omitempty"`
	Introspectors        []wireName        `json:"introspectors,omitempty"`
	TokenLifetimeSeconds int64             `json:"tokenLifetimeSeconds,omitempty"`
}

type wireDescription struct {
	Scope string `json:"scope"`
	Text  string `json:"text"`
}

type wireConsent struct {
	Namespaces   []string          `json:"namespaces"`
	ClientLabels map[string]string `json:"clientLabels,omitempty"`
	Scopes       []string          `json:"scopes"`
}

func toConsents(consents []oauth2.Consent) (list []wireConsent) {
	for _, c := range consents {
		list = append(list, wireConsent(c))
	}
	return list
}

func fromConsents(list []wireConsent) (consents []oauth2.Consent) {
	for _, c := range list {
		consents = append(consents, oauth2.Consent(c))
	}
	return consents
}

// formOfResource is the form of the record of a resource. Most are as the first version wrote them,
// so that an upgrade does not write each of them again.
func formOfResource(r oauth2.Resource) wire.Form {
	switch {
	case len(r.Descriptions) > 0:
		return wire.Form{Version: codeVersion, MinReader: firstVersion}
	case len(r.Users) > 0 || len(r.ExchangedUsers) > 0:
		return wire.Form{Version: personVersion, MinReader: firstVersion}
	case len(r.Exchanged) > 0:
		return wire.Form{Version: grantTypeVersion, MinReader: firstVersion}
	}
	return wire.Form{Version: firstVersion}
}

// EncodeResource renders a resource as the data of its Secret. Equal resources give equal bytes.
func EncodeResource(r oauth2.Resource) (map[string][]byte, error) {
	if err := checkResource(r); err != nil {
		return nil, fmt.Errorf("encode resource %s: %w", r.Identifier, err)
	}
	w := wireResource{
		Form: formOfResource(r), Identifier: r.Identifier, Owner: wireOwner{Namespace: r.Namespace, Name: r.Name, UID: r.UID},
		DisplayName: r.DisplayName, Scopes: r.Scopes, TokenLifetimeSeconds: int64(r.TokenLifetime / time.Second),
	}
	w.Consents, w.Users, w.Exchanged, w.ExchangedUsers = toConsents(r.Consents), toConsents(r.Users), toConsents(r.Exchanged), toConsents(r.ExchangedUsers)
	w.ExchangeHeld, w.UsersHeld = r.ExchangeHeld, r.UsersHeld
	for _, name := range r.Introspectors {
		w.Introspectors = append(w.Introspectors, wireName(name))
	}
	for _, d := range r.Descriptions {
		w.Descriptions = append(w.Descriptions, wireDescription(d))
	}
	document, err := json.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("encode resource %s: %w", r.Identifier, err)
	}
	if len(document) > maxResource {
		return nil, fmt.Errorf("encode resource %s: %w", r.Identifier, ErrTooLarge)
	}
	return map[string][]byte{resourceDataKey: document}, nil
}

// DecodeResource reads the record of a resource. What it cannot read whole and sound is
// ErrUnreadable.
func DecodeResource(data map[string][]byte) (oauth2.Resource, error) {
	var w wireResource
	if err := read(data[resourceDataKey], &w, &w.Form); err != nil {
		return oauth2.Resource{}, err
	}
	r := oauth2.Resource{
		Identifier: w.Identifier, UID: w.Owner.UID, Namespace: w.Owner.Namespace, Name: w.Owner.Name, DisplayName: w.DisplayName,
		Scopes: w.Scopes, TokenLifetime: time.Duration(w.TokenLifetimeSeconds) * time.Second,
	}
	r.Consents, r.Users, r.Exchanged, r.ExchangedUsers = fromConsents(w.Consents), fromConsents(w.Users), fromConsents(w.Exchanged), fromConsents(w.ExchangedUsers)
	r.ExchangeHeld, r.UsersHeld = w.ExchangeHeld, w.UsersHeld
	for _, name := range w.Introspectors {
		r.Introspectors = append(r.Introspectors, oauth2.ObjectName(name))
	}
	for _, d := range w.Descriptions {
		r.Descriptions = append(r.Descriptions, oauth2.Description(d))
	}
	if err := checkResource(r); err != nil {
		return oauth2.Resource{}, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return r, nil
}

func checkResource(r oauth2.Resource) error {
	failures := []error{checkName(oauth2.ObjectName{Namespace: r.Namespace, Name: r.Name}), checkScopes(r.Scopes)}
	switch {
	case r.Identifier == "" || r.UID == "":
		failures = append(failures, errors.New("it has no identifier or no owner"))
	case r.ExchangeHeld && len(r.Exchanged) == 0:
		failures = append(failures, errors.New("it holds back exchanged tokens and has no consent to any"))
	case r.UsersHeld && len(r.Users) == 0 && len(r.ExchangedUsers) == 0:
		failures = append(failures, errors.New("it holds back tokens of persons and has no consent to any"))
	case r.TokenLifetime != 0 && (r.TokenLifetime < oauth2.MinTokenLifetime || r.TokenLifetime > oauth2.MaxTokenLifetime):
		failures = append(failures, fmt.Errorf("the token lifetime %s is out of bounds", r.TokenLifetime))
	}
	for _, c := range r.AllConsents() {
		failures = append(failures, checkScopes(c.Scopes))
		if !slices.IsSorted(c.Namespaces) {
			failures = append(failures, errors.New("the namespaces of a consent are not sorted"))
		}
	}
	for _, name := range r.Introspectors {
		failures = append(failures, checkName(name))
	}
	return errors.Join(failures...)
}
