// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package memory holds what the token server knows: clients, their owners, resources, minted tokens, signing keys, what is revoked, and
// what is remembered of deleted objects. It has a store for each watch, with Apply, Remove and Replace, and answers from memory alone. It
// knows no Kubernetes: package watch brings the values, and package directory connects the two.
//
// Every value is immutable and is replaced as a whole. Each map has a lock of its own, which is held for one look, one change, or a
// burst of them. No lock is held while another one is taken.
package memory
