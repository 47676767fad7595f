// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/oauth2client"
	"github.com/hallpass-dev/hallpass/internal/controller/registry"
	"github.com/hallpass-dev/hallpass/internal/controller/servingcert"
	"github.com/hallpass-dev/hallpass/internal/controller/signingkeys"
)

// leaseName is the lease that the working manager holds.
const leaseName = "hallpass-manager"

func newLog(output io.Writer) logr.Logger {
	return logr.FromSlogHandler(slog.NewJSONHandler(output, nil))
}

// run manages until the context ends, and gives the lease back then.
func run(ctx context.Context, o options) error {
	ctrl.SetLogger(o.log)
	klog.SetLogger(o.log)
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		return fmt.Errorf("register kinds: %w", err)
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return fmt.Errorf("register kinds: %w", err)
	}
	config := rest.CopyConfig(o.rest)
	config.QPS = -1 // the API server's own priority and fairness is the limit
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                        scheme,
		Logger:                        o.log,
		Cache:                         cacheOptions(o),
		Metrics:                       server.Options{BindAddress: o.metricsListen},
		HealthProbeBindAddress:        o.healthListen,
		LeaderElection:                o.leaderElect,
		LeaderElectionID:              leaseName,
		LeaderElectionNamespace:       o.system,
		LeaderElectionReleaseOnCancel: true,
	})
	if err != nil {
		return fmt.Errorf("prepare the manager: %w", err)
	}
	if err := addControllers(mgr, o); err != nil {
		return err
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return fmt.Errorf("add the health check: %w", err)
	}
	if err := mgr.AddReadyzCheck("ping", healthz.Ping); err != nil {
		return fmt.Errorf("add the readiness check: %w", err)
	}
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("run the controllers: %w", err)
	}
	return nil
}

// addControllers is the inventory.
func addControllers(mgr ctrl.Manager, o options) error {
	clients := &oauth2client.Reconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Recorder: mgr.GetEventRecorder("hallpass"),
		Clock: clock.RealClock{}, Random: rand.Reader, Issuer: o.issuer, RegistryNamespace: o.registry,
	}
	if o.manageServing {
		clients.CABundle = types.NamespacedName{Namespace: o.system, Name: servingcert.BundleConfigMapName}
		certificates := &servingcert.Reconciler{
			Client: mgr.GetClient(), Clock: clock.RealClock{}, Random: rand.Reader, SystemNamespace: o.system, Names: o.servingNames,
		}
		if err := certificates.SetupWithManager(mgr); err != nil {
			return err //nolint:wrapcheck // it names the controller
		}
	}
	for _, controller := range []interface{ SetupWithManager(ctrl.Manager) error }{
		&signingkeys.Reconciler{Client: mgr.GetClient(), Clock: clock.RealClock{}, Random: rand.Reader, RegistryNamespace: o.registry},
		&registry.Reconciler{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), RegistryNamespace: o.registry},
		clients,
	} {
		if err := controller.SetupWithManager(mgr); err != nil {
			return err //nolint:wrapcheck // it names the controller
		}
	}
	return nil
}

// cacheOptions keep in memory what is ours alone: every Secret of our two namespaces, and elsewhere those of our type.
func cacheOptions(o options) cache.Options {
	ours := fields.OneTermEqualSelector("type", v1alpha1.SecretTypeClient)
	return cache.Options{
		DefaultTransform:            cache.TransformStripManagedFields(),
		ReaderFailOnMissingInformer: true,
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Secret{}: {Namespaces: map[string]cache.Config{
				o.registry:          {FieldSelector: fields.Everything()},
				o.system:            {FieldSelector: fields.Everything()},
				cache.AllNamespaces: {FieldSelector: ours},
			}},
			&corev1.ConfigMap{}: {Namespaces: map[string]cache.Config{o.system: {}}},
		},
	}
}
