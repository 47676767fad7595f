// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// aliasLetters are the letters of an alias: those that no client, proxy or router reads in two
// ways.
const aliasLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/-._~"

// CheckAliases refuses paths that cannot be further paths of an endpoint: those that are not plain
// absolute paths, that are served already or are HealthPath, and that are there twice.
func CheckAliases(aliases []string, served func(path string) bool) error {
	for i, alias := range aliases {
		switch {
		case !strings.HasPrefix(alias, "/") || path.Clean(alias) != alias || alias == "/" || strings.Trim(alias, aliasLetters) != "":
			return fmt.Errorf("%q is not a plain absolute path such as /services/oauth2/token.pxp", alias)
		case served(alias), slices.Contains(aliases[:i], alias):
			return fmt.Errorf("%q is served already", alias)
		case alias == HealthPath:
			return fmt.Errorf("%q is for balancers", alias)
		}
	}
	return nil
}
