// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// stageNames are the stages from apply to Ready. The manager writes registration and Secret at the
// same time, and the status once its cache has both.
var stageNames = [...]string{
	"apply: request and answer", "the manager's first write begins", "registration and Secret written", "the status write begins", "status written",
	"the watch shows Ready",
}

// stages are how long each of them took.
type stages [len(stageNames)]time.Duration

func (s stages) total() (sum time.Duration) {
	for _, took := range s {
		sum += took
	}
	return sum
}

// requests are those about a client that the API server has answered.
type requests struct{ apply, registration, secret, status *controlplane.AuditEvent }

// reportStages prints how long each stage took in both kinds of turns: at the median, at p99, and
// on average in the clients that took the longest.
func (m *measurement) reportStages() error {
	events, err := m.world.cp.AuditEvents()
	if err != nil {
		return err
	}
	byClient := map[string]*requests{}
	for _, r := range []*results{&m.control, &m.beside} {
		for _, a := range r.applied {
			byClient[a.name] = &requests{}
		}
	}
	assign(events, byClient)
	m.say("%-36s %-50s %s", "stages from apply to Ready", "beside spinners: p50, p99, of the slowest", "beside tenants")
	control, beside := stagesOf(m.control.applied, byClient), stagesOf(m.beside.applied, byClient)
	for i, name := range stageNames {
		m.say("%-36s %-50s %s", name, stageLine(control, i), stageLine(beside, i))
	}
	return nil
}

// assign finds the requests of each client.
func assign(events []controlplane.AuditEvent, byClient map[string]*requests) {
	registrations := make(map[string]string, len(byClient))
	for name := range byClient {
		registrations[registration.SecretName(honestNamespace+"."+name)] = name
	}
	for i := range events {
		e := &events[i]
		what := strings.TrimSuffix(e.Verb+" "+e.Object.Resource+"/"+e.Object.Subresource, "/")
		name := e.Object.Name
		switch {
		case e.Object.Namespace == installation.RegistryNamespace:
			name, what = registrations[name], what+" of the registry"
		case e.Object.Namespace != honestNamespace:
			continue
		}
		of := byClient[name]
		if of == nil {
			continue
		}
		switch what {
		case "create oauth2clients":
			of.apply = e
		case "create secrets":
			of.secret = e
		case "create secrets of the registry":
			of.registration = e
		case "patch oauth2clients/status":
			of.status = e
		}
	}
}

// stagesOf are the stages of each client whose requests are all in the log, the slowest client
// last.
func stagesOf(clients []applied, byClient map[string]*requests) (all []stages) {
	for _, a := range clients {
		of := byClient[a.name]
		if of.apply == nil || of.registration == nil || of.secret == nil || of.status == nil {
			continue
		}
		first := of.registration.Time
		if of.secret.Time.Before(first) {
			first = of.secret.Time
		}
		written := of.registration.Answered
		if of.secret.Answered.After(written) {
			written = of.secret.Answered
		}
		instants := []time.Time{a.began, of.apply.Answered, first, written, of.status.Time, of.status.Answered, a.ready}
		var s stages
		for i := range s {
			s[i] = instants[i+1].Sub(instants[i])
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b stages) int { return int(a.total() - b.total()) })
	return all
}

// slowest is how many clients have the longest times.
const slowest = 10

// stageLine is a stage at the median, at p99, and on average in the slowest clients.
func stageLine(all []stages, stage int) string {
	took := make([]time.Duration, 0, len(all))
	for _, s := range all {
		took = append(took, s[stage])
	}
	var sum time.Duration
	last := took[max(0, len(took)-slowest):]
	for _, one := range last {
		sum += one
	}
	mean := sum / time.Duration(max(len(last), 1))
	sorted := slices.Clone(took)
	round := func(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }
	return fmt.Sprintf("%s, %s, %s", round(quantile(sorted, .5)), round(quantile(sorted, .99)), round(mean))
}
