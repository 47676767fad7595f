// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package directory is the token server's only sight of Kubernetes: it watches the registry namespace for registrations,
// signing keys and revocations, and the OAuth2Clients themselves for what can deny, and answers from memory. It grants nothing on
// its own and writes nothing but what is revoked. It holds no Kubernetes object, only what it decoded from them.
package directory

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

const (
	resourceSecrets = "secrets"
	resourceClients = "oauth2clients"
)

// Config is what a Directory needs.
type Config struct {
	// REST connects with the token server's own rights.
	REST *rest.Config
	// RegistryNamespace is where registrations and signing keys are kept.
	RegistryNamespace string
	// Log is told about records that cannot be read. It never sees their contents.
	Log *slog.Logger
	// SnapshotFile is where what memory holds is kept for a start while the API server is away; empty keeps nothing.
	SnapshotFile string
	// Vouches reports whether this process has a usage report that tells what it accepts; without one it writes no snapshot. Nil means
	// that it has.
	Vouches func() bool
	// MaxStaleness is how long the API server may be silent before nothing is decided any more; zero means for ever.
	MaxStaleness time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// RevocationSeen is told how long after it was written a batch of revocations came; nil if nobody asks.
	RevocationSeen func(lag time.Duration)
}

// Directory answers from memory who is registered, who is denied and which keys there are. Every record in it is immutable
// and is replaced whole, so that readers need no lock and a change costs the same however many clients there are.
type Directory struct {
	namespace string
	log       *slog.Logger
	core      rest.Interface
	hallpass  rest.Interface
	reviews   rest.Interface
	contact   *contact

	records   records
	resources resources
	keys      keys
	trust     trust
	minted    minted

	// revocations are the state of TokenRevocations, and what this replica has taken back itself.
	revocations    revocation.State
	clientEpochs   clientEpochs
	revocationSeen func(lag time.Duration)

	now          func() time.Time
	maxStaleness time.Duration
	// sources are the watches, and listing keeps their lists apart from the adoption of a snapshot.
	sources  []*source
	listing  sync.Mutex
	heard    atomic.Pointer[time.Time]
	hearing  sync.Mutex
	snapshot snapshot
	// restored counts how often the API server was proven to have gone back in time.
	restored atomic.Int64
	notices  notices
	departed departed
	// adopted says that a snapshot was put in the place of what could not be read.
	adopted atomic.Bool
}

// The token server reads the OAuth2Clients for what denies, the Secrets of the registry, and what was revoked.
//
// +kubebuilder:rbac:groups=hallpass.dev,resources=oauth2clients,verbs=get;list;watch
// +kubebuilder:rbac:namespace=hallpass-registry,groups="",resources=secrets,verbs=get;list;watch

// New connects a Directory; Run fills it.
func New(config Config) (*Directory, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme), authenticationv1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("register kinds: %w", err)
	}
	codecs := serializer.NewCodecFactory(scheme).WithoutConversion()
	heard, noted := &contact{}, rest.CopyConfig(config.REST)
	noted.Wrap(func(transport http.RoundTripper) http.RoundTripper { return notes{transport, heard} })
	binary := rest.CopyConfig(noted)
	binary.ContentType = runtime.ContentTypeProtobuf
	binary.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON + ",*/*" // the keys of service accounts have a type of their own
	core, err := client(binary, codecs, "/api", corev1.SchemeGroupVersion)
	if err != nil {
		return nil, err
	}
	hallpass, err := client(noted, codecs, "/apis", v1alpha1.GroupVersion)
	if err != nil {
		return nil, err
	}
	reviews, err := client(noted, codecs, "/apis", authenticationv1.SchemeGroupVersion)
	if err != nil {
		return nil, err
	}
	d := &Directory{
		namespace: config.RegistryNamespace, log: config.Log, core: core, hallpass: hallpass, reviews: reviews, contact: heard,
		now: config.Now, maxStaleness: config.MaxStaleness,
		revocationSeen: config.RevocationSeen,
		snapshot:       snapshot{file: config.SnapshotFile, vouches: config.Vouches, changed: make(chan struct{}, 1)},
	}
	if d.now == nil {
		d.now = time.Now
	}
	d.watch(d.core, resourceSecrets, d.namespace, &corev1.Secret{}, secretStore{d})
	d.watch(d.hallpass, resourceClients, "", &v1alpha1.OAuth2Client{}, ownerStore{d})
	d.watch(d.hallpass, resourceRevocations, d.namespace, &v1alpha1.TokenRevocation{}, revocationStore{d})
	d.watch(d.hallpass, resourceTokens, "", &v1alpha1.OAuth2Token{}, tokenStore{d})
	return d, nil
}

// watch adds a watch to those that Run starts.
func (d *Directory) watch(c rest.Interface, resource, namespace string, kind runtime.Object, store cache.TransformingStore) {
	d.sources = append(d.sources, &source{
		client: c, resource: resource, namespace: namespace, kind: kind, store: store,
		beforeList: d.beforeList, afterList: d.afterList, setBack: d.setBack, changed: d.snapshot.note,
		heardOf: func() { d.contact.note(); d.noteHeard() },
		now:     d.now, listing: &d.listing,
	})
}

func client(config *rest.Config, codecs runtime.NegotiatedSerializer, path string, version schema.GroupVersion) (rest.Interface, error) {
	config = rest.CopyConfig(config)
	config.APIPath, config.GroupVersion, config.NegotiatedSerializer = path, &version, codecs
	config.QPS = -1 // live look-ups have a budget of their own, before they come here
	c, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	return c, nil
}

// Run watches until the context ends.
func (d *Directory) Run(ctx context.Context) {
	d.look()
	var running sync.WaitGroup
	for _, s := range d.sources {
		running.Go(func() { s.run(ctx) })
	}
	running.Go(func() { d.bridge(ctx) })
	running.Go(func() { d.keepSnapshot(ctx) })
	running.Go(func() { d.keepTrust(ctx) })
	running.Go(func() { d.keepUp(ctx) })
	running.Wait()
}

// Ready reports whether everything was read in full once, or stands in a snapshot while it cannot be, there is a key to sign with,
// and none of it is older than it may be.
func (d *Directory) Ready() error {
	for _, s := range d.sources {
		if _, heard, _ := s.state(); heard.IsZero() {
			return fmt.Errorf("the %s were not read yet", s.resource)
		}
	}
	switch {
	case d.Ring().Empty():
		return errors.New("there is no signing key yet; the manager makes it")
	case d.Stale():
		return fmt.Errorf("the API server was last heard of %s ago, more than may be", d.Silence().Round(time.Second))
	}
	return nil
}

// Bridging reports whether answers come from a snapshot, because the API server was away at the start and still is.
func (d *Directory) Bridging() bool { return d.adopted.Load() && !d.read() }

// Record is what memory has of a client_id.
func (d *Directory) Record(clientID string) oauth2.Record { return d.records.get(clientID) }

// Ring is the signing keys.
func (d *Directory) Ring() keyring.Ring { return d.keys.get() }

// LookUpRing asks the API server for the signing keys, and keeps those that memory did not have.
func (d *Directory) LookUpRing(ctx context.Context) (keyring.Ring, error) {
	var secret corev1.Secret
	if err := d.core.Get().Namespace(d.namespace).Resource(resourceSecrets).Name(registration.KeysSecretName).Do(ctx).Into(&secret); err != nil {
		return keyring.Ring{}, fmt.Errorf("look up the signing keys: %w", err)
	}
	ring, err := registration.DecodeKeys(secret.Data)
	if err != nil || secret.Type != registration.KeysSecretType {
		return d.Ring(), nil //nolint:nilerr // what cannot be read is no ring; the watch reports it
	}
	return d.keys.learn(ring, d.now()), nil
}
