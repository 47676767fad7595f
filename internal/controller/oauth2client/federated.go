// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"context"
	"errors"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/policy"
	"github.com/hallpass-dev/hallpass/internal/controller/publish"
	"github.com/hallpass-dev/hallpass/internal/controller/trustedissuer"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// clientIssuer is the trusted issuer that a client names.
type clientIssuer struct {
	// trusted is its record; nil if there is none that can be read.
	trusted *oauth2.TrustedIssuer
	// unavailable means that the installation has no trusted issuers.
	unavailable bool
}

// seeIssuer reads the record of the trusted issuer that the client names.
func seeIssuer(
	from client.Reader, registryNamespace string, unavailable bool,
) func(context.Context, *v1alpha1.OAuth2Client, seen) (seen, error) {
	return func(ctx context.Context, c *v1alpha1.OAuth2Client, s seen) (seen, error) {
		if methodName(c) != v1alpha1.ByFederatedToken {
			return s, nil
		}
		if s.issuer.unavailable = unavailable; unavailable {
			return s, nil
		}
		var err error
		s.issuer.trusted, err = readIssuer(ctx, from, registryNamespace, c.Spec.Authentication.FederatedToken.IssuerName)
		return s, err
	}
}

// readIssuer reads the record of the trusted issuer of a name; nil if there is none that can be
// read: the token server cannot read it either.
func readIssuer(ctx context.Context, from client.Reader, registryNamespace, name string) (*oauth2.TrustedIssuer, error) {
	stored, err := publish.Read(ctx, from, types.NamespacedName{Namespace: registryNamespace, Name: registration.IssuerSecretName(name)})
	if err != nil || stored == nil {
		return nil, err
	}
	trusted, err := registration.DecodeIssuer(stored.Data)
	if errors.Is(err, registration.ErrUnreadable) {
		return nil, nil //nolint:nilnil // an absence is an answer
	}
	return &trusted, err
}

// federatedOf are the JWTs that the spec of a client names.
func federatedOf(c *v1alpha1.OAuth2Client) oauth2.Federated {
	spec := c.Spec.Authentication.FederatedToken
	return oauth2.Federated{
		IssuerName: spec.IssuerName, Subject: spec.Subject, SubjectPrefix: string(spec.SubjectPrefix), Claims: trustedissuer.RequiredClaims(spec.Claims),
	}
}

// issuerObstacle is why the trusted issuer of a client does not let it authenticate; nil if it
// does, or the client names none. The token server asks the same function.
func (s seen) issuerObstacle(c *v1alpha1.OAuth2Client) *metav1.Condition {
	if methodName(c) != v1alpha1.ByFederatedToken {
		return nil
	}
	name, trusted := c.Spec.Authentication.FederatedToken.IssuerName, s.issuer.trusted
	switch {
	case trusted == nil:
		return new(v1alpha1.IssuerNotFound(name))
	case !trusted.Delegates(c.Namespace):
		return new(v1alpha1.NotAllowedByIssuer(name))
	case !trusted.Lets(c.Namespace, federatedOf(c)):
		return new(v1alpha1.ReachesTooFar(name))
	}
	return nil
}

// pullRequestCondition warns of a client whose JWT the job of a pull request could have.
func (s seen) pullRequestCondition(c *v1alpha1.OAuth2Client) *metav1.Condition {
	if methodName(c) != v1alpha1.ByFederatedToken || s.issuer.trusted == nil || !federatedOf(c).OpenToPullRequests(s.issuer.trusted.Issuer) {
		return nil
	}
	return new(v1alpha1.OpenToPullRequests())
}

// methodRefused is the condition of a client whose method no policy allows.
func methodRefused(c *v1alpha1.OAuth2Client, s seen) *metav1.Condition {
	method := methodName(c)
	switch {
	case s.issuer.unavailable:
		return new(v1alpha1.IssuersNotAvailable())
	case s.ceilings.AllowMethod(string(method)):
		return nil
	case oauth2.NeedsPolicy(string(method)):
		return new(v1alpha1.MethodNotListed(method))
	}
	return new(v1alpha1.MethodNotAllowed(method))
}

// byFederated is a JWT of a trusted issuer. The client has nothing to hide, and a ConfigMap as one
// with a service account.
type byFederated struct{ base }

func (m byFederated) compile(registered *oauth2.Client, _ string) (obstacle, incomplete *metav1.Condition) {
	registered.Credentials.Federated = new(federatedOf(m.client))
	return nil, nil
}

// ready describes which JWT is accepted.
func (m byFederated) ready() metav1.Condition {
	f := federatedOf(m.client)
	var which []string
	switch {
	case f.Subject != "":
		which = append(which, "sub "+strconv.Quote(f.Subject))
	case f.SubjectPrefix != "":
		which = append(which, "a sub that begins with "+strconv.Quote(f.SubjectPrefix))
	}
	for _, claim := range f.Claims {
		values := make([]string, len(claim.Values))
		for i, value := range claim.Values {
			values[i] = strconv.Quote(value)
		}
		which = append(which, claim.Name+" "+strings.Join(values, " or "))
	}
	return v1alpha1.RegisteredFederatedToken(f.IssuerName, strings.Join(which, ", "))
}

// clientsOfIssuer finds the clients that name a trusted issuer, by its record, and those for which
// people log in at whichever one there is.
func (w wakes) clientsOfIssuer(ctx context.Context, o client.Object) []reconcile.Request {
	name := o.GetAnnotations()[v1alpha1.AnnotationTrustedIssuer]
	if o.GetNamespace() != w.registryNamespace || name == "" {
		return nil
	}
	return append(w.indexed(ctx, policy.IndexByIssuer, "", name), w.indexed(ctx, policy.IndexByIssuer, "", anyIssuer)...)
}

// consentOfIssuers leaves out the changes of records that bring other keys alone: an issuer may
// have many clients.
var consentOfIssuers = predicate.Funcs{ //nolint:gochecknoglobals // a constant function
	UpdateFunc: func(e event.UpdateEvent) bool { return trustedissuer.ChangesClients(e.ObjectOld, e.ObjectNew) },
}
