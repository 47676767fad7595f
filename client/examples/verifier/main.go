// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command verifier verifies access tokens: it reads a token a line and prints who may pass.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"

	"github.com/hallpass-dev/hallpass/client/verify"
)

func run(ctx context.Context) error {
	verifier, err := verify.New(os.Getenv("ISSUER"), os.Getenv("AUDIENCE"), verify.WithCAFile(os.Getenv("CA_FILE")))
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		claims, err := verifier.Verify(ctx, lines.Text())
		if err != nil || !claims.HasScopes("read") {
			fmt.Println("refused")
			continue
		}
		fmt.Println("passed", claims.ClientID, claims.ClientUID)
	}
	return lines.Err()
}

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
