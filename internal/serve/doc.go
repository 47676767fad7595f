// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package serve has what a process needs to serve on the network: a listener that shares its
// connections fairly among sources, a bound on the memory that they hold, an HTTP server with
// bounds, TLS configurations whose certificates are reloaded from files, the handler of the
// operations port, and a log whose lines a writer batches. It also returns the memory of an idle
// process.
//
// It does not know which requests are served. It depends on no other package of this module, on no
// Kubernetes client and on no metrics library.
package serve
