// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestTheBenchmarkMeasuresEveryPath runs all of it on a small scale: the answers on every path have to be right.
func TestTheBenchmarkMeasuresEveryPath(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the CPU time of a process is read on Linux only")
	}
	var output bytes.Buffer
	small := settings{clients: 20, rounds: 1, requests: 20, workers: 2, changes: 50, paths: regexp.MustCompile(""), output: &output}
	if err := run(t.Context(), small); err != nil {
		t.Fatal(err)
	}
	for _, p := range append(paths("ES256"), paths("EdDSA")...) {
		if got := strings.Count(output.String(), p.name+" "); got < 2 {
			t.Errorf("%d rows of %q:\n%s", got, p.name, &output)
		}
	}
	if !strings.Contains(output.String(), forEnvoy+" costs ") {
		t.Errorf("ext_authz is not compared with forward-auth:\n%s", &output)
	}
	output.Reset()
	small.growth = 40
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
