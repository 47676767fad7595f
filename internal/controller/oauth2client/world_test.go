// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"golang.org/x/sync/semaphore"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	clientgotesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/controller/policy"
	"github.com/hallpass-dev/hallpass/internal/controller/usagereport"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

const registryOfWorld = "hallpass-registry"

var (
	secretsOfWorld = corev1.SchemeGroupVersion.WithResource("secrets")
	clientsOfWorld = v1alpha1.GroupVersion.WithResource("oauth2clients")
)

// world is an API server, and a manager whose cache has what was synced last.
type world struct {
	t      *testing.T
	server client.WithWatch
	// stored are the objects of the API server. To read them from it takes JSON, and most of
	// the time of a history.
	stored clientgotesting.ObjectTracker
	// cached is what the cache has, by kind and name.
	cached map[string]client.Object
	// trims has the cache keep what that of the manager keeps of clients.
	trims    bool
	clock    *clocktesting.FakePassiveClock
	r        *Reconciler
	recorder *events.FakeRecorder
	// audit are the audit lines, and audited when each was written.
	audit   []string
	audited []time.Time
	// writing is held during a write: a first secret and its registration are written at the
	// same time.
	writing sync.Mutex
	// writes are those that the manager has tried. refuse, if set, refuses a write.
	writes []string
	refuse func(verb string, o client.Object) error
	// alter, if set, changes what is written on its way, as a webhook does.
	alter func(o client.Object)
	uids  int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	// Managed fields would take even more of it, and nothing reads them.
	stored := clientgotesting.NewObjectTracker(scheme, serializer.NewCodecFactory(scheme).UniversalDecoder())
	w := &world{
		t: t, stored: stored, server: fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&v1alpha1.OAuth2Client{}).
			// What is created again begins after the last version of what was deleted.
			WithGlobalResourceVersionCounter().WithObjectTracker(stored).Build(),
		clock: clocktesting.NewFakePassiveClock(time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)), recorder: events.NewFakeRecorder(1 << 16),
	}
	w.start()
	return w
}

// start replaces the manager by one that remembers nothing.
func (w *world) start() { w.r = w.manager() }

func (w *world) manager() *Reconciler {
	issuer, err := oauth2.ParseIssuer("https://hallpass.test", false)
	w.must(err)
	c := w.client()
	r := &Reconciler{
		Client: c, Live: w.server, Declared: declaredOfWorld{server: w.server}, Clock: w.clock, Random: rand.Reader, Installation: Installation{Issuer: issuer}, RegistryNamespace: registryOfWorld,
		Policy:   &policy.Source{Client: c, Issuer: issuer, RegistryNamespace: registryOfWorld, Defaults: oauth2.Ceilings{AnyClientID: true}},
		Usage:    usagereport.NewLedger(w.clock, time.Minute),
		Recorder: w.recorder, Informers: names{w},
	}
	r.Audit = funcr.New(func(_, line string) {
		w.audit, w.audited = append(w.audit, line), append(w.audited, w.clock.Now())
	}, funcr.Options{})
	r.memory.reporting = semaphore.NewWeighted(reporters)
	return r
}

// names finds what the cache has.
type names struct{ *world }

func (n names) Names(like client.Object) []types.NamespacedName {
	return n.find(func(o client.Object) bool { return n.kind(o) == n.kind(like) })
}

// Indexed knows the index of OAuth2Clients by their workload.
func (n names) Indexed(_ client.Object, field, namespace, value string) ([]types.NamespacedName, error) {
	return n.find(func(o client.Object) bool {
		c, ok := o.(*v1alpha1.OAuth2Client)
		return ok && field == indexByWorkload && c.Namespace == namespace && workloadOf(c) == value
	}), nil
}

func (n names) find(want func(client.Object) bool) (found []types.NamespacedName) {
	for _, key := range slices.Sorted(maps.Keys(n.cached)) {
		if object := n.cached[key]; want(object) {
			found = append(found, client.ObjectKeyFromObject(object))
		}
	}
	return found
}

// kind is what an object or a list has in the keys of the cache.
func (w *world) kind(o runtime.Object) string {
	kinds, _, err := w.server.Scheme().ObjectKinds(o)
	w.must(err)
	return strings.TrimSuffix(kinds[0].Kind, "List")
}

func (w *world) key(o client.Object) string {
	return w.kind(o) + " " + o.GetNamespace() + "/" + o.GetName()
}

// client reads what the cache has and writes to the API server.
func (w *world) client() client.Client {
	return interceptor.NewClient(w.server, interceptor.Funcs{
		Get: func(ctx context.Context, _ client.WithWatch, key client.ObjectKey, o client.Object, _ ...client.GetOption) error {
			if _, partial := o.(*metav1.PartialObjectMetadata); partial {
				return w.server.Get(ctx, key, o)
			}
			found := w.cached[w.kind(o)+" "+key.String()]
			if found == nil {
				return apierrors.NewNotFound(schema.GroupResource{Resource: w.kind(o)}, key.Name)
			}
			reflect.ValueOf(o).Elem().Set(reflect.ValueOf(found.DeepCopyObject()).Elem())
			return nil
		},
		List: func(_ context.Context, _ client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			var o client.ListOptions
			o.ApplyOptions(options)
			var items []runtime.Object
			for _, key := range slices.Sorted(maps.Keys(w.cached)) {
				object := w.cached[key]
				if strings.HasPrefix(key, w.kind(list)+" ") && (o.Namespace == "" || object.GetNamespace() == o.Namespace) && selected(object, o) {
					items = append(items, object.DeepCopyObject())
				}
			}
			return meta.SetList(list, items)
		},
		Create: func(ctx context.Context, _ client.WithWatch, o client.Object, options ...client.CreateOption) error {
			return w.write("create", o, func(o client.Object) error { w.identify(o); return w.server.Create(ctx, o, options...) })
		},
		Update: func(ctx context.Context, _ client.WithWatch, o client.Object, options ...client.UpdateOption) error {
			return w.write("update", o, func(o client.Object) error { return w.server.Update(ctx, o, options...) })
		},
		Delete: func(ctx context.Context, _ client.WithWatch, o client.Object, options ...client.DeleteOption) error {
			return w.write("delete", o, func(o client.Object) error { return w.server.Delete(ctx, o, options...) })
		},
		SubResourcePatch: func(ctx context.Context, _ client.Client, sub string, o client.Object, p client.Patch, options ...client.SubResourcePatchOption) error {
			return w.write("status", o, func(o client.Object) error { return w.server.SubResource(sub).Patch(ctx, o, p, options...) })
		},
	})
}

// selected knows the indexes of objects by their owner and of clients by the client_id that they
// chose. By the other indexes nothing is found.
func selected(object client.Object, o client.ListOptions) bool {
	if o.FieldSelector == nil {
		return true
	}
	for _, requirement := range o.FieldSelector.Requirements() {
		c, _ := object.(*v1alpha1.OAuth2Client)
		switch {
		case requirement.Field == v1alpha1.AnnotationClient && output.NameOfOwner(object, v1alpha1.AnnotationClient) == requirement.Value:
		case requirement.Field == indexByClientID && c != nil && c.Spec.ClientID == requirement.Value:
		default:
			return false
		}
	}
	return true
}

// lost is the error of a write that is done and is not answered.
type lost struct{ error }

func (w *world) write(verb string, o client.Object, do func(client.Object) error) error {
	w.writing.Lock()
	defer w.writing.Unlock()
	line := fmt.Sprintf("%s %s", verb, w.key(o))
	if w.refuse != nil {
		var unanswered lost
		switch err := w.refuse(verb, o); {
		case errors.As(err, &unanswered):
			w.writes = append(w.writes, line+" not answered")
			copied, _ := o.DeepCopyObject().(client.Object)
			if err := do(copied); err != nil {
				return err
			}
			return unanswered.error
		case err != nil:
			w.writes = append(w.writes, line+" refused")
			return err
		}
	}
	if w.alter != nil {
		w.alter(o)
	}
	err := do(o)
	w.writes = append(w.writes, line)
	return err
}

// sync brings to the cache all objects whose keys begin with one of the prefixes, or all.
func (w *world) sync(prefixes ...string) {
	w.t.Helper()
	if w.cached == nil {
		w.cached = map[string]client.Object{}
	}
	late := func(key string) bool {
		return len(prefixes) > 0 && !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(key, p) })
	}
	maps.DeleteFunc(w.cached, func(key string, _ client.Object) bool { return !late(key) })
	for resource, kind := range map[schema.GroupVersionResource]string{
		secretsOfWorld: "Secret", corev1.SchemeGroupVersion.WithResource("configmaps"): "ConfigMap",
		clientsOfWorld: "OAuth2Client", v1alpha1.GroupVersion.WithResource("oauth2resources"): "OAuth2Resource",
	} {
		list, err := w.stored.List(resource, resource.GroupVersion().WithKind(kind), "")
		w.must(err)
		w.must(meta.EachListItem(list, func(item runtime.Object) error {
			object, _ := item.(client.Object)
			secret, isSecret := object.(*corev1.Secret)
			ours := !isSecret || secret.Namespace == registryOfWorld || secret.Type == v1alpha1.SecretTypeClient
			if key := w.key(object); ours && !late(key) {
				if _, isClient := object.(*v1alpha1.OAuth2Client); isClient && w.trims {
					if _, err := output.TrimMetadata(object); err != nil {
						return err
					}
				}
				w.cached[key] = object
			}
			return nil
		}))
	}
}

// declaredOfWorld is a cache of the Secrets with the label that lets them be read.
type declaredOfWorld struct {
	cache.Cache

	server client.Reader
}

func (d declaredOfWorld) Get(ctx context.Context, key client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	if err := d.server.Get(ctx, key, o); err != nil || o.GetLabels()[v1alpha1.LabelCredentials] == "true" {
		return err
	}
	return apierrors.NewNotFound(corev1.Resource("secrets"), key.Name)
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) identify(o client.Object) {
	w.uids++
	o.SetUID(types.UID(fmt.Sprintf("00000000-0000-4000-8000-%012d", w.uids)))
}

// create creates an object as a user does.
func (w *world) create(o client.Object) {
	w.t.Helper()
	w.identify(o)
	o.SetNamespace("shop")
	o.SetCreationTimestamp(metav1.NewTime(w.clock.Now()))
	o.SetGeneration(1)
	w.must(w.server.Create(w.t.Context(), o))
}

// edit changes the spec of a client as a user does, annotate its annotations.
func (w *world) edit(name string, change func(c *v1alpha1.OAuth2Client)) {
	w.t.Helper()
	c := w.get(name)
	change(c)
	c.Generation++
	w.must(w.server.Update(w.t.Context(), c))
}

func (w *world) askToRotate(name, request string) {
	w.t.Helper()
	c := w.get(name)
	metav1.SetMetaDataAnnotation(&c.ObjectMeta, v1alpha1.AnnotationRotate, request)
	w.must(w.server.Update(w.t.Context(), c))
}

func (w *world) get(name string) *v1alpha1.OAuth2Client {
	w.t.Helper()
	o, err := w.stored.Get(clientsOfWorld, "shop", name)
	w.must(err)
	c, _ := o.(*v1alpha1.OAuth2Client)
	return c
}

// reconcile reconciles a client as the cache has it.
func (w *world) reconcile(name string) (ctrl.Result, error) {
	w.t.Helper()
	var c v1alpha1.OAuth2Client
	err := w.r.Client.Get(w.t.Context(), types.NamespacedName{Namespace: "shop", Name: name}, &c)
	if apierrors.IsNotFound(err) {
		return ctrl.Result{}, nil
	}
	w.must(err)
	return w.r.Reconcile(w.t.Context(), &c)
}

// rest reconciles with a current cache until nothing is written any more.
func (w *world) rest(name string) {
	w.t.Helper()
	for range 50 {
		w.sync()
		before := len(w.writes)
		if _, err := w.reconcile(name); err == nil && len(w.writes) == before {
			return
		}
		w.pass(10 * time.Millisecond)
	}
	w.t.Fatalf("%s is not at rest: %q", name, w.writes)
}

// tries reconciles for a while with a current cache, each pause later once.
func (w *world) tries(name string, during, pause time.Duration) {
	w.t.Helper()
	for end := w.clock.Now().Add(during); w.clock.Now().Before(end); w.pass(pause) {
		w.sync()
		_, _ = w.reconcile(name)
	}
}

func (w *world) pass(d time.Duration) { w.clock.SetTime(w.clock.Now().Add(d)) }

// secret is the Secret of that name; nil if there is none.
func (w *world) secret(name string) *corev1.Secret {
	w.t.Helper()
	o, err := w.stored.Get(secretsOfWorld, "shop", name)
	if apierrors.IsNotFound(err) {
		return nil
	}
	w.must(err)
	s, _ := o.(*corev1.Secret)
	return s
}

// secretsIn are the Secrets in a namespace, by their names.
func (w *world) secretsIn(namespace string) []corev1.Secret {
	w.t.Helper()
	o, err := w.stored.List(secretsOfWorld, corev1.SchemeGroupVersion.WithKind("Secret"), namespace)
	w.must(err)
	list, _ := o.(*corev1.SecretList)
	slices.SortFunc(list.Items, func(a, b corev1.Secret) int { return strings.Compare(a.Name, b.Name) })
	return list.Items
}

// names are those of the Secrets in the clients' namespace.
func (w *world) names() (names []string) {
	w.t.Helper()
	for _, s := range w.secretsIn("shop") {
		names = append(names, s.Name)
	}
	return names
}

// value is the client secret in a Secret; "" if there is none.
func (w *world) value(name string) string {
	w.t.Helper()
	if s := w.secret(name); s != nil {
		return string(s.Data[keyClientSecret])
	}
	return ""
}

func (w *world) registered(id string) (registration.Registration, *corev1.Secret) {
	w.t.Helper()
	o, err := w.stored.Get(secretsOfWorld, registryOfWorld, registration.SecretName(id))
	w.must(err)
	s, _ := o.(*corev1.Secret)
	r, err := registration.Decode(s.Data)
	w.must(err)
	return r, s
}

// accepts asks the function that the token server asks.
func (w *world) accepts(id, value string) bool {
	w.t.Helper()
	r, _ := w.registered(id)
	record := oauth2.Record{Client: &r.Client, Owner: &oauth2.Owner{UID: r.Client.UID}}
	presented := oauth2.Presented{Method: oauth2.ClientSecretBasic, Readings: []oauth2.Reading{{ClientID: r.Client.ID, Secret: oauth2.NewSecret(value)}}}
	_, _, err := oauth2.Authenticate(presented, func(string) oauth2.Record { return record }, w.clock.Now())
	return value != "" && err == nil
}

// events returns the events since it was called last.
func (w *world) events() (all []string) {
	for {
		select {
		case e := <-w.recorder.Events:
			all = append(all, e)
		default:
			return all
		}
	}
}

func (w *world) condition(name, kind string) metav1.Condition {
	w.t.Helper()
	if found := meta.FindStatusCondition(w.get(name).Status.Conditions, kind); found != nil {
		return *found
	}
	return metav1.Condition{}
}

func clientOfWorld(name string) *v1alpha1.OAuth2Client {
	return &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

// refuseSecrets refuses the writes of users' Secrets with an error.
func refuseSecrets(err error) func(string, client.Object) error {
	return func(verb string, o client.Object) error {
		if _, secret := o.(*corev1.Secret); secret && o.GetNamespace() != registryOfWorld && verb != "delete" {
			return err
		}
		return nil
	}
}

var errForbidden = apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "app", errors.New(`admission webhook "guard" denied the request`))

// withoutStatus removes the status of a client, as a tool does that restores a namespace.
func (w *world) withoutStatus(name string) {
	w.t.Helper()
	c := w.get(name)
	c.Status = v1alpha1.OAuth2ClientStatus{}
	w.must(w.server.Status().Update(w.t.Context(), c))
}
