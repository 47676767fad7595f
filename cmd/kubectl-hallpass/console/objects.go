// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package console

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/action"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/change"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/show"
)

// clientRoutes are the routes of clients.
type clientRoutes struct{ *Server }

// read reads the client of a call, as it is and as a type of Go.
func (c call) read(ctx context.Context) (*unstructured.Unstructured, *v1alpha1.OAuth2Client, error) {
	object, err := c.cluster.Get(ctx, cluster.Clients(), c.name)
	if err != nil {
		return nil, nil, err
	}
	client, err := cluster.As[v1alpha1.OAuth2Client](object)
	return object, client, err
}

func (s clientRoutes) client(ctx context.Context, c call) (any, error) {
	object, client, err := c.read(ctx)
	if err != nil {
		return nil, err
	}
	page := viewClientPage(object, client, s.Now())
	page.May = s.inNamespace(ctx, c.cluster)
	// most tenants may not read it
	if issuer, err := action.IssuerOf(ctx, c.cluster, client); err == nil {
		page.State = append(page.State, show.IssuerInTheWay(issuer)...)
	}
	page.Tokens = []tokenView{}
	tokens, err := action.TokensOf(ctx, c.cluster, c.name)
	if err != nil {
		page.TokensError = capital(show.Sentence(err))
	}
	for i := range tokens {
		page.Tokens = append(page.Tokens, viewToken(&tokens[i], s.Now()))
	}
	return page, nil
}

// entryView is an entry of the Secret of a client, masked if it may be a secret.
type entryView struct {
	Name   string `json:"name"`
	Text   string `json:"text"`
	Masked bool   `json:"masked"`
}

// entries are the entries of the Secret of a client with what may be a secret masked, and a line
// for curl. The line names the secret and does not have it.
func (s clientRoutes) entries(ctx context.Context, c call) (any, error) {
	_, client, err := c.read(ctx)
	if err != nil {
		return nil, err
	}
	data, err := action.Credentials(ctx, c.cluster, client)
	if err != nil {
		return nil, err
	}
	views := []entryView{}
	for _, e := range show.Entries(client, data, false) {
		views = append(views, entryView{e.Name, e.Text, e.Masked})
	}
	curl := ""
	switch show.Method(client) {
	case v1alpha1.ByPrivateKeyJWT, v1alpha1.ByFederatedToken, v1alpha1.ByNone:
		// what they send is not here
	case v1alpha1.ByClientSecret, v1alpha1.ByServiceAccount:
		curl = show.CurlLine(client, string(data[show.TokenURLEntry(client)]))
	}
	return map[string]any{
		"entries": views, "curl": curl, "idEntry": show.IDEntry(client), "secretEntry": show.SecretEntry(client), "caEntry": show.CAEntry(client),
	}, nil
}

// reveal answers one entry of the Secret of a client.
func (s clientRoutes) reveal(ctx context.Context, c call) (any, error) {
	var body struct {
		Entry string `json:"entry"`
	}
	if err := decode(c.Request, &body); err != nil {
		return nil, err
	}
	_, client, err := c.read(ctx)
	if err != nil {
		return nil, err
	}
	data, err := action.Credentials(ctx, c.cluster, client)
	if err != nil {
		return nil, err
	}
	return revealed(data, body.Entry)
}

func (s clientRoutes) clientEvents(ctx context.Context, c call) (any, error) {
	_, client, err := c.read(ctx)
	if err != nil {
		return nil, err
	}
	read, err := c.cluster.List(ctx, cluster.Events(), action.EventsOf(client))
	if err != nil {
		return nil, err
	}
	events, err := cluster.All[corev1.Event](read.Items)
	if err != nil {
		return nil, err
	}
	return eventViews(events), nil
}

// set sets what people read about a client.
func (s clientRoutes) set(ctx context.Context, c call) (any, error) {
	var body struct {
		DisplayName string   `json:"displayName"`
		Notes       string   `json:"notes"`
		Contacts    []string `json:"contacts"`
	}
	if err := decode(c.Request, &body); err != nil {
		return nil, err
	}
	patch := change.Fields(map[string]any{"displayName": body.DisplayName, "description": body.Notes, "contacts": body.Contacts})
	_, err := action.Merge(ctx, c.cluster, cluster.Clients(), c.name, patch, options())
	return done(err)
}

// rotationTimeout is how long the page waits for a new secret.
const rotationTimeout = 20 * time.Second

func (s clientRoutes) rotate(ctx context.Context, c call) (any, error) {
	var body struct {
		Now bool `json:"now"`
	}
	if err := decode(c.Request, &body); err != nil {
		return nil, err
	}
	_, client, err := c.read(ctx)
	if err == nil {
		err = action.Rotatable(client)
	}
	if err != nil {
		return nil, err
	}
	rotated, err := action.Rotation{Now: body.Now, Timeout: rotationTimeout, Options: options()}.Run(ctx, c.cluster, client, s.Now())
	if err != nil {
		return nil, err
	}
	var sentence strings.Builder
	fmt.Fprintf(&sentence, "Secret %s has the new client secret.", rotated.Client.Status.Secret.Name)
	for _, old := range rotated.Client.Status.Credentials[min(1, len(rotated.Client.Status.Credentials)):] {
		if old.ExpiresAt.After(s.Now()) {
			fmt.Fprintf(&sentence, " The old one, %s, is accepted until %s.", old.ID, old.ExpiresAt.UTC().Format(time.RFC3339))
		}
	}
	return map[string]string{"sentence": sentence.String()}, nil
}

func (s clientRoutes) suspend(ctx context.Context, c call) (any, error) {
	return s.setState(ctx, c, v1alpha1.ClientSuspended)
}

func (s clientRoutes) resume(ctx context.Context, c call) (any, error) {
	return s.setState(ctx, c, v1alpha1.ClientActive)
}

func (s clientRoutes) setState(ctx context.Context, c call, state v1alpha1.ClientState) (any, error) {
	_, err := action.Merge(ctx, c.cluster, cluster.Clients(), c.name, change.State(state), options())
	return done(err)
}

func (s clientRoutes) revoke(ctx context.Context, c call) (any, error) {
	_, client, err := c.read(ctx)
	if err != nil {
		return nil, err
	}
	_, err = action.RevokeClient(ctx, c.cluster, client, s.Registry, s.Now(), options())
	return done(err)
}

// pageSize is the number of clients that are read, and sent to the page, at a time.
const pageSize = 500

// listOf are the options of the first page of a list.
func listOf(size int64) metav1.ListOptions { return metav1.ListOptions{Limit: size} }
