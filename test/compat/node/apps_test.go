// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// issuer is that of an installation in which nothing was set: the address of the Service.
const issuer = "https://hallpass-tokenserver.hallpass-system.svc"

// clients are what the teams apply: an API with its declaration, and two callers, of which one has
// no secret.
const clients = `
apiVersion: hallpass.dev/v1alpha1
kind: OAuth2Resource
metadata: {name: orders-api, namespace: orders}
spec:
  scopes: [{name: orders.read, description: Read orders}]
  grants: [{from: {namespaces: [shop]}, scopes: [orders.read]}]
---
apiVersion: hallpass.dev/v1alpha1
kind: OAuth2Client
metadata: {name: orders-api, namespace: orders}
---
apiVersion: hallpass.dev/v1alpha1
kind: OAuth2Client
metadata: {name: checkout, namespace: shop}
spec:
  access: [{resourceNamespace: orders, resourceName: orders-api, scopes: [orders.read]}]
  defaultResource: {namespace: orders, name: orders-api}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: worker, namespace: shop}
---
apiVersion: hallpass.dev/v1alpha1
kind: OAuth2Client
metadata: {name: worker, namespace: shop}
spec:
  access: [{resourceNamespace: orders, resourceName: orders-api, scopes: [orders.read]}]
  defaultResource: {namespace: orders, name: orders-api}
  authentication: {method: ServiceAccount, serviceAccount: {name: worker}}
`

// app is a Deployment of the test's program: its name, namespace, service account, arguments and
// what is mounted.
const app = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s, namespace: %[2]s}
spec:
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      serviceAccountName: %[3]s
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 1
      securityContext: {runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532, fsGroup: 65532, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: app
        image: ` + appImage + ":" + version + `
        args: %[4]s
        securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
        readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 2}
        volumeMounts: [{name: hallpass, mountPath: /var/run/hallpass, readOnly: true}]
      volumes:
      - name: hallpass
        %[5]s
---
apiVersion: v1
kind: Service
metadata: {name: %[1]s, namespace: %[2]s}
spec:
  selector: {app: %[1]s}
  ports: [{port: 80, targetPort: 8080}]
`

const (
	called      = "http://orders-api.orders.svc"
	withoutOne  = `projected: {sources: [{serviceAccountToken: {path: token, audience: "` + issuer + `", expirationSeconds: 3600}}, {configMap: {name: worker}}]}`
	secretMount = `secret: {secretName: %s}`
)

func (c *cluster) deployApps(t *testing.T) {
	t.Helper()
	for _, namespace := range []string{"shop", "orders"} {
		c.kubectl(t, "create", "namespace", namespace)
		c.kubectl(t, "label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted", "pod-security.kubernetes.io/warn=restricted")
	}
	c.apply(t, clients)
	c.apply(t, fmt.Sprintf(app, "orders-api", "orders", "default", `[api]`, fmt.Sprintf(secretMount, "orders-api")))
	c.apply(t, fmt.Sprintf(app, "checkout", "shop", "default", `[call, "`+called+`"]`, fmt.Sprintf(secretMount, "checkout")))
	c.apply(t, fmt.Sprintf(app, "worker", "shop", "worker", `[call, "`+called+`"]`, withoutOne))
}

// journey is what a caller logs about a token that it fetched and the API that it called with it.
type journey struct {
	Active     bool   `json:"active"`
	ClientID   string `json:"client_id"`
	Scope      string `json:"scope"`
	Credential string `json:"credential"`
	Stranger   string `json:"stranger"`
}

// ask asks the running Pod of a caller, which the node reaches by its address.
func (c *cluster) ask(ctx context.Context, name, method, path string, answer any) error {
	pods, err := c.admin.CoreV1().Pods("shop").List(ctx, metav1.ListOptions{LabelSelector: "app=" + name})
	if err != nil {
		return err
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.Status.Phase != corev1.PodRunning || pod.Status.PodIP == "" || pod.DeletionTimestamp != nil {
			continue
		}
		return get(ctx, method, "http://"+pod.Status.PodIP+":8080"+path, answer)
	}
	return errors.New("no pod runs")
}

func get(ctx context.Context, method, address string, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, address, http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s: %s", address, response.Status, body)
	}
	return json.Unmarshal(body, answer)
}

// travels waits until a caller's journey succeeds with the expected result.
func (c *cluster) travels(t *testing.T, name string) journey {
	t.Helper()
	var j journey
	c.eventually(t, name+" calls the API with a token", func(ctx context.Context) error {
		j = journey{}
		return c.ask(ctx, name, http.MethodGet, "/once", &j)
	})
	if !j.Active || j.ClientID != "shop."+name || j.Scope != "orders.read" {
		t.Errorf("the API sees %+v", j)
	}
	if !strings.Contains(j.Stranger, "401") {
		t.Errorf("to what is no token the API says %q", j.Stranger)
	}
	return j
}

// tally is what came of a load.
type tally struct {
	Calls    int      `json:"calls"`
	Failures []string `json:"failures"`
}

// callsAround is how many calls each caller makes before something happens, and again after it.
const callsAround = 50

// underLoad has both callers call without pause before, while and after something happens, and no
// call may fail.
func (c *cluster) underLoad(t *testing.T, happens func()) {
	t.Helper()
	callers := []string{"checkout", "worker"}
	var said string
	for _, name := range callers {
		must(t, c.ask(t.Context(), name, http.MethodPost, "/start", &said))
	}
	began := time.Now()
	c.waitCalls(t, callers)
	happens()
	c.waitCalls(t, callers)
	for _, name := range callers {
		var sum tally
		must(t, c.ask(t.Context(), name, http.MethodPost, "/stop", &sum))
		say("%s called %d times in %s, %d failed", name, sum.Calls, time.Since(began).Round(time.Second), len(sum.Failures))
		if len(sum.Failures) > 0 {
			t.Errorf("%s: of %d calls failed: %s", name, sum.Calls, strings.Join(sum.Failures, "\n"))
		}
	}
}

// waitCalls waits until each caller has called that many times more.
func (c *cluster) waitCalls(t *testing.T, callers []string) {
	t.Helper()
	for _, name := range callers {
		wanted := 0
		c.eventually(t, name+" goes on calling", func(ctx context.Context) error {
			var calls int
			if err := c.ask(ctx, name, http.MethodGet, "/count", &calls); err != nil {
				return err
			}
			if wanted == 0 {
				wanted = calls + callsAround
			}
			if calls < wanted {
				return fmt.Errorf("%d of %d calls", calls, wanted)
			}
			return nil
		})
	}
}
