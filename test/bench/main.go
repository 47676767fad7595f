// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command bench measures what the token server costs beside the floor, the least that a token
// server in Go can cost, and beside other servers, or beside the token server of another commit.
// They run as processes of their own, the token server from its real binary with 10,000 clients,
// and take turns within each round. The measure is the CPU time of the server's process a request:
// on a machine that does other things too it is the one that repeats.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/test/bench/program"
)

// settings are the flags.
type settings struct {
	clients  int
	rounds   int
	requests int
	workers  int
	paths    *regexp.Regexp
	peers    bool
	changes  int
	growth   int
	profiles string
	against  string
	output   io.Writer
}

func main() {
	s := settings{output: os.Stdout}
	flag.IntVar(&s.clients, "clients", 10_000, "registered clients; the requests are spread over all of them")
	flag.IntVar(&s.rounds, "rounds", 0, "rounds, in each of which every server gets its turn; 0 means 12, and 24 with -against")
	flag.IntVar(&s.requests, "requests", 600, "requests a turn")
	flag.IntVar(&s.workers, "workers", 4, "requests that are under way at once")
	flag.BoolVar(&s.peers, "peers", false, "measure other token servers too: those of test/bench/peers")
	flag.IntVar(&s.changes, "changes", 0, "clients that change in each second, with a write of the signing keys beside them, all the while")
	flag.IntVar(&s.growth, "growth", 0, "measure instead what a request costs with as many clients beside one with ten")
	flag.StringVar(&s.profiles, "profiles", "", "write CPU and heap profiles of the token server on each path into this directory")
	flag.StringVar(&s.against, "against", "",
		"compare with this token server `BINARY` of another commit on every path; it must support the flags of commit 37318f4")
	paths := flag.String("paths", "", "only the paths whose names match this regular expression")
	program.Run("bench", func(ctx context.Context) (err error) {
		if s.paths, err = regexp.Compile(*paths); err != nil {
			return err
		}
		return run(ctx, s)
	})
}

// print writes to the output; where that is closed there is no reader.
func (s settings) print(format string, args ...any) { _, _ = fmt.Fprintf(s.output, format, args...) }

// run measures every path with ES256, and those that sign or verify with Ed25519 too; or growth.
func run(ctx context.Context, s settings) error {
	if err := s.complete(); err != nil {
		return err
	}
	s.print("%s\n", machine())
	clients := strconv.Itoa(s.clients)
	if s.growth > 0 {
		clients = fmt.Sprintf("%d and %d", fewClients, s.growth)
	}
	s.print("%s clients, %d rounds of %d requests, %d at once", clients, s.rounds, s.requests, s.workers)
	if s.changes > 0 {
		s.print("; %d clients change in each second", s.changes)
	}
	s.print("\n")
	if s.growth > 0 {
		return grow(ctx, s)
	}
	algorithms := []jws.Algorithm{jws.ES256, jws.EdDSA}
	if !slices.ContainsFunc(algorithms, func(a jws.Algorithm) bool { return len(s.wanted(paths(a))) > 0 }) {
		return fmt.Errorf("no path matches %q; the name of a path ends in its transport, such as \"token, HTTP/1.1\"", s.paths)
	}
	for _, algorithm := range algorithms {
		if err := compare(ctx, s, algorithm); err != nil {
			return err
		}
	}
	return nil
}
