// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command controlplane is a whole Kubernetes control plane in one file: etcd, kube-apiserver, the
// few controllers that a cluster without nodes needs, and kubectl. The name by which it is called
// selects the program: a directory with the file and four links to it is what KUBEBUILDER_ASSETS
// may point at.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"

	"github.com/hallpass-dev/hallpass/hack/controlplane/controllers"
)

func main() {
	switch name := filepath.Base(os.Args[0]); name {
	case "etcd":
		etcdmain.Main(os.Args)
	case "kube-apiserver":
		os.Exit(cli.Run(app.NewAPIServerCommand()))
	case "controllers":
		os.Exit(controllers.Main(os.Args[1:]))
	case "kubectl":
		if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
			util.CheckErr(err) // prints it as kubectl does, and exits
		}
	default:
		fmt.Fprintf(os.Stderr, "%s: call it by a link named etcd, kube-apiserver, controllers or kubectl\n", name)
		os.Exit(2)
	}
}
