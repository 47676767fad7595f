// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command controlplane is a whole Kubernetes control plane in one file: etcd, kube-apiserver, the few controllers that a
// cluster without nodes needs, and kubectl. Which of them it is, its first argument says, or the name it is called by.
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
	name, args := filepath.Base(os.Args[0]), os.Args[1:]
	if name != "kubectl" && len(args) > 0 {
		name, args = args[0], args[1:]
		os.Args = append([]string{name}, args...)
	}
	switch name {
	case "etcd":
		etcdmain.Main(os.Args)
	case "kube-apiserver":
		os.Exit(cli.Run(app.NewAPIServerCommand()))
	case "controllers":
		os.Exit(controllers.Main(args))
	case "kubectl":
		if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
			util.CheckErr(err) // prints it as kubectl does, and exits
		}
	default:
		fmt.Fprintf(os.Stderr, "controlplane: no role %q; roles: etcd, kube-apiserver, controllers, kubectl\n", name)
		os.Exit(2)
	}
}
