// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package foreign

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// The bounds of the fields that exports fill.
const (
	maxName        = 63
	maxDisplayName = 100
	maxDescription = 2000
	maxContacts    = 8
	// minSecret is how long an Existing client secret is at least.
	minSecret = 22
)

// Rendered are the objects of one client.
type Rendered struct {
	Client *v1alpha1.OAuth2Client
	// Secret has the client secret; nil if the export has none that Hallpass accepts.
	Secret *corev1.Secret
	// Notes are what a person has to do.
	Notes []string
}

// Names gives each client a name of its own.
type Names struct{ taken map[string]bool }

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// of is the name of an object for a client_id.
func (n *Names) of(id string) string {
	name := strings.Trim(notInNames.ReplaceAllString(strings.ToLower(id), "-"), "-")
	if name == "" {
		name = "client"
	}
	name = strings.TrimRight(name[:min(len(name), maxName-4)], "-")
	if n.taken == nil {
		n.taken = map[string]bool{}
	}
	unique := name
	for i := 2; n.taken[unique]; i++ {
		unique = name + "-" + strconv.Itoa(i)
	}
	n.taken[unique] = true
	return unique
}

// Render renders a client that keeps its client_id, and its secret in a Secret that Hallpass reads.
func (n *Names) Render(namespace string, c Client) Rendered {
	name := n.of(c.ID)
	r := Rendered{Client: &v1alpha1.OAuth2Client{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "OAuth2Client"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		Spec: v1alpha1.OAuth2ClientSpec{
			ClientID: c.ID, DisplayName: cut(c.Name, maxDisplayName), Description: cut(c.Description, maxDescription),
			Secret: v1alpha1.SecretSpec{Name: name, Source: v1alpha1.SecretExisting},
		},
	}}
	for _, scope := range c.Scopes {
		r.Client.Spec.Scopes = append(r.Client.Spec.Scopes, v1alpha1.Scope(scope))
	}
	for _, contact := range c.Contacts[:min(len(c.Contacts), maxContacts)] {
		r.Client.Spec.Contacts = append(r.Client.Spec.Contacts, v1alpha1.Contact(contact))
	}
	if c.Disabled {
		r.Client.Spec.State = v1alpha1.ClientSuspended
	}
	r.addSecret(name, namespace, c.Secret)
	return r
}

func (r *Rendered) addSecret(name, namespace, value string) {
	switch {
	case value == "":
		r.Notes = append(r.Notes, fmt.Sprintf(
			"the export has no secret of it: create Secret %s with the entry client_secret and the label %s=true", name, v1alpha1.LabelCredentials))
	case len(value) < minSecret:
		r.Notes = append(r.Notes, "its secret is shorter than "+strconv.Itoa(minSecret)+" characters, which Hallpass refuses: set another one in Secret "+name)
	default:
		r.Secret = &corev1.Secret{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: map[string]string{v1alpha1.LabelCredentials: "true"}},
			StringData: map[string]string{"client_secret": value},
		}
	}
}

// cut is a text of at most so many characters.
func cut(text string, limit int) string {
	runes := []rune(strings.TrimSpace(text))
	return string(runes[:min(len(runes), limit)])
}
