// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package client_test runs the module for callers, which is a module of its own, with Hallpass on a
// real control plane: programs of the module call each other while the test does what operators and
// accidents do.
package client_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

const namespace = "rotations"

var (
	shared *world.World

	must, eventually = world.Must, world.Eventually
)

func TestMain(m *testing.M) {
	world.Main(world.Options{}, func(_ context.Context, w *world.World) (int, error) {
		shared = w
		return m.Run(), nil
	})
}

// caller is a client whose tokens an API gets all the time.
type caller struct {
	*v1alpha1.OAuth2Client

	// dir is where its Secret is mounted, and mounted the client secret there.
	dir, mounted string
}

// apply creates clients that may read orders, and waits until all are ready. Their tokens live as
// briefly as they may.
func apply(t *testing.T, overlap v1alpha1.Duration, names ...string) []*caller {
	t.Helper()
	callers := make([]*caller, len(names))
	for i, name := range names {
		callers[i] = &caller{OAuth2Client: &v1alpha1.OAuth2Client{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			Spec: v1alpha1.OAuth2ClientSpec{
				Scopes: []v1alpha1.Scope{"orders.read"}, TokenLifetime: "1m", Rotation: v1alpha1.RotationSpec{Overlap: overlap},
			},
		}, dir: t.TempDir()}
		must(t, shared.Cluster.Create(t.Context(), callers[i].OAuth2Client))
	}
	for _, c := range callers {
		eventually(t, c.Name+" is ready", func() bool {
			return meta.IsStatusConditionTrue(c.read(t).Status.Conditions, v1alpha1.ConditionReady)
		})
		c.mount(t)
	}
	return callers
}

func (c *caller) read(t *testing.T) *v1alpha1.OAuth2Client {
	t.Helper()
	must(t, shared.Cluster.Get(t.Context(), client.ObjectKeyFromObject(c.OAuth2Client), c.OAuth2Client))
	return c.OAuth2Client
}

// mount does what the kubelet does within a minute or two.
func (c *caller) mount(t *testing.T) {
	t.Helper()
	secret := shared.Credentials(t, c.OAuth2Client)
	world.Mount(t, c.dir, secret.Data)
	c.mounted = string(secret.Data["client_secret"])
}

// rotate asks for another secret of each client, and waits until the Secrets have them.
func rotate(t *testing.T, callers []*caller, request string) {
	t.Helper()
	for _, c := range callers {
		patch := client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"metadata": {"annotations": {%q: %q}}}`, v1alpha1.AnnotationRotate, request))
		must(t, shared.Cluster.Patch(t.Context(), c.OAuth2Client, patch))
	}
	for _, c := range callers {
		eventually(t, c.Name+" has handled the request "+request, func() bool {
			rotation := c.read(t).Status.Rotation
			if rotation.Reason == v1alpha1.RotationTooManySecrets {
				t.Fatalf("%s: %s", c.Name, rotation.Message)
			}
			return rotation.HandledRequest == request
		})
		if secret := shared.Credentials(t, c.OAuth2Client); string(secret.Data["client_secret"]) == c.mounted {
			t.Fatalf("%s has the same secret after the request %s", c.Name, request)
		}
	}
}

// probe is the program of the module that calls the API.
type probe struct {
	t       *testing.T
	input   io.Writer
	answers chan string
}

// start starts a program of the module, which ends with the test.
func start(t *testing.T, name string, environment ...string) (io.Writer, io.Reader) {
	t.Helper()
	path := filepath.Join(t.TempDir(), filepath.Base(name))
	build := exec.CommandContext(t.Context(), "go", "build", "-o", path, "./"+name)
	build.Dir = "../../../client"
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v: %s", name, err, output)
	}
	command := exec.CommandContext(context.WithoutCancel(t.Context()), path)
	command.Env, command.Stderr = append(os.Environ(), environment...), os.Stderr
	input, err := command.StdinPipe()
	must(t, err)
	output, err := command.StdoutPipe()
	must(t, err)
	must(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	return input, output
}

func startProbe(t *testing.T, api string) *probe {
	t.Helper()
	input, output := start(t, "internal/probe", "API_URL="+api)
	p := &probe{t: t, input: input, answers: make(chan string)}
	go func() {
		defer close(p.answers)
		for lines := bufio.NewScanner(output); lines.Scan(); {
			p.answers <- lines.Text()
		}
	}()
	return p
}

// send sends a command. Its answer is the next one.
func (p *probe) send(command ...string) {
	p.t.Helper()
	_, err := fmt.Fprintln(p.input, strings.Join(command, " "))
	must(p.t, err)
}

func (p *probe) answer() string {
	p.t.Helper()
	select {
	case answer := <-p.answers:
		return answer
	case <-time.After(2 * time.Minute):
		p.t.Fatal("the probe does not answer")
		return ""
	}
}

// do sends a command whose answer has to be ok.
func (p *probe) do(command ...string) {
	p.t.Helper()
	p.send(command...)
	if got := p.answer(); got != "ok" {
		p.t.Errorf("%s: %s", strings.Join(command, " "), got)
	}
}

// calls are the calls so far. None may have failed.
func (p *probe) calls() (made int) {
	p.t.Helper()
	p.send("calls")
	var failed int
	answer := p.answer()
	if _, err := fmt.Sscan(answer, &made, &failed); err != nil || failed > 0 {
		p.t.Fatalf("calls made, calls that failed, and the first of these: %s", answer)
	}
	return made
}

// goesOn waits for some calls more, and expects none of them to fail.
func (p *probe) goesOn(calls int) {
	p.t.Helper()
	before := p.calls()
	eventually(p.t, fmt.Sprint(calls, " more calls"), func() bool { return p.calls() >= before+calls })
}

// orders is the API, of which the test itself is a caller too.
type orders struct{ url string }

// startOrders starts the API of the module's examples, which watches the revocation feed.
func startOrders(t *testing.T) orders {
	t.Helper()
	owner := apply(t, "24h", "orders")[0]
	address := world.FreeAddress(t)
	start(t, "examples/server", "HALLPASS_DIR="+owner.dir, "LISTEN="+address, "AUDIENCE="+shared.Hallpass.Issuer.NamespaceAudience(namespace))
	return orders{"http://" + address + "/orders"}
}

// status is the answer to a call with a token; zero if there is none.
func (o orders) status(t *testing.T, token string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, o.url, http.NoBody)
	must(t, err)
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}

func (c *caller) fetch(t *testing.T) string {
	t.Helper()
	return shared.Fetch(t, shared.Credentials(t, c.OAuth2Client), shared.Hallpass.Issuer.String()+"/oauth2/token")
}

func names(prefix string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprint(prefix, "-", i)
	}
	return all
}

// A hundred rotations, an API server that is away, a token server that is started again, tokens
// that are revoked and keys that are rotated: no call to the API fails. Fetches of programs that
// start fail between the end of a secret without overlap and the mount of the next one, and at no
// other time.
func TestNoCallFailsWhateverHappens(t *testing.T) {
	must(t, shared.Cluster.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}))
	api := startOrders(t)
	began := time.Now()
	step := func(what string) { t.Logf("%5.1f s: %s", time.Since(began).Seconds(), what) }

	long, zero := apply(t, "24h", names("long", 20)...), apply(t, "0s", names("zero", 12)...)
	step("the clients are ready")
	eventually(t, "the API has the keys and the feed", func() bool { return api.status(t, zero[0].fetch(t)) == http.StatusOK })
	p := startProbe(t, api.url)
	for _, c := range long {
		p.do("call", c.Name, c.dir, "24h")
	}
	for _, c := range zero {
		p.do("call", c.Name, c.dir, "0s")
	}
	p.goesOn(len(long) + len(zero))

	step("rotations with an overlap of 24h")
	rotateWithOverlap(t, p, long)
	step("rotations with an overlap of 0s")
	rotateWithoutOverlap(t, p, zero)
	step("the API server is away")
	must(t, shared.Plane.StopAPIServer())
	for _, c := range append(long[:3:3], zero[:3]...) {
		p.do("fetch", c.Name)
		p.do("post", c.Name)
	}
	p.goesOn(100)
	must(t, shared.Plane.StartAPIServer(t.Context()))
	step("the token server is started again")
	must(t, shared.Hallpass.StopTokenServer())
	p.goesOn(100)
	p.send("fetch", zero[0].Name) // it waits for the token server
	must(t, shared.Hallpass.StartTokenServer(t.Context()))
	if got := p.answer(); got != "ok" {
		t.Errorf("a token that was asked for while no token server ran: %s", got)
	}
	step("tokens are revoked")
	revoke(t, api, long, zero)
	p.goesOn(100)
	step("the keys are rotated")
	rotateKeys(t, api, zero[3])
	p.do("fetch", zero[3].Name)
	p.goesOn(100)
	step(fmt.Sprint("the end, after ", p.calls(), " calls"))
}

// rotateWithOverlap rotates each client twice: more of its secrets than three do not live beside
// each other. The kubelet is late each time.
func rotateWithOverlap(t *testing.T, p *probe, callers []*caller) {
	t.Helper()
	for round := range 2 {
		rotate(t, callers, fmt.Sprint("long-", round))
		for range 2 {
			for _, c := range callers {
				p.do("fetch", c.Name)
				p.do("post", c.Name)
				c.mount(t)
			}
		}
		p.calls()
	}
}

// rotateWithoutOverlap rotates each client five times. The secret that is still mounted is refused.
func rotateWithoutOverlap(t *testing.T, p *probe, callers []*caller) {
	t.Helper()
	for round := range 5 {
		rotate(t, callers, fmt.Sprint("zero-", round))
		for _, c := range callers {
			eventually(t, c.Name+" cannot fetch with the secret of before", func() bool {
				p.send("fetch", c.Name)
				return strings.Contains(p.answer(), "invalid_client")
			})
			c.mount(t)
			p.do("fetch", c.Name)
			p.do("post", c.Name)
		}
		p.calls()
	}
}

// revoke revokes tokens in each way that the feed reports. The API refuses each of them within
// seconds.
func revoke(t *testing.T, api orders, long, zero []*caller) {
	t.Helper()
	byClient, bySelector, byItself, remains := long[0].fetch(t), long[1].fetch(t), zero[1].fetch(t), zero[2].fetch(t)
	for _, token := range []string{byClient, bySelector, byItself, remains} {
		if got := api.status(t, token); got != http.StatusOK {
			t.Errorf("a good token: %d", got)
		}
	}
	// an instant in the future stands for now
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"spec": {"revokeTokensIssuedBefore": "2100-01-01T00:00:00Z"}}`))
	must(t, shared.Cluster.Patch(t.Context(), long[0].OAuth2Client, patch))
	must(t, shared.Cluster.Create(t.Context(), &v1alpha1.TokenRevocation{
		ObjectMeta: metav1.ObjectMeta{Namespace: installation.RegistryNamespace, Name: "leaked"},
		Spec: v1alpha1.TokenRevocationSpec{Selector: v1alpha1.RevocationSelector{
			ClientID: namespace + "." + long[1].Name, IssuedBefore: new(metav1.NewTime(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC))),
		}},
	}))
	status, body := shared.Post(t, shared.Credentials(t, zero[1].OAuth2Client), shared.Hallpass.Issuer.String()+"/oauth2/revoke", url.Values{"token": {byItself}})
	if status != http.StatusOK {
		t.Fatalf("revoke a token: %d %v", status, body)
	}
	for name, token := range map[string]string{"of a client by its spec": byClient, "of a client by a TokenRevocation": bySelector, "by itself": byItself} {
		eventually(t, "the API refuses a token that was revoked "+name, func() bool { return api.status(t, token) == http.StatusUnauthorized })
	}
	if got := api.status(t, remains); got != http.StatusOK {
		t.Errorf("the token of another client: %d", got)
	}
}

// rotateKeys has tokens signed with a new key, which the API does not know until it sees one.
func rotateKeys(t *testing.T, api orders, c *caller) {
	t.Helper()
	keyOf := func(token string) string {
		message, err := jws.Parse(token)
		must(t, err)
		return message.Header.KeyID
	}
	before := c.fetch(t)
	must(t, shared.Hallpass.StopManager())
	shared.Hallpass.SigningKeys.Lead, shared.Hallpass.SigningKeys.Skew = 2*time.Second, 0
	must(t, shared.Hallpass.StartManager(t.Context()))
	eventually(t, "the keys are annotated", func() bool {
		var keys corev1.Secret
		must(t, shared.Cluster.Get(t.Context(), client.ObjectKey{Namespace: installation.RegistryNamespace, Name: registration.KeysSecretName}, &keys))
		metav1.SetMetaDataAnnotation(&keys.ObjectMeta, v1alpha1.AnnotationRotate, "now")
		return shared.Cluster.Update(t.Context(), &keys) == nil
	})
	after := ""
	eventually(t, "another key signs", func() bool {
		after = c.fetch(t)
		return keyOf(after) != keyOf(before)
	})
	for name, token := range map[string]string{"the key of before": before, "the new key": after} {
		if got := api.status(t, token); got != http.StatusOK {
			t.Errorf("a token by %s: %d", name, got)
		}
	}
}
