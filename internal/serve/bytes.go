// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// Bytes is a size in the notation of Kubernetes, such as 11.25Mi. It is a flag.Value.
type Bytes int

// mostBytes is far above the memory of a machine.
const mostBytes = 1 << 50

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
	number, scale := text, 0
	for unit, bits := range map[string]int{"Ki": 10, "Mi": 20, "Gi": 30} {
		if rest, found := strings.CutSuffix(text, unit); found {
			number, scale = rest, bits
		}
	}
	size, err := strconv.ParseFloat(number, 64)
	size = math.Ldexp(size, scale)
	if err != nil || strings.Trim(number, ".0123456789") != "" || size != math.Trunc(size) || size > mostBytes {
		return errors.New("it must be a size in whole bytes, such as 22.5Mi")
	}
	*b = Bytes(size)
	return nil
}
