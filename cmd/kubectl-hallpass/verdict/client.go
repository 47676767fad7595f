// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package verdict explains why a request or a token is refused, or would be, and what to do. It
// decides by what the manager has written into status, in the words of conditions and audit lines;
// it decides nothing itself. The package is pure: objects and the time are arguments.
package verdict

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Verdict is an answer to "why was this refused, or would it be?".
type Verdict struct {
	// Allowed is whether nothing speaks against it.
	Allowed bool
	// Reason is the word of conditions, audit lines and metrics; empty if there is none.
	Reason string
	// Sentence is why.
	Sentence string
	// Do is what to do; empty if there is nothing to do.
	Do string
}

// Request is a token request.
type Request struct {
	// Resource is an identifier, <namespace>/<name> or the name of an OAuth2Resource of the
	// client's namespace; empty for the default of the client.
	Resource string
	// Scopes are the requested scopes; none stands for all that is granted.
	Scopes []string
}

// OfClient decides about a token request of a client.
func OfClient(c *v1alpha1.OAuth2Client, r Request) Verdict {
	if refused := state(c); refused != nil {
		return *refused
	}
	grant, refused := target(c, r.Resource)
	if refused != nil {
		return *refused
	}
	v := scopes(c, grant, r.Scopes)
	if ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady); v.Allowed && ready.Status != metav1.ConditionTrue {
		v.Do = strings.TrimSpace(v.Do + " People cannot log in for it: " + ready.Message)
	}
	return v
}

// loginAlone reports whether a client that is not ready lacks nothing but the login of people, so
// that it gets tokens for itself.
func loginAlone(c *v1alpha1.OAuth2Client, reason string) bool {
	has := func(grantType v1alpha1.GrantType) bool { return slices.Contains(c.Spec.GrantTypes, grantType) }
	if !has(v1alpha1.GrantAuthorizationCode) || !has(v1alpha1.GrantClientCredentials) && !has(v1alpha1.GrantJWTBearer) {
		return false
	}
	switch reason {
	case v1alpha1.ReasonLoginNotAvailable, v1alpha1.ReasonRedirectNotAllowed:
		return true
	case v1alpha1.ReasonIssuerNotFound, v1alpha1.ReasonNotAllowedByIssuer:
		return c.Spec.Authentication.Method != v1alpha1.ByFederatedToken
	}
	return false
}

// state returns the verdict on a client that gets no token at all, or nil.
func state(c *v1alpha1.OAuth2Client) *Verdict {
	ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case c.DeletionTimestamp != nil:
		return &Verdict{Reason: "ClientDeleted", Sentence: fmt.Sprintf("OAuth2Client %q is being deleted, so it gets no tokens and those it has are refused.", c.Name),
			Do: "Create it again under the same name once it is gone; it is then another client with another secret."}
	case c.Spec.State == v1alpha1.ClientSuspended:
		return &Verdict{Reason: v1alpha1.ReasonSuspended, Sentence: "The client is suspended: it gets no tokens and those it has are refused.",
			Do: fmt.Sprintf("kubectl hallpass resume %s --namespace %s", c.Name, c.Namespace)}
	case ready == nil || c.Status.ObservedGeneration < c.Generation:
		return &Verdict{Reason: v1alpha1.ReasonProgressing, Sentence: "The manager has not handled the client, or its last change, yet.",
			Do: fmt.Sprintf("Wait some seconds: kubectl hallpass wait %s --namespace %s. If that does not end, ask the administrator of Hallpass "+
				"whether the manager runs.", c.Name, c.Namespace)}
	case ready.Status != metav1.ConditionTrue && !loginAlone(c, ready.Reason):
		return &Verdict{Reason: ready.Reason, Sentence: ready.Message}
	}
	return nil
}

// target finds what a client is granted at a resource; nil for a client without any scopes there.
func target(c *v1alpha1.OAuth2Client, resource string) (*v1alpha1.GrantStatus, *Verdict) {
	wanted := resource
	if wanted == "" && c.Spec.DefaultResource != (v1alpha1.ResourceReference{}) {
		wanted = string(c.Spec.DefaultResource.Namespace) + "/" + c.Spec.DefaultResource.Name
	}
	for i, g := range c.Status.Grants {
		if Names(c.Namespace, wanted, g) {
			return &c.Status.Grants[i], nil
		}
	}
	if wanted == "" { // its own namespace, where it asks for no scope
		return nil, nil
	}
	return nil, &Verdict{Reason: v1alpha1.ReasonTargetNotGranted,
		Sentence: fmt.Sprintf("The client does not ask for access to %s: spec.access does not name it.", wanted),
		Do:       fmt.Sprintf("Add it to spec.access: kubectl edit hpc %s --namespace %s. Targets of the client: %s.", c.Name, c.Namespace, targets(c))}
}

// Names reports whether a resource that a person names is the one of a grant: by its identifier, as
// <namespace>/<name>, by the name of an OAuth2Resource of the same namespace, or empty for the
// audience of the client's own namespace.
func Names(namespace, wanted string, g v1alpha1.GrantStatus) bool {
	if g.Resource == (v1alpha1.ResourceReference{}) {
		return wanted == "" || wanted == g.Audience
	}
	full := string(g.Resource.Namespace) + "/" + g.Resource.Name
	return wanted != "" && (wanted == full || wanted == g.Audience || namespace+"/"+wanted == full)
}

func targets(c *v1alpha1.OAuth2Client) string {
	var all []string
	for _, g := range c.Status.Grants {
		if g.Resource == (v1alpha1.ResourceReference{}) {
			all = append(all, "its own namespace (without --resource)")
		} else {
			all = append(all, string(g.Resource.Namespace)+"/"+g.Resource.Name)
		}
	}
	if len(all) == 0 {
		return "its own namespace, without scopes"
	}
	return strings.Join(all, ", ")
}

// scopes checks the scopes of a request at one audience.
func scopes(c *v1alpha1.OAuth2Client, grant *v1alpha1.GrantStatus, wanted []string) Verdict {
	var has []string
	if grant != nil {
		for _, s := range grant.Scopes {
			if s.Decision == string(oauth2.Granted) {
				has = append(has, string(s.Name))
			}
		}
	}
	for _, scope := range wanted {
		if slices.Contains(has, scope) {
			continue
		}
		if grant != nil {
			for _, s := range grant.Scopes {
				if string(s.Name) == scope {
					return OfScope(c, *grant, s)
				}
			}
		}
		return notAsked(c, grant, scope)
	}
	if grant != nil && len(has) == 0 && len(grant.Scopes) > 0 {
		return OfScope(c, *grant, grant.Scopes[0])
	}
	v := allowed(grant, has, wanted)
	if missing := without(grant, has); len(wanted) == 0 && len(missing) > 0 {
		v.Do = fmt.Sprintf("Not granted there: %s. For the reason: kubectl hallpass why %s --namespace %s --resource %s --scope %s",
			strings.Join(missing, ", "), c.Name, c.Namespace, grant.Audience, missing[0])
	}
	return v
}

// without are the scopes that the client asks for at one audience and does not have.
func without(grant *v1alpha1.GrantStatus, has []string) (missing []string) {
	if grant == nil {
		return nil
	}
	for _, s := range grant.Scopes {
		if !slices.Contains(has, string(s.Name)) {
			missing = append(missing, string(s.Name))
		}
	}
	return missing
}

func allowed(grant *v1alpha1.GrantStatus, has, wanted []string) Verdict {
	if len(wanted) == 0 {
		wanted = has
	}
	with := "without scopes"
	if len(wanted) > 0 {
		with = "with " + list("scope", wanted)
	}
	where := "for its own namespace"
	if grant != nil && grant.Audience != "" {
		where = "for " + grant.Audience
	}
	return Verdict{Allowed: true, Sentence: fmt.Sprintf("Nothing is refused: the client gets a token %s, %s.", where, with)}
}

func notAsked(c *v1alpha1.OAuth2Client, grant *v1alpha1.GrantStatus, scope string) Verdict {
	field := "spec.scopes"
	if grant != nil && grant.Resource != (v1alpha1.ResourceReference{}) {
		field = fmt.Sprintf("the scopes of %s/%s in spec.access", grant.Resource.Namespace, grant.Resource.Name)
	}
	return Verdict{Reason: v1alpha1.ReasonScopeNotGranted, Sentence: fmt.Sprintf("The client does not ask for the scope %q there.", scope),
		Do: fmt.Sprintf("Add it to %s: kubectl edit hpc %s --namespace %s.", field, c.Name, c.Namespace)}
}

// OfScope decides about one scope that a client asks for at one audience.
func OfScope(c *v1alpha1.OAuth2Client, g v1alpha1.GrantStatus, s v1alpha1.ScopeGrant) Verdict {
	resource := fmt.Sprintf("OAuth2Resource %q of namespace %q", g.Resource.Name, g.Resource.Namespace)
	v := Verdict{Reason: s.Decision}
	switch oauth2.Decision(s.Decision) {
	case oauth2.Granted:
		return Verdict{Allowed: true, Sentence: fmt.Sprintf("The scope %q is granted.", s.Name)}
	case oauth2.ResourceNotFound:
		v.Sentence = resource + " does not exist."
		v.Do = fmt.Sprintf("Correct spec.access of the client, or ask the owners of namespace %q to create the resource: kubectl hallpass create resource %s "+
			"--namespace %s --scopes %s", g.Resource.Namespace, g.Resource.Name, g.Resource.Namespace, s.Name)
	case oauth2.ScopeNotDefined:
		v.Sentence = fmt.Sprintf("%s does not define the scope %q.", resource, s.Name)
		v.Do = fmt.Sprintf("Correct the scope in spec.access of the client, or ask the owners of namespace %q to add it to spec.scopes of the resource.", g.Resource.Namespace)
	case oauth2.NotAllowedByResource:
		v.Sentence = fmt.Sprintf("%s does not grant the scope %q to clients of namespace %q.", resource, s.Name, c.Namespace)
		v.Do = fmt.Sprintf("Ask the owners of namespace %q for: kubectl hallpass grant %s --namespace %s --to %s --scopes %s",
			g.Resource.Namespace, g.Resource.Name, g.Resource.Namespace, c.Namespace, s.Name)
	case oauth2.NotAllowedByPolicy:
		v.Sentence = fmt.Sprintf("An OAuth2Policy does not allow the scope %q in namespace %q.", s.Name, c.Namespace)
		v.Do = "Ask the administrator of the cluster for an OAuth2Policy that allows it, or ask for another scope."
	default:
		v.Sentence = fmt.Sprintf("The scope %q is refused: %s.", s.Name, s.Decision)
		v.Do = "This plugin is older than the cluster and does not know that reason: install the plugin of the cluster's version."
	}
	return v
}

// list is "scope a" or "scopes a, b".
func list(noun string, names []string) string {
	if len(names) == 1 {
		return noun + " " + names[0]
	}
	return noun + "s " + strings.Join(names, ", ")
}
