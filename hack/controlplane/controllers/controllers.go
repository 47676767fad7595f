// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controllers runs the few Kubernetes controllers that a cluster without nodes needs to
// behave like one: garbage collection, namespace deletion, default service accounts and the
// aggregation of cluster roles. Linking the whole controller manager instead costs minutes of
// compilation.
package controllers

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/controller-manager/pkg/informerfactory"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/controller/clusterroleaggregation"
	"k8s.io/kubernetes/pkg/controller/garbagecollector"
	"k8s.io/kubernetes/pkg/controller/namespace"
	"k8s.io/kubernetes/pkg/controller/serviceaccount"
)

const (
	// a new CustomResourceDefinition is garbage collected soon after it is there
	gcSyncPeriod        = time.Second
	namespaceSyncPeriod = 5 * time.Minute
	workers             = 10
)

// Main is the program: it runs the controllers with the rights of --kubeconfig until SIGTERM and
// returns the exit code.
func Main(args []string) int {
	flags := flag.NewFlagSet("controllers", flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "kubeconfig of an administrator")
	_ = flags.Parse(args)

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, *kubeconfig); err != nil {
		fmt.Fprintln(os.Stderr, "controllers:", err)
		return 1
	}
	return 0
}

func run(ctx context.Context, kubeconfig string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return fmt.Errorf("load kubeconfig: %w", err)
	}
	config.QPS, config.Burst = -1, -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	metadataClient, err := metadata.NewForConfig(rest.CopyConfig(config))
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	typed := informers.NewSharedInformerFactory(client, 0)
	objects := informerfactory.NewInformerFactory(typed, metadatainformer.NewSharedInformerFactory(metadataClient, 0))
	started := make(chan struct{})

	accounts, err := serviceaccount.NewServiceAccountsController(klog.FromContext(ctx),
		typed.Core().V1().ServiceAccounts(), typed.Core().V1().Namespaces(), client,
		serviceaccount.DefaultServiceAccountsControllerOptions())
	if err != nil {
		return fmt.Errorf("prepare the service account controller: %w", err)
	}
	namespaces := namespace.NewNamespaceController(ctx, client, metadataClient,
		client.Discovery().ServerPreferredNamespacedResources, typed.Core().V1().Namespaces(),
		namespaceSyncPeriod, corev1.FinalizerKubernetes)
	roles := clusterroleaggregation.NewClusterRoleAggregation(typed.Rbac().V1().ClusterRoles(), client.RbacV1())
	collector, err := garbagecollector.NewGarbageCollector(ctx, client, metadataClient,
		restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client.Discovery())),
		garbagecollector.DefaultIgnoredResources(), objects, started)
	if err != nil {
		return fmt.Errorf("prepare the garbage collector: %w", err)
	}

	objects.Start(ctx.Done())
	typed.Start(ctx.Done())
	close(started)
	var running sync.WaitGroup
	running.Go(func() { accounts.Run(ctx, 1) })
	running.Go(func() { namespaces.Run(ctx, workers) })
	running.Go(func() { roles.Run(ctx, 1) })
	running.Go(func() { collector.Run(ctx, workers, gcSyncPeriod) })
	running.Go(func() { collector.Sync(ctx, client.Discovery(), gcSyncPeriod) })
	running.Wait()
	return nil
}
