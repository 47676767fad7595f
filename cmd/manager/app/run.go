// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package app is the manager as a whole: flags to Options, and Run, which manages until the context
// ends. The command is a shell around it, and the end-to-end tests start it beside others.
package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	// These are the authorities of public issuers, for an image that has none.
	_ "golang.org/x/crypto/x509roots/fallback"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/discovery"
	eventsclient "k8s.io/client-go/kubernetes/typed/events/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/apiclock"
	"github.com/hallpass-dev/hallpass/internal/controller/eventqueue"
	"github.com/hallpass-dev/hallpass/internal/controller/inventory"
	"github.com/hallpass-dev/hallpass/internal/controller/oauth2client"
	"github.com/hallpass-dev/hallpass/internal/controller/oauth2policy"
	"github.com/hallpass-dev/hallpass/internal/controller/oauth2resource"
	"github.com/hallpass-dev/hallpass/internal/controller/oauth2token"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/controller/packed"
	"github.com/hallpass-dev/hallpass/internal/controller/policy"
	"github.com/hallpass-dev/hallpass/internal/controller/poll"
	"github.com/hallpass-dev/hallpass/internal/controller/publish"
	"github.com/hallpass-dev/hallpass/internal/controller/registry"
	"github.com/hallpass-dev/hallpass/internal/controller/restored"
	"github.com/hallpass-dev/hallpass/internal/controller/sealingkeys"
	"github.com/hallpass-dev/hallpass/internal/controller/servingcert"
	"github.com/hallpass-dev/hallpass/internal/controller/signingkeys"
	"github.com/hallpass-dev/hallpass/internal/controller/tokenrevocation"
	"github.com/hallpass-dev/hallpass/internal/controller/trustedissuer"
	"github.com/hallpass-dev/hallpass/internal/controller/usagereport"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/serve"
)

// The lease of the leader election. The right to create cannot be restricted to a name: the
// API server does not know it when it asks for the right. The election still writes events of the
// older API, about its lease.
//
// +kubebuilder:rbac:namespace=hallpass-system,groups=coordination.k8s.io,resources=leases,verbs=create
// +kubebuilder:rbac:namespace=hallpass-system,groups=coordination.k8s.io,resources=leases,resourceNames=hallpass-manager,verbs=get;update
// +kubebuilder:rbac:namespace=hallpass-system,groups="",resources=events,verbs=create

// leaseName is the lease that the working manager holds.
const leaseName = "hallpass-manager"

// Run manages until the context ends, and gives the lease back then.
func Run(ctx context.Context, o Options) error {
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return fmt.Errorf("register kinds: %w", err)
	}
	config := rest.CopyConfig(o.REST)
	config.QPS = -1 // the API server's own priority and fairness is the limit
	config.Wrap(restored.Guard)
	clock := cmp.Or(o.Clock, apiclock.New())
	config.Wrap(clock.Transport)
	informers := &packed.Informers{Stopped: ctx.Done()}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:         scheme,
		Logger:         o.Log,
		Cache:          cacheOptions(o, informers),
		MapperProvider: newMapper,
		// several managers may run in one test
		Controller:                    ctrlconfig.Controller{SkipNameValidation: new(true)},
		Metrics:                       server.Options{BindAddress: o.MetricsListen},
		HealthProbeBindAddress:        o.HealthListen,
		LeaderElection:                o.LeaderElect,
		LeaderElectionID:              leaseName,
		LeaderElectionNamespace:       o.SystemNamespace,
		LeaderElectionReleaseOnCancel: true,
		LeaseDuration:                 &o.Lease.Duration,
		RenewDeadline:                 &o.Lease.RenewDeadline,
		RetryPeriod:                   &o.Lease.RetryPeriod,
	})
	if err != nil {
		return fmt.Errorf("prepare the manager: %w", err)
	}
	recorder, err := eventRecorder(mgr, o)
	if err != nil {
		return err
	}
	if err := addControllers(ctx, mgr, informers, clock, recorder, o); err != nil {
		return err
	}
	eachClient := func(ctx context.Context, visit func(*v1alpha1.OAuth2Client)) error {
		return packed.Each(ctx, informers, visit)
	}
	eachToken := func(ctx context.Context, visit func(*v1alpha1.OAuth2Token)) error {
		return packed.Each(ctx, informers, visit)
	}
	err = errors.Join(inventory.Register(eachClient, clock), inventory.RegisterTokens(eachToken, clock),
		inventory.RegisterClock(clock.Ahead), inventory.RegisterBuild(o.Version))
	if err != nil {
		return err
	}
	o.Log.Info("starting", "version", o.Version)
	if err := errors.Join(mgr.AddHealthzCheck("ping", healthz.Ping), mgr.AddReadyzCheck("ping", healthz.Ping)); err != nil {
		return fmt.Errorf("add the checks of health and readiness: %w", err)
	}
	if err := mgr.Add(returnMemory{}); err != nil {
		return fmt.Errorf("return memory: %w", err)
	}
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("run the controllers: %w", err)
	}
	return nil
}

// returnMemory returns memory of the process once the caches are filled, and after bursts. Their
// lists were read from twice as much.
type returnMemory struct{}

// Start implements manager.Runnable, which is started when the caches are filled.
func (returnMemory) Start(ctx context.Context) error {
	serve.ReturnMemory(ctx)
	return nil
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: each replica fills its caches.
func (returnMemory) NeedLeaderElection() bool { return false }

func addControllers(ctx context.Context, mgr ctrl.Manager, informers *packed.Informers, now *apiclock.Clock, recorder events.EventRecorder, o Options) error {
	declared, err := oauth2client.DeclaredCache(mgr, informers, o.Namespaces)
	if err != nil {
		return err
	}
	secrets, err := oauth2token.SecretCache(mgr, informers, o.Namespaces)
	if err != nil {
		return err
	}
	c, live := mgr.GetClient(), mgr.GetAPIReader()
	policies, err := addPolicies(ctx, mgr, o)
	if err != nil {
		return err
	}
	ledger := usagereport.NewLedger(now, cmp.Or(o.UsageRefresh, usagereport.DefaultRefresh))
	poller := poll.New(live)
	if err := mgr.Add(poller); err != nil {
		return fmt.Errorf("start asking for what no watch shows: %w", err)
	}
	clients, tokens := poller.Of("OAuth2Client"), poller.Of("OAuth2Token")
	bundle := o.caBundle()
	records := &registry.Reconciler{Client: c, Live: live, Policy: policies, RegistryNamespace: o.RegistryNamespace, Names: informers, Audit: o.Log}
	if err := inventory.RegisterNewer(records.Newer); err != nil {
		return err
	}
	sealing := &sealingkeys.Reconciler{Client: c, Live: live, Time: now.Time, RegistryNamespace: o.RegistryNamespace, Random: rand.Reader, Audit: o.Log}
	controllers := []interface{ SetupWithManager(ctrl.Manager) error }{
		&servingcert.Reconciler{
			Client: c, Time: now.Time, Random: rand.Reader, SystemNamespace: o.SystemNamespace, Names: o.ServingNames,
			Lives: o.CertificateLives, Foreign: !o.ManageServingCertificate, ForeignSecret: o.Trust.ServingSecret, IssuerCA: o.Trust.issuerCA(),
		},
		&signingkeys.Reconciler{
			Client: c, Live: live, Time: now.Time, RegistryNamespace: o.RegistryNamespace, Policy: o.SigningKeys, Generate: keyring.Generate, Audit: o.Log,
			Recorder: recorder,
		},
		records,
		&oauth2client.Reconciler{
			Client: c, Live: live, Declared: declared, Policy: policies, Recorder: recorder, Clock: now, Random: rand.Reader,
			Installation:      oauth2client.Installation{Issuer: o.Issuer, LoginURL: o.LoginURL, CABundle: bundle},
			RegistryNamespace: o.RegistryNamespace, Usage: ledger, Waiting: clients, Informers: informers, Audit: o.Log,
		},
		oauth2token.New(oauth2token.Config{
			Client: c, Live: live, Secrets: secrets, Policy: policies, Recorder: recorder, Clock: now, Random: rand.Reader, Audit: o.Log,
			Issuer: o.Issuer, RegistryNamespace: o.RegistryNamespace, MaxLifetime: o.MaxTokenLifetime, CABundle: bundle,
			Usage: ledger, Waiting: tokens, Informers: informers,
		}),
		&oauth2resource.Reconciler{
			Client: c, Live: live, Policy: policies, RegistryNamespace: o.RegistryNamespace, ReservedIdentifiers: o.APIAudiences, Recorder: recorder,
		},
		&tokenrevocation.Reconciler{
			Client: c, Live: live, Clock: now, Time: now.Time, RegistryNamespace: o.RegistryNamespace,
			Lifetime: max(oauth2.MaxTokenLifetime, o.MaxTokenLifetime),
		},
		&tokenrevocation.Reporter{Client: c, RegistryNamespace: o.RegistryNamespace, Covers: policies.Covers},
		watchman(live, recorder, now, sealing, o),
		&usagereport.Reconciler{
			Client: c, Clock: now, Ledger: ledger, RegistryNamespace: o.RegistryNamespace, Clients: clients.Woken, Tokens: tokens.Woken,
		},
	}
	if controllers = append(controllers, forLogins(sealing, o)...); !policies.Namespaced() {
		issuers, err := trustedIssuers(mgr, policies, now, recorder, o)
		if err != nil {
			return err
		}
		controllers = append(controllers, &oauth2policy.Reconciler{Client: c, Policy: policies, Recorder: recorder}, issuers)
	}
	return setUp(mgr, controllers)
}

// forLogins returns the controllers that work where people log in.
func forLogins(sealing *sealingkeys.Reconciler, o Options) (controllers []interface{ SetupWithManager(ctrl.Manager) error }) {
	if o.LoginURL != "" {
		controllers = append(controllers, sealing)
	}
	return controllers
}

// watchman detects that the store was restored from a backup, and has the sealing keys remember it.
func watchman(live client.Reader, recorder events.EventRecorder, now *apiclock.Clock, sealing *sealingkeys.Reconciler, o Options) *restored.Watchman {
	count := restored.Counter()
	return &restored.Watchman{Live: live, Recorder: recorder, RegistryNamespace: o.RegistryNamespace, Clock: now, Restored: func() {
		count()
		sealing.Restored()
	}}
}

// setUp sets up what wakes each controller.
func setUp(mgr ctrl.Manager, controllers []interface{ SetupWithManager(ctrl.Manager) error }) error {
	for _, controller := range controllers {
		if err := controller.SetupWithManager(mgr); err != nil {
			return err
		}
	}
	return nil
}

// trustedIssuers returns the controller of OAuth2TrustedIssuers. An installation for chosen
// namespaces does not have that kind.
func trustedIssuers(
	mgr ctrl.Manager, policies *policy.Source, now *apiclock.Clock, recorder events.EventRecorder, o Options,
) (*trustedissuer.Reconciler, error) {
	api, err := discovery.NewDiscoveryClientForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("prepare to ask for the issuer of the cluster: %w", err)
	}
	issuers := &trustedissuer.Reconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Policy: policies, Fetcher: o.IssuerFetcher, Issuer: o.Issuer,
		ClusterIssuer: trustedissuer.ClusterIssuer(api.RESTClient(), now), RegistryNamespace: o.RegistryNamespace,
		SystemNamespace: o.SystemNamespace, Clock: now, Recorder: recorder,
	}
	return issuers, inventory.RegisterIssuers(issuers.Each)
}

// eventRecorder returns what creates events.
func eventRecorder(mgr ctrl.Manager, o Options) (*eventqueue.Recorder, error) {
	creating, err := eventsclient.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("prepare the creation of events: %w", err)
	}
	recorder := eventqueue.New(eventqueue.Config{
		Single: []string{oauth2client.ReasonCreated}, Name: "hallpass", Scheme: mgr.GetScheme(), Sink: &events.EventSinkImpl{Interface: creating}, Log: o.Log,
	})
	if err := mgr.Add(recorder); err != nil {
		return nil, fmt.Errorf("start creating events: %w", err)
	}
	return recorder, nil
}

// addPolicies returns what reads policies, and counts the objects that they limit and the bytes of
// records.
func addPolicies(ctx context.Context, mgr ctrl.Manager, o Options) (*policy.Source, error) {
	if err := policy.IndexClients(ctx, mgr); err != nil {
		return nil, err
	}
	policies := &policy.Source{
		Client: mgr.GetClient(), Issuer: o.Issuer, RegistryNamespace: o.RegistryNamespace, ProtectedLabels: o.ProtectedLabels, Only: o.Namespaces,
		Defaults: oauth2.Ceilings{AnyClientID: o.AllowClientID, DefaultClaims: o.AllowClaims, DefaultNumbers: o.MaxObjects, Permitted: o.AllowGrantTypes},
		Room: publish.NewRoom(publish.BoundsOf(
			cmp.Or(int(o.MaxRecords), registration.MaxRecords), cmp.Or(int(o.MaxNamespaceRecords), registration.MaxNamespaceRecords),
		)),
	}
	if err := mgr.Add(policies.Room); err != nil {
		return nil, fmt.Errorf("start waking what waits for room: %w", err)
	}
	if err := inventory.RegisterRecords(policies.Room); err != nil {
		return nil, err
	}
	return policies, errors.Join(policies.Count(ctx, mgr.GetCache()), policies.Room.Follow(ctx, mgr.GetCache(), o.RegistryNamespace))
}

// cacheOptions keep in memory what is ours alone: every Secret of our two namespaces, and elsewhere
// those of our type.
func cacheOptions(o Options, informers *packed.Informers) cache.Options {
	ours := fields.OneTermEqualSelector("type", v1alpha1.SecretTypeClient)
	clientConfig := labels.SelectorFromSet(labels.Set{v1alpha1.LabelClientConfig: "true"})
	secrets := map[string]cache.Config{
		o.RegistryNamespace: {FieldSelector: fields.Everything()},
		o.SystemNamespace:   {FieldSelector: fields.Everything()},
	}
	// The CA is in our own namespace, where no other ConfigMap is ours; the clients' are
	// everywhere.
	configMaps := map[string]cache.Config{
		o.SystemNamespace: {FieldSelector: fields.OneTermEqualSelector("metadata.name", servingcert.BundleConfigMapName)},
	}
	trim := oauth2client.Trim(informers)
	users, ofUsers := map[string]cache.Config{}, o.Namespaces
	if len(ofUsers) == 0 {
		ofUsers = []string{cache.AllNamespaces}
	}
	for _, namespace := range ofUsers {
		secrets[namespace] = cache.Config{FieldSelector: ours, Transform: trim}
		configMaps[namespace] = cache.Config{LabelSelector: clientConfig, Transform: trim}
		users[namespace] = cache.Config{}
	}
	return cache.Options{
		DefaultNamespaces:            users,
		NewInformer:                  informers.New,
		DefaultUnsafeDisableDeepCopy: new(true), // what is unpacked is the reader's own
		ReaderFailOnMissingInformer:  true,
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Secret{}:    {Namespaces: secrets},
			&corev1.ConfigMap{}: {Namespaces: configMaps},
			// Elsewhere they mean nothing.
			&v1alpha1.TokenRevocation{}: {Namespaces: map[string]cache.Config{o.RegistryNamespace: {}}},
			&v1alpha1.UsageReport{}:     {Namespaces: map[string]cache.Config{o.RegistryNamespace: {}}},
			&corev1.ServiceAccount{}:    {Transform: oauth2client.KeepIdentity},
			&corev1.Namespace{}:         {Transform: policy.KeepLabels},
			&v1alpha1.OAuth2Client{}:    {Transform: output.TrimMetadata},
			&v1alpha1.OAuth2Token{}:     {Transform: output.TrimMetadata},
			&v1alpha1.OAuth2Resource{}:  {Transform: output.TrimMetadata},
		},
	}
}
