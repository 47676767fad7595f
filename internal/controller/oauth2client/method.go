// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"context"
	"errors"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// method is a way in which a client authenticates.
type method interface { //nolint:interfacebloat // one way to authenticate in one place
	// identify returns the UID of the service account that the client authenticates as, if any.
	identify(ctx context.Context) (uid string, err error)
	// compile adds to the registered client what it authenticates by. An obstacle means that
	// this cannot be used, incomplete that a part of it cannot.
	compile(registered *oauth2.Client, accountUID string) (obstacle, incomplete *metav1.Condition)
	// look reads the client's Secret or ConfigMap from the cache, or live from the API server.
	look(ctx context.Context, s seen, live bool) (found, error)
	// keep is the plan for the secrets while something is in the way, plan what otherwise
	// does.
	keep(s seen) credential.Plan
	plan(s seen, p credential.Policy) (credential.Plan, action)
	// items are the entries of the Secret that this method adds.
	items(value oauth2.Secret) []output.Item
	// remember are the names under which something is written for the client, the one to write
	// included.
	remember(s seen) []string
	// write brings the Secret or ConfigMap up to date; removeFormer deletes those not used any
	// more, and returns the names of those that only name the client.
	write(ctx context.Context, stored client.Object, d decision) (client.Object, error)
	removeFormer(ctx context.Context, s seen) (copies []string, err error)
	// source is where the client secret comes from.
	source() secretSource
	// kind is the kind of what is written, and version the version that the cache has of it.
	kind() string
	version(ctx context.Context) string
	// ready is the condition of a client with nothing in its way.
	ready() metav1.Condition
}

// secretSource is where the secret of a client comes from.
type secretSource int

const (
	secretNone      secretSource = iota // the client authenticates otherwise
	secretGenerated                     // it is made here
	secretDeclared                      // it is in a Secret of the user's own
)

// methodOf is the one place that chooses by the spec.
func methodOf(c *v1alpha1.OAuth2Client, cached client.Client, live, declared client.Reader, keys generationKeys) method { //nolint:ireturn // one of six
	owner := output.Owner{NamespacedName: client.ObjectKeyFromObject(c), Kind: "OAuth2Client", Annotation: v1alpha1.AnnotationClient, UID: c.UID}
	secrets := output.Target{
		Client: cached, Cached: cached, Live: live, Owner: owner, SecretType: v1alpha1.SecretTypeClient, Name: secretName(c),
		Labels: c.Spec.Secret.Labels, Annotations: c.Spec.Secret.Annotations, Retained: c.Spec.Secret.DeletionPolicy == v1alpha1.DeletionRetain,
		ClientID: c.ClientID(), ClientIDEntry: output.Entry(c.Spec.Secret.Keys.ClientID, keyClientID),
	}
	configMaps := secrets
	configMaps.SecretType = ""
	switch c.Spec.Authentication.Method {
	case v1alpha1.ByServiceAccount:
		secrets.Name = ""
		return byAccount{base{c, configMaps, secrets, true}}
	case v1alpha1.ByFederatedToken:
		secrets.Name = ""
		return byFederated{base{c, configMaps, secrets, true}}
	case v1alpha1.ByNone:
		secrets.Name = ""
		return byNone{base{c, configMaps, secrets, true}}
	case v1alpha1.ByClientSecret, v1alpha1.ByPrivateKeyJWT: // both may have a Secret
	}
	// of the Secrets that one stays which is read
	if c.Spec.Secret.Source == v1alpha1.SecretExisting {
		return byDeclared{bySecret{base{c, configMaps, secrets, true}}, declared}
	}
	configMaps.Name = ""
	b := base{c, secrets, configMaps, true}
	if c.Spec.Authentication.Method == v1alpha1.ByPrivateKeyJWT {
		b.alive = false
		return byKeys{b}
	}
	return byGenerated{bySecret{b}, generations{string(c.UID), keys}}
}

// methodName is what policies call the method.
func methodName(c *v1alpha1.OAuth2Client) v1alpha1.AuthenticationMethod {
	if m := c.Spec.Authentication.Method; m != "" {
		return m
	}
	return v1alpha1.ByClientSecret
}

func secretName(c *v1alpha1.OAuth2Client) string {
	if c.Spec.Secret.Name != "" {
		return c.Spec.Secret.Name
	}
	return c.Name
}

// base is what all methods share: one object is written, and none of the other kind is kept.
type base struct {
	client         *v1alpha1.OAuth2Client
	written, other output.Target
	// alive has the client looked for live before something random or lasting is made for it.
	alive bool
}

func (base) identify(context.Context) (string, error) { return "", nil }

func (base) compile(*oauth2.Client, string) (obstacle, incomplete *metav1.Condition) { return nil, nil }

func (b base) look(ctx context.Context, s seen, live bool) (found, error) {
	from := b.written.Cached
	b.written.Remembered = s.names
	if live {
		from = b.written.Live
	}
	if live && b.alive {
		if err := b.written.Owner.CheckAlive(ctx, from); err != nil {
			return found{}, err
		}
	}
	object, err := b.written.Read(ctx, from)
	f := found{live: live, object: object}
	if errors.Is(err, output.ErrForeign) {
		if f.obstacle, err = new(v1alpha1.SecretConflict(b.written.Name)), nil; b.kind() == kindConfigMap {
			f.obstacle = new(v1alpha1.ConfigMapConflict(b.written.Name))
		}
	}
	return f, err
}

// keep and plan drop the secrets of a client that had some: it authenticates otherwise by now.
func (base) keep(s seen) credential.Plan {
	return credential.Plan{Record: s.record().Withdraw()}
}

// plan looks live before an object is created: the cache has none that are not ours.
func (b base) plan(s seen, _ credential.Policy) (credential.Plan, action) {
	if s.object == nil && !s.live {
		return b.keep(s), lookLive
	}
	return b.keep(s), apply
}

func (base) source() secretSource { return secretNone }

func (base) items(oauth2.Secret) []output.Item { return nil }

func (b base) write(ctx context.Context, stored client.Object, d decision) (client.Object, error) {
	return b.written.Write(ctx, stored, d.data)
}

// remember adds the name that is written: of an object without an owner reference, and of one that
// is about to be created under another name than the client's, which a late cache would lack.
func (b base) remember(s seen) []string {
	return b.remembered(s, s.object == nil && (b.written.Name != b.client.Name || len(s.names) > 0))
}

// remembered adds the name that is written if the cache may lack what has it, or if that has no
// owner reference.
func (b base) remembered(s seen, lacks bool) []string {
	name := b.written.Name
	if at := slices.Index(s.names, name); at < 0 && !lacks && !b.written.Retained || at >= 0 && at == len(s.names)-1 {
		return s.names
	}
	return append(slices.DeleteFunc(slices.Clone(s.names), func(n string) bool { return n == name }), name)
}

func (b base) removeFormer(ctx context.Context, s seen) (copies []string, err error) {
	b.written.Remembered, b.other.Remembered = s.names, s.names
	copies, err = b.written.RemoveFormer(ctx, s.object)
	if err != nil {
		return copies, err
	}
	others, err := b.other.RemoveFormer(ctx, s.object)
	return append(copies, others...), err
}

const kindConfigMap = "ConfigMap"

func (b base) kind() string {
	if b.written.SecretType == "" {
		return kindConfigMap
	}
	return "Secret"
}

func (b base) version(ctx context.Context) string {
	var object client.Object = &corev1.Secret{}
	if b.kind() == kindConfigMap {
		object = &corev1.ConfigMap{}
	}
	return output.Version(ctx, b.written.Cached, object, client.ObjectKey{Namespace: b.client.Namespace, Name: b.written.Name})
}
