// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package checkup decides whether an installation is healthy, by what can be read of it. The
// package is pure: objects and the time are arguments.
package checkup

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/keyring"
)

// State is the result of a check.
type State string

// The states.
const (
	OK      State = "ok"
	Problem State = "problem"
	// Unknown means that the caller may not read what the check needs.
	Unknown State = "unknown"
)

// Finding is the result of a check.
type Finding struct {
	Check    string `json:"check"`
	State    State  `json:"state"`
	Sentence string `json:"sentence"`
	Do       string `json:"do,omitempty"`
}

// Text is a finding for people.
func (f Finding) Text() string {
	text := fmt.Sprintf("%-8s %s: %s\n", f.State, f.Check, f.Sentence)
	if f.Do != "" {
		text += "         -> " + f.Do + "\n"
	}
	return text
}

const (
	// maxSkew is how far clocks may differ before something is refused that should not be.
	maxSkew = 30 * time.Second
	// certificateLead is how long before its end a certificate should have been renewed.
	certificateLead = 7 * 24 * time.Hour
)

// Clock compares the clock of this machine with the time of the API server.
func Clock(here, there time.Time) Finding {
	f := Finding{Check: "clock", State: OK, Sentence: "The clock of this machine agrees with that of the API server."}
	if skew := here.Sub(there); skew.Abs() > maxSkew {
		f.State = Problem
		f.Sentence = fmt.Sprintf("The clock of this machine and that of the API server differ by %s, so tokens look expired or not yet valid.", skew.Abs().Round(time.Second))
		f.Do = "Synchronise the clock of this machine; if it is right, that of the control plane."
	}
	return f
}

// Replicas checks the replicas of a Deployment.
func Replicas(component string, d *appsv1.Deployment) Finding {
	f := Finding{Check: component, State: OK}
	if d == nil {
		f.State, f.Sentence = Problem, "There is no Deployment of it."
		f.Do = "Name the namespace of the installation with --system-namespace, or install Hallpass."
		return f
	}
	wanted := int32(1)
	if d.Spec.Replicas != nil {
		wanted = *d.Spec.Replicas
	}
	f.Sentence = fmt.Sprintf("%d of %d replicas are ready, of version %s.", d.Status.ReadyReplicas, wanted, Version(d))
	switch {
	case d.Status.ReadyReplicas < wanted || wanted == 0:
		f.State = Problem
		f.Do = fmt.Sprintf("kubectl --namespace %s describe deployment %s; kubectl --namespace %s logs deployment/%s", d.Namespace, d.Name, d.Namespace, d.Name)
	case d.Status.UpdatedReplicas < wanted:
		f.Sentence += " An upgrade is in progress."
	}
	return f
}

// Version is the version of a Deployment, by the tag of its image.
func Version(d *appsv1.Deployment) string {
	for _, container := range d.Spec.Template.Spec.Containers {
		image := container.Image
		if _, digest, found := strings.Cut(image, "@"); found {
			return digest
		}
		if at := strings.LastIndex(image, ":"); at > strings.LastIndex(image, "/") {
			return image[at+1:]
		}
	}
	return "latest"
}

// Versions checks whether the plugin and the processes are of one version. Where no process was
// found, Replicas has what to do.
func Versions(plugin string, others ...string) Finding {
	if len(others) == 0 {
		return Finding{
			Check: "versions", State: Unknown,
			Sentence: "The plugin is of version " + plugin + ". That of the cluster is not known without its Deployments.",
		}
	}
	running := slices.Compact(slices.Clone(others))
	if slices.Equal(running, []string{plugin}) {
		return Finding{Check: "versions", State: OK, Sentence: "The plugin, the manager and the token server are of version " + plugin + "."}
	}
	return Finding{
		Check: "versions", State: Problem,
		Sentence: fmt.Sprintf("The plugin is of version %s, and the cluster runs %s.", plugin, strings.Join(running, " and ")),
		Do:       "Install the plugin of the cluster's version; finish an upgrade that is in progress.",
	}
}

// Keys checks the signing keys.
func Keys(ring keyring.Ring, now time.Time) Finding {
	f := Finding{Check: "signing keys", State: OK}
	var signing, without []string
	for _, algorithm := range ring.Algorithms() {
		if _, err := ring.SigningKeyFor(algorithm, now); err != nil {
			without = append(without, string(algorithm))
		} else {
			signing = append(signing, string(algorithm))
		}
	}
	switch {
	case len(signing) == 0:
		f.State, f.Sentence, f.Do = Problem, "No key signs.", "docs/alerts/HallpassNoSigningKey.md has what to do."
	case len(without) > 0:
		f.Sentence = fmt.Sprintf("%s sign; no key of %s signs yet.", strings.Join(signing, ", "), strings.Join(without, ", "))
	default:
		f.Sentence = strings.Join(signing, ", ") + " sign."
		if len(signing) == 1 {
			f.Sentence = "A key of " + signing[0] + " signs."
		}
	}
	if next := ring.NextChange(now); !next.IsZero() {
		f.Sentence += " The next change is at " + next.UTC().Format(time.RFC3339) + "."
	}
	return f
}

// IssuersCheck is the name of the check of the trusted issuers.
const IssuersCheck = "trusted issuers"

// Issuers checks whether JWTs of the trusted issuers are accepted. A suspended one is no problem.
func Issuers(issuers []v1alpha1.OAuth2TrustedIssuer) Finding {
	f := Finding{Check: IssuersCheck, State: OK}
	var refused []string
	for i := range issuers {
		ready := meta.FindStatusCondition(issuers[i].Status.Conditions, v1alpha1.ConditionReady)
		if ready != nil && ready.Status != metav1.ConditionTrue && ready.Reason != v1alpha1.ReasonSuspended {
			refused = append(refused, fmt.Sprintf("%s (%s)", issuers[i].Name, ready.Reason))
		}
	}
	switch {
	case len(issuers) == 0:
		f.Sentence = "There are none, so no client authenticates by FederatedToken."
	case len(refused) == 0:
		f.Sentence = fmt.Sprintf("The keys of all that are not suspended can be used; issuers: %d.", len(issuers))
	default:
		f.State = Problem
		f.Sentence = fmt.Sprintf("%d of %d are not ready, and their JWTs are refused: %s.", len(refused), len(issuers), strings.Join(refused, ", "))
		name, _, _ := strings.Cut(refused[0], " ")
		f.Do = "kubectl hallpass describe issuer " + name
	}
	return f
}

// Certificate checks the serving certificate of the token server, in PEM.
func Certificate(chain []byte, now time.Time) Finding {
	f := Finding{Check: "certificate", State: Problem}
	block, _ := pem.Decode(chain)
	if block == nil {
		f.Sentence, f.Do = "The Secret of the serving certificate holds none.", "Delete that Secret: the manager, or cert-manager, makes another one."
		return f
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		f.Sentence, f.Do = "The serving certificate cannot be read: "+err.Error()+".", "Delete its Secret: the manager, or cert-manager, makes another one."
		return f
	}
	return life(f, certificate, now)
}

// life checks how long a certificate is valid.
func life(f Finding, certificate *x509.Certificate, now time.Time) Finding {
	ends := certificate.NotAfter.UTC().Format(time.RFC3339)
	switch {
	case now.After(certificate.NotAfter):
		f.Sentence, f.Do = "The serving certificate expired at "+ends+".", "See why it is not renewed: the log of the manager, or cert-manager."
	case now.Before(certificate.NotBefore):
		f.Sentence, f.Do = "The serving certificate is not valid yet.", "Check the clocks of the machines."
	case certificate.NotAfter.Sub(now) < certificateLead:
		f.Sentence, f.Do = "The serving certificate expires at "+ends+" and should have been renewed.", "See why: the log of the manager, or cert-manager."
	default:
		f.State, f.Sentence = OK, "The serving certificate is valid until "+ends+"."
	}
	return f
}
