// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command controllers is the controllers alone, for a control plane whose etcd and kube-apiserver
// come from elsewhere.
package main

import (
	"os"

	"github.com/hallpass-dev/hallpass/hack/controlplane/controllers"
)

func main() { os.Exit(controllers.Main(os.Args[1:])) }
