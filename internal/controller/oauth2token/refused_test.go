// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2token

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/policy"
	"github.com/hallpass-dev/hallpass/internal/controller/usagereport"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// TestAFixedTokenThatIsRefusedSaysSo: it is not replaced, so that its object is not Ready.
func TestAFixedTokenThatIsRefusedSaysSo(t *testing.T) {
	issuer, err := oauth2.ParseIssuer("https://hallpass.test", false)
	if err != nil {
		t.Fatal(err)
	}
	own := issuer.NamespaceAudience("shop")
	for name, c := range map[string]struct {
		mode     v1alpha1.TokenMode
		revoked  bool
		audience string
		granted  []string
		reason   string
	}{
		"all of it is granted":                           {v1alpha1.TokenFixed, false, own, []string{"read", "write"}, ""},
		"a part of it is granted":                        {v1alpha1.TokenFixed, false, own, []string{"read"}, ""},
		"nothing of it is granted":                       {v1alpha1.TokenFixed, false, own, []string{"other"}, v1alpha1.ReasonScopeNotGranted},
		"it is for a resource that is granted no more":   {v1alpha1.TokenFixed, false, "https://orders.test", []string{"read"}, v1alpha1.ReasonTargetNotGranted},
		"it was revoked":                                 {v1alpha1.TokenFixed, true, own, []string{"read", "write"}, v1alpha1.ReasonRevoked},
		"a Refreshing token that was revoked is renewed": {v1alpha1.TokenRefreshing, true, own, []string{"read", "write"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			object := &v1alpha1.OAuth2Token{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "legacy"}, Spec: v1alpha1.OAuth2TokenSpec{Mode: c.mode}}
			s := &state{
				client:   oauth2.Client{ID: "shop.app", UID: "c", Namespace: "shop", Name: "app", Scopes: c.granted},
				declared: policy.Declared{},
				delivered: delivered{
					current: oauth2.MintedToken{ID: "a", Audience: c.audience, Scopes: []string{"read", "write"}}, found: true, revoked: c.revoked,
				},
			}
			got := grants{&Config{Issuer: issuer}}.refusal(object, s)
			if (got != nil) != (c.reason != "") || got != nil && got.Reason != c.reason {
				t.Errorf("%v, want %q", got, c.reason)
			}
		})
	}
}

// TestAFixedTokenIsIssuedAfterWhatWasRevoked: a token that is made in the second of a revocation
// would be revoked, and is not replaced.
func TestAFixedTokenIsIssuedAfterWhatWasRevoked(t *testing.T) {
	r := New(Config{Clock: clocktesting.NewFakeClock(noon.Add(time.Second / 2)), Random: rand.Reader})
	s := &state{
		client: oauth2.Client{ID: "shop.app", Revocation: oauth2.Revocation{Before: noon.Add(time.Second)}}, record: oauth2.Minted{Opaque: true}, end: noon.Add(time.Hour),
	}
	_, made, err := r.minter.issue(s, keyring.Ring{})
	if err != nil || r.minter.revoked.has(made, &s.client, noon) || !made.ExpiresAt.Equal(s.end) {
		t.Errorf("issued at %s until %s: %v", made.IssuedAt, made.ExpiresAt, err)
	}
}

// TestAProposalThatHasEndedIsNotMadeAgain: another manager has taken it off the record, with an
// audit line about its end; or it was revoked.
func TestAProposalThatHasEndedIsNotMadeAgain(t *testing.T) {
	for name, c := range map[string]struct {
		recorded, there, revoked, want bool
	}{
		"it was not on record yet":     {false, false, false, true},
		"it is on record":              {true, true, false, true},
		"it is on record no more":      {true, false, false, false},
		"it is on record, and revoked": {true, true, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			m := &minter{Config: &Config{Clock: clocktesting.NewFakeClock(noon)}}
			s := &state{client: oauth2.Client{UID: "c"}, grant: oauth2.Grant{Audience: "a"}, record: oauth2.Minted{Opaque: true}}
			if c.there {
				s.before = []oauth2.MintedToken{madeAt("a", 0)}
			}
			if c.revoked {
				m.revoked.learn(batchOf("a"), noon)
			}
			if got := m.wanted(proposed{minted: madeAt("a", 0), clientUID: "c", recorded: c.recorded}, s, keyring.Ring{}, noon); got != c.want {
				t.Errorf("%t", got)
			}
		})
	}
}

// TestATokenIsAnnouncedOnce though the status or a late cache does not have it.
func TestATokenIsAnnouncedOnce(t *testing.T) {
	made := func(id string) oauth2.MintedToken {
		t := madeAt(id, 0)
		t.Cause = reasonCreated
		return t
	}
	for name, c := range map[string]struct {
		// statuses are the tokens that the status has each time, and held those that the
		// Secret has.
		statuses, held []string
		want           int
	}{
		"the status has it":                         {[]string{"", "b", "b"}, []string{"b", "b", "b"}, 1},
		"a status loses it":                         {[]string{"", "b", "", ""}, []string{"b", "b", "b", "b"}, 1},
		"a manager that starts":                     {[]string{"b"}, []string{"b"}, 0},
		"a late cache has the Secret of before":     {[]string{"b", "b"}, []string{"a", "b"}, 0},
		"a late cache, and the status is not there": {[]string{"", "", ""}, []string{"b", "a", "b"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			lines := 0
			r := New(Config{
				Clock: clocktesting.NewFakeClock(noon), Recorder: events.NewFakeRecorder(10), Audit: funcr.New(func(_, _ string) { lines++ }, funcr.Options{}),
			})
			object := &v1alpha1.OAuth2Token{ObjectMeta: metav1.ObjectMeta{UID: "t"}}
			for i := range c.statuses {
				object.Status.TokenID = c.statuses[i]
				r.reports.announceFound(object, &state{before: []oauth2.MintedToken{made("a"), made("b")}, delivered: delivered{current: made(c.held[i]), found: true}})
			}
			if lines != c.want {
				t.Errorf("%d lines, want %d", lines, c.want)
			}
		})
	}
}

// TestAnExpiredTokenStaysExpired whatever else is in its way, and its end has one audit line, also
// if the write of the status is done and not answered.
func TestAnExpiredTokenStaysExpired(t *testing.T) {
	kinds := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(kinds); err != nil {
		t.Fatal(err)
	}
	object := &v1alpha1.OAuth2Token{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "legacy", UID: "t", Generation: 1, CreationTimestamp: metav1.NewTime(noon)}}
	object.Spec.Mode, object.Spec.ExpirationTime = v1alpha1.TokenFixed, &metav1.Time{Time: noon.Add(time.Hour)}
	object.Status.TokenID = "a"
	unanswered, lines := true, []string(nil)
	clock := clocktesting.NewFakeClock(noon.Add(2 * time.Hour))
	cluster := fake.NewClientBuilder().WithScheme(kinds).WithStatusSubresource(object).WithObjects(object).WithInterceptorFuncs(interceptor.Funcs{
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, options ...client.SubResourcePatchOption) error {
			err := c.SubResource(sub).Patch(ctx, o, p, options...)
			if unanswered {
				return context.DeadlineExceeded
			}
			return err
		},
	}).Build()
	r := New(Config{
		Client: cluster, Clock: clock, Recorder: events.NewFakeRecorder(10), Usage: usagereport.NewLedger(clock, time.Minute),
		Audit: funcr.New(func(_, line string) { lines = append(lines, line) }, funcr.Options{}),
	})
	for range 3 {
		if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
			t.Fatal(err)
		}
		s := &state{before: []oauth2.MintedToken{madeAt("a", 0)}}
		s.condition = new(v1alpha1.TokenClientNotFound("app"))
		if _, err := r.reports.write(t.Context(), object, s); (err != nil) != unanswered {
			t.Fatal(err)
		}
		if reason := object.Status.Conditions[0].Reason; reason != v1alpha1.ReasonExpired || object.Status.TokenID != "a" {
			t.Errorf("%s, token %q", reason, object.Status.TokenID)
		}
		unanswered = false
	}
	if len(lines) != 1 || !strings.Contains(lines[0], `"change"="expired"`) {
		t.Errorf("lines %q", lines)
	}
}
