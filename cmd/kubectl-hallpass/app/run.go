// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package app has the commands of kubectl hallpass: one file a verb. What is printed for machines
// goes to standard output, and everything else to standard error.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/issuer"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/show"
)

// The exit codes.
const (
	// ExitOK: it is done.
	ExitOK = 0
	// ExitFailed: it could not be done; the sentence on standard error explains why.
	ExitFailed = 1
	// ExitUsage: the command line is wrong.
	ExitUsage = 2
	// ExitRefused: why found a reason for a refusal, or doctor a problem.
	ExitRefused = 3
)

const (
	defaultPatience     = 5 * time.Second
	defaultArriveWithin = 3 * time.Minute
)

// Environment is what the plugin gets from its process.
type Environment struct {
	genericiooptions.IOStreams

	// Version is that of the build.
	Version string
	// Now is the clock; nil stands for that of the machine.
	Now func() time.Time
	// CacheDir is where tokens are kept; empty for hallpass below the cache of the user.
	CacheDir string
	// Dial connects to the token server; nil stands for the network.
	Dial issuer.Dial
	// Web fetches documents of clients; nil stands for the network.
	Web http.RoundTripper
	// Patience is after how long a command reports what it waits for; zero stands for some
	// seconds.
	Patience time.Duration
	// Terminal reports whether a person can be asked; nil checks In.
	Terminal func() bool
	// Browse opens a file in a browser, and returns when it is open; nil starts that of the
	// user.
	Browse func(ctx context.Context, file string) error
	// Open opens a URL in a browser, and returns when it is open; nil starts that of the user.
	Open func(ctx context.Context, address string) error
	// ArriveWithin is how long the console waits for the first answer of the API server, which
	// may take a login; zero stands for some minutes.
	ArriveWithin time.Duration
}

// plugin is what all commands share.
type plugin struct {
	Environment

	flags *genericclioptions.ConfigFlags
}

// usageError is an error in the command line.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// severalErrors are errors about several objects, each of which is printed in a line of its own.
type severalErrors []error

// joined are errors as one; nil if there are none.
func joined(errs []error) error {
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if len(errs) == 0 {
		return nil
	}
	return severalErrors(errs)
}

func (s severalErrors) Error() string { return errors.Join(s...).Error() }

func (s severalErrors) Unwrap() []error { return s }

// errRefused is the verdict of why that something is refused, or of doctor that there is a problem.
// It has been printed.
var errRefused = errors.New("refused")

// errStopped is the answer no to a prompt.
var errStopped = errors.New("nothing was done")

// Run runs a command line and returns the exit code.
func Run(ctx context.Context, args []string, e Environment) int {
	if e.Now == nil {
		e.Now = time.Now
	}
	if e.Patience == 0 {
		e.Patience = defaultPatience
	}
	if e.Terminal == nil {
		e.Terminal = func() bool { return printers.IsTerminal(e.In) }
	}
	if e.Browse == nil {
		e.Browse = func(ctx context.Context, file string) error { return startBrowser(ctx, "file://"+file) }
	}
	if e.Open == nil {
		e.Open = startBrowser
	}
	if e.ArriveWithin == 0 {
		e.ArriveWithin = defaultArriveWithin
	}
	problems := &problemWriter{out: e.ErrOut}
	defer problems.end()
	e.ErrOut = problems
	root := newCommand(e) //nolint:contextcheck // a completion has the context of its command
	root.SetArgs(args)
	command, err := root.ExecuteContextC(ctx)
	return exitCode(err, command, e.ErrOut)
}

// problemWriter is standard error of a command. A sentence about what a request waits for comes
// from a timer, also while the command prints an error, and none comes after its end.
type problemWriter struct {
	mu    sync.Mutex
	out   io.Writer
	ended bool
}

// Write implements io.Writer.
func (w *problemWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return len(b), nil
	}
	return w.out.Write(b) //nolint:wrapcheck // the error of standard error
}

func (w *problemWriter) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
}

// exitCode prints an error, and returns the exit code.
func exitCode(err error, command *cobra.Command, out io.Writer) int {
	var usage usageError
	switch {
	case err == nil:
		return ExitOK
	case errors.Is(err, errRefused):
		return ExitRefused
	case errors.As(err, &usage):
		_, _ = fmt.Fprintf(out, "error: %s\nSee '%s --help'.\n", show.Sentence(err), command.CommandPath())
		return ExitUsage
	}
	var several severalErrors
	if !errors.As(err, &several) {
		several = severalErrors{err}
	}
	for _, one := range several {
		_, _ = fmt.Fprintf(out, "error: %s\n", show.Sentence(one))
	}
	return ExitFailed
}

// Commands are the commands of kubectl hallpass, for a reference of them. They are not run.
func Commands() *cobra.Command { return newCommand(Environment{}) }

// newCommand is the root of the commands.
func newCommand(e Environment) *cobra.Command {
	p := &plugin{Environment: e, flags: genericclioptions.NewConfigFlags(true)}
	p.flags.BearerToken = nil // no token is an argument: other users of the machine see these
	p.flags.CacheDir = nil    // there is no discovery
	root := &cobra.Command{
		Use:   "kubectl-hallpass",
		Short: "Work with the OAuth clients, APIs and tokens of Hallpass",
		Long: "kubectl hallpass works with the OAuth clients, APIs and tokens of Hallpass, with the rights that you have in the cluster.\n" +
			"It never prints a secret or a token unless you ask for one, and takes none as an argument.",
		Annotations:       map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl hallpass"},
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
		Args:              noArguments,
		RunE:              help,
	}
	root.SetIn(e.In)
	root.SetOut(e.Out)
	root.SetErr(e.ErrOut)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	p.flags.AddFlags(root.PersistentFlags())
	p.completeFlags(root)
	root.AddGroup(&cobra.Group{ID: groupLook, Title: "Look:"}, &cobra.Group{ID: groupChange, Title: "Change:"}, &cobra.Group{ID: groupUse, Title: "Use:"})
	p.addCommands(root)
	root.InitDefaultCompletionCmd()
	for _, command := range root.Commands() {
		if command.Name() == "completion" {
			command.Args, command.RunE = noArguments, help
		}
	}
	return root
}

// The groups of commands in the help.
const (
	groupLook   = "look"
	groupChange = "change"
	groupUse    = "use"
)

func (p *plugin) addCommands(root *cobra.Command) {
	for group, commands := range map[string][]*cobra.Command{
		groupLook: {
			getCommand{p}.command(), describeCommand{p}.command(), whyCommand{p}.command(), eventsCommand{p}.command(), waitCommand{p}.command(),
			doctorCommand{p}.command(), whoamiCommand{p}.command(),
		},
		groupChange: {
			createCommand{p}.command(), setCommand{p}.command(), grantCommand{p}.grant(), grantCommand{p}.ungrant(), rotateCommand{p}.command(),
			stateCommand{p}.suspend(), stateCommand{p}.resume(), revokeCommand{p}.command(), deleteCommand{p}.command(),
		},
		groupUse: {
			consoleCommand{p}.command(), loginCommand{p}.command(), tokenCommand{p}.command(), logoutCommand{p}.command(), generateCommand{p}.command(),
			importCommand{p}.command(),
		},
	} {
		for _, command := range commands {
			command.GroupID = group
			root.AddCommand(command)
		}
	}
	root.AddCommand(versionCommand{p}.command())
}

// help prints the help of a command that does nothing but have subcommands.
func help(command *cobra.Command, _ []string) error {
	if err := command.Help(); err != nil {
		return fmt.Errorf("print the help: %w", err)
	}
	return nil
}

// noArguments refuses arguments: of a command that has subcommands they are unknown ones.
func noArguments(command *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if command.HasSubCommands() {
		hint := ""
		command.SuggestionsMinimumDistance = 2 // letters
		if similar := command.SuggestionsFor(args[0]); len(similar) > 0 {
			hint = fmt.Sprintf("; did you mean %q?", similar[0])
		}
		return usagef("%s has no %q%s", command.CommandPath(), args[0], hint)
	}
	return usagef("%s takes no arguments, and got %q", command.CommandPath(), args[0])
}

// names are the arguments of a command: at least and at most so many names.
func names(what string, atLeast, atMost int) cobra.PositionalArgs {
	return func(command *cobra.Command, args []string) error {
		switch {
		case len(args) < atLeast:
			return usagef("give the name of the %s: %s", what, useLine(command))
		case len(args) > atMost:
			return usagef("%q is one argument too many: %s", args[atMost], useLine(command))
		}
		for _, name := range args {
			if err := checkName(what, name); err != nil {
				return err
			}
		}
		return nil
	}
}

// useLine is how a command is used.
func useLine(command *cobra.Command) string { return strings.TrimSuffix(command.UseLine(), " [flags]") }
