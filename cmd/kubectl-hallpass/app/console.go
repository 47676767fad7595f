// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/console"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/show"
)

// consoleCommand serves the console.
type consoleCommand struct{ *plugin }

const (
	// loopback is the one address that the console listens at. It is no name, because a name
	// may be resolved to something else.
	loopback = "127.0.0.1"

	defaultIdle = 30 * time.Minute
	leastIdle   = 5 * time.Minute
	// answerTimeout is how long the API server and a login plugin may take.
	answerTimeout = 30 * time.Second
)

// serving are the flags of console.
type serving struct {
	readOnly, all, noBrowser bool
	port                     int
	idle                     time.Duration
	system, registry         string
}

func (p consoleCommand) command() *cobra.Command {
	var o serving
	command := &cobra.Command{
		Use: "console", Short: "Open a page in the browser with the clients, APIs and tokens that you may see",
		Long: "Serve a page on this machine, and open it in the browser: the clients, APIs, tokens, signing keys and events that you may see, with what you may do. " +
			"Nothing of it runs in the cluster, and it has the rights of your kubeconfig.\n\n" +
			"The page is reached from this machine alone, by the browser that a file has brought which only you can read. The file is good once, for 30 seconds. " +
			"Press Enter to open the page again, and Ctrl-C to end the console.",
		Example: "  kubectl hallpass console --namespace shop\n\n  # Look around without being able to change anything\n  kubectl hallpass console --read-only",
		Args:    noArguments,
		RunE:    func(command *cobra.Command, _ []string) error { return p.runConsole(command.Context(), o) },
	}
	flags := command.Flags()
	flags.BoolVar(&o.readOnly, "read-only", false, "Refuse everything that changes the cluster, also what you may do")
	flags.BoolVarP(&o.all, "all-namespaces", "A", false, "Begin with all namespaces")
	flags.BoolVar(&o.noBrowser, "no-browser", false, "Print the name of the file that opens the page, and start no browser")
	flags.IntVar(&o.port, "port", 0, "Port to listen at on "+loopback+"; 0 takes a free one")
	flags.DurationVar(&o.idle, "idle", defaultIdle, "End the console when it was not used for so long; at least "+leastIdle.String())
	installationFlags(command, &o.system, &o.registry)
	return command
}

func (p consoleCommand) runConsole(ctx context.Context, o serving) error {
	switch {
	case o.port != 0 && o.port < 1024 || o.port > 65535:
		return usagef("--port=%d is no port; give one from 1024 to 65535, or leave it out", o.port)
	case o.idle < leastIdle:
		return usagef("--idle=%s is too short for a form to be filled in; give at least %s", o.idle, leastIdle)
	}
	c, err := p.connect()
	if err != nil {
		return err
	}
	user, err := p.arrive(ctx, c)
	if err != nil {
		return err
	}
	listener, err := listen(ctx, o.port)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }() // Serve has closed it, unless it was not reached
	dir, err := os.MkdirTemp("", "hallpass-console-")
	if err != nil {
		return fmt.Errorf("there is no directory for the link: %w. Set TMPDIR to one that you can write to", err)
	}
	// the links in it are useless when the console ends
	defer func() { _ = os.RemoveAll(dir) }()
	server, err := console.New(console.Options{
		Cluster: c, Context: p.contextName(), User: user, Version: p.Version, Registry: o.registry, System: o.system, AllNamespaces: o.all,
		ReadOnly: o.readOnly, Idle: o.idle, Timeout: answerTimeout, Dir: dir, Dial: p.Dial, Now: p.Now, Warn: func(sentence string) { p.say("%s", sentence) },
	}, listener.Addr().String())
	if err != nil {
		return err
	}
	return p.serve(ctx, server, listener, o)
}

// arrive asks the API server who the caller is, and whether it has Hallpass. A caller without
// rights here may have some elsewhere. A login plugin that does not end is not waited for.
func (p consoleCommand) arrive(ctx context.Context, c *cluster.Client) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, p.ArriveWithin)
	defer cancel()
	user, err := whoIs(ctx, c)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil {
		err = errors.New(cluster.Late(c.Config, p.ArriveWithin))
	}
	return user.Username, err
}

func listen(ctx context.Context, port int) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp4", net.JoinHostPort(loopback, strconv.Itoa(port)))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("port %d of this machine is in use. Choose another one with --port, or leave it out for a free one", port)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("you may not listen at port %d. Choose one from 1024 on with --port, or leave it out for a free one", port)
	case err != nil:
		return nil, fmt.Errorf("the console cannot listen on %s: %w. Choose a port with --port", loopback, err)
	}
	return listener, nil
}

// serve opens the page, and again each time that Enter is pressed, until the console ends.
func (p consoleCommand) serve(ctx context.Context, server *console.Server, listener net.Listener, o serving) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	p.say("The console is at %s on this machine, with the rights of your kubeconfig.", server.Origin())
	if err := p.browse(ctx, server, o); err != nil {
		return err
	}
	if p.Terminal() {
		p.say("Press Enter to open it again, and Ctrl-C to end it.")
		go p.browseAgain(ctx, server, o)
	}
	return server.Serve(ctx, listener)
}

// browseAgain opens the page each time that Enter is pressed.
func (p consoleCommand) browseAgain(ctx context.Context, server *console.Server, o serving) {
	for typed := bufio.NewScanner(p.In); typed.Scan() && ctx.Err() == nil; {
		if err := p.browse(ctx, server, o); err != nil {
			p.say("%s", show.Sentence(err))
		}
	}
}

// browse opens the page in the browser. Without one it names the file to open.
func (p consoleCommand) browse(ctx context.Context, server *console.Server, o serving) error {
	file, err := server.Link()
	if err != nil {
		return err
	}
	if o.noBrowser {
		p.say("Within 30 seconds, open this file in your browser: file://%s", file)
		return nil
	}
	go func() {
		if err := p.Browse(ctx, file); err != nil && ctx.Err() == nil {
			p.say("No browser was opened: %s Within 30 seconds of its creation, open this file in one: file://%s", show.Sentence(err), file)
		}
	}()
	return nil
}

// startBrowser opens a URL in the browser of the user.
func startBrowser(ctx context.Context, address string) error {
	name, args := "xdg-open", []string{}
	switch {
	case os.Getenv("BROWSER") != "":
		name = os.Getenv("BROWSER")
	case runtime.GOOS == "darwin":
		name = "open"
	case runtime.GOOS == "windows":
		name, args = "rundll32", []string{"url.dll,FileProtocolHandler"}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return fmt.Errorf("%s is not installed, which opens pages. Install it, or set BROWSER to your browser", name)
	}
	// a browser outlives the command
	ctx = context.WithoutCancel(ctx)
	if err := exec.CommandContext(ctx, path, append(args, address)...).Run(); err != nil { //nolint:gosec // the user's own browser
		return fmt.Errorf("%s failed: %w", name, err)
	}
	return nil
}
