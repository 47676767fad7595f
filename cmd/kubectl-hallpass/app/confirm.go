// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bufio"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/show"
)

// yesFlag adds the flag without which a command asks before it destroys something.
func yesFlag(command *cobra.Command) *bool {
	return command.Flags().BoolP("yes", "y", false, "Do not ask; needed without a terminal")
}

// confirm asks a person before something is destroyed.
func (p *plugin) confirm(yes bool, format string, args ...any) error {
	if yes {
		return nil
	}
	question := fmt.Sprintf(format, args...)
	if !p.Terminal() {
		return usagef("nothing was done, because standard input is no terminal where you could be asked: add --yes. %s", question)
	}
	_, _ = fmt.Fprintf(p.ErrOut, "%s Continue? [y/N] ", show.Plain(question))
	answer, err := bufio.NewReader(p.In).ReadString('\n')
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer == "y" || answer == "yes" {
		return nil
	}
	if err != nil {
		p.say("")
	}
	return errStopped
}
