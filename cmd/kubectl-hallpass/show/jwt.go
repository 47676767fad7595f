// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package show

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// JWT is what the JWT of a federated client has to have, one rule a line; none for a client of
// another method.
func JWT(c *v1alpha1.OAuth2Client) []string {
	if Method(c) != v1alpha1.ByFederatedToken {
		return nil
	}
	federated := c.Spec.Authentication.FederatedToken
	var must []string
	switch {
	case federated.Subject != "":
		must = append(must, "sub "+strconv.Quote(federated.Subject))
	case federated.SubjectPrefix != "":
		must = append(must, "a sub that begins with "+strconv.Quote(string(federated.SubjectPrefix)))
	}
	return append(must, claims(federated.Claims)...)
}

func claims(all []v1alpha1.RequiredClaim) []string {
	var must []string
	for _, claim := range all {
		must = append(must, claim.Name+" "+alternatives(claim.Values))
	}
	return must
}

// alternatives are values of which one is needed.
func alternatives[S ~string](values []S) string {
	quoted := make([]string, 0, len(values))
	for _, value := range values {
		quoted = append(quoted, strconv.Quote(string(value)))
	}
	return strings.Join(quoted, " or ")
}

// IssuerInTheWay is that the issuer of a client is not ready, which the conditions of the client
// may not have; none if it is ready or cannot be read.
func IssuerInTheWay(i *v1alpha1.OAuth2TrustedIssuer) []Line {
	if i == nil || IssuerHealth(i) == "Ready" || IssuerHealth(i) == "Pending" {
		return nil
	}
	return []Line{{fmt.Sprintf("Its issuer %s is not ready, reason %s.", i.Name, IssuerHealth(i)), "kubectl hallpass describe issuer " + i.Name}}
}
