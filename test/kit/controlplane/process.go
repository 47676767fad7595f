// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// supervise runs a program for as long as its standard input, a pipe that the starter holds open,
// is open. A line asks the program to end. The end of the pipe without a line is the death of the
// starter, by SIGKILL too, because the kernel closes what it held: then there is no process left to
// wait for, and the program is killed. A watching shell does what PR_SET_PDEATHSIG would not: that
// one follows the thread that forked, and threads end before Go programs do.
const supervise = `exec 3<&0
"$@" </dev/null 3<&- &
child=$!
{
	if read -r _ <&3; then
		kill -TERM $child
		tries=0
		while [ $tries -lt 100 ]; do
			kill -0 $child || exit 0
			sleep 0.1
			tries=$((tries+1))
		done
	fi
	kill -KILL $child
} >/dev/null 2>&1 &
watcher=$!
exec 3<&-
wait $child
code=$?
kill -KILL $watcher 2>/dev/null
exit $code`

// stopTimeout is how long a program may take to end; the supervisor kills it before.
const stopTimeout = 15 * time.Second

// logTailBytes is how much of a log an error quotes.
const logTailBytes = 2000

// Process is a program that was started and ends with its starter. A nil Process is one that never
// was.
type Process struct {
	name    string
	log     string
	command *exec.Cmd
	alive   io.WriteCloser
	done    chan struct{}
	err     error
	stop    sync.Once
}

// StartProcess starts a program with its output in a log file, which is added to if it is there.
func StartProcess(name, log string, environment []string, command ...string) (*Process, error) {
	return startProcessIn("", name, log, environment, command...)
}

// startProcessIn is StartProcess in another working directory.
func startProcessIn(dir, name, log string, environment []string, command ...string) (*Process, error) {
	output, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", name, err)
	}
	defer func() { _ = output.Close() }()
	p := &Process{name: name, log: log, done: make(chan struct{})}
	p.command = exec.Command("/bin/sh", append([]string{"-c", supervise, name}, command...)...) //nolint:noctx // our own programs; Stop ends them
	p.command.Dir, p.command.Stdout, p.command.Stderr = dir, output, output
	p.command.Env = append(os.Environ(), environment...)
	// A group of its own: Ctrl-C at a terminal must reach the starter alone, which ends the
	// programs in order.
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if p.alive, err = p.command.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		p.err = p.command.Wait()
		close(p.done)
	}()
	return p, nil
}

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Stop asks the program to end and waits until it has; one that takes longer than ten seconds is
// killed. A second call does nothing.
func (p *Process) Stop() error {
	return p.end(func() {
		_, _ = io.WriteString(p.alive, "stop\n") // fails when the program has ended already
		_ = p.alive.Close()
	})
}

// Kill ends the program at once, as a crash does, and waits until it has. A second call does
// nothing.
func (p *Process) Kill() error {
	return p.end(func() { _ = p.alive.Close() })
}

// Pause stops the program, and whatever watches it, without ending it: it answers nothing, and its
// connections stay. Resume must come before Stop and Kill.
func (p *Process) Pause() error { return p.signal(syscall.SIGSTOP) }

// Resume continues a program that was paused.
func (p *Process) Resume() error { return p.signal(syscall.SIGCONT) }

func (p *Process) signal(s syscall.Signal) error {
	if err := syscall.Kill(-p.command.Process.Pid, s); err != nil {
		return fmt.Errorf("send %s to %s: %w", s, p.name, err)
	}
	return nil
}

func (p *Process) end(how func()) error {
	if p == nil {
		return nil
	}
	p.stop.Do(how)
	select {
	case <-p.done:
		return nil
	case <-time.After(stopTimeout):
		return fmt.Errorf("%s did not end within %s", p.name, stopTimeout)
	}
}

// Failure is how the program ended and the end of its log; call it after Done.
func (p *Process) Failure() error {
	err := p.err
	if err == nil {
		err = errors.New("exit status 0")
	}
	return fmt.Errorf("%s ended unexpectedly (%w); its log ends: %s", p.name, err, p.logTail())
}

func (p *Process) logTail() string {
	content, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(content[max(0, len(content)-logTailBytes):]))
}
