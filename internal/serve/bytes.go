// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"errors"
	"strconv"

	"k8s.io/apimachinery/pkg/api/resource"
)

// Bytes is a size in the notation of Kubernetes, such as 11.25Mi. It is a flag.Value.
type Bytes int

// String implements flag.Value.
func (b Bytes) String() string {
	size, unit := float64(b)/(1<<20), "Mi"
	if size < 1 {
		size, unit = size*(1<<10), "Ki"
	}
	return strconv.FormatFloat(size, 'f', -1, 64) + unit
}

// Set implements flag.Value.
func (b *Bytes) Set(text string) error {
	quantity, err := resource.ParseQuantity(text)
	if err != nil {
		return errors.New("it must be a size in bytes, such as 22.5Mi")
	}
	size := quantity.Value()
	if whole := resource.NewQuantity(size, resource.BinarySI); size < 0 || whole.Cmp(quantity) != 0 {
		return errors.New("it must be a whole number of bytes, such as 22.5Mi")
	}
	*b = Bytes(size)
	return nil
}
