// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command figures measures the structure of the product: methods, fields, lines and imports. It
// fails if a figure is above its limit in hack/figures/limits.json. A figure may fall; -record then
// lowers its limit.
//
// It reads the source only. Tests and generated files do not count.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	root := flag.String("root", ".", "the root of the repository")
	record := flag.Bool("record", false, "lower the limits of figures that have fallen, and add limits of new ones")
	verbose := flag.Bool("v", false, "print the six largest of each figure")
	flag.Parse()
	if err := run(*root, *record, *verbose); err != nil {
		fmt.Fprintln(os.Stderr, "figures:", err)
		os.Exit(1)
	}
}

func run(root string, record, verbose bool) error {
	h, err := read(root, "api", "cmd", "internal")
	if err != nil {
		return err
	}
	figures := h.figures()
	file := filepath.Join(root, "hack", "figures", "limits.json")
	limits, err := readLimits(file)
	if err != nil {
		return err
	}
	risen := 0
	for _, f := range figures {
		limit, known := limits[f.name]
		note := ""
		switch {
		case !known:
			note = "  no limit: go run ./hack/figures -record"
			if !record {
				risen++
			}
		case f.value > limit:
			risen++
			note = fmt.Sprintf("  ABOVE the limit of %d", limit)
		case f.value < limit:
			note = fmt.Sprintf("  below the limit of %d: go run ./hack/figures -record", limit)
		}
		fmt.Printf("%-48s %4d  %s%s\n", f.name, f.value, f.where, note)
		for _, next := range f.next {
			if verbose {
				fmt.Printf("%-48s %4d  %s\n", "", next.size, next.name)
			}
		}
		if record && (!known || f.value < limit) {
			limits[f.name] = f.value
		}
	}
	if record {
		if err := writeLimits(file, limits); err != nil {
			return err
		}
	}
	if risen > 0 {
		return fmt.Errorf("%d figures are above their limit or have none: split what has grown, or change %s in a commit that gives the reason", risen, file)
	}
	return nil
}

func readLimits(file string) (map[string]int, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read limits: %w", err)
	}
	limits := map[string]int{}
	if err := json.Unmarshal(content, &limits); err != nil {
		return nil, fmt.Errorf("read limits in %s: %w", file, err)
	}
	return limits, nil
}

func writeLimits(file string, limits map[string]int) error {
	content, err := json.MarshalIndent(limits, "", "  ")
	if err != nil {
		return fmt.Errorf("encode limits: %w", err)
	}
	if err := os.WriteFile(file, append(content, '\n'), 0o644); err != nil {
		return fmt.Errorf("write limits: %w", err)
	}
	return nil
}
