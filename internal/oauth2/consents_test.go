// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

func teams(from, to int) []string {
	var names []string
	for i := from; i < to; i++ {
		names = append(names, fmt.Sprintf("team-%04d", i))
	}
	return names
}

func TestConsentsNameANamespaceOnce(t *testing.T) {
	labelled := map[string]string{"app": "web"}
	for name, c := range map[string]struct{ consents, want []oauth2.Consent }{
		"none": {nil, nil},
		"one":  {[]oauth2.Consent{{Namespaces: teams(0, 2), Scopes: []string{"b", "a"}}}, []oauth2.Consent{{Namespaces: teams(0, 2), Scopes: []string{"b", "a"}}}},
		"the same namespaces": {
			[]oauth2.Consent{{Namespaces: teams(0, 9), Scopes: []string{"read"}}, {Namespaces: teams(0, 9), Scopes: []string{"write", "read"}}},
			[]oauth2.Consent{{Namespaces: teams(0, 9), Scopes: []string{"read", "write"}}},
		},
		"some of them": {
			[]oauth2.Consent{{Namespaces: teams(0, 9), Scopes: []string{"read"}}, {Namespaces: teams(0, 3), Scopes: []string{"write"}}},
			[]oauth2.Consent{{Namespaces: teams(3, 9), Scopes: []string{"read"}}, {Namespaces: teams(0, 3), Scopes: []string{"read", "write"}}},
		},
		"different namespaces": {
			[]oauth2.Consent{{Namespaces: teams(0, 3), Scopes: []string{"read"}}, {Namespaces: teams(3, 6), Scopes: []string{"read"}}},
			[]oauth2.Consent{{Namespaces: teams(0, 3), Scopes: []string{"read"}}, {Namespaces: teams(3, 6), Scopes: []string{"read"}}},
		},
		"other labels of clients": {
			[]oauth2.Consent{{Namespaces: teams(0, 9), Scopes: []string{"read"}}, {Namespaces: teams(0, 9), Scopes: []string{"write"}, ClientLabels: labelled}},
			[]oauth2.Consent{{Namespaces: teams(0, 9), Scopes: []string{"read"}}, {Namespaces: teams(0, 9), Scopes: []string{"write"}, ClientLabels: labelled}},
		},
		"scopes that take more room than a namespace": {
			[]oauth2.Consent{{Namespaces: teams(0, 2), Scopes: teams(0, 64)}, {Namespaces: teams(1, 3), Scopes: teams(64, 128)}},
			[]oauth2.Consent{{Namespaces: teams(0, 2), Scopes: teams(0, 64)}, {Namespaces: teams(1, 3), Scopes: teams(64, 128)}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, oauth2.MergeConsents(c.consents)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// randomConsents have few namespaces, scopes and labels, so that they overlap.
func randomConsents(random *rand.Rand) []oauth2.Consent {
	some := func(of []string) []string {
		return slices.DeleteFunc(slices.Clone(of), func(string) bool { return random.IntN(2) == 0 })
	}
	var consents []oauth2.Consent
	for range random.IntN(8) {
		consent := oauth2.Consent{Namespaces: some(teams(0, 12)), Scopes: some([]string{"a", "b", "c", "d"})}
		if label := random.IntN(3); label > 0 {
			consent.ClientLabels = map[string]string{"app": fmt.Sprint(label)}
		}
		consents = append(consents, consent)
	}
	return consents
}

// eachGrant calls f with each decision about the clients and scopes that random consents may
// concern.
func eachGrant(consents []oauth2.Consent, f func(client *oauth2.Client, scope string, granted bool)) {
	scopes := []string{"a", "b", "c", "d"}
	resource := &oauth2.Resource{Scopes: scopes, Consents: consents}
	for _, namespace := range teams(0, 13) {
		for label := range 3 {
			client := &oauth2.Client{Namespace: namespace, Labels: map[string]string{"app": fmt.Sprint(label)}}
			for _, scope := range scopes {
				f(client, scope, oauth2.Decide(client, resource, scope) == oauth2.Granted)
			}
		}
	}
}

func TestMergedConsentsGrantTheSame(t *testing.T) {
	for seed := range uint64(300) {
		consents := randomConsents(rand.New(rand.NewPCG(seed, 0))) //nolint:gosec // reproducible
		merged := &oauth2.Resource{Scopes: []string{"a", "b", "c", "d"}, Consents: oauth2.MergeConsents(consents)}
		eachGrant(consents, func(client *oauth2.Client, scope string, granted bool) {
			if (oauth2.Decide(client, merged, scope) == oauth2.Granted) != granted {
				t.Fatalf("seed %d: the scope %s of %s %v is granted: %v, merged: %v", seed, scope, client.Namespace, client.Labels, granted, !granted)
			}
		})
		for _, consent := range merged.Consents {
			if !slices.IsSorted(consent.Namespaces) {
				t.Fatalf("seed %d: %v is not sorted", seed, consent.Namespaces)
			}
		}
	}
}

func TestKeptConsentsGrantNothingNew(t *testing.T) {
	kept := 0
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // reproducible
		wanted, before := randomConsents(random), oauth2.MergeConsents(randomConsents(random))
		was := &oauth2.Resource{Scopes: []string{"a", "b", "c", "d"}, Consents: before}
		wants := &oauth2.Resource{Scopes: was.Scopes, Consents: wanted}
		eachGrant(oauth2.KeepConsents(wanted, before), func(client *oauth2.Client, scope string, granted bool) {
			if !granted {
				return
			}
			kept++
			if oauth2.Decide(client, was, scope) != oauth2.Granted || oauth2.Decide(client, wants, scope) != oauth2.Granted {
				t.Fatalf("seed %d: the scope %s of %s %v was not granted before, or is not any more", seed, scope, client.Namespace, client.Labels)
			}
		})
		same := &oauth2.Resource{Scopes: was.Scopes, Consents: oauth2.KeepConsents(wanted, oauth2.MergeConsents(wanted))}
		eachGrant(wanted, func(client *oauth2.Client, scope string, granted bool) {
			if granted && oauth2.Decide(client, same, scope) != oauth2.Granted {
				t.Fatalf("seed %d: consents that did not change lose a grant", seed)
			}
		})
	}
	if kept == 0 {
		t.Error("nothing was kept")
	}
}
