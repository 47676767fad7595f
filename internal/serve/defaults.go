// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"flag"
	"strings"
	"time"
)

// ShortDefaults has the usage show the defaults of durations as people write them: 2160h, not
// 2160h0m0s.
func ShortDefaults(flags *flag.FlagSet) {
	flags.VisitAll(func(f *flag.Flag) {
		getter, ok := f.Value.(flag.Getter)
		if !ok {
			return
		}
		if _, isDuration := getter.Get().(time.Duration); !isDuration {
			return
		}
		for _, zero := range []string{"m0s", "h0m"} {
			if rest, found := strings.CutSuffix(f.DefValue, zero); found {
				f.DefValue = rest + zero[:1]
			}
		}
	})
}
