// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controllers runs the Kubernetes controllers that a cluster with a node needs beside those
// of the embedded control plane: Deployments become Pods, Services get EndpointSlices, each
// namespace gets the API server's authority, and the taints of a node follow its state. Linking the
// whole controller manager instead costs minutes of compilation.
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

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/kubernetes/pkg/controller/certificates/rootcacertpublisher"
	"k8s.io/kubernetes/pkg/controller/deployment"
	"k8s.io/kubernetes/pkg/controller/endpointslice"
	"k8s.io/kubernetes/pkg/controller/nodelifecycle"
	"k8s.io/kubernetes/pkg/controller/podgc"
	"k8s.io/kubernetes/pkg/controller/replicaset"
)

// Kubernetes' own settings, as kube-controller-manager has them by default.
const (
	workers              = 5
	burstReplicas        = 500
	endpointsPerSlice    = 100
	nodeMonitorPeriod    = 5 * time.Second
	nodeStartupGrace     = time.Minute
	nodeMonitorGrace     = 50 * time.Second
	nodeEvictionRate     = 0.1
	secondEvictionRate   = 0.01
	largeCluster         = 50
	unhealthyZone        = 0.55
	terminatedPodsToKeep = 12500
)

// Main is the program: it runs the controllers with the rights of --kubeconfig until SIGTERM and
// returns the exit code.
func Main(args []string) int {
	flags := flag.NewFlagSet("node-controllers", flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "kubeconfig of an administrator, which holds the API server's authority")
	_ = flags.Parse(args)

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, *kubeconfig); err != nil {
		fmt.Fprintln(os.Stderr, "node-controllers:", err)
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
	all := informers.NewSharedInformerFactory(client, 0)
	core := all.Core().V1()

	deployments, err := deployment.NewDeploymentController(ctx, all.Apps().V1().Deployments(), all.Apps().V1().ReplicaSets(), core.Pods(), client)
	if err != nil {
		return fmt.Errorf("prepare the deployment controller: %w", err)
	}
	replicas := replicaset.NewReplicaSetController(ctx, all.Apps().V1().ReplicaSets(), core.Pods(), client, burstReplicas)
	endpoints := endpointslice.NewController(ctx, core.Pods(), core.Services(), core.Nodes(), all.Discovery().V1().EndpointSlices(),
		endpointsPerSlice, client, 0)
	authority, err := rootcacertpublisher.NewPublisher(core.ConfigMaps(), core.Namespaces(), client, config.CAData)
	if err != nil {
		return fmt.Errorf("prepare the publisher of the authority: %w", err)
	}
	nodes, err := nodelifecycle.NewNodeLifecycleController(ctx, all.Coordination().V1().Leases(), core.Pods(), core.Nodes(),
		all.Apps().V1().DaemonSets(), client, nodeMonitorPeriod, nodeStartupGrace, nodeMonitorGrace, nodeEvictionRate, secondEvictionRate,
		largeCluster, unhealthyZone)
	if err != nil {
		return fmt.Errorf("prepare the node lifecycle controller: %w", err)
	}
	garbage := podgc.NewPodGC(ctx, client, core.Pods(), core.Nodes(), terminatedPodsToKeep)

	all.Start(ctx.Done())
	var running sync.WaitGroup
	running.Go(func() { deployments.Run(ctx, workers) })
	running.Go(func() { replicas.Run(ctx, workers) })
	running.Go(func() { endpoints.Run(ctx, workers) })
	running.Go(func() { authority.Run(ctx, 1) })
	running.Go(func() { nodes.Run(ctx) })
	running.Go(func() { garbage.Run(ctx) })
	running.Wait()
	return nil
}
