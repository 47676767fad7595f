// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package reporter writes the uses of clients that one replica of the token server saw, as
// UsageReports in the registry namespace. No request waits for it.
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
	"slices"
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
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/usage"
)

// A replica writes at most writesPerInterval objects an interval, however many clients there are,
// and at least one each heartbeat, which shows that it is alive.
const (
	// DefaultInterval is the least time between two writes of one object.
	DefaultInterval   = time.Minute
	writesPerInterval = 4
	heartbeat         = 10 * time.Minute
	// retry is the interval of attempts at the first report, lastGap the time between the last
	// writes.
	retry        = time.Second
	lastGap      = 250 * time.Millisecond
	writeTimeout = 5 * time.Second
)

const resource = "usagereports"

// Config is what a Reporter needs.
type Config struct {
	REST      *rest.Config
	Namespace string
	// Host begins the name of the replica, without characters that names cannot have.
	Host  string
	Usage *Gatherer
	// Refusals are reported beside the uses; nil if they are not.
	Refusals *Refusals
	// MaxStaleness is that of usage.Replica.
	MaxStaleness time.Duration
	// Interval is the time between two writes; zero means DefaultInterval.
	Interval time.Duration
	Log      *slog.Logger
	// Written receives the result of each write; it may be nil.
	Written func(ok bool)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// The token server writes its own reports. It cannot list, change or delete those of others by
// name, for it does not learn their names, and nothing is granted by any.
//
// +kubebuilder:rbac:namespace=hallpass-registry,groups=hallpass.dev,resources=usagereports,verbs=get;create;update

// Reporter writes the reports of one replica.
type Reporter struct {
	Config

	client  rest.Interface
	replica string
	started time.Time
	opened  atomic.Bool
	// vouched is the instant in Unix seconds up to which the stored report lacks nothing.
	vouched atomic.Int64
	closed  bool
	failing bool
	parts   []*part
	// declared is the coverage and the losses of the stored report.
	declared snapshot
}

// part is one stored object of the report.
type part struct {
	// version is its resourceVersion; empty if it does not exist.
	version string
	// digest is the hash of its uses, and complete the instant up to which it lacks none.
	digest    [sha256.Size]byte
	refusals  [sha256.Size]byte
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

// Reporting reports whether the report exists and covers the time since MaxStaleness. The manager
// relies on it: a replica that does not accepts no watched secret (usage.Judge).
func (r *Reporter) Reporting() bool {
	return r.opened.Load() && (r.MaxStaleness <= 0 || r.Now().Sub(time.Unix(r.vouched.Load(), 0)) <= r.MaxStaleness)
}

// Closed reports whether the last report was written.
func (r *Reporter) Closed() bool { return r.closed }

const maxHost = 100

// replicaName returns the host's name with a random suffix.
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

// Run writes until the context ends, the first part first.
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

// Close writes the rest and the end of the report. Run must have returned, and the last request be
// answered.
func (r *Reporter) Close(ctx context.Context) {
	if !r.opened.Load() {
		return
	}
	seen := r.look()
	for i := len(r.parts) - 1; i > 0; i-- {
		if !r.changed(i, seen) {
			continue
		}
		if r.writePart(ctx, i, seen) != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(lastGap):
		}
	}
	// a replica that cannot report it looks like one that was killed
	r.closed = r.write(ctx, 0, v1alpha1.UsageStopped, seen) == nil
}

// snapshot is the content of a report at an instant.
type snapshot struct {
	at    time.Time
	parts [][]byte
	// refusals stand in the first part; empty if there are none.
	refusals []byte
	// from is the instant since which no use is missing, but for those of losses.
	from   time.Time
	losses []usage.Loss
}

// settling is how old a use is that was certainly stored: longer than any request takes.
const settling = time.Minute

// look reads the uses. A new part contains what another one contained before.
func (r *Reporter) look() snapshot {
	now := r.Now()
	report := r.Usage.Report(usage.MinuteOf(now), len(r.parts))
	seen := snapshot{at: now, parts: report.Parts, losses: report.Losses, from: report.From.Time()}
	if !report.Whole {
		seen.from = now
	}
	if seen.from.Before(r.started) {
		seen.from = r.started
	}
	if r.Refusals != nil {
		if refusals := r.Refusals.Entries(usage.MinuteOf(now)); len(refusals) > 0 {
			seen.refusals = usage.EncodeRefusals(refusals)
		}
	}
	for before := len(r.parts); len(r.parts) < len(report.Parts); {
		r.parts = append(r.parts, &part{complete: r.parts[len(r.parts)%before].complete})
	}
	return seen
}

func (r *Reporter) changed(i int, seen snapshot) bool {
	return r.parts[i].version == "" || r.parts[i].digest != sha256.Sum256(seen.parts[i])
}

// step writes the part that has waited longest, if one is due. New parts come first, the highest
// first: their uses disappear from the lower ones when those are written.
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
	switch {
	case next >= 0:
	case r.parts[0].refusals != sha256.Sum256(seen.refusals) && !seen.at.Before(r.parts[0].writtenAt.Add(r.Interval)):
		next = 0 // refusals alone wait until no use does
	default:
		return nil
	}
	return r.writePart(ctx, next, seen)
}

// writePart writes one part. If a part that is stored is about to lack uses, the first part has to
// name the loss before.
func (r *Reporter) writePart(ctx context.Context, i int, seen snapshot) error {
	if i > 0 && r.parts[i].version != "" && r.undeclared(seen) {
		if err := r.write(ctx, 0, v1alpha1.UsageServing, seen); err != nil {
			return err
		}
	}
	return r.write(ctx, i, v1alpha1.UsageServing, seen)
}

// undeclared reports whether uses are lost that the stored report claims to have. Uses that are too
// old to be evidence are no loss.
func (r *Reporter) undeclared(seen snapshot) bool {
	tooOld := (usage.MinuteOf(seen.at) - keepMinutes).Time()
	if seen.from.After(r.declared.from) && seen.from.After(tooOld) {
		return true
	}
	return slices.ContainsFunc(seen.losses, func(loss usage.Loss) bool {
		return !slices.ContainsFunc(r.declared.losses, func(known usage.Loss) bool { return known.Namespace == loss.Namespace && known.Until >= loss.Until })
	})
}

// write writes one part. The first has the coverage: up to the oldest change that is not written
// yet.
func (r *Reporter) write(ctx context.Context, i int, state v1alpha1.UsageReportState, seen snapshot) error {
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
		report.Spec.Refusals, report.Spec.TokenVersion = seen.refusals, oauth2.TokenVersion
		report.Spec.Version, report.Spec.MinReader = v1alpha1.UsageReportWithTokenVersion, 1
		if len(seen.losses) > 0 {
			report.Spec.MinReader = v1alpha1.UsageReportWithLosses
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
		r.declare(seen)
		r.parts[0].refusals = sha256.Sum256(seen.refusals)
		r.vouched.Store(max(r.started.Unix(), report.Spec.CoveredUntil.Unix()))
	}
	p := r.parts[i]
	p.version, p.digest, p.writtenAt, p.complete = report.ResourceVersion, sha256.Sum256(seen.parts[i]), seen.at, seen.at.Add(-settling)
	return nil
}

// declare notes the losses that the first part has, and logs the first of them.
func (r *Reporter) declare(seen snapshot) {
	if len(seen.losses) > 0 && len(r.declared.losses) == 0 {
		r.Log.Warn("a namespace has more objects in use than are remembered; its replaced secrets that end once they are unused end later",
			"namespace", seen.losses[0].Namespace, "namespaces", len(seen.losses))
	}
	r.declared = snapshot{from: seen.from, losses: seen.losses}
}

// completeUntil returns the instant up to which the stored parts, with the first as it is about to
// be, lack nothing.
func (r *Reporter) completeUntil(seen snapshot, state v1alpha1.UsageReportState) time.Time {
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

// put stores a report and sets its new version. It creates a deleted object again, and adopts one
// whose write succeeded without an answer.
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

// tell counts a write, and logs the first failure and the recovery.
func (r *Reporter) tell(err error) {
	if r.Written != nil {
		r.Written(err == nil)
	}
	if failing := err != nil; failing != r.failing {
		r.failing = failing
		if failing {
			r.Log.Warn("cannot write the usage report; what clients use is kept and reported later", "error", err)
		} else {
			r.Log.Info("the usage report is written again")
		}
	}
}
