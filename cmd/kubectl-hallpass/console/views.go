// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package console

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/action"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/attention"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/show"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/verdict"
)

// clientRow is a client in a list. No view has a secret or a token.
type clientRow struct {
	Namespace   string      `json:"namespace"`
	Name        string      `json:"name"`
	ID          string      `json:"id"`
	DisplayName string      `json:"displayName,omitempty"`
	Health      string      `json:"health"`
	Granted     int         `json:"granted"`
	Asked       int         `json:"asked"`
	LastUsed    metav1.Time `json:"lastUsed,omitzero"`
	Created     metav1.Time `json:"created"`
	Unused      bool        `json:"unused,omitempty"`
}

func viewClient(c *v1alpha1.OAuth2Client, now time.Time) clientRow {
	granted, asked := show.Granted(c)
	return clientRow{
		Namespace: c.Namespace, Name: c.Name, ID: c.ClientID(), DisplayName: c.Spec.DisplayName, Health: show.ClientHealth(c),
		Granted: granted, Asked: asked, LastUsed: c.Status.LastUsedAt, Created: c.CreationTimestamp,
		Unused: len(show.UnusedClients([]v1alpha1.OAuth2Client{*c}, now.Add(-attention.UnusedFor))) > 0,
	}
}

// clientPage is all of a client.
type clientPage struct {
	clientRow
	clientWords
	clientSecrets

	LastIssued  metav1.Time     `json:"lastIssued,omitzero"`
	Targets     []targetView    `json:"targets"`
	Tokens      []tokenView     `json:"tokens"`
	TokensError string          `json:"tokensError,omitempty"`
	Refusals    []timedView     `json:"refusals"`
	YAML        string          `json:"yaml"`
	May         map[string]bool `json:"may"`
}

// clientWords are what people read about a client.
type clientWords struct {
	Notes          string      `json:"notes,omitempty"`
	Contacts       []string    `json:"contacts"`
	State          []show.Line `json:"state"`
	Suspended      bool        `json:"suspended"`
	Authentication string      `json:"authentication"`
	// Issuer is the OAuth2TrustedIssuer of a client without a secret, and JWT what its JWTs
	// must have.
	Issuer   string   `json:"issuer,omitempty"`
	JWT      []string `json:"jwt,omitempty"`
	Lifetime string   `json:"lifetime"`
	// GrantTypes are those that the client names. The others are about people who log in for
	// it.
	GrantTypes    string   `json:"grantTypes,omitempty"`
	RedirectURIs  []string `json:"redirectURIs,omitempty"`
	Login         string   `json:"login,omitempty"`
	RefreshTokens string   `json:"refreshTokens,omitempty"`
}

// clientSecrets are where the credentials of a client are, and how they are replaced.
type clientSecrets struct {
	Secret    string `json:"secret,omitempty"`
	ConfigMap string `json:"configMap,omitempty"`
	// NotRotatable is why Hallpass cannot rotate the secret; empty if it can.
	NotRotatable  string           `json:"notRotatable,omitempty"`
	Credentials   []credentialView `json:"credentials"`
	NextRotation  metav1.Time      `json:"nextRotation,omitzero"`
	RotationWaits string           `json:"rotationWaits,omitempty"`
}

type credentialView struct {
	ID       string      `json:"id"`
	Created  metav1.Time `json:"created"`
	Expires  metav1.Time `json:"expires,omitzero"`
	LastUsed metav1.Time `json:"lastUsed,omitzero"`
	Kept     string      `json:"kept,omitempty"`
}

// targetView is an API that a client asks for, or its own namespace if Resource is empty.
type targetView struct {
	Namespace string      `json:"namespace,omitempty"`
	Resource  string      `json:"resource,omitempty"`
	Audience  string      `json:"audience,omitempty"`
	Scopes    []scopeView `json:"scopes"`
}

type scopeView struct {
	Name     string `json:"name"`
	Granted  bool   `json:"granted"`
	Reason   string `json:"reason,omitempty"`
	Sentence string `json:"sentence,omitempty"`
	Do       string `json:"do,omitempty"`
}

// timedView is a sentence about something that happened last at a time.
type timedView struct {
	Text string      `json:"text"`
	Last metav1.Time `json:"last"`
}

func viewClientPage(object *unstructured.Unstructured, c *v1alpha1.OAuth2Client, now time.Time) clientPage {
	page := clientPage{
		clientRow: viewClient(c, now),
		clientWords: clientWords{
			Notes: c.Spec.Description, Contacts: []string{}, Suspended: c.Spec.State == v1alpha1.ClientSuspended,
			State:          show.Conditions(c.DeletionTimestamp != nil, c.Generation, c.Status.ObservedGeneration, c.Status.Conditions),
			Authentication: show.Authentication(c), Issuer: c.Spec.Authentication.FederatedToken.IssuerName, JWT: show.JWT(c), Lifetime: show.Lifetime(c, now),
			GrantTypes: show.GrantTypes(c), RedirectURIs: show.RedirectURIs(c), Login: show.LoginPlace(c), RefreshTokens: show.RefreshTokens(c),
		},
		clientSecrets: clientSecrets{
			Secret: c.Status.Secret.Name, ConfigMap: c.Status.ConfigMap.Name, Credentials: []credentialView{}, NextRotation: c.Status.Rotation.NextAt,
		},
		LastIssued: c.Status.LastTokenIssuedAt, Targets: []targetView{}, Refusals: []timedView{}, YAML: manifest(object),
	}
	for _, contact := range c.Spec.Contacts {
		page.Contacts = append(page.Contacts, string(contact))
	}
	if err := action.Rotatable(c); err != nil {
		page.NotRotatable = capital(show.Sentence(err))
	}
	if r := c.Status.Rotation; r.Reason != "" {
		page.RotationWaits = fmt.Sprintf("A rotation waits, reason %s. %s", r.Reason, r.Message)
	}
	for _, k := range c.Status.Credentials {
		page.Credentials = append(page.Credentials, credentialView{k.ID, k.CreatedAt, k.ExpiresAt, k.LastUsedAt, k.KeptMessage})
	}
	for _, g := range c.Status.Grants {
		target := targetView{Namespace: string(g.Resource.Namespace), Resource: g.Resource.Name, Audience: g.Audience, Scopes: []scopeView{}}
		for _, scope := range g.Scopes {
			v := verdict.OfScope(c, g, scope)
			target.Scopes = append(target.Scopes, scopeView{string(scope.Name), v.Allowed, v.Reason, v.Sentence, v.Do})
		}
		page.Targets = append(page.Targets, target)
	}
	for _, r := range c.Status.Refusals {
		page.Refusals = append(page.Refusals, timedView{r.Reason + ". " + r.Text(), r.LastRefusedAt})
	}
	page.Refusals = append(page.Refusals, staleUses(c.Status.StaleUses)...)
	return page
}

func staleUses(all []v1alpha1.StaleUseStatus) []timedView {
	views := []timedView{}
	for _, use := range all {
		views = append(views, timedView{show.StaleUse(use) + ".", use.LastUsedAt})
	}
	return views
}

// tokenView is an OAuth2Token without the token.
type tokenView struct {
	Namespace string      `json:"namespace"`
	Name      string      `json:"name"`
	Client    string      `json:"client"`
	Notes     string      `json:"notes,omitempty"`
	Mode      string      `json:"mode"`
	Health    string      `json:"health"`
	State     []show.Line `json:"state"`
	Scopes    []string    `json:"scopes"`
	Audience  string      `json:"audience,omitempty"`
	Secret    string      `json:"secret,omitempty"`
	Created   metav1.Time `json:"created"`
	Expires   metav1.Time `json:"expires,omitzero"`
	LastUsed  metav1.Time `json:"lastUsed,omitzero"`
	EndsSoon  bool        `json:"endsSoon,omitempty"`
	Expired   bool        `json:"expired,omitempty"`
	StaleUses []timedView `json:"staleUses"`
}

func viewToken(t *v1alpha1.OAuth2Token, now time.Time) tokenView {
	left := t.Status.ExpiresAt.Sub(now)
	v := tokenView{
		Namespace: t.Namespace, Name: t.Name, Client: t.Spec.ClientRef.Name, Notes: t.Spec.Description, Mode: string(t.Spec.Mode), Health: show.TokenHealth(t),
		State:  show.Conditions(t.DeletionTimestamp != nil, t.Generation, t.Status.ObservedGeneration, t.Status.Conditions),
		Scopes: []string{}, Audience: t.Status.Audience, Secret: t.Status.Secret.Name, Created: t.CreationTimestamp, Expires: t.Status.ExpiresAt,
		LastUsed: t.Status.LastUsedAt, StaleUses: staleUses(t.Status.StaleUses),
	}
	if !t.Status.ExpiresAt.IsZero() {
		v.Expired = left <= 0
		v.EndsSoon = t.Spec.Mode == v1alpha1.TokenFixed && left > 0 && left < attention.EndsWithin
	}
	for _, scope := range t.Status.Scopes {
		v.Scopes = append(v.Scopes, string(scope))
	}
	return v
}

// resourceView is an API: its scopes, and who may call it.
type resourceView struct {
	Namespace   string          `json:"namespace"`
	Name        string          `json:"name"`
	DisplayName string          `json:"displayName,omitempty"`
	Identifier  string          `json:"identifier,omitempty"`
	Health      string          `json:"health"`
	State       []show.Line     `json:"state"`
	Clients     *int32          `json:"clients,omitempty"`
	Scopes      []resourceScope `json:"scopes"`
	Grants      []grantView     `json:"grants"`
	Created     metav1.Time     `json:"created"`
	YAML        string          `json:"yaml,omitempty"`
	May         map[string]bool `json:"may,omitempty"`
}

type resourceScope struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Clients     *int32 `json:"clients,omitempty"`
}

type grantView struct {
	Callers string `json:"callers"`
	// Namespaces are those that the grant names; none for a grant by labels.
	Namespaces []string `json:"namespaces"`
	Scopes     []string `json:"scopes"`
}

func viewResource(r *v1alpha1.OAuth2Resource) resourceView {
	v := resourceView{
		Namespace: r.Namespace, Name: r.Name, DisplayName: r.Spec.DisplayName, Identifier: r.Status.Identifier, Health: show.ResourceHealth(r),
		State:   show.Conditions(r.DeletionTimestamp != nil, r.Generation, r.Status.ObservedGeneration, r.Status.Conditions),
		Clients: r.Status.Clients, Scopes: []resourceScope{}, Grants: []grantView{}, Created: r.CreationTimestamp,
	}
	holders := map[v1alpha1.Scope]*int32{}
	for _, h := range r.Status.Scopes {
		holders[h.Name] = h.Clients
	}
	for _, scope := range r.Spec.Scopes {
		v.Scopes = append(v.Scopes, resourceScope{string(scope.Name), scope.Description, holders[scope.Name]})
	}
	for _, g := range r.Spec.Grants {
		grant := grantView{Callers: show.Callers(g), Namespaces: []string{}, Scopes: []string{}}
		for _, n := range g.From.Namespaces {
			grant.Namespaces = append(grant.Namespaces, string(n))
		}
		for _, scope := range g.Scopes {
			grant.Scopes = append(grant.Scopes, string(scope))
		}
		v.Grants = append(v.Grants, grant)
	}
	return v
}

type eventView struct {
	Namespace string      `json:"namespace"`
	Kind      string      `json:"kind"`
	Name      string      `json:"name"`
	Type      string      `json:"type"`
	Reason    string      `json:"reason"`
	Message   string      `json:"message"`
	Count     int32       `json:"count"`
	Last      metav1.Time `json:"last"`
}

func viewEvent(e *corev1.Event) eventView {
	count := max(e.Count, 1)
	if e.Series != nil {
		count = e.Series.Count
	}
	return eventView{
		Namespace: e.InvolvedObject.Namespace, Kind: e.InvolvedObject.Kind, Name: e.InvolvedObject.Name, Type: e.Type, Reason: e.Reason,
		Message: e.Message, Count: count, Last: metav1.NewTime(show.EventTime(e)),
	}
}

// manifest is an object as YAML, without the book-keeping of field managers.
func manifest(object *unstructured.Unstructured) string {
	object = object.DeepCopy()
	object.SetManagedFields(nil)
	text, err := yaml.Marshal(object.Object)
	if err != nil { // it came as JSON
		return err.Error()
	}
	return string(text)
}
