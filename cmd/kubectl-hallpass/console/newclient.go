// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package console

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/change"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
)

// form is the form of a new client.
type form struct {
	Name           string   `json:"name"`
	DisplayName    string   `json:"displayName"`
	Notes          string   `json:"notes"`
	Contacts       []string `json:"contacts"`
	Scopes         []string `json:"scopes"`
	Access         []string `json:"access"`
	ServiceAccount string   `json:"serviceAccount"`
	// Federated are the JWTs of a trusted issuer; null for a client of another method.
	Federated     *federatedForm `json:"federated"`
	TokenLifetime string         `json:"tokenLifetime"`
	Rotate        string         `json:"rotate"`
}

// federatedForm are the fields of the form about the JWTs that authenticate a client.
type federatedForm struct {
	Issuer        string      `json:"issuer"`
	Subject       string      `json:"subject"`
	SubjectPrefix string      `json:"subjectPrefix"`
	Claims        []claimForm `json:"claims"`
}

type claimForm struct {
	Name   string   `json:"name"`
	Values []string `json:"values"`
}

// federated are the JWTs that the form describes.
func (f form) federated() (change.Federated, error) {
	typed := f.Federated
	switch {
	case typed == nil:
		return change.Federated{}, nil
	case typed.Issuer == "":
		return change.Federated{}, inputf("name the trusted issuer of the JWTs")
	case typed.Subject == "" && typed.SubjectPrefix == "" && len(typed.Claims) == 0:
		return change.Federated{}, inputf("give the sub of the JWT, its beginning or a claim: without one every workload of the issuer could authenticate")
	}
	federated := change.Federated{Issuer: typed.Issuer, Subject: typed.Subject, SubjectPrefix: typed.SubjectPrefix}
	for _, claim := range typed.Claims {
		if claim.Name == "" || len(claim.Values) == 0 {
			return change.Federated{}, inputf("give each claim a name and at least one value")
		}
		required := v1alpha1.RequiredClaim{Name: claim.Name}
		for _, value := range claim.Values {
			required.Values = append(required.Values, v1alpha1.RequiredValue(value))
		}
		federated.Claims = append(federated.Claims, required)
	}
	return federated, nil
}

func (c call) form() (*unstructured.Unstructured, error) {
	var f form
	if err := decode(c.Request, &f); err != nil {
		return nil, err
	}
	if err := checkNewName("client", f.Name, "reporting"); err != nil {
		return nil, err
	}
	federated, err := f.federated()
	if err != nil {
		return nil, err
	}
	client, err := change.NewClient{
		Name: f.Name, Namespace: c.cluster.Namespace, DisplayName: f.DisplayName, Description: f.Notes, Contacts: f.Contacts, Scopes: f.Scopes,
		Access: f.Access, ServiceAccount: f.ServiceAccount, Federated: federated, TokenLifetime: f.TokenLifetime, Rotate: f.Rotate,
	}.Client()
	if err != nil {
		return nil, inputError{err}
	}
	return cluster.Unstructured(cluster.Clients(), client)
}

// manifest is the manifest that the form of a new client makes. Nothing is sent to the cluster.
func (s clientRoutes) manifest(_ context.Context, c call) (any, error) {
	return rendered(c.form())
}

func (s clientRoutes) createClient(ctx context.Context, c call) (any, error) {
	object, err := c.form()
	return c.create(ctx, cluster.Clients(), object, err)
}
