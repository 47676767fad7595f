// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package watch reads kinds of objects from an API server and watches them: it lists, watches, and lists again. It knows how old what it
// read is, and notices that etcd was restored from a backup: then all kinds are listed again. Each object is stripped on arrival, and the
// value that is left goes to a Store. The package knows neither clients nor tokens.
package watch
