// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"flag"
	"fmt"
	"io"
	"log/slog"
)

// MaxVerbosity is the highest verbosity. From the next level on the client of the Kubernetes API
// logs the bodies that it sends and receives, Secrets among them.
const MaxVerbosity = 7

// VerbosityFlag defines the flag -v.
func VerbosityFlag(flags *flag.FlagSet, verbosity *int) {
	flags.IntVar(verbosity, "v", 0,
		"how much to log, from 0 to 7, as Kubernetes counts: 4 for debugging, 7 with the headers of every call of the API server")
}

// CheckVerbosity refuses a value of the flag that is out of bounds.
func CheckVerbosity(verbosity int) error {
	if verbosity < 0 || verbosity > MaxVerbosity {
		return fmt.Errorf("--v=%d is not between 0 and %d; beyond that the bodies of Secrets would be logged", verbosity, MaxVerbosity)
	}
	return nil
}

// NewLog logs JSON lines up to a verbosity.
func NewLog(output io.Writer, verbosity int) *slog.Logger {
	return slog.New(slog.NewJSONHandler(output, &slog.HandlerOptions{Level: slog.Level(-verbosity)}))
}
