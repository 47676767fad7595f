// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package registration

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

// How the records of trusted issuers are kept.
const (
	// IssuerSecretType is the type of their Secrets.
	IssuerSecretType = "hallpass.dev/trusted-issuer"
	// AnnotationIssuer is the issuer of a record for people. Nothing reads it.
	AnnotationIssuer = "hallpass.dev/issuer"

	issuerDataKey = "issuer.json"
)

// MaxIssuer bounds the record of a trusted issuer, in bytes.
const MaxIssuer = 256 << 10

// IssuerSecretName is the name of the record of the OAuth2TrustedIssuer of a name.
func IssuerSecretName(name string) string { return lockName("issuer-", name) }

// wireIssuer is the stored form of a trusted issuer, under the same promise as that of a client. A
// reader of before the first of them ignores its Secret.
type wireIssuer struct {
	wire.Form `json:",inline"`

	Name       string           `json:"name"`
	UID        string           `json:"uid"`
	Issuer     string           `json:"issuer"`
	State      wireState        `json:"state"`
	Keys       []jws.JWK        `json:"keys"`
	FetchedAt  time.Time        `json:"fetchedAt,omitzero"`
	KeysUntil  time.Time        `json:"keysUntil,omitzero"`
	Algorithms []jws.Algorithm  `json:"algorithms,omitempty"`
	Audiences  []string         `json:"audiences,omitempty"`
	MaxSeconds int64            `json:"maxLifeSeconds,omitempty"`
	Once       bool             `json:"once,omitempty"`
	Delegated  []wireDelegation `json:"delegations,omitempty"`
	// Uses are left out if they are Client alone, as before there were others.
	Uses []string `json:"uses,omitempty"`
	// Login is there if persons may log in at the issuer, and the three others only beside it.
	// A reader that ignores them lets no person log in.
	Login        *wireLogin `json:"login,omitempty"`
	DisplayName  string     `json:"displayName,omitempty"`
	CABundle     []byte     `json:"caBundle,omitempty"`
	AllowedCIDRs []string   `json:"allowedCIDRs,omitempty"`
}

type wireLogin struct {
	ClientID     string         `json:"clientID"`
	SecretName   string         `json:"secretName"`
	Scopes       []string       `json:"scopes"`
	SubjectClaim string         `json:"subjectClaim,omitempty"`
	Claims       []wireRequired `json:"claims,omitempty"`
	Groups       []string       `json:"groups,omitempty"`
	GroupsClaim  string         `json:"groupsClaim,omitempty"`
}

func toLogin(l *oauth2.Login) *wireLogin {
	if l == nil {
		return nil
	}
	return &wireLogin{l.ClientID, l.SecretName, l.Scopes, l.SubjectClaim, toRequired(l.Claims), l.Groups, l.GroupsClaim}
}

func (w *wireLogin) login() *oauth2.Login {
	if w == nil {
		return nil
	}
	return &oauth2.Login{
		ClientID: w.ClientID, SecretName: w.SecretName, Scopes: w.Scopes, SubjectClaim: w.SubjectClaim,
		Claims: fromRequired(w.Claims), Groups: w.Groups, GroupsClaim: w.GroupsClaim,
	}
}

type wireDelegation struct {
	Namespaces      []string       `json:"namespaces"`
	SubjectPrefixes []string       `json:"subjectPrefixes,omitempty"`
	Claims          []wireRequired `json:"claims,omitempty"`
}

func toRequired(claims []oauth2.RequiredClaim) (list []wireRequired) {
	for _, claim := range claims {
		list = append(list, wireRequired(claim))
	}
	return list
}

func fromRequired(list []wireRequired) (claims []oauth2.RequiredClaim) {
	for _, claim := range list {
		claims = append(claims, oauth2.RequiredClaim(claim))
	}
	return claims
}

// formOfIssuer is the form of the record of a trusted issuer. An earlier reader would take the JWTs
// of one that is not trusted for clients for those of clients, and does not know trust domains.
func formOfIssuer(t oauth2.TrustedIssuer) wire.Form {
	switch {
	case isTrustDomain(t):
		return wire.Form{Version: spiffeVersion}
	case t.Uses == 0:
		return wire.Form{Version: federatedVersion}
	case t.Login != nil && t.Uses.Has(oauth2.UseClient):
		return wire.Form{Version: codeVersion, MinReader: federatedVersion}
	case t.Login != nil:
		return wire.Form{Version: codeVersion, MinReader: personVersion}
	case t.Uses.Has(oauth2.UseClient):
		return wire.Form{Version: personVersion, MinReader: federatedVersion}
	}
	return wire.Form{Version: personVersion}
}

// EncodeIssuer renders a trusted issuer as the data of its Secret. Equal issuers give equal bytes.
func EncodeIssuer(t oauth2.TrustedIssuer) (map[string][]byte, error) {
	if err := checkIssuer(t); err != nil {
		return nil, fmt.Errorf("encode trusted issuer %s: %w", t.Name, err)
	}
	w := wireIssuer{
		Form: formOfIssuer(t), Uses: t.Uses.Names(), Name: t.Name, UID: t.UID, Issuer: t.Issuer, State: wireActive, Keys: t.Keys.Set.JWKs(),
		FetchedAt: t.Keys.FetchedAt.UTC(), KeysUntil: t.Keys.Until.UTC(), Algorithms: t.Algorithms, Audiences: t.Audiences,
		MaxSeconds: int64(t.MaxLife / time.Second), Once: t.Once,
		Login: toLogin(t.Login), DisplayName: t.DisplayName, CABundle: t.CABundle, AllowedCIDRs: t.AllowedCIDRs,
	}
	if t.Suspended {
		w.State = wireSuspended
	}
	for _, d := range t.Delegations {
		w.Delegated = append(w.Delegated, wireDelegation{d.Namespaces, d.SubjectPrefixes, toRequired(d.Claims)})
	}
	document, err := json.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("encode trusted issuer %s: %w", t.Name, err)
	}
	if len(document) > MaxIssuer {
		return nil, fmt.Errorf("encode trusted issuer %s: %w", t.Name, ErrTooLarge)
	}
	return map[string][]byte{issuerDataKey: document}, nil
}

// DecodeIssuer reads the record of a trusted issuer. What it cannot read whole and sound is
// ErrUnreadable.
func DecodeIssuer(data map[string][]byte) (oauth2.TrustedIssuer, error) {
	var w wireIssuer
	if err := read(data[issuerDataKey], &w, &w.Form); err != nil {
		return oauth2.TrustedIssuer{}, err
	}
	t, err := w.issuer()
	if err == nil {
		err = checkIssuer(t)
	}
	if err != nil {
		return oauth2.TrustedIssuer{}, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return t, nil
}

func (w wireIssuer) issuer() (oauth2.TrustedIssuer, error) {
	t := oauth2.TrustedIssuer{
		Name: w.Name, UID: w.UID, Issuer: w.Issuer,
		Keys: oauth2.IssuerKeys{FetchedAt: w.FetchedAt, Until: w.KeysUntil}, Algorithms: w.Algorithms, Audiences: w.Audiences,
		MaxLife: time.Duration(w.MaxSeconds) * time.Second, Once: w.Once,
		Login: w.Login.login(), DisplayName: w.DisplayName, CABundle: w.CABundle, AllowedCIDRs: w.AllowedCIDRs,
	}
	var known bool
	if t.Uses, known = oauth2.IssuerUsesOf(w.Uses); !known {
		return t, errors.New("it is trusted for nothing that is known")
	}
	switch w.State {
	case wireActive:
	case wireSuspended:
		t.Suspended = true
	default:
		return t, fmt.Errorf("state %q is unknown", w.State)
	}
	for _, d := range w.Delegated {
		t.Delegations = append(t.Delegations, oauth2.Delegation{Namespaces: d.Namespaces, SubjectPrefixes: d.SubjectPrefixes, Claims: fromRequired(d.Claims)})
	}
	if len(w.Keys) == 0 {
		return t, nil
	}
	document, err := json.Marshal(wireKeySet{Keys: w.Keys})
	if err != nil {
		return t, fmt.Errorf("read keys: %w", err)
	}
	set, err := parseStoredKeys(document)
	if err == nil {
		t.Keys.Set, err = jws.PackKeys(set...)
	}
	if err != nil {
		return t, fmt.Errorf("read keys: %w", err)
	}
	return t, nil
}

// parseStoredKeys reads the keys of a record, of which each has to be usable.
func parseStoredKeys(document []byte) ([]jws.PublicKey, error) {
	set, err := jws.ParseKeySet(document)
	if err == nil && len(set.Unusable) > 0 {
		err = errors.Join(set.Unusable...)
	}
	return set.Keys, err
}

func checkIssuer(t oauth2.TrustedIssuer) error {
	failures := []error{}
	switch {
	case t.Name == "" || t.UID == "" || strings.ContainsAny(t.Name, "./"):
		failures = append(failures, errors.New("it has no name or no UID"))
	case !isTrustDomain(t) && !strings.HasPrefix(t.Issuer, "https://"):
		failures = append(failures, errors.New("the issuer is neither an https URL nor a trust domain"))
	case isTrustDomain(t) && (t.Uses.Has(oauth2.UsePerson) || t.Once):
		failures = append(failures, errors.New("JWT-SVIDs name no persons, and need no jti"))
	case t.MaxLife != 0 && (t.MaxLife < oauth2.MinForeignLife || t.MaxLife > oauth2.MaxForeignLife):
		failures = append(failures, fmt.Errorf("the life of JWTs %s is out of bounds", t.MaxLife))
	case t.Keys.FetchedAt.IsZero() != t.Keys.Until.IsZero():
		failures = append(failures, errors.New("keys that were fetched have an end, and others have none"))
	}
	for _, d := range t.Delegations {
		if !slices.IsSorted(d.Namespaces) {
			failures = append(failures, errors.New("the namespaces of a delegation are not sorted"))
		}
		for _, prefix := range d.SubjectPrefixes {
			if prefix == "" {
				failures = append(failures, errors.New("a prefix is empty"))
			}
		}
		failures = append(failures, checkRequired(d.Claims))
	}
	return errors.Join(append(failures, checkLogin(t))...)
}

// isTrustDomain reports whether an issuer is a trust domain of SPIFFE.
func isTrustDomain(t oauth2.TrustedIssuer) bool {
	name, is := strings.CutPrefix(t.Issuer, oauth2.TrustDomainID(""))
	return is && oauth2.ValidTrustDomain(name)
}

// checkLogin refuses a login that could admit persons whom the spec does not.
func checkLogin(t oauth2.TrustedIssuer) error {
	login := t.Login
	switch {
	case login == nil:
		if t.DisplayName != "" || len(t.CABundle) > 0 || len(t.AllowedCIDRs) > 0 {
			return errors.New("it has what is for logins, and no login")
		}
		return nil
	case !t.Uses.Has(oauth2.UsePerson):
		return errors.New("it has a login, and is not trusted for persons")
	case login.ClientID == "" || login.SecretName == "" || !slices.Contains(login.Scopes, "openid"):
		return errors.New("its login has no client_id, no Secret or no scope openid")
	case strings.EqualFold(login.SubjectClaim, "email"):
		return errors.New("an e-mail address identifies no person")
	case slices.Contains(login.Groups, ""):
		return errors.New("a group has no name")
	}
	return checkRequired(login.Claims)
}

// checkRequired refuses a required claim that no JWT could have.
func checkRequired(claims []oauth2.RequiredClaim) error {
	for _, claim := range claims {
		if claim.Name == "" || len(claim.Values) == 0 {
			return errors.New("a required claim has no name or no values")
		}
	}
	return nil
}
