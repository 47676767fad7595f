// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usagereport

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/usage"
)

func refusal(uid, reason string, count uint64, minutes int) usage.Refusal {
	return usage.Refusal{Key: usage.KeyOf(uid), Reason: reason, Count: count, At: minute(minutes)}
}

// drainRefusals reports everything that is due, and returns the counts.
func drainRefusals(r *Refusals) (counts []uint64) {
	for {
		_, told, _, due := r.next()
		if !due {
			return counts
		}
		var sum uint64
		for _, t := range told {
			sum += t.Count
		}
		counts = append(counts, sum)
	}
}

func TestRefusalsAreToldOnceInTenMinutesWithTheirCount(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(at(0))
	r := newRefusals(clock, 10*time.Minute)
	told := map[int]uint64{}
	for now := range 35 { // a refusal a minute at each of two replicas
		clock.SetTime(at(now))
		for _, replica := range []string{"one", "two"} {
			r.merge(replica, []usage.Refusal{refusal("c", "WrongSecret", uint64(now+1), now)})
		}
		for _, count := range drainRefusals(r) {
			told[now] += count
		}
	}
	clock.SetTime(at(40))
	for _, count := range drainRefusals(r) {
		told[40] += count
	}
	if diff := cmp.Diff(map[int]uint64{0: 2, 10: 22, 20: 42, 30: 62, 40: 70}, told); diff != "" {
		t.Errorf("told at which minute, with which count (-want +got):\n%s", diff)
	}
	// the same report again
	r.merge("one", []usage.Refusal{refusal("c", "WrongSecret", 35, 34)})
	if again := drainRefusals(r); len(again) != 0 {
		t.Errorf("told %v, and nothing is new", again)
	}
}

func TestRefusalsAreBoundedAndOfTheLastWeek(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(at(0))
	r := newRefusals(clock, time.Minute)
	r.most = 2
	week := int(usage.KeepRefusals / time.Minute)
	beyond := r.merge("one", []usage.Refusal{
		refusal("a", "WrongSecret", 1, 100_000), refusal("old", "WrongSecret", 1, -week-1), refusal("b", "WrongSecret", 1, -week), refusal("c", "WrongSecret", 1, 0),
	})
	if beyond != 1 || len(r.clients) != 2 {
		t.Errorf("%d clients beyond the limit, %d remembered", beyond, len(r.clients))
	}
	drainRefusals(r)
	if told := r.Told("a"); len(told) != 1 || told[0].At != minute(0) {
		t.Errorf("a refusal from the future is told as %v, want now", told)
	}
	if told := r.Told("old"); len(told) != 0 {
		t.Errorf("one older than a week is told: %v", told)
	}
	clock.SetTime(at(week + 2))
	if counts := drainRefusals(r); !slices.Equal(counts, []uint64{0, 0}) || len(r.clients) != 0 {
		t.Errorf("after a week %v is told and %d clients are remembered", counts, len(r.clients))
	}
	r.merge("two", []usage.Refusal{refusal("b", "WrongSecret", 1, week+2)})
	r.forget("two")
	r.drop(usage.KeyOf("b"))
	if counts := drainRefusals(r); len(counts) != 0 || len(r.clients) != 0 {
		t.Errorf("%v is told of a client that is dropped", counts)
	}
}

// Each process of a token server has reports of another name, which outlast it by a week.
func TestTheRefusalsOfReportsThatAreGoneAreBounded(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(at(0))
	r := newRefusals(clock, time.Minute)
	r.mostStored = 80
	count := func() (stored int) {
		for _, c := range r.clients {
			for report, refusals := range c.reported {
				stored += len(refusals)
				if len(refusals) == 0 {
					t.Errorf("report %s is remembered without content", report)
				}
			}
		}
		return stored
	}
	for now := range 1000 {
		clock.SetTime(at(now))
		r.merge(fmt.Sprint("process-", now), []usage.Refusal{refusal("c", "WrongSecret", 1, now), refusal("d", "WrongSecret", 1, now-now%3), refusal("e", "Suspended", 1, now)})
		drainRefusals(r)
		if stored := count(); stored > r.mostStored || stored != r.stored {
			t.Fatalf("after %d reports %d refusals are remembered, counted as %d", now+1, stored, r.stored)
		}
	}
	newest := r.clients[usage.KeyOf("c")].reported
	if newest["process-999"] == nil || newest["process-990"] == nil || newest["process-900"] != nil {
		t.Errorf("those that are remembered are not the latest: %d", len(newest))
	}
	var flood []usage.Refusal
	for i := range 200 { // all of one minute
		flood = append(flood, refusal("c", fmt.Sprintf("Reason%03d", i), 1, 999))
	}
	r.merge("flood", flood)
	if stored := count(); stored != r.mostStored/8*7 || stored != r.stored {
		t.Errorf("%d of one minute are remembered, counted as %d", stored, r.stored)
	}
	clock.SetTime(at(1000 + int(usage.KeepRefusals/time.Minute)))
	drainRefusals(r)
	if len(r.clients) != 0 || r.stored != 0 {
		t.Errorf("after a week %d clients are remembered and %d refusals counted", len(r.clients), r.stored)
	}
}

func TestTheRefusalsOfADeletedReportAreForgotten(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(at(0))
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	report := &v1alpha1.UsageReport{ObjectMeta: metav1.ObjectMeta{Namespace: "hallpass-registry", Name: "pod-1", CreationTimestamp: instant(0)}}
	report.Spec = v1alpha1.UsageReportSpec{
		Replica: "pod-1", Part: 1, Parts: 1, State: v1alpha1.UsageServing, Uses: usage.Encode(nil),
		Refusals: usage.EncodeRefusals([]usage.Refusal{refusal("c", "WrongSecret", 1, 0)}),
	}
	client := &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "c", UID: "c"}}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(report, client).Build()
	r := &Reconciler{Client: c, Clock: clock, RegistryNamespace: "hallpass-registry", Ledger: NewLedger(clock, time.Minute), Clients: make(chan event.GenericEvent, 10)}
	r.clients.names = map[usage.Key]types.NamespacedName{usage.KeyOf("c"): {Namespace: "shop", Name: "c"}}
	reconcile := func() {
		t.Helper()
		if _, err := r.reconcileNamed(t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Namespace: "hallpass-registry", Name: "pod-1"}}); err != nil {
			t.Fatal(err)
		}
	}
	refusals := r.Ledger.Refusals
	reconcile()
	if refusals.stored != 1 {
		t.Fatalf("%d refusals of the report are remembered", refusals.stored)
	}
	if err := c.Delete(t.Context(), report); err != nil {
		t.Fatal(err)
	}
	reconcile()
	if refusals.stored != 0 {
		t.Errorf("%d refusals of the deleted report are remembered", refusals.stored)
	}
	// What the status has of it is removed after a week.
	client.Status.Refusals = []v1alpha1.RefusalStatus{{Reason: "WrongSecret", Count: 1, LastRefusedAt: instant(0), Message: "m"}}
	if err := c.Update(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	for _, now := range []int{1, 2 + int(usage.KeepRefusals/time.Minute)} {
		clock.SetTime(at(now))
		key, told, _, due := refusals.next()
		if !due || len(told) != 0 {
			t.Fatalf("minute %d: due %t, told %v", now, due, told)
		}
		if writes, err := r.tellRefused(t.Context(), key, told); err != nil || (writes > 0) != (now > 1) {
			t.Errorf("minute %d: %d writes, %v", now, writes, err)
		}
	}
}

// The API server refuses a status for one entry that is out of its bounds, and then it is not
// written again.
func FuzzARefusalThatIsReadFitsIntoTheStatus(f *testing.F) {
	f.Add(usage.EncodeRefusals([]usage.Refusal{refusal("c", "WrongSecret", 0, 0)}))
	f.Add(usage.EncodeRefusals([]usage.Refusal{refusal("c", "WrongSecret", 1<<63, 1<<30)}))
	long := refusal("c", strings.Repeat("R", usage.MaxReason), 1, 0)
	long.Source, long.Subject = strings.Repeat("1", usage.MaxSource), strings.Repeat(`"`, usage.MaxSubject)
	scope := long
	scope.Reason = "ScopeNotGranted"
	f.Add(usage.EncodeRefusals([]usage.Refusal{long, scope}))
	f.Fuzz(func(t *testing.T, data []byte) {
		refusals, err := usage.DecodeRefusals(data)
		if err != nil {
			return
		}
		r := newRefusals(clocktesting.NewFakePassiveClock(noon), time.Minute)
		r.merge("report", slices.Clone(refusals))
		for {
			_, told, _, due := r.next()
			if !due {
				break
			}
			checkStatus(t, told)
		}
		checkStatus(t, refusals) // also what the tables had bounded
		for i := range refusals {
			refusals[i].Count = 0
		}
		checkStatus(t, refusals)
	})
}

// checkStatus checks what a status has of refusals against the bounds of its schema.
func checkStatus(t *testing.T, told []usage.Refusal) {
	t.Helper()
	status := v1alpha1.OAuth2ClientStatus{Secret: v1alpha1.SecretReference{Name: strings.Repeat("s", 253)}}
	CompleteRefusals(&status, &v1alpha1.OAuth2Client{}, told, noon)
	if len(status.Refusals) > v1alpha1.MaxRefusals || len(told) > 0 && told[0].At == minute(0) && len(status.Refusals) == 0 {
		t.Errorf("%d entries of %d refusals", len(status.Refusals), len(told))
	}
	for _, entry := range status.Refusals {
		if entry.Count < 1 || entry.LastRefusedAt.IsZero() || entry.LastRefusedAt.After(noon) || len(entry.Reason) < 1 || len(entry.Reason) > 40 ||
			len(entry.Source) > 64 || len(entry.Message) < 1 || len(entry.Message) > 512 {
			t.Errorf("out of bounds: %+v", entry)
		}
	}
}

func TestTheStatusHasWhatWasRefusedLast(t *testing.T) {
	entry := func(reason string, count int64, minutes int) v1alpha1.RefusalStatus {
		return v1alpha1.RefusalStatus{
			Reason: reason, Count: count, LastRefusedAt: instant(minutes), Message: v1alpha1.RefusalMessage(reason, "", ""),
		}
	}
	week := int(usage.KeepRefusals / time.Minute)
	var many []v1alpha1.RefusalStatus
	for i := range v1alpha1.MaxRefusals {
		many = append(many, entry(fmt.Sprint("R", i), 1, -i))
	}
	for name, c := range map[string]struct {
		before     []v1alpha1.RefusalStatus
		told       []usage.Refusal
		want, news []v1alpha1.RefusalStatus
	}{
		"nothing": {},
		"the first one": {
			told: []usage.Refusal{refusal("c", "WrongSecret", 3, -1)},
			want: []v1alpha1.RefusalStatus{entry("WrongSecret", 3, -1)}, news: []v1alpha1.RefusalStatus{entry("WrongSecret", 3, -1)},
		},
		"the same again is no news": {
			before: []v1alpha1.RefusalStatus{entry("WrongSecret", 3, -1)}, told: []usage.Refusal{refusal("c", "WrongSecret", 3, -1)},
			want: []v1alpha1.RefusalStatus{entry("WrongSecret", 3, -1)},
		},
		"more in the same minute": {
			before: []v1alpha1.RefusalStatus{entry("WrongSecret", 3, -1)}, told: []usage.Refusal{refusal("c", "WrongSecret", 4, -1)},
			want: []v1alpha1.RefusalStatus{entry("WrongSecret", 4, -1)}, news: []v1alpha1.RefusalStatus{entry("WrongSecret", 4, -1)},
		},
		"later ones, of which less is known": {
			before: []v1alpha1.RefusalStatus{entry("WrongSecret", 9, -5)}, told: []usage.Refusal{refusal("c", "WrongSecret", 1, -1)},
			want: []v1alpha1.RefusalStatus{entry("WrongSecret", 1, -1)}, news: []v1alpha1.RefusalStatus{entry("WrongSecret", 1, -1)},
		},
		"earlier ones": {
			before: []v1alpha1.RefusalStatus{entry("WrongSecret", 3, -1)}, told: []usage.Refusal{refusal("c", "WrongSecret", 9, -5)},
			want: []v1alpha1.RefusalStatus{entry("WrongSecret", 3, -1)},
		},
		"those older than a week go": {before: []v1alpha1.RefusalStatus{entry("WrongSecret", 3, 0), entry("Suspended", 1, -week-1)}, want: []v1alpha1.RefusalStatus{entry("WrongSecret", 3, 0)}},
		"the last of them goes":      {before: []v1alpha1.RefusalStatus{entry("Suspended", 1, -week-1)}},
		"the oldest makes room": {
			before: many, told: []usage.Refusal{refusal("c", "WrongSecret", 1, 0)},
			want: append([]v1alpha1.RefusalStatus{many[0], entry("WrongSecret", 1, 0)}, many[1:v1alpha1.MaxRefusals-1]...),
			news: []v1alpha1.RefusalStatus{entry("WrongSecret", 1, 0)},
		},
		"one that anyone can cause displaces none that takes the credential": {
			before: append(slices.Clone(many[:v1alpha1.MaxRefusals-1]), entry("ScopeNotGranted", 1, -100)), told: []usage.Refusal{refusal("c", "WrongSecret", 1, 0)},
			want: append(append([]v1alpha1.RefusalStatus{many[0], entry("WrongSecret", 1, 0)}, many[1:v1alpha1.MaxRefusals-2]...), entry("ScopeNotGranted", 1, -100)),
			news: []v1alpha1.RefusalStatus{entry("WrongSecret", 1, 0)},
		},
		"what the status does not keep is no news": {before: many, told: []usage.Refusal{refusal("c", "WrongSecret", 1, -week+1)}, want: many},
	} {
		t.Run(name, func(t *testing.T) {
			var status v1alpha1.OAuth2ClientStatus
			news := CompleteRefusals(&status, &v1alpha1.OAuth2Client{Status: v1alpha1.OAuth2ClientStatus{Refusals: c.before}}, c.told, noon)
			if diff := cmp.Diff(c.want, status.Refusals); diff != "" {
				t.Errorf("status (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.news, news, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("news (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAMessageSaysWhatToDo(t *testing.T) {
	for want, got := range map[string]string{
		`The client secret is not one of this client. Read client_id and client_secret from Secret "shop" again, and restart pods that took them from the environment.`: v1alpha1.RefusalMessage("WrongSecret", "", "shop"),
		"docs/audit.md has for each reason what to do.":  v1alpha1.RefusalMessage("SomethingNew", "", "shop"),
		"Refused 3 times, last from 192.0.2.7. Mend it.": v1alpha1.RefusalStatus{Count: 3, Source: "192.0.2.7", Message: "Mend it."}.Text(),
		"Refused once. Mend it.":                         v1alpha1.RefusalStatus{Count: 1, Message: "Mend it."}.Text(),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// onlyResource is the only API that there is.
type onlyResource struct{ api *oauth2.Resource }

func (r onlyResource) ResourceByIdentifier(string) *oauth2.Resource { return r.api }
func (r onlyResource) Resource(oauth2.ObjectName) *oauth2.Resource  { return r.api }

// The message is about the request that was refused: what it asked for, and where.
func TestAMessageIsAboutTheRequest(t *testing.T) {
	const another = " If status.grants lists the scope for another audience, send that audience as the parameter resource. "
	issuer, err := oauth2.ParseIssuer("https://hallpass.test", false)
	if err != nil {
		t.Fatal(err)
	}
	long := "https://orders.example.com/" + strings.Repeat("x", oauth2.MaxSubject)
	for name, c := range map[string]struct {
		form url.Values
		want string
	}{
		"a scope without a resource": {
			url.Values{"scope": {"orders.read"}},
			`The scope "orders.read" is not granted to this client at its default audience, which a request without the parameter resource is for.` + another +
				"Otherwise ask for a scope of spec.scopes or status.grants, or ask the owner of the API for a grant.",
		},
		"a scope at another resource": {
			url.Values{"scope": {"orders.wrte"}, "resource": {"https://orders.example.com"}},
			`The scope "orders.wrte" is not granted to this client at "https://orders.example.com".` + another + "Otherwise ask the owner of the API for a grant.",
		},
		"a scope at a resource with a long name": {
			url.Values{"scope": {"orders.wrte"}, "resource": {long}},
			`The scope "orders.wrte" is not granted to this client at the resource of the request.` + another + "Otherwise ask the owner of the API for a grant.",
		},
		"a scope that may be a credential": {
			url.Values{"scope": {"me@example.com"}, "resource": {"https://orders.example.com"}},
			`The scope that was asked for is not granted to this client at "https://orders.example.com".` + another + "Otherwise ask the owner of the API for a grant.",
		},
		"a resource": {
			url.Values{"resource": {"urn:a"}},
			`Nothing is granted to this client at "urn:a". Send as resource an audience of status.grants, or ask the owner of the API for a grant.`,
		},
		"a resource that may be a credential": {
			url.Values{"resource": {"https://me:secret@example.com"}},
			"Nothing is granted to this client at the resource that was asked for. Send as resource an audience of status.grants, or ask the owner of the API for a grant.",
		},
		"several resources": {
			url.Values{"resource": {"urn:a", "urn:b"}},
			"The request has several parameters named resource, and a token is for one. Send a request for each resource.",
		},
		"a resource that is no URI": {
			url.Values{"resource": {"orders"}},
			"The parameter resource of the request is not an absolute URI without a fragment. Send an audience of status.grants.",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.form.Set("grant_type", oauth2.GrantClientCredentials)
			form, err := oauth2.ParseForm(c.form.Encode())
			if err != nil {
				t.Fatal(err)
			}
			client := &oauth2.Client{Namespace: "shop", Access: []oauth2.Access{{Resource: oauth2.ObjectName{Namespace: "orders", Name: "api"}, Scopes: []string{"orders.read"}}}}
			request, err := oauth2.ParseTokenRequest(form)
			if err == nil {
				api := &oauth2.Resource{Namespace: "orders", Name: "api", Identifier: "https://orders.example.com", Scopes: []string{"orders.read"}}
				if api.Consents = []oauth2.Consent{{Namespaces: []string{"shop"}, Scopes: api.Scopes}}; len(request.Scopes) > 0 {
					api.Identifier = request.Resource
				}
				_, err = issuer.Grant(client, request, onlyResource{api})
			}
			refusal, refused := errors.AsType[*oauth2.Error](err)
			if !refused || !usage.Printable(refusal.Subject, usage.MaxSubject) {
				t.Fatalf("not refused, or with a subject that no report has: %+v", refusal)
			}
			if diff := cmp.Diff(c.want, v1alpha1.RefusalMessage(string(refusal.Reason), refusal.Subject, "")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	large := "The token would be longer than 8 KiB. Ask for fewer scopes in a request."
	if got := v1alpha1.RefusalMessage(string(oauth2.ErrTokenTooLarge.Reason), oauth2.ErrTokenTooLarge.Subject, ""); got != large {
		t.Errorf("%q, want %q", got, large)
	}
}

// A report may name clients that are gone, or that a compromised replica made up.
func TestOnlyClientsThatExistAreWoken(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(at(0))
	there := &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "there", UID: "there"}}
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(there).Build()
	woken := make(chan event.GenericEvent, 10)
	r := &Reconciler{Client: c, Clock: clock, RegistryNamespace: "hallpass-registry", Ledger: NewLedger(clock, 10*time.Minute), Clients: woken}
	r.clients.names = map[usage.Key]types.NamespacedName{
		usage.KeyOf("there"): {Namespace: "shop", Name: "there"}, usage.KeyOf("gone"): {Namespace: "shop", Name: "gone"},
	}
	refusals := r.Ledger.Refusals
	for _, uid := range []string{"there", "gone", "made-up"} {
		refusals.merge("of-"+uid, []usage.Refusal{refusal(uid, "WrongSecret", 1, 0)})
	}
	for range 3 {
		key, told, _, due := refusals.next()
		writes, err := r.tellRefused(t.Context(), key, told)
		if err != nil || !due || (writes == 2) != (key == usage.KeyOf("there")) {
			t.Errorf("due %t, %d writes, %v", due, writes, err)
		}
	}
	if len(woken) != 1 || len(refusals.clients) != 1 {
		t.Errorf("%d clients are woken and %d remembered, want the one that exists", len(woken), len(refusals.clients))
	}
}
