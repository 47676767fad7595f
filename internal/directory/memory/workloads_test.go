// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/restore"
)

// named are the client_ids of the clients that name a service account of the namespace of pod.
func named(f *fixture, account string) []string {
	var ids []string
	for _, r := range f.ClientsOf(oauth2.Workload{Namespace: pod.Namespace, Account: account}) {
		ids = append(ids, r.Client.ID)
	}
	slices.Sort(ids)
	return ids
}

// another is a client like pod, of another name and of an account.
func another(name, account string) oauth2.Client {
	c := pod
	c.Name, c.ID, c.UID = name, pod.Namespace+"."+name, "uid-of-"+name
	c.Credentials.ServiceAccount = &oauth2.ServiceAccount{Name: account, UID: "u"}
	return c
}

func (f *fixture) add(t testing.TB, clients ...oauth2.Client) {
	t.Helper()
	for _, c := range clients {
		f.Registry.Apply(clientRecord(t, c))
		f.Clients.Apply(clientObject(c))
	}
}

func TestClientsAreFoundByTheirServiceAccount(t *testing.T) {
	f := filled(t)
	account := pod.Credentials.ServiceAccount.Name
	check := func(when, account string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, named(f, account)); diff != "" {
			t.Errorf("%s, of %s (-want +got):\n%s", when, account, diff)
		}
	}
	check("from a list", account, pod.ID)
	check("from a list", "other")

	second := another("second", account)
	f.add(t, second)
	check("with a second client", account, pod.ID, second.ID)

	moved := another("second", "other")
	f.add(t, moved)
	check("when it names another account", account, pod.ID)
	check("when it names another account", "other", moved.ID)

	moved.Credentials = oauth2.Credentials{}
	f.add(t, moved)
	check("when it has a secret", "other")

	f.add(t, second)
	ending := clientObject(second)
	ending.Owner.Terminating = true
	f.Clients.Apply(ending)
	check("while it is being deleted", account, pod.ID)
	f.Clients.Remove(ending)
	check("while its owner is not known", account, pod.ID, second.ID)
	f.Registry.Remove(clientRecord(t, second))
	check("once it is deleted", account, pod.ID)

	third := another("third", account)
	f.add(t, third, another("fourth", account))
	if n := len(named(f, account)); n != 2 {
		t.Errorf("of three clients %d are found, want two", n)
	}
	f.Registry.Replace(slices.Values([]Record{clientRecord(t, third)}), restore.List{Version: 120})
	check("of those that a list has", account, third.ID)
	f.Registry.Replace(none[Record], restore.List{Version: 121})
	check("of an empty list", account)
	if n := len(f.Registry.workloads.only) + len(f.Registry.workloads.several); n != 0 {
		t.Errorf("%d accounts without clients are left", n)
	}
}

func TestASnapshotFindsClientsByTheirServiceAccount(t *testing.T) {
	before, after := filled(t), newFixture()
	s, err := ReadSnapshot(written(t, before))
	must(t, err)
	load(after, s)
	if got := named(after, pod.Credentials.ServiceAccount.Name); !slices.Equal(got, []string{pod.ID}) {
		t.Errorf("found %v", got)
	}
}

// A tenant may have thousands of clients of one account, and a request reads a few of them.
func TestFewClientsOfAnAccountAreLookedAt(t *testing.T) {
	f := newFixture()
	for i := range 10 * maxSearched {
		c := another(fmt.Sprint("c", i), "crowded")
		f.Registry.Apply(clientRecord(t, c))
		ending := clientObject(c)
		ending.Owner.Terminating = true
		f.Clients.Apply(ending)
	}
	account := oauth2.Workload{Namespace: pod.Namespace, Account: "crowded"}
	if n := testing.AllocsPerRun(10, func() { f.ClientsOf(account) }); n > 8*maxSearched {
		t.Errorf("a search of %d clients allocates %v times", 10*maxSearched, n)
	}
}

// Clients are found by a subject only in their namespace and of their issuer, and not by a prefix.
func TestClientsAreFoundByTheirSubject(t *testing.T) {
	f := newFixture()
	of := func(namespace, name string, federated oauth2.Federated) oauth2.Client {
		c := pod
		c.Namespace, c.Name, c.ID, c.UID = namespace, name, namespace+"."+name, "uid-of-"+namespace+"."+name
		c.Credentials = oauth2.Credentials{Federated: &federated}
		return c
	}
	const subject = "spiffe://example.org/ns/ci/sa/deploy"
	f.add(t, of("ci", "deploy", oauth2.Federated{IssuerName: "spire", Subject: subject}),
		of("ci", "other", oauth2.Federated{IssuerName: "other", Subject: subject}),
		of("ci", "prefix", oauth2.Federated{IssuerName: "spire", SubjectPrefix: subject + "/"}),
		of("evil", "deploy", oauth2.Federated{IssuerName: "spire", Subject: subject}))
	check := func(when string, want ...string) {
		t.Helper()
		var got []string
		for _, r := range f.ClientsOf(oauth2.Workload{Namespace: "ci", IssuerName: "spire", Subject: subject}) {
			got = append(got, r.Client.ID)
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	check("one", "ci.deploy")
	second := of("ci", "second", oauth2.Federated{IssuerName: "spire", Subject: subject})
	f.add(t, second)
	check("a second one", "ci.deploy", "ci.second")
	f.add(t, of("ci", "second", oauth2.Federated{IssuerName: "spire", Subject: subject + "-2"}))
	check("one that names another subject", "ci.deploy")
	if got := f.ClientsOf(oauth2.Workload{}); got != nil {
		t.Errorf("the zero workload is of %d clients", len(got))
	}
}
