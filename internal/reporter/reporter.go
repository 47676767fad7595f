// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package reporter writes down what one replica of the token server saw of the use of clients: UsageReports in the registry
// namespace, now and then and a few at a time. No request waits for it, and nothing is lost by its failing but the news.
package reporter

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/usage"
)

// How often is written. A replica writes at most writesPerInterval objects an interval, however many clients there are, so with
// many clients it takes longer until a change of one is told; and at least once in heartbeat, so that it is known to be there.
const (
	// DefaultInterval is how often one object is written at the most.
	DefaultInterval   = time.Minute
	writesPerInterval = 4
	heartbeat         = 10 * time.Minute
	// retry is how soon the first report is tried again, and lastGap what is between the writes of a replica that stops.
	retry   = time.Second
	lastGap = 250 * time.Millisecond
	// writeTimeout bounds one write.
	writeTimeout = 5 * time.Second
)

const resource = "usagereports"

// Config is what a Reporter needs.
type Config struct {
	// REST connects with the token server's own rights.
	REST *rest.Config
	// Namespace is the registry namespace.
	Namespace string
	// Host begins the name of the replica; what cannot stand in a name is left out.
	Host string
	// Usage is what is told.
	Usage *Gatherer
	// MaxStaleness is how long the replica goes on without hearing from the API server, and accepts watched secrets after the end of what
	// its report covers; zero means for ever.
	MaxStaleness time.Duration
	// Interval is how often; zero means DefaultInterval.
	Interval time.Duration
	Log      *slog.Logger
	// Written is told of each write whether it succeeded; nil if nobody asks.
	Written func(ok bool)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// The token server writes its own reports. It cannot list, change or delete those of others by name, for it does not learn their
// names, and nothing is granted by any.
//
// +kubebuilder:rbac:namespace=hallpass-registry,groups=hallpass.dev,resources=usagereports,verbs=get;create;update

// Reporter writes the reports of one replica.
type Reporter struct {
	Config

	client  rest.Interface
	replica string
	started time.Time
	opened  atomic.Bool
	// vouched is the instant in Unix seconds up to which the report as it is stored tells everything.
	vouched atomic.Int64
	closed  bool
	failing bool
	parts   []*part
}

// part is one object of the report as it is stored.
type part struct {
	// version is its resourceVersion; empty if it is not there.
	version string
	// digest is that of its uses, written at writtenAt; complete is the instant up to which nothing is missing in it.
	digest    [sha256.Size]byte
	writtenAt time.Time
	complete  time.Time
}

// New connects a Reporter; Run writes.
func New(config Config) (*Reporter, error) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("register kinds: %w", err)
	}
	connection := rest.CopyConfig(config.REST)
	connection.APIPath, connection.GroupVersion = "/apis", &v1alpha1.GroupVersion
	connection.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	connection.QPS = -1 // what is written is paced here
	client, err := rest.RESTClientFor(connection)
	if err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Interval == 0 {
		config.Interval = DefaultInterval
	}
	return &Reporter{Config: config, client: client, replica: replicaName(config.Host), started: config.Now(), parts: []*part{{}}}, nil
}

// Vouches reports whether what is used now will be heard of: the report is there, and what it covers is not older than MaxStaleness. The
// manager counts on it: a replica that does not vouch accepts no watched secret (usage.Judge).
func (r *Reporter) Vouches() bool {
	return r.opened.Load() && (r.MaxStaleness <= 0 || r.Now().Sub(time.Unix(r.vouched.Load(), 0)) <= r.MaxStaleness)
}

// Closed reports whether the report says that there will be no more.
func (r *Reporter) Closed() bool { return r.closed }

// maxHost bounds what of the host's name is in that of a replica.
const maxHost = 100

// replicaName is the host's name with a random part behind it.
func replicaName(host string) string {
	name := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' {
			return c
		}
		return -1
	}, strings.ToLower(host))
	name = strings.Trim(name[:min(len(name), maxHost)], "-")
	if name == "" {
		name = "tokenserver"
	}
	return name + "-" + strings.ToLower(rand.Text()[:10])
}

// Run writes until the context ends. The first report is there before anything else is told.
func (r *Reporter) Run(ctx context.Context) {
	err := wait.PollUntilContextCancel(ctx, retry, true, func(ctx context.Context) (bool, error) {
		return r.write(ctx, 0, v1alpha1.UsageServing, r.look()) == nil, nil
	})
	if err != nil {
		return
	}
	r.opened.Store(true)
	_ = wait.PollUntilContextCancel(ctx, r.Interval/writesPerInterval, false, func(ctx context.Context) (bool, error) {
		_ = r.step(ctx) // what failed is tried again in the next step, and logged
		return false, nil
	})
}

// Close tells the rest, and that there will be no more. It is called when Run has returned and the last request was answered.
func (r *Reporter) Close(ctx context.Context) {
	if !r.opened.Load() {
		return
	}
	seen := r.look()
	for i := len(r.parts) - 1; i > 0; i-- {
		if !r.changed(i, seen) {
			continue
		}
		if r.write(ctx, i, v1alpha1.UsageServing, seen) != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(lastGap):
		}
	}
	r.closed = r.write(ctx, 0, v1alpha1.UsageStopped, seen) == nil // a replica that cannot say so looks like one that was killed
}

// picture is what there is to tell at an instant.
type picture struct {
	at    time.Time
	parts [][]byte
	// from is since when nothing is missing.
	from time.Time
}

// settling is how long ago something must be to be sure that it was noted: longer than any request takes.
const settling = time.Minute

// look gathers what there is to tell. A part that is new has in it what stood in another one so far.
func (r *Reporter) look() picture {
	now := r.Now()
	entries, from := r.Usage.Entries(usage.MinuteOf(now))
	encoded, whole := usage.Split(entries, len(r.parts))
	seen := picture{at: now, parts: encoded, from: from.Time()}
	if !whole {
		seen.from = now
	}
	if seen.from.Before(r.started) {
		seen.from = r.started
	}
	for before := len(r.parts); len(r.parts) < len(encoded); {
		r.parts = append(r.parts, &part{complete: r.parts[len(r.parts)%before].complete})
	}
	return seen
}

func (r *Reporter) changed(i int, seen picture) bool {
	return r.parts[i].version == "" || r.parts[i].digest != sha256.Sum256(seen.parts[i])
}

// step writes the part that waits longest, if one is due. New parts come first, the highest of them before the others: what they
// hold disappears from the lower ones when those are written.
func (r *Reporter) step(ctx context.Context) error {
	seen := r.look()
	next := -1
	for i, p := range r.parts {
		due := r.changed(i, seen) && !seen.at.Before(p.writtenAt.Add(r.Interval)) || i == 0 && !seen.at.Before(p.writtenAt.Add(heartbeat))
		switch {
		case !due:
		case next < 0, p.version == "", r.parts[next].version != "" && p.writtenAt.Before(r.parts[next].writtenAt):
			next = i
		}
	}
	if next < 0 {
		return nil
	}
	return r.write(ctx, next, v1alpha1.UsageServing, seen)
}

// write writes one part. The first one says what is covered: everything up to the oldest of the changes that are not told yet.
func (r *Reporter) write(ctx context.Context, i int, state v1alpha1.UsageReportState, seen picture) error {
	report := &v1alpha1.UsageReport{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "UsageReport"},
		ObjectMeta: metav1.ObjectMeta{Name: r.replica, Namespace: r.Namespace, ResourceVersion: r.parts[i].version},
		Spec: v1alpha1.UsageReportSpec{
			Replica: r.replica, Part: int32(i + 1), Parts: int32(len(r.parts)), State: state, //nolint:gosec // there are few parts
			StartedAt: metav1.NewTime(r.started), Uses: seen.parts[i],
		},
	}
	report.Labels = map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}
	if i > 0 {
		report.Name = fmt.Sprintf("%s-%d", r.replica, i+1)
	} else {
		report.Spec.CoveredFrom = metav1.NewTime(seen.from)
		if until := r.completeUntil(seen, state); until.After(seen.from) {
			report.Spec.CoveredUntil = metav1.NewTime(until)
		}
		report.Spec.MaxStalenessSeconds = int32(min(r.MaxStaleness/time.Second, math.MaxInt32)) //nolint:gosec // it is bounded
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	err := r.put(ctx, report)
	r.tell(err)
	if err != nil {
		return err
	}
	if i == 0 {
		r.vouched.Store(max(r.started.Unix(), report.Spec.CoveredUntil.Unix()))
	}
	p := r.parts[i]
	p.version, p.digest, p.writtenAt, p.complete = report.ResourceVersion, sha256.Sum256(seen.parts[i]), seen.at, seen.at.Add(-settling)
	return nil
}

// completeUntil is the instant up to which the parts as they are stored, and the first as it is about to be, lack nothing.
func (r *Reporter) completeUntil(seen picture, state v1alpha1.UsageReportState) time.Time {
	until := seen.at
	if state == v1alpha1.UsageServing {
		until = until.Add(-settling)
	}
	for i := 1; i < len(r.parts); i++ {
		if p := r.parts[i]; r.changed(i, seen) && p.complete.Before(until) {
			until = p.complete
		}
	}
	return until
}

// put stores a report, and leaves in it the version that it got. An object that somebody deleted is made again, and one that a
// write made whose answer was lost is taken up.
func (r *Reporter) put(ctx context.Context, report *v1alpha1.UsageReport) error {
	err := r.send(ctx, report)
	switch {
	case apierrors.IsNotFound(err) && report.ResourceVersion != "":
		report.ResourceVersion = ""
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
		var stored v1alpha1.UsageReport
		if err := r.client.Get().Namespace(r.Namespace).Resource(resource).Name(report.Name).Do(ctx).Into(&stored); err != nil {
			return fmt.Errorf("read usage report %s: %w", report.Name, err)
		}
		if stored.Spec.Replica != r.replica {
			return errors.New("the usage report is another replica's")
		}
		report.ResourceVersion = stored.ResourceVersion
	default:
		return err
	}
	return r.send(ctx, report)
}

func (r *Reporter) send(ctx context.Context, report *v1alpha1.UsageReport) error {
	request := r.client.Post()
	if report.ResourceVersion != "" {
		request = r.client.Put().Name(report.Name)
	}
	var stored v1alpha1.UsageReport
	if err := request.Namespace(r.Namespace).Resource(resource).Body(report).Do(ctx).Into(&stored); err != nil {
		return fmt.Errorf("write usage report %s: %w", report.Name, err)
	}
	if !bytes.Equal(stored.Spec.Uses, report.Spec.Uses) {
		return fmt.Errorf("write usage report %s: something between here and etcd changes it", report.Name)
	}
	report.ResourceVersion = stored.ResourceVersion
	return nil
}

// tell counts a write, and logs when writing begins to fail and when it works again.
func (r *Reporter) tell(err error) {
	if r.Written != nil {
		r.Written(err == nil)
	}
	if failing := err != nil; failing != r.failing {
		r.failing = failing
		if failing {
			r.Log.Warn("cannot write the usage report; what clients use is remembered and told later", "error", err)
		} else {
			r.Log.Info("the usage report is written again")
		}
	}
}
