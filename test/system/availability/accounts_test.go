// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package availability_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

// TestPodsAreServedWhenTheAPIServerHangs stops the API server by SIGSTOP, which leaves its
// connections open, while pods ask for tokens. None of them is refused, with a token that was
// reviewed before or without; a token that was refused before stays refused.
func TestPodsAreServedWhenTheAPIServerHangs(t *testing.T) {
	const pods = 6
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "worker"}}
	must(t, cluster.Create(t.Context(), account))
	object := &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "podded"}}
	object.Spec.Authentication = v1alpha1.AuthenticationSpec{
		Method: v1alpha1.ByServiceAccount, ServiceAccount: v1alpha1.ServiceAccountSpec{Name: account.Name},
	}
	must(t, cluster.Create(t.Context(), object))
	r := newReplica(t, "v1.0.0")
	r.waitReady(t)
	present := func(token string) (int, error) {
		c := &call{address: r.address, roots: trusted(t)}
		defer c.close()
		status, _, err := c.answer(http.MethodPost, oauth2.TokenPath, url.Values{
			"grant_type": {"client_credentials"}, "client_id": {namespace + ".podded"},
			"client_assertion_type": {oauth2.AssertionType}, "client_assertion": {token},
		})
		return status, err
	}
	answered := func(what, token string, want int) {
		t.Helper()
		eventually(t, what, func() bool {
			status, err := present(token)
			return err == nil && status == want
		})
	}

	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "worker-0"},
		Spec:       corev1.PodSpec{ServiceAccountName: account.Name, Containers: []corev1.Container{{Name: "main", Image: "worker"}}},
	}
	pod.Spec.AutomountServiceAccountToken = new(false)
	must(t, cluster.Create(t.Context(), pod))
	gone := accountToken(t, account, &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: pod.Name, UID: pod.UID})
	answered("the token of a pod is honoured", gone, http.StatusOK)
	must(t, cluster.Delete(t.Context(), pod, client.GracePeriodSeconds(0)))
	answered("the token of a deleted pod is refused", gone, http.StatusUnauthorized)
	tokens := make([]string, pods)
	for i := range tokens {
		tokens[i] = accountToken(t, account, nil)
	}
	for _, token := range tokens[:pods/2] {
		answered("a pod is served", token, http.StatusOK)
	}

	must(t, plane.PauseAPIServer())
	resume := sync.OnceFunc(func() { must(t, plane.ResumeAPIServer()) })
	t.Cleanup(resume)
	until := time.Now().Add(world.Duration(t, "HALLPASS_OUTAGE", 12*time.Second))
	var running sync.WaitGroup
	for i, token := range slices.Concat(tokens, []string{gone}) {
		running.Go(func() {
			want, sent := http.StatusOK, 0
			if token == gone {
				want = http.StatusUnauthorized
			}
			for ; time.Now().Before(until); sent++ {
				began := time.Now()
				if status, err := present(token); err != nil || status != want {
					t.Errorf("token %d: request %d: %d instead of %d after %s: %v", i, sent+1, status, want, time.Since(began), err)
					return
				}
				pause(t.Context(), 50*time.Millisecond)
			}
			t.Logf("token %d: %d requests", i, sent)
		})
	}
	running.Wait()

	resume()
	must(t, installation.Wait(t.Context(), "the API server answers again", func() (bool, error) {
		return cluster.Get(t.Context(), client.ObjectKeyFromObject(object), object) == nil, nil
	}))
	for i, token := range tokens {
		answered(fmt.Sprintf("pod %d is served when the API server is back", i), token, http.StatusOK)
	}
}

// accountToken asks the API server for a token of a service account for this issuer.
func accountToken(t *testing.T, account *corev1.ServiceAccount, boundTo *authenticationv1.BoundObjectReference) string {
	t.Helper()
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		Audiences: []string{hallpass.Issuer.String()}, ExpirationSeconds: new(int64(3600)), BoundObjectRef: boundTo,
	}}
	must(t, cluster.SubResource("token").Create(t.Context(), account, request))
	return request.Status.Token
}
