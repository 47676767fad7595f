// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestHallpassOnANode is the life of an installation on one node, a step after the other.
func TestHallpassOnANode(t *testing.T) {
	dir := os.Getenv(prepared)
	if dir == "" {
		t.Skip("make e2e-node runs this, as root")
	}
	began := time.Now()
	c := start(t, dir)
	c.waitNode(t, began)
	c.apply(t, fmt.Sprintf(nameService, filepath.Join(dir, "bin")))
	c.waitDeployments(t, began)

	for _, step := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"the chart is installed as docs/install.md says and runs confined", c.install},
		{"an app fetches a token by the name of the Service and calls another that validates it", c.useSecret},
		{"a pod without a secret does the same", c.useServiceAccount},
		{"a rotation reaches the mounted volume", c.rotate},
		{"a restart of both Deployments under load fails no request", c.restartDeployments},
		{"a restart of the node brings everything back", c.restartNode},
	} {
		say("%s", step.name)
		if !t.Run(step.name, step.run) {
			return
		}
	}
	reportMemory(t)
	say("all of it took %s", time.Since(began).Round(time.Second))
}

func (c *cluster) install(t *testing.T) {
	c.kubectl(t, "create", "namespace", "hallpass-system")
	c.kubectl(t, "label", "namespace", "hallpass-system", "pod-security.kubernetes.io/enforce=restricted", "pod-security.kubernetes.io/warn=restricted")
	c.run(t, "", filepath.Join(c.dir, "helm"), "install", "hallpass", "charts/hallpass", "--namespace", "hallpass-system")
	c.waitDeployments(t, time.Time{})
	checkConfinement(t, map[string]int{"/manager": 2, "/tokenserver": 3})
	if logs := c.kubectl(t, "--namespace", "hallpass-system", "logs", "deployment/hallpass-tokenserver"); logs == "" {
		t.Error("a token server has logged nothing")
	}
}

func (c *cluster) useSecret(t *testing.T) {
	c.deployApps(t)
	c.waitDeployments(t, time.Time{})
	if j := c.travels(t, "checkout"); j.Credential == "" {
		t.Error("no secret is mounted")
	}
}

func (c *cluster) useServiceAccount(t *testing.T) {
	if j := c.travels(t, "worker"); j.Credential != "" {
		t.Errorf("the secret %s is mounted where there should be none", j.Credential)
	}
	if secrets := c.kubectl(t, "--namespace", "shop", "get", "secrets", "--output=name"); strings.Contains(secrets, "worker") {
		t.Errorf("there are %s", secrets)
	}
}

func (c *cluster) rotate(t *testing.T) {
	before := c.travels(t, "checkout").Credential
	c.underLoad(t, func() {
		c.kubectl(t, "--namespace", "shop", "annotate", "oauth2client", "checkout", "hallpass.dev/rotate=now")
		c.eventually(t, "the rotated secret is in the volume", func(ctx context.Context) error {
			var j journey
			if err := c.ask(ctx, "checkout", "GET", "/once", &j); err != nil {
				return err
			}
			if j.Credential == before {
				return errors.New("the volume has the secret before")
			}
			return nil
		})
	})
}

func (c *cluster) restartDeployments(t *testing.T) {
	c.underLoad(t, func() {
		began := time.Now()
		c.kubectl(t, "--namespace", "hallpass-system", "rollout", "restart", "deployment/hallpass-manager", "deployment/hallpass-tokenserver")
		for _, name := range []string{"hallpass-manager", "hallpass-tokenserver"} {
			c.kubectl(t, "--namespace", "hallpass-system", "rollout", "status", "deployment/"+name, "--timeout=10m")
		}
		say("both Deployments are replaced after %s", time.Since(began).Round(time.Second))
		c.eventually(t, "the replaced pods are gone", func(context.Context) error {
			if pods := strings.Fields(c.kubectl(t, "--namespace", "hallpass-system", "get", "pods", "--output=name")); len(pods) != 5 {
				return fmt.Errorf("there are %d pods", len(pods))
			}
			return nil
		})
	})
}

func (c *cluster) restartNode(t *testing.T) {
	before := c.travels(t, "checkout").Credential
	c.machine.powerCut(t)
	began := time.Now()
	c.machine.start(t)
	c.waitNode(t, began)
	c.waitDeployments(t, began)
	if after := c.travels(t, "checkout").Credential; after != before {
		t.Errorf("after the restart the secret is %s, before it was %s", after, before)
	}
	c.travels(t, "worker")
	checkConfinement(t, map[string]int{"/manager": 2, "/tokenserver": 3, "/app call": 2, "/app api": 1})
}
