// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package output

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// shop is a client with a Secret named app, and a ConfigMap of that name if it has no Secret type.
func shop(secretType corev1.SecretType, objects ...client.Object) Target {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		panic(err)
	}
	owner := Owner{
		NamespacedName: types.NamespacedName{Namespace: "shop", Name: "app"}, Kind: "OAuth2Client", Annotation: v1alpha1.AnnotationClient, UID: "u1",
	}
	cluster := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithObjects(&v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app", UID: "u1"}}).
		WithObjects(&v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "other", UID: "u2"}}).
		WithIndex(&corev1.Secret{}, owner.Annotation, byOwner(owner.Annotation)).WithIndex(&corev1.ConfigMap{}, owner.Annotation, byOwner(owner.Annotation)).Build()
	return Target{Client: cluster, Cached: cluster, Live: cluster, Owner: owner, SecretType: secretType, Name: "app"}
}

type change func(client.Object)

func annotated(owner string) change {
	return func(o client.Object) { o.SetAnnotations(map[string]string{v1alpha1.AnnotationClient: owner}) }
}

func owned(kind, name string, uid types.UID) change {
	return func(o client.Object) {
		o.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: v1alpha1.GroupVersion.String(), Kind: kind, Name: name, UID: uid}})
	}
}

// ownedToo adds an owner of another API group, or of Hallpass if it is a client.
func ownedToo(kind, name string, uid types.UID) change {
	return func(o client.Object) {
		version := "argoproj.io/v1alpha1"
		if kind == "OAuth2Client" {
			version = v1alpha1.GroupVersion.String()
		}
		o.SetOwnerReferences(append(o.GetOwnerReferences(), metav1.OwnerReference{APIVersion: version, Kind: kind, Name: name, UID: uid}))
	}
}

func named(name string) change { return func(o client.Object) { o.SetName(name) } }

// saying sets the client_id in a Secret.
func saying(clientID string) change {
	return func(o client.Object) {
		if secret, ok := o.(*corev1.Secret); ok {
			secret.Data = map[string][]byte{"client_id": []byte(clientID)}
		}
	}
}

func labelled(o client.Object) { o.SetLabels(map[string]string{v1alpha1.LabelClientConfig: "true"}) }

func changed[T client.Object](o T, changes ...change) T {
	o.SetNamespace("shop")
	if o.GetName() == "" {
		o.SetName("app")
	}
	for _, c := range changes {
		c(o)
	}
	return o
}

func secretOf(t corev1.SecretType, changes ...change) client.Object {
	return changed(&corev1.Secret{Type: t}, changes...)
}

func configMap(changes ...change) client.Object { return changed(&corev1.ConfigMap{}, changes...) }

func TestAnObjectOfAnotherOwnerIsForeign(t *testing.T) {
	ours, theirs := owned("OAuth2Client", "app", "u1"), owned("OAuth2Client", "other", "u2")
	dead := owned("OAuth2Client", "app", "u0")
	const secret = v1alpha1.SecretTypeClient
	for name, c := range map[string]struct {
		secretType corev1.SecretType
		there      client.Object
		want       error
	}{
		"a Secret of the owner":                               {secret, secretOf(secret, annotated("app"), ours), nil},
		"a Secret that lost its owner reference":              {secret, secretOf(secret, annotated("app")), nil},
		"a Secret of the owner's predecessor":                 {secret, secretOf(secret, annotated("app"), dead), nil},
		"a Secret that was stripped of its annotation":        {secret, secretOf(secret, ours), nil},
		"a Secret of the owner that names another client":     {secret, secretOf(secret, annotated("other"), ours), ErrForeign},
		"a Secret that another client owned":                  {secret, secretOf(secret, annotated("app"), owned("OAuth2Client", "gone", "u0")), ErrForeign},
		"a copy that speaks of another client":                {secret, secretOf(secret, annotated("app"), saying("stage.app")), ErrForeign},
		"a copy that speaks of another client, restored":      {secret, secretOf(secret, annotated("app"), dead, saying("stage.app")), ErrForeign},
		"a Secret of before that speaks of the owner":         {secret, secretOf(secret, annotated("app"), dead, saying("shop.app")), nil},
		"a Secret of the owner that was edited":               {secret, secretOf(secret, annotated("app"), ours, saying("stage.app")), nil},
		"a copy under a name that is remembered":              {secret, secretOf(secret, annotated("app"), saying("stage.app"), named("kept")), ErrForeign},
		"a Secret of another type":                            {secret, secretOf(corev1.SecretTypeOpaque, annotated("app"), ours), ErrForeign},
		"a Secret that names another client":                  {secret, secretOf(secret, annotated("other")), ErrForeign},
		"a Secret that another live client owns":              {secret, secretOf(secret, annotated("app"), theirs), ErrForeign},
		"a Secret of the owner that another kind owns too":    {secret, secretOf(secret, annotated("app"), ours, ownedToo("Application", "shop", "u9")), nil},
		"a Secret of two owners of the kind":                  {secret, secretOf(secret, annotated("app"), ours, ownedToo("OAuth2Client", "other", "u2")), ErrForeign},
		"a Secret that a Deployment owns":                     {secret, secretOf(secret, annotated("app"), owned("Deployment", "app", "u1x")), ErrForeign},
		"a ConfigMap with our label":                          {"", configMap(annotated("app"), labelled), nil},
		"a ConfigMap that lost its label":                     {"", configMap(annotated("app"), ours), nil},
		"a ConfigMap with neither label nor reference":        {"", configMap(annotated("app")), ErrForeign},
		"a ConfigMap with our label that names another owner": {"", configMap(annotated("other"), labelled), ErrForeign},
	} {
		t.Run(name, func(t *testing.T) {
			target := shop(c.secretType, c.there)
			target.ClientID, target.ClientIDEntry, target.Remembered = "shop.app", "client_id", []string{"kept"}
			target.Name = c.there.GetName()
			found, err := target.Read(t.Context(), target.Live)
			if !errors.Is(err, c.want) || (found == nil) != (c.want != nil) {
				t.Errorf("%v, %v; want error %v", found, err, c.want)
			}
		})
	}
	retained := shop(secret, secretOf(secret, annotated("app"), saying("stage.app"), named("kept")))
	retained.ClientID, retained.ClientIDEntry, retained.Name, retained.Remembered, retained.Retained = "shop.app", "client_id", "kept", []string{"kept"}, true
	if found, err := retained.Read(t.Context(), retained.Live); found == nil || err != nil {
		t.Errorf("%v, %v; want a retained Secret that was edited", found, err)
	}
	target := shop(secret)
	if found, err := target.Read(t.Context(), target.Live); found != nil || err != nil {
		t.Errorf("%v, %v; want nothing where there is nothing", found, err)
	}
}

func TestWritingATarget(t *testing.T) {
	data := map[string][]byte{"client_id": []byte("shop.app")}
	for _, secretType := range []corev1.SecretType{v1alpha1.SecretTypeClient, ""} {
		target := shop(secretType)
		_, _, kind := target.empty()
		t.Run(kind, func(t *testing.T) {
			first, err := target.Write(t.Context(), nil, data)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(data, Data(first)); diff != "" || len(first.GetOwnerReferences()) != 1 {
				t.Errorf("owners %v, data (-want +got):\n%s", first.GetOwnerReferences(), diff)
			}
			again, err := target.Write(t.Context(), first, data)
			if err != nil || again != first {
				t.Errorf("the same data: %v, %v; want no write", again, err)
			}

			first.SetLabels(labels.Merge(first.GetLabels(), map[string]string{"reloader": "on"}))
			data := map[string][]byte{"client_id": []byte("shop.app"), "scope": []byte("read")}
			target.Retained = true
			second, err := target.Write(t.Context(), first, data)
			if err != nil {
				t.Fatal(err)
			}
			if second.GetLabels()["reloader"] != "on" || len(second.GetOwnerReferences()) != 0 {
				t.Errorf("labels %v, owners %v; want the label of others and no owner", second.GetLabels(), second.GetOwnerReferences())
			}
			if stored, err := target.Read(t.Context(), target.Live); err != nil || !cmp.Equal(data, Data(stored)) {
				t.Errorf("stored %v, %v", stored, err)
			}
			first.SetResourceVersion("1")
			if _, err := target.Write(t.Context(), first, map[string][]byte{}); !apierrors.IsConflict(err) {
				t.Errorf("on a version that is not current: %v, want a conflict", err)
			}
			if _, err := target.Write(t.Context(), nil, data); !apierrors.IsAlreadyExists(err) {
				t.Errorf("where an object is: %v, want AlreadyExists", err)
			}
		})
	}
}

func TestWhatTheOwnerAddedIsRemovedAndWhatOthersAddedStays(t *testing.T) {
	data := map[string][]byte{"client_id": []byte("shop.app")}
	for _, secretType := range []corev1.SecretType{v1alpha1.SecretTypeClient, ""} {
		target := shop(secretType)
		_, _, kind := target.empty()
		t.Run(kind, func(t *testing.T) {
			write := func(stored client.Object) client.Object {
				t.Helper()
				written, err := target.Write(t.Context(), stored, data)
				if err != nil {
					t.Fatal(err)
				}
				return written
			}
			target.Labels = v1alpha1.SecretLabels{"team": "a", "tier": "1"}
			target.Annotations = v1alpha1.SecretAnnotations{"reloader.example.com/match": "true"}
			stored := write(nil)

			stored.SetLabels(labels.Merge(stored.GetLabels(), map[string]string{"backup": "daily"}))
			stored.SetAnnotations(labels.Merge(stored.GetAnnotations(), map[string]string{"note": "ours"}))
			stored.SetFinalizers([]string{"backup.example.com/hold"})
			ownedToo("Application", "shop", "u9")(stored)
			if again := write(stored); again != stored {
				t.Error("written again because of what others added")
			}
			target.Labels, target.Annotations = v1alpha1.SecretLabels{"team": "b"}, nil
			stored = write(stored)
			if got := stored.GetLabels(); got["team"] != "b" || got["backup"] != "daily" || got["tier"] != "" {
				t.Errorf("labels %v", got)
			}
			if got := stored.GetAnnotations(); got["note"] != "ours" || got["reloader.example.com/match"] != "" {
				t.Errorf("annotations %v", got)
			}
			if owners := stored.GetOwnerReferences(); len(stored.GetFinalizers()) != 1 || len(owners) != 2 || owners[0].UID != "u1" || owners[1].UID != "u9" {
				t.Errorf("finalizers %v, owners %v", stored.GetFinalizers(), owners)
			}

			target.Labels, target.Retained = nil, true
			stored = write(stored)
			if _, left := stored.GetAnnotations()[v1alpha1.AnnotationAdded]; left || stored.GetLabels()["team"] != "" {
				t.Errorf("labels %v, annotations %v", stored.GetLabels(), stored.GetAnnotations())
			}
			if owners := stored.GetOwnerReferences(); len(owners) != 1 || owners[0].UID != "u9" {
				t.Errorf("owners %v", owners)
			}
			if again := write(stored); again != stored {
				t.Error("written again without a change")
			}
		})
	}
}

func TestAReferenceToAPredecessorIsReplaced(t *testing.T) {
	found := secretOf(v1alpha1.SecretTypeClient, annotated("app"), owned("OAuth2Client", "app", "u0"))
	target := shop(v1alpha1.SecretTypeClient, found)
	stored, err := target.Read(t.Context(), target.Live)
	if err != nil {
		t.Fatal(err)
	}
	written, err := target.Write(t.Context(), stored, nil)
	if err != nil {
		t.Fatal(err)
	}
	if owners := written.GetOwnerReferences(); len(owners) != 1 || owners[0].UID != "u1" {
		t.Errorf("owners %v", owners)
	}
}

// After an upgrade that serves another version, and stops serving the one of before.
func TestAReferenceFollowsTheServedVersion(t *testing.T) {
	stored := secretOf(v1alpha1.SecretTypeClient, annotated("app"), owned("OAuth2Client", "app", "u1"), ownedToo("Application", "site", "a1"))
	target := shop(v1alpha1.SecretTypeClient, stored)
	next := schema.GroupVersion{Group: v1alpha1.GroupVersion.Group, Version: "v1"}
	served := meta.NewDefaultRESTMapper([]schema.GroupVersion{next})
	served.Add(next.WithKind("OAuth2Client"), meta.RESTScopeNamespace)
	writes := 0
	target.Client = servedBy{interceptor.NewClient(target.Client.(client.WithWatch), interceptor.Funcs{ //nolint:forcetypeassert,errcheck // a fake is one
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.UpdateOption) error {
			writes++
			return c.Update(ctx, o, options...)
		},
	}), served}
	for range 2 { // the second run writes nothing
		found, err := target.Read(t.Context(), target.Live)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := target.Write(t.Context(), found, map[string][]byte{"client_id": []byte("shop.app")}); err != nil {
			t.Fatal(err)
		}
	}
	found, err := target.Read(t.Context(), target.Live)
	if err != nil {
		t.Fatal(err)
	}
	var versions []string
	for _, owner := range found.GetOwnerReferences() {
		versions = append(versions, owner.APIVersion+" "+string(owner.UID))
	}
	if diff := cmp.Diff([]string{"hallpass.dev/v1 u1", "argoproj.io/v1alpha1 a1"}, versions); diff != "" || writes != 1 {
		t.Errorf("%d writes, references (-want +got):\n%s", writes, diff)
	}
}

// servedBy is a client of an API server that serves other versions.
type servedBy struct {
	client.Client

	served meta.RESTMapper
}

func (s servedBy) RESTMapper() meta.RESTMapper { return s.served }

func TestBinaryDataInAConfigMapAreRemoved(t *testing.T) {
	binary := changed(&corev1.ConfigMap{BinaryData: map[string][]byte{"more": {1}}}, annotated("app"), labelled)
	target := shop("", binary)
	found, err := target.Read(t.Context(), target.Live)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := target.Write(t.Context(), found, map[string][]byte{"client_id": []byte("shop.app")}); err != nil {
		t.Fatal(err)
	}
	if stored, err := target.Read(t.Context(), target.Live); err != nil || len(Data(stored)) != 1 {
		t.Errorf("stored %v, %v", stored, err)
	}
}

func TestAnAlteredTargetIsAnErrorForItsUser(t *testing.T) {
	target := shop(v1alpha1.SecretTypeClient)
	inner, _ := target.Client.(client.WithWatch)
	target.Client = interceptor.NewClient(inner, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.CreateOption) error {
			if secret, ok := o.(*corev1.Secret); ok {
				secret.Data["injected"] = []byte("by a webhook")
			}
			return c.Create(ctx, o, options...)
		},
	})
	stored, err := target.Write(t.Context(), nil, map[string][]byte{"client_id": []byte("shop.app")})
	if refused, ok := errors.AsType[*Error](err); !ok || !errors.Is(err, ErrAltered) || refused.name != "app" {
		t.Errorf("%v, want an *Error that wraps ErrAltered", err)
	}
	if stored == nil || stored.GetResourceVersion() == "" {
		t.Errorf("returned %v, want what is stored", stored)
	}
}

func TestObjectsUnderFormerNames(t *testing.T) {
	with := func(uid types.UID) change { return func(o client.Object) { o.SetUID(uid) } }
	const secret = v1alpha1.SecretTypeClient
	ours := owned("OAuth2Client", "app", "u1")
	objects := []client.Object{
		secretOf(secret, named("app"), annotated("app"), ours, with("secret")),
		secretOf(secret, named("retained"), annotated("app")),
		secretOf(secret, named("long-before"), annotated("app"), ours),
		secretOf(secret, named("stripped"), ours),
		secretOf(secret, named("a-backup"), annotated("app")),
		secretOf(secret, named("of-before"), annotated("app"), owned("OAuth2Client", "app", "u0")),
		secretOf(secret, named("of-another"), annotated("other")),
		secretOf(secret, named("of-two"), annotated("app"), owned("OAuth2Client", "other", "u2")),
		secretOf(corev1.SecretTypeOpaque, named("an-opaque-one"), annotated("app")),
		configMap(named("app"), annotated("app"), labelled, ours, with("config")),
		configMap(named("config"), annotated("app"), labelled, ours),
		configMap(named("users-own"), annotated("app")),
	}
	copies := []string{"a-backup", "of-before", "of-two"}
	for name, c := range map[string]struct {
		secretType   corev1.SecretType
		current      string
		want, copies []string
		// other is the type of the current object where that is of the other kind.
		other *corev1.SecretType
	}{
		"Secrets beside the current one":              {secret, "app", []string{"long-before", "retained", "stripped"}, copies, nil},
		"all Secrets where there is none any more":    {secret, "", []string{"app", "long-before", "retained", "stripped"}, copies, nil},
		"all Secrets beside the current ConfigMap":    {secret, "", []string{"app", "long-before", "retained", "stripped"}, copies, new(corev1.SecretType(""))},
		"ConfigMaps beside the current one":           {"", "app", []string{"config"}, []string{"users-own"}, nil},
		"all ConfigMaps where there is none any more": {"", "", []string{"app", "config"}, []string{"users-own"}, nil},
		"all ConfigMaps beside the current Secret":    {"", "", []string{"app", "config"}, []string{"users-own"}, new(corev1.SecretType(secret))},
	} {
		t.Run(name, func(t *testing.T) {
			target := shop(c.secretType, objects...)
			target.Name, target.Remembered = c.current, []string{"app", "retained", "never-written"}
			former, _, err := target.Former(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, o := range former {
				names = append(names, o.GetName())
			}
			slices.Sort(names)
			if diff := cmp.Diff(c.want, names); diff != "" {
				t.Errorf("former (-want +got):\n%s", diff)
			}
			var current client.Object
			if c.other != nil {
				holder := target
				holder.SecretType, holder.Name = *c.other, "app"
				if current, err = holder.Read(t.Context(), target.Live); err != nil || current == nil {
					t.Fatal(current, err)
				}
			}
			left, err := target.RemoveFormer(t.Context(), current)
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(left)
			// the cache selects by type
			left = slices.DeleteFunc(left, func(name string) bool { return name == "an-opaque-one" })
			if diff := cmp.Diff(c.copies, left); diff != "" {
				t.Errorf("copies (-want +got):\n%s", diff)
			}
			if former, _, err := target.Former(t.Context()); err != nil || len(former) > 0 {
				t.Errorf("%d objects are left, %v", len(former), err)
			}
			var all corev1.SecretList
			if err := target.Live.List(t.Context(), &all); err != nil || len(all.Items) < 5 {
				t.Errorf("%d Secrets are left, %v; want at least the five that were not written for the owner", len(all.Items), err)
			}
		})
	}
}

// TestASecretThatTheCacheLacksIsInherited: of two quick renames the cache has the first Secret
// alone.
func TestASecretThatTheCacheLacksIsInherited(t *testing.T) {
	const secret = v1alpha1.SecretTypeClient
	with := func(value string) change {
		return func(o client.Object) {
			if s, ok := o.(*corev1.Secret); ok {
				s.Data = map[string][]byte{"client_secret": []byte(value)}
			}
		}
	}
	ours := owned("OAuth2Client", "app", "u1")
	first, second := secretOf(secret, named("first"), annotated("app"), ours, with("old")), secretOf(secret, named("second"), annotated("app"), ours, with("new"))
	late, target := shop(secret, first), shop(secret, first, second)
	target.Name, target.Cached, target.Remembered = "third", late.Cached, []string{"first", "second"}
	value, err := target.Inherit(t.Context(), func(client.Object, oauth2.Secret) bool { return true })
	if err != nil || value.Reveal() != "new" {
		t.Errorf("inherited %q, %v; want that of the newest name", value.Reveal(), err)
	}
}

// TestALateCacheHasNoFormerObjectDeleted renames there and back: the cache still has the object
// that was deleted in between.
func TestALateCacheHasNoFormerObjectDeleted(t *testing.T) {
	const secret = v1alpha1.SecretTypeClient
	before := secretOf(secret, annotated("app"), owned("OAuth2Client", "app", "u1"), named("before"))
	for name, c := range map[string]struct {
		live    []client.Object
		deleted bool
	}{
		"the current one is there":              {[]client.Object{secretOf(secret, annotated("app")), before}, true},
		"the current one was deleted":           {[]client.Object{before}, false},
		"the current one is another by now":     {[]client.Object{secretOf(secret, annotated("app"), func(o client.Object) { o.SetUID("anew") }), before}, false},
		"the current one was written meanwhile": {[]client.Object{secretOf(secret, annotated("app"), func(o client.Object) { o.SetResourceVersion("7") }), before}, false},
	} {
		t.Run(name, func(t *testing.T) {
			late, target := shop(secret, secretOf(secret, annotated("app")), before), shop(secret, c.live...)
			target.Cached = late.Cached
			current, err := late.Read(t.Context(), late.Cached)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := target.RemoveFormer(t.Context(), current); apierrors.IsConflict(err) == c.deleted {
				t.Errorf("%v", err)
			}
			target.Name = "before"
			if left, err := target.Read(t.Context(), target.Live); err != nil || (left == nil) != c.deleted {
				t.Errorf("left %v, %v", left, err)
			}
		})
	}
}

func TestAValueUnderAnotherNameIsKept(t *testing.T) {
	valid := func(s oauth2.Secret) bool { return strings.HasPrefix(s.Reveal(), "hps_") }
	for name, c := range map[string]struct {
		data map[string][]byte
		want string
	}{
		"under its name":                         {map[string][]byte{"client_secret": []byte("hps_a"), "more": []byte("hps_b")}, "hps_a"},
		"an invalid one under its name stays so": {map[string][]byte{"client_secret": []byte("edited"), "old": []byte("hps_b")}, "edited"},
		"under the name before":                  {map[string][]byte{"z": []byte("hps_z"), "old": []byte("hps_b"), "id": []byte("x")}, "hps_b"},
		"nowhere":                                {map[string][]byte{"id": []byte("x")}, ""},
		"in nothing":                             {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Value(c.data, "client_secret", valid).Reveal(); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
	before := changed(&corev1.Secret{Type: v1alpha1.SecretTypeClient, Data: map[string][]byte{"password": []byte("hps_a")}},
		annotated("app"), owned("OAuth2Client", "app", "u1"), named("before"))
	target := shop(v1alpha1.SecretTypeClient, before)
	if value, err := target.Inherit(t.Context(), func(_ client.Object, s oauth2.Secret) bool { return valid(s) }); err != nil || value.Reveal() != "hps_a" {
		t.Errorf("inherited %q, %v", value.Reveal(), err)
	}
	if value, err := target.Inherit(t.Context(), func(client.Object, oauth2.Secret) bool { return false }); err != nil || !value.Empty() {
		t.Errorf("inherited %q, %v; want nothing", value.Reveal(), err)
	}
}

func TestAFailureIsReportedWhileTheObjectWasNeverReady(t *testing.T) {
	boom := errors.New("boom")
	conflict := apierrors.NewConflict(corev1.Resource("secrets"), "app", boom)
	ready := []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue}}
	for name, c := range map[string]struct {
		failure    error
		conditions []metav1.Condition
		want       string
	}{
		"any failure":                       {boom, nil, "Could not register the client yet; trying again."},
		"of a write to the user's Secret":   {&Error{kind: "Secret", name: "app", err: boom, words: "boom"}, nil, `Could not write Secret "app" (boom) yet; trying again.`},
		"of an object that is ready":        {boom, ready, ""},
		"a lost race":                       {conflict, nil, ""},
		"a lost race for the user's Secret": {&Error{kind: "Secret", name: "app", err: conflict}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if condition := Failure(c.failure, c.conditions, "register the client"); condition != nil {
				got = condition.Message
			}
			if got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
