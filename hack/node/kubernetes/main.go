// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kubernetes is what a cluster with a node has beside the embedded control plane, in one
// file: kubelet, kube-proxy, kube-scheduler, and the controllers that make Pods and Endpoints. The
// name by which it is called selects the program.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/component-base/cli"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"

	"github.com/hallpass-dev/hallpass/hack/node/kubernetes/controllers"
)

func main() {
	switch name := filepath.Base(os.Args[0]); name {
	case "kubelet":
		os.Exit(cli.Run(kubelet.NewKubeletCommand(context.Background())))
	case "kube-proxy":
		os.Exit(cli.Run(proxy.NewProxyCommand()))
	case "kube-scheduler":
		os.Exit(cli.Run(scheduler.NewSchedulerCommand()))
	case "node-controllers":
		os.Exit(controllers.Main(os.Args[1:]))
	default:
		fmt.Fprintf(os.Stderr, "%s: call it by a link named kubelet, kube-proxy, kube-scheduler or node-controllers\n", name)
		os.Exit(2)
	}
}
