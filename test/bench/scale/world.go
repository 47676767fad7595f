// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

const (
	poll   = 10 * time.Millisecond
	scrape = 100 * time.Millisecond // which reads every client
	limit  = 20 * time.Minute
)

// world is an installation of real processes on a control plane.
type world struct {
	cp      *controlplane.ControlPlane
	cluster client.WithWatch
	dir     string
	root    string // of the repository
	address string // of the token server

	etcd etcd
	// emptyDatabase is the size of etcd's database before there is a client.
	emptyDatabase int64
	// emptyManager is the resident memory of a manager without clients, in MiB, perClient what
	// it holds a client, in KiB.
	emptyManager, perClient float64
	// lookedAt is how long a restarted manager took to reconcile every client.
	lookedAt time.Duration

	manager, tokenserver *process
}

func start(ctx context.Context) (_ *world, err error) {
	w := &world{}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.stop())
		}
	}()
	if w.dir, err = os.MkdirTemp("", "hallpass-scale-"); err != nil {
		return nil, err
	}
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return nil, fmt.Errorf("find the repository: %w", err)
	}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", w.dir, "./cmd/manager", "./cmd/tokenserver")
	w.root = strings.TrimSpace(string(root))
	build.Dir, build.Env = w.root, append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the binaries: %w: %s", err, output)
	}
	if w.cp, err = controlplane.Start(ctx, controlplane.Options{}); err != nil {
		return nil, err
	}
	w.etcd = dial(w.cp.EtcdSocket())
	if err := installation.Install(ctx, w.cp, build.Dir); err != nil {
		return nil, err
	}
	if w.cluster, err = installation.Connect(w.cp.AdminConfig()); err != nil {
		return nil, err
	}
	if w.address, err = installation.FreeAddress(); err != nil {
		return nil, err
	}
	if err := w.startManager(ctx); err != nil {
		return nil, err
	}
	return w, w.startTokenServer(ctx)
}

func (w *world) stop() error {
	w.manager.stop()
	w.tokenserver.stop()
	var err error
	if w.cp != nil {
		err = w.cp.Stop()
	}
	return errors.Join(err, os.RemoveAll(w.dir))
}

func (w *world) issuer() string { return "http://" + w.address }

func (w *world) startManager(ctx context.Context) error {
	kubeconfig, err := w.cp.ServiceAccountKubeconfig(ctx, installation.SystemNamespace, installation.ManagerAccount)
	if err != nil {
		return err
	}
	metrics, err := installation.FreeAddress()
	if err != nil {
		return err
	}
	w.manager, err = w.launch(ctx, "manager", "http://"+metrics, "--kubeconfig="+kubeconfig, "--issuer="+w.issuer(), "--allow-http-issuer",
		"--manage-serving-certificate=false", "--leader-elect=false", "--metrics-bind-address="+metrics, "--health-probe-bind-address=0")
	return err
}

func (w *world) startTokenServer(ctx context.Context) error {
	kubeconfig, err := w.cp.ServiceAccountKubeconfig(ctx, installation.SystemNamespace, installation.TokenServerAccount)
	if err != nil {
		return err
	}
	ops, err := installation.FreeAddress()
	if err != nil {
		return err
	}
	if w.tokenserver, err = w.launch(ctx, "tokenserver", "http://"+ops, "--kubeconfig="+kubeconfig, "--issuer="+w.issuer(),
		"--require-https=false", "--listen="+w.address, "--ops-listen="+ops); err != nil {
		return err
	}
	return until(ctx, func() bool { return installation.Ready(ctx, w.tokenserver.ops) })
}

// countReady returns when that many clients have been seen to be Ready; countSecrets does so of
// their Secrets.
func (w *world) countReady(ctx context.Context, clients int) (<-chan time.Time, error) {
	return count(func() (watch.Interface, error) {
		return w.cluster.Watch(ctx, &v1alpha1.OAuth2ClientList{})
	}, clients, func(object runtime.Object) bool {
		c, ok := object.(*v1alpha1.OAuth2Client)
		return ok && meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady)
	})
}

func (w *world) countSecrets(ctx context.Context, clients int) (<-chan time.Time, error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	return count(func() (watch.Interface, error) {
		return w.cluster.Watch(ctx, list, client.MatchingFields{"type": v1alpha1.SecretTypeClient})
	}, clients, func(runtime.Object) bool { return true })
}

// count opens a watch again that the API server ends, as it does to one that is slow; it then
// begins with all that is there.
func count(open func() (watch.Interface, error), wanted int, counts func(runtime.Object) bool) (<-chan time.Time, error) {
	watcher, err := open()
	if err != nil {
		return nil, err
	}
	last := make(chan time.Time, 1)
	go func() {
		defer close(last)
		seen := make(map[client.ObjectKey]bool, wanted)
		for err == nil {
			for event := range watcher.ResultChan() {
				if object, ok := event.Object.(client.Object); ok && counts(event.Object) {
					seen[client.ObjectKeyFromObject(object)] = true
				}
				if len(seen) == wanted {
					watcher.Stop()
					last <- time.Now()
					return
				}
			}
			watcher.Stop()
			watcher, err = open()
		}
	}()
	return last, nil
}

// informer times what any program needs that keeps the same objects: bare informers of client-go
// for the OAuth2Clients, their Secrets and their registrations.
func (w *world) informer(ctx context.Context, found *figures) error {
	config, err := w.cp.ServiceAccountConfig(ctx, installation.SystemNamespace, installation.ManagerAccount)
	if err != nil {
		return err
	}
	config.QPS = -1
	scheme := w.cluster.Scheme()
	transport, err := rest.HTTPClientFor(config)
	if err != nil {
		return err
	}
	core, err := apiutil.RESTClientForGVK(corev1.SchemeGroupVersion.WithKind("Secret"), false, false, config, serializer.NewCodecFactory(scheme), transport)
	if err != nil {
		return err
	}
	ours, err := apiutil.RESTClientForGVK(v1alpha1.GroupVersion.WithKind("OAuth2Client"), false, false, config, serializer.NewCodecFactory(scheme), transport)
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	started := time.Now()
	var synced []cache.InformerSynced
	for _, kept := range []struct {
		from                cache.Getter
		resource, namespace string
		object              client.Object
		selected            fields.Selector
	}{
		{core, "secrets", installation.RegistryNamespace, &corev1.Secret{}, fields.Everything()},
		{core, "secrets", metav1.NamespaceAll, &corev1.Secret{}, fields.OneTermEqualSelector("type", v1alpha1.SecretTypeClient)},
		{ours, "oauth2clients", metav1.NamespaceAll, &v1alpha1.OAuth2Client{}, fields.Everything()},
	} {
		informer := cache.NewSharedInformer(cache.NewListWatchFromClient(kept.from, kept.resource, kept.namespace, kept.selected), kept.object, 0)
		go informer.RunWithContext(running)
		synced = append(synced, informer.HasSynced)
	}
	if !cache.WaitForCacheSync(running.Done(), synced...) {
		return running.Err()
	}
	bare := time.Since(started)
	found.took("bare informers have the same objects after", bare)
	found.aim("the restarted manager / bare informers", w.lookedAt.Seconds()/bare.Seconds(), "", mostOfInformers)
	return nil
}

// granted asks for tokens until one with that scope is issued.
func (w *world) granted(ctx context.Context, credentials *corev1.Secret, scope string) error {
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}.Encode()
	return until(ctx, func() bool {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.issuer()+"/oauth2/token", strings.NewReader(form))
		if err != nil {
			return false
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.SetBasicAuth(string(credentials.Data["client_id"]), string(credentials.Data["client_secret"]))
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return false
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

// process is one of our binaries.
type process struct {
	command *exec.Cmd
	ops     string
}

func (w *world) launch(ctx context.Context, name, ops string, args ...string) (*process, error) {
	limit, err := installation.MemoryLimit(w.root, name)
	if err != nil {
		return nil, err
	}
	output, err := os.OpenFile(filepath.Join(w.dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = output.Close() }()
	command := exec.CommandContext(ctx, filepath.Join(w.dir, name), args...)
	command.Env = append(os.Environ(), limit)
	command.Stdout, command.Stderr = output, output
	if err := command.Start(); err != nil {
		return nil, err
	}
	return &process{command: command, ops: ops}, nil
}

func (p *process) stop() {
	if p == nil {
		return
	}
	_ = p.command.Process.Kill()
	_ = p.command.Wait()
}

// resident is the process's resident memory in MiB.
func (p *process) resident() (float64, error) {
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if value, found := strings.CutPrefix(lines.Text(), "VmRSS:"); found {
			kilobytes, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 64)
			return kilobytes / 1024, err
		}
	}
	return 0, errors.New("no VmRSS")
}

// reconciled waits until the manager has reconciled as many clients, by its own metrics.
func (p *process) reconciled(ctx context.Context, clients int) error {
	return every(ctx, scrape, func() bool {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.ops+"/metrics", http.NoBody)
		if err != nil {
			return false
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return false
		}
		defer func() { _ = response.Body.Close() }()
		total := 0.0
		lines := bufio.NewScanner(response.Body)
		for lines.Scan() {
			if rest, found := strings.CutPrefix(lines.Text(), `controller_runtime_reconcile_total{controller="oauth2client",`); found {
				_, value, _ := strings.Cut(rest, "} ")
				n, _ := strconv.ParseFloat(value, 64)
				total += n
			}
		}
		return total >= float64(clients)
	})
}

func until(ctx context.Context, done func() bool) error { return every(ctx, poll, done) }

func every(ctx context.Context, pause time.Duration, done func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for !done() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
	return nil
}
