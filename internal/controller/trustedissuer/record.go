// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package trustedissuer

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/issuerkeys"
	"github.com/hallpass-dev/hallpass/internal/controller/policy"
	"github.com/hallpass-dev/hallpass/internal/controller/publish"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

// defaultMaxAge is how long keys are used unless the spec has another time. A fetch that brings no
// change is recorded after a part of that.
const (
	defaultMaxAge = 24 * time.Hour
	recordedAfter = 16
)

// state is what one reconcile read.
type state struct {
	now time.Time
	// issuer is the record as it should be, stored what there is, and before what it was if it
	// is this issuer's; nil if it is not.
	issuer oauth2.TrustedIssuer
	stored *corev1.Secret
	before *oauth2.TrustedIssuer
	// refusal is why there is no record, obstacle why JWTs are not accepted, partial why an
	// entry of spec.namespaces has no effect; or nil.
	refusal, obstacle, partial *metav1.Condition
	// failed is why the last fetch brought no keys, and next when the next one is due; zero for
	// keys that are not fetched.
	failed *issuerkeys.Error
	next   time.Time
	maxAge time.Duration
}

// again is in what time the next fetch is due, or keys become stale.
func (s *state) again(now time.Time) time.Duration {
	if s.next.IsZero() {
		return 0
	}
	return max(s.next.Sub(now), time.Second)
}

// compile renders the spec as the record, without keys.
func (r *Reconciler) compile(ctx context.Context, object *v1alpha1.OAuth2TrustedIssuer, s *state) error {
	spec := &object.Spec
	s.maxAge = spec.Keys.MaxAge.Or(defaultMaxAge)
	uses, _ := oauth2.IssuerUsesOf(policy.Texts(spec.Uses)) // the API server refuses others
	s.issuer = oauth2.TrustedIssuer{
		Uses: uses,
		Name: object.Name, UID: string(object.UID), Issuer: issuerOf(object), Suspended: spec.State == v1alpha1.IssuerSuspended,
		Audiences: policy.Texts(spec.Audiences), MaxLife: spec.MaxTokenLifetime.Or(0), Once: spec.Reuse == v1alpha1.ReuseOnce,
	}
	for _, algorithm := range spec.Algorithms {
		if canonical := jws.Algorithm(algorithm).Canonical(); !slices.Contains(s.issuer.Algorithms, canonical) {
			s.issuer.Algorithms = append(s.issuer.Algorithms, canonical)
		}
	}
	compileLogin(spec, &s.issuer)
	for _, entry := range spec.Namespaces {
		d := oauth2.Delegation{SubjectPrefixes: policy.Texts(entry.SubjectPrefixes), Claims: RequiredClaims(entry.Claims)}
		var err error
		if d.Namespaces, err = r.namespaces(ctx, entry.From, s); err != nil {
			return err
		}
		if len(d.Namespaces) > 0 {
			s.issuer.Delegations = append(s.issuer.Delegations, d)
		}
	}
	return nil
}

// compileLogin renders how persons log in at an issuer. Only then the record has how its host is
// reached: the keys are fetched by this process.
func compileLogin(spec *v1alpha1.OAuth2TrustedIssuerSpec, compiled *oauth2.TrustedIssuer) {
	login := spec.Login
	if login.ClientID == "" {
		return
	}
	compiled.Login = &oauth2.Login{
		ClientID: login.ClientID, SecretName: login.ClientSecretRef.Name, Scopes: policy.Texts(login.Scopes), SubjectClaim: login.SubjectClaim,
		Claims: RequiredClaims(login.Allowed.Claims), Groups: policy.Texts(login.Allowed.Groups), GroupsClaim: login.GroupsClaim,
	}
	if len(login.Scopes) == 0 {
		compiled.Login.Scopes = []string{"openid"}
	}
	compiled.DisplayName, compiled.CABundle, compiled.AllowedCIDRs = spec.DisplayName, spec.CABundle, policy.Texts(spec.AllowedCIDRs)
}

// RequiredClaims are the claims of a spec as the core takes them.
func RequiredClaims(list []v1alpha1.RequiredClaim) (claims []oauth2.RequiredClaim) {
	for _, claim := range list {
		claims = append(claims, oauth2.RequiredClaim{Name: claim.Name, Values: policy.Texts(claim.Values)})
	}
	return claims
}

// namespaces resolves an entry to names, sorted. A selector by labels that tenants can set selects
// nothing.
func (r *Reconciler) namespaces(ctx context.Context, from v1alpha1.NamespaceSource, s *state) ([]string, error) {
	if len(from.NamespaceSelector.MatchLabels) == 0 {
		names := policy.Texts(from.Namespaces)
		slices.Sort(names)
		return names, nil
	}
	if label := r.Policy.Unprotected(from.NamespaceSelector); label != "" {
		s.partial = new(v1alpha1.IssuerUnprotectedLabel(label, r.Policy.ProtectedLabels))
		return nil, nil
	}
	return r.Policy.Namespaces(ctx, from.NamespaceSelector)
}

// findRecord reads what is stored under the name of the issuer. What a deleted one of that name
// left, and what cannot be read, is replaced, unless a newer version wrote it.
func (r *Reconciler) findRecord(ctx context.Context, object *v1alpha1.OAuth2TrustedIssuer, s *state) error {
	var err error
	if s.stored, err = publish.Read(ctx, r.Client, r.recordKey(object.Name)); err != nil || s.stored == nil {
		return err
	}
	found, err := registration.DecodeIssuer(s.stored.Data)
	switch {
	case errors.Is(err, wire.ErrNewer):
		return err
	case err == nil && found.UID == s.issuer.UID && found.Issuer == s.issuer.Issuer:
		s.before = &found
	}
	return nil
}

// findRefusal finds out whether the issuer may be trusted at all: it is neither this one nor that
// of the cluster, and no older object has it.
func (r *Reconciler) findRefusal(ctx context.Context, object *v1alpha1.OAuth2TrustedIssuer, s *state) error {
	issuer := issuerOf(object)
	if oauth2.SameIssuer(issuer, r.Issuer.String()) || oauth2.IsClusterDefault(issuer) {
		s.refusal = new(v1alpha1.OwnIssuer())
		return nil
	}
	cluster, err := r.ClusterIssuer(ctx)
	if err != nil {
		return fmt.Errorf("read the issuer of this cluster: %w", err)
	}
	if oauth2.SameIssuer(issuer, cluster) {
		s.refusal = new(v1alpha1.OwnIssuer())
		return nil
	}
	var same v1alpha1.OAuth2TrustedIssuerList
	if err := r.Client.List(ctx, &same, client.MatchingFields{indexByIssuer: issuer}); err != nil {
		return fmt.Errorf("list the trusted issuers of %s: %w", issuer, err)
	}
	oldest := object
	for i := range same.Items {
		if other := &same.Items[i]; other.DeletionTimestamp.IsZero() && isOlder(other, oldest) {
			oldest = other
		}
	}
	if oldest.UID != object.UID {
		s.refusal = new(v1alpha1.IssuerConflict(oldest.Name))
	}
	return nil
}

// isOlder reports whether an object came before another one.
func isOlder(a, b client.Object) bool {
	created, other := a.GetCreationTimestamp(), b.GetCreationTimestamp()
	if created.Equal(&other) {
		return strings.Compare(a.GetName(), b.GetName()) < 0
	}
	return created.Before(&other)
}

// findKeys finds the keys that count: those of the spec, or those that were fetched last.
func (r *Reconciler) findKeys(ctx context.Context, object *v1alpha1.OAuth2TrustedIssuer, s *state) error {
	if s.refusal != nil {
		return nil
	}
	if object.Spec.Keys.Source == v1alpha1.KeysInline {
		set, err := sourceOf(object).Parse([]byte(object.Spec.Keys.JWKS))
		if err == nil {
			s.issuer.Keys.Set, err = jws.PackKeys(set.Keys...)
		}
		if err != nil && !errors.As(err, &s.failed) {
			return fmt.Errorf("read the keys of the spec: %w", err)
		}
		return nil
	}
	fetched := r.fetches.keys(ctx, object.UID, sourceOf(object), keyReader{r.Fetcher, r.Live, r.SystemNamespace}, r.Clock)
	s.failed, s.next = fetched.failed, fetched.next
	s.takeFetched(fetched)
	return nil
}

// takeFetched takes the keys that were fetched, or those on record. What brings no change is
// recorded a few times in the age of keys.
func (s *state) takeFetched(fetched fetch) {
	if before := s.before; before != nil && !before.Keys.FetchedAt.IsZero() {
		s.issuer.Keys.Set, s.issuer.Keys.FetchedAt = before.Keys.Set, before.Keys.FetchedAt
	}
	due := fetched.keys != s.issuer.Keys.Set || fetched.at.Sub(s.issuer.Keys.FetchedAt) >= s.maxAge/recordedAfter
	// two fetches may be of one second
	if due && !fetched.at.IsZero() && !fetched.at.Before(s.issuer.Keys.FetchedAt) {
		s.issuer.Keys.Set, s.issuer.Keys.FetchedAt = fetched.keys, fetched.at
	}
	if !s.issuer.Keys.FetchedAt.IsZero() {
		s.issuer.Keys.Until = s.issuer.Keys.FetchedAt.Add(s.maxAge)
	}
}

// issuerOf is the issuer of an object as its record has it.
func issuerOf(object *v1alpha1.OAuth2TrustedIssuer) string {
	if object.Spec.Type == v1alpha1.IssuerSPIFFE {
		return oauth2.TrustDomainID(object.Spec.SPIFFE.TrustDomain)
	}
	return object.Spec.Issuer
}

// sourceOf is where the keys of an issuer are fetched from.
func sourceOf(object *v1alpha1.OAuth2TrustedIssuer) keySource {
	keys, isBundle := object.Spec.Keys, object.Spec.Type == v1alpha1.IssuerSPIFFE
	if keys.Source == v1alpha1.KeysInConfigMap {
		return keySource{Source: issuerkeys.Source{Bundle: isBundle}, configMap: keys.ConfigMap.Name, entry: keys.ConfigMap.Key}
	}
	source := keySource{Source: issuerkeys.Source{Issuer: object.Spec.Issuer, URL: keys.URL, Bundle: isBundle, CABundle: object.Spec.CABundle}}
	for _, cidr := range object.Spec.AllowedCIDRs {
		if prefix, err := netip.ParsePrefix(string(cidr)); err == nil {
			source.Allowed = append(source.Allowed, prefix)
		}
	}
	return source
}

// publish writes the record if it differs from what is stored, on the version that was read. An
// issuer that may not be trusted has none, nor has one that never had keys.
func (r *Reconciler) publish(ctx context.Context, object *v1alpha1.OAuth2TrustedIssuer, s *state) error {
	if s.refusal != nil || s.before == nil && s.issuer.Keys.Set == "" {
		if s.stored == nil {
			return nil
		}
		err := publish.Delete(ctx, r.Client, s.stored)
		if err == nil {
			s.stored = nil
		}
		return err
	}
	data, err := registration.EncodeIssuer(s.issuer)
	if err != nil {
		return err
	}
	s.stored, err = publish.Write(ctx, r.Client, s.stored, publish.Record{
		NamespacedName: r.recordKey(object.Name),
		Of:             "trusted issuer " + object.Name,
		Type:           registration.IssuerSecretType,
		Annotations: map[string]string{
			registration.AnnotationIssuer:    s.issuer.Issuer,
			v1alpha1.AnnotationTrustedIssuer: object.Name,
		},
		Data: data,
	})
	return err
}
