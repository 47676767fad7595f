// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"bytes"
	"flag"
	"log/slog"
	"testing"
)

func TestVerbosity(t *testing.T) {
	for name, c := range map[string]struct {
		args  []string
		fails bool
		lines int
	}{
		"nothing set logs what an operator wants to know": {nil, false, 1},
		"1 logs a level more":                             {[]string{"--v=1"}, false, 2},
		"7 is the highest":                                {[]string{"-v", "7"}, false, 3},
		"8 would log the bodies of Secrets":               {[]string{"--v=8"}, true, 0},
		"a negative one":                                  {[]string{"--v=-1"}, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var verbosity int
			flags := flag.NewFlagSet("manager", flag.ContinueOnError)
			VerbosityFlag(flags, &verbosity)
			if err := flags.Parse(c.args); err != nil {
				t.Fatal(err)
			}
			if err := CheckVerbosity(verbosity); (err != nil) != c.fails {
				t.Fatalf("%v, want an error: %t", err, c.fails)
			}
			if c.fails {
				return
			}
			var out bytes.Buffer
			log := NewLog(&out, verbosity)
			for level := range 3 {
				log.Log(t.Context(), slog.Level(-level), "line")
			}
			log.Log(t.Context(), slog.Level(-8), "a body")
			if got := bytes.Count(out.Bytes(), []byte("\n")); got != c.lines {
				t.Errorf("%d lines, want %d: %s", got, c.lines, out.String())
			}
		})
	}
}
