// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

const readmeHead = `# Hallpass

<!-- Generated from values.yaml by hack/chart: change it there, and run make generate. -->

Bearer tokens for services (OAuth 2.0 client credentials).
Teams create OAuth2Clients, Hallpass writes their credentials into Secrets, and a token server in the cluster issues and checks tokens.

` + "```sh\nhelm install hallpass oci://ghcr.io/hallpass-dev/charts/hallpass --namespace hallpass-system --create-namespace\n```" + `

Until a release is published, build the images and install from a clone of the repository.
[docs/install.md](https://github.com/hallpass-dev/hallpass/blob/main/docs/install.md) has the commands.

- [What it is](https://github.com/hallpass-dev/hallpass#readme)
- [All ways to install](https://github.com/hallpass-dev/hallpass/blob/main/docs/install.md)
- [Upgrade notes](https://github.com/hallpass-dev/hallpass/blob/main/docs/upgrade-notes.md)

The CustomResourceDefinitions are templates of the chart, so an upgrade of the release upgrades them.
` + "`helm uninstall`" + ` keeps them, the registry namespace and the signing keys.

## Values

| value | default | description |
|---|---|---|
`

// entry is a line of values.yaml that names a value.
var entry = regexp.MustCompile(`^( *)([A-Za-z]+):(?: (.*))?$`)

// writeReadme writes the README of the chart at dir: a row for each value of values.yaml, with its
// comment.
func writeReadme(dir string) error {
	content, err := os.ReadFile(filepath.Join(dir, "values.yaml"))
	if err != nil {
		return fmt.Errorf("read the chart's values: %w", err)
	}
	rows, err := valueRows(string(content))
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, "README.md"), readmeHead+rows)
}

// valueRows are the rows of the values that have a default. The comment of a value is directly
// above it, and a value without one is an error.
func valueRows(values string) (string, error) {
	var rows strings.Builder
	var path, comment []string
	for line := range strings.Lines(values) {
		line = strings.TrimRight(line, "\n")
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "# "); ok {
			comment = append(comment, text)
			continue
		}
		match := entry.FindStringSubmatch(line)
		if match == nil {
			comment = nil
			continue
		}
		path = append(path[:len(match[1])/2], match[2])
		name := strings.Join(path, ".")
		if len(comment) == 0 {
			return "", fmt.Errorf("values.yaml: %s has no comment", name)
		}
		if match[3] != "" {
			fmt.Fprintf(&rows, "| `%s` | `%s` | %s |\n", name, match[3], strings.ReplaceAll(strings.Join(comment, " "), "|", `\|`))
		}
		comment = nil
	}
	return rows.String(), nil
}
