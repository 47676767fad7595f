// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestTheBenchmarkMeasuresEveryPath runs all of it on a small scale: the answers on every path have
// to be right.
func TestTheBenchmarkMeasuresEveryPath(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the CPU time of a process is read on Linux only")
	}
	ofBefore, err := build(t.Context(), t.TempDir(), before, module+"cmd/tokenserver")
	if err != nil {
		t.Fatal(err)
	}
	var output bytes.Buffer
	small := settings{clients: 20, rounds: 1, requests: 20, workers: 2, changes: 50, against: ofBefore, paths: regexp.MustCompile(""), output: &output}
	if err := run(t.Context(), small); err != nil {
		t.Fatal(err)
	}
	for _, p := range append(paths("ES256"), paths("EdDSA")...) {
		row := fmt.Sprintf("%-40s %-24s ", p.name, p.transport)
		if got := strings.Count(output.String(), "\n"+row); got != 4 {
			t.Errorf("%d rows of %q, want the floor, the new binary, that of before, and what they are beside each other:\n%s", got, row, &output)
		}
		if got := strings.Count(output.String(), row+before); got != 1 {
			t.Errorf("%d rows of %q for the binary of before:\n%s", got, row, &output)
		}
	}
	if !strings.Contains(output.String(), "\n"+before+"     start to first token ") {
		t.Errorf("the start of the binary of before is not measured:\n%s", &output)
	}
	if !strings.Contains(output.String(), forEnvoy+" costs ") {
		t.Errorf("ext_authz is not compared with forward-auth:\n%s", &output)
	}
	output.Reset()
	small.growth, small.against = 40, ""
	if err := run(t.Context(), small); err != nil {
		t.Fatal(err)
	}
	for _, server := range []string{"10 clients", "40 clients"} {
		if got := strings.Count(output.String(), " "+server+" "); got != 2 {
			t.Errorf("%d rows of the token server with %s:\n%s", got, server, &output)
		}
	}
}

func TestTheQuietestQuarterOfTheTurnsCounts(t *testing.T) {
	var turns []turn
	for _, microseconds := range []int{90, 10, 80, 20, 70, 30, 60, 40} {
		turns = append(turns, turn{processor: time.Duration(microseconds) * time.Microsecond})
	}
	if got := quietest(turns); got != 15 {
		t.Errorf("%f, want the mean of 10 and 20", got)
	}
}

func TestEveryServerTakesEveryPlaceEquallyOften(t *testing.T) {
	for _, servers := range []string{"FH", "FHB", "FHBZ", "FHBZO"} {
		rounds := 2 * len(servers)
		places := map[string]int{}
		first := map[string]int{}
		for round := range rounds {
			turns := string(order([]byte(servers), round))
			for i, c := range turns {
				places[fmt.Sprintf("%c at %d", c, i)]++
				for _, later := range turns[i+1:] {
					first[fmt.Sprintf("%c before %c", c, later)]++
				}
			}
		}
		if len(places) != len(servers)*len(servers) || len(first) != len(servers)*(len(servers)-1) {
			t.Errorf("%s: places %v, pairs %v", servers, places, first)
		}
		for where, times := range places {
			if times != 2 {
				t.Errorf("%s: %s in %d of %d rounds", servers, where, times, rounds)
			}
		}
		for pair, times := range first {
			if times != len(servers) {
				t.Errorf("%s: %s in %d of %d rounds", servers, pair, times, rounds)
			}
		}
	}
}

func TestRoundsAreComparedInPairs(t *testing.T) {
	ofCPU := func(milliseconds ...int) (turns []turn) {
		for _, ms := range milliseconds {
			turns = append(turns, turn{processor: time.Duration(ms) * time.Millisecond, elapsed: time.Duration(2*ms) * time.Millisecond})
		}
		return turns
	}
	var output bytes.Buffer
	s := settings{rounds: 3, against: before, output: &output}
	s.besideBefore([]pairing{
		// The machine was busy in one round, which made both binaries dearer: a ratio of
		// medians would be 30/11.
		{path: path{name: "slower", transport: plainHTTP}, now: ofCPU(11, 44, 30), before: ofCPU(10, 11, 30)},
		{path: path{name: "as fast", transport: overTLS13}, now: ofCPU(10, 41, 30), before: ofCPU(10, 40, 30)},
	})
	for _, want := range []string{
		"slower                                   HTTP/1.1                   1.100  1.00-4.00     1.100  1.00-4.00     1.03 missed\n",
		"as fast                                  TLS 1.3                    1.000  1.00-1.02     1.000  1.00-1.02     1.03\n",
		"CPU above the goal on 1 of 2 paths\n",
	} {
		if !strings.Contains(output.String(), want) {
			t.Errorf("want %q in\n%s", want, &output)
		}
	}
}

func TestSettings(t *testing.T) {
	program := filepath.Join(t.TempDir(), "tokenserver")
	if err := os.WriteFile(program, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		given  settings
		rounds int
		err    string
	}{
		"twelve rounds are the default":                       {settings{}, 12, ""},
		"24 rounds are the default beside a binary of before": {settings{against: program}, 24, ""},
		"as many rounds as are asked for":                     {settings{against: program, rounds: 7}, 7, ""},
		"a binary that is not there is refused at once":       {settings{against: program + "-gone"}, 24, "find the binary of -against"},
		"two comparisons at once are refused":                 {settings{against: program, growth: 100}, 24, "cannot be combined"},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.given.complete()
			if c.given.rounds != c.rounds {
				t.Errorf("%d rounds, want %d", c.given.rounds, c.rounds)
			}
			if (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %v, want %q", err, c.err)
			}
		})
	}
}
