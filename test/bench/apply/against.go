// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/test/bench/cputime"
	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// turn is what a manager took for its clients in a round.
type turn struct{ elapsed, processor time.Duration }

// pair is a control plane on which both managers run in turns, as processes.
type pair struct {
	settings

	cp         *controlplane.ControlPlane
	cluster    client.WithWatch
	dir        string
	kubeconfig string
}

// measureAgainst compares the new manager with that of -against in each round. They alternate at
// going first.
func measureAgainst(ctx context.Context, s settings) (err error) {
	p, err := startPair(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.cp.Stop(), os.RemoveAll(p.dir)) }()
	managers := []string{filepath.Join(p.dir, "manager"), s.against}
	turns := map[string][]turn{}
	for round := range s.rounds + 1 { // the first one warms up
		order := slices.Clone(managers)
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for i, manager := range order {
			t, err := p.turn(ctx, manager, fmt.Sprintf("r%d-%d", round, i))
			if err != nil {
				return fmt.Errorf("%s: %w", manager, err)
			}
			if round > 0 {
				turns[manager] = append(turns[manager], t)
			}
		}
	}
	fmt.Printf("ratio of the new manager to that of -against, apply -> Ready of %d clients, median and quartiles of %d paired rounds\n", s.clients, s.rounds)
	return errors.Join(
		compare("CPU", turns[managers[0]], turns[s.against], s.goal, func(t turn) time.Duration { return t.processor }),
		compare("time", turns[managers[0]], turns[s.against], s.goal, func(t turn) time.Duration { return t.elapsed }),
	)
}

// compare prints the median and the quartiles of the ratios of each round. It fails if the median
// is above the goal; 0 sets none.
func compare(what string, now, before []turn, goal float64, figure func(turn) time.Duration) error {
	ratios := make([]float64, len(now))
	for i := range now {
		ratios[i] = float64(figure(now[i])) / float64(figure(before[i]))
	}
	slices.Sort(ratios)
	share := func(of float64) float64 { return ratios[min(len(ratios)-1, int(of*float64(len(ratios))))] }
	fmt.Printf("%-6s %.3f  %.2f-%.2f  (goal %.2f)\n", what, share(.5), share(.25), share(.75), goal)
	if median := share(.5); goal > 0 && median > goal {
		return fmt.Errorf("the %s of the new manager is %.3f times that of -against; the goal is %.2f", what, median, goal)
	}
	return nil
}

func startPair(ctx context.Context, s settings) (_ *pair, err error) {
	if _, err := exec.LookPath(s.against); err != nil {
		return nil, fmt.Errorf("find the binary of -against: %w", err)
	}
	ctrl.SetLogger(logr.Discard()) // or controller-runtime prints a warning
	p := &pair{settings: s}
	if p.dir, err = os.MkdirTemp("", "hallpass-apply-"); err != nil {
		return nil, err
	}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", p.dir, "./cmd/manager")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the manager: %w: %s", err, output)
	}
	if p.cp, err = controlplane.Start(ctx, controlplane.Options{}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.cp.Stop())
		}
	}()
	if err := installation.Install(ctx, p.cp, "."); err != nil {
		return nil, err
	}
	if p.cluster, err = installation.Connect(p.cp.AdminConfig()); err != nil {
		return nil, err
	}
	if err := p.cluster.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}); err != nil {
		return nil, err
	}
	p.kubeconfig, err = p.cp.ServiceAccountKubeconfig(ctx, installation.SystemNamespace, installation.ManagerAccount)
	return p, err
}

// turn starts a manager, applies clients one by one, and deletes them again.
func (p *pair) turn(ctx context.Context, program, name string) (turn, error) {
	manager := exec.CommandContext(ctx, program, "--kubeconfig="+p.kubeconfig, "--issuer=http://localhost:1", "--allow-http-issuer",
		"--manage-serving-certificate=false", "--leader-elect=false", "--metrics-bind-address=0", "--health-probe-bind-address=0")
	manager.Stdout, manager.Stderr = io.Discard, io.Discard
	if err := manager.Start(); err != nil {
		return turn{}, err
	}
	defer func() {
		_ = manager.Process.Kill()
		_ = manager.Wait()
	}()
	b := &bench{cluster: p.cluster}
	if _, err := b.create(ctx, name+"-first"); err != nil {
		return turn{}, err
	}
	before, err := cputime.Of(manager.Process.Pid)
	if err != nil {
		return turn{}, err
	}
	started := time.Now()
	for i := range p.clients {
		if _, err := b.create(ctx, fmt.Sprintf("%s-%d", name, i)); err != nil {
			return turn{}, err
		}
	}
	elapsed := time.Since(started)
	after, err := cputime.Of(manager.Process.Pid)
	if err != nil {
		return turn{}, err
	}
	if err := p.cluster.DeleteAllOf(ctx, &v1alpha1.OAuth2Client{}, client.InNamespace(namespace)); err != nil {
		return turn{}, err
	}
	return turn{elapsed: elapsed, processor: after - before}, installation.Wait(ctx, "the registrations are deleted", func() (bool, error) {
		var registered corev1.SecretList
		err := p.cluster.List(ctx, &registered, client.InNamespace(installation.RegistryNamespace), client.MatchingFields{"type": registration.SecretType})
		return len(registered.Items) == 0, err
	})
}
