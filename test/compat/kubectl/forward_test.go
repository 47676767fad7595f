// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package kubectl_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/app"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

// TestATokenIsFetchedByWayOfTheAPIServer has no kubelet: a proxy before the API server answers
// portforward as one does, and passes everything else on.
func TestATokenIsFetchedByWayOfTheAPIServer(t *testing.T) {
	namespaces(t, "forwarded")
	shared.Apply(t, "forwarded", world.NewClient("caller"))
	serveReadyPod(t)
	var forwards atomic.Int32
	kubeconfig := proxied(t, "/portforward", func(w http.ResponseWriter, r *http.Request) {
		forwards.Add(1)
		forward(w, r, strings.TrimPrefix(shared.Hallpass.Issuer.String(), "https://"))
	})
	var out, problems bytes.Buffer
	code := app.Run(t.Context(), []string{"token", "caller", "--no-cache", "--namespace", "forwarded", "--kubeconfig", kubeconfig}, app.Environment{
		IOStreams: genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &problems},
		Dial:      func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no route to host") },
	})
	if code != app.ExitOK || strings.Count(out.String(), ".") != 2 || forwards.Load() == 0 {
		t.Errorf("exit %d after %d forwards: %s", code, forwards.Load(), problems.String())
	}
}

// serveReadyPod makes a Pod of the token server that a kubelet would have started.
func serveReadyPod(t *testing.T) {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: installation.SystemNamespace, Name: "tokenserver-of-this-test",
			Labels: map[string]string{"app.kubernetes.io/name": "hallpass", "app.kubernetes.io/component": "tokenserver"},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "tokenserver", Image: "example.com/tokenserver", Ports: []corev1.ContainerPort{{Name: "https", ContainerPort: 8443}},
			SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: new(false), RunAsNonRoot: new(true), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
		}}},
	}
	must(t, shared.Cluster.Create(t.Context(), pod))
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	must(t, shared.Cluster.Status().Update(t.Context(), pod))
	t.Cleanup(func() {
		must(t, client.IgnoreNotFound(shared.Cluster.Delete(context.Background(), pod, client.GracePeriodSeconds(0))))
	})
}

// proxied starts a proxy before the API server, which handles the paths that end in a suffix
// itself, and returns a kubeconfig of it.
func proxied(t *testing.T, suffix string, handle http.HandlerFunc) string {
	t.Helper()
	config := shared.Plane.AdminConfig()
	transport, err := rest.TransportFor(config)
	must(t, err)
	apiServer, err := url.Parse(config.Host)
	must(t, err)
	proxy := httputil.NewSingleHostReverseProxy(apiServer)
	proxy.Transport = transport
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, suffix) {
			handle(w, r)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "kubeconfig")
	must(t, clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{"c": {Server: server.URL}}, AuthInfos: map[string]*clientcmdapi.AuthInfo{"u": {}},
		Contexts: map[string]*clientcmdapi.Context{"x": {Cluster: "c", AuthInfo: "u"}}, CurrentContext: "x",
	}, file))
	return file
}

// forward does to a request what a kubelet does: it copies the stream of data to and from an
// address.
func forward(w http.ResponseWriter, r *http.Request, address string) {
	if _, err := httpstream.Handshake(r, w, []string{"portforward.k8s.io"}); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	ended := make(chan struct{})
	connection := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(stream httpstream.Stream, _ <-chan struct{}) error {
		if stream.Headers().Get(corev1.StreamType) == corev1.StreamTypeData && stream.Headers().Get(corev1.PortHeader) == "8443" {
			go copyBoth(stream, address, ended)
		}
		return nil
	})
	if connection == nil {
		return
	}
	defer func() { _ = connection.Close() }()
	select {
	case <-ended:
	case <-connection.CloseChan():
	}
}

func copyBoth(stream httpstream.Stream, address string, ended chan struct{}) {
	defer close(ended)
	target, err := net.Dial("tcp", address) //nolint:noctx // the connection of the test ends it
	if err != nil {
		return
	}
	defer func() { _ = target.Close() }()
	go func() { _, _ = io.Copy(target, stream) }()
	_, _ = io.Copy(stream, target)
}
