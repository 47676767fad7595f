// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	tokenserver "github.com/hallpass-dev/hallpass/cmd/tokenserver/app"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

// accountClient is a client that authenticates as a service account.
func accountClient(name, account string) *v1alpha1.OAuth2Client {
	c := newClient(name)
	c.Spec.Authentication = v1alpha1.AuthenticationSpec{
		Method: v1alpha1.ByServiceAccount, ServiceAccount: v1alpha1.ServiceAccountSpec{Name: account},
	}
	return c
}

// createAccount makes a service account, and its namespace if need be.
func createAccount(t *testing.T, namespace, name string) *corev1.ServiceAccount {
	t.Helper()
	err := cluster.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	must(t, cluster.Create(t.Context(), account))
	return account
}

// projected asks the API server for the token that a kubelet would mount into a pod.
func projected(t *testing.T, account *corev1.ServiceAccount, spec authenticationv1.TokenRequestSpec) string {
	t.Helper()
	request := &authenticationv1.TokenRequest{Spec: spec}
	must(t, cluster.SubResource("token").Create(t.Context(), account, request))
	return request.Status.Token
}

// ours is what a pod of such a client asks for.
func ours() authenticationv1.TokenRequestSpec {
	return authenticationv1.TokenRequestSpec{Audiences: []string{hallpass.Issuer.String()}, ExpirationSeconds: new(int64(3600))}
}

// createPod makes a pod of a service account. There is no kubelet, so it stays pending.
func createPod(t *testing.T, account *corev1.ServiceAccount, name string) *corev1.Pod {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: account.Namespace, Name: name},
		Spec: corev1.PodSpec{
			ServiceAccountName: account.Name, AutomountServiceAccountToken: new(false),
			Containers: []corev1.Container{{Name: "main", Image: "worker"}},
		},
	}
	must(t, cluster.Create(t.Context(), pod))
	return pod
}

// boundTo makes a token end with its pod, as every projected one does.
func boundTo(spec authenticationv1.TokenRequestSpec, pod *corev1.Pod) authenticationv1.TokenRequestSpec {
	spec.BoundObjectRef = &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: pod.Name, UID: pod.UID}
	return spec
}

// present sends a service account's token to the token endpoint.
func present(t *testing.T, clientID, token string, without ...string) (int, map[string]any) {
	t.Helper()
	form := url.Values{
		"grant_type": {"client_credentials"}, "client_assertion_type": {oauth2.AssertionType}, "client_assertion": {token}, "client_id": {clientID},
	}
	for _, name := range without {
		form.Del(name)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, hallpass.Issuer.URL(oauth2.TokenPath), strings.NewReader(form.Encode()))
	must(t, err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := hallpass.HTTP.Do(request)
	must(t, err)
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	must(t, err)
	var body map[string]any
	must(t, json.Unmarshal(content, &body))
	return response.StatusCode, body
}

func TestAPodFetchesATokenWithoutASecret(t *testing.T) {
	account := createAccount(t, "podded", "worker")
	c := apply(t, "podded", accountClient("caller", "worker"))
	token := projected(t, account, boundTo(ours(), createPod(t, account, "worker-0")))
	status, body := present(t, "podded.caller", token)
	if status != http.StatusOK || body["scope"] != "read" {
		t.Fatalf("%d %v", status, body)
	}
	if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(c), &corev1.Secret{}); !apierrors.IsNotFound(err) {
		t.Errorf("there is a Secret: %v", err)
	}
	api := credentials(t, apply(t, "podded", newClient("api")))
	issued, _ := body["access_token"].(string)
	if _, said := post(t, api, "introspection_url", url.Values{"token": {issued}}); said["active"] != true || said["client_id"] != "podded.caller" {
		t.Errorf("introspection says %v", said)
	}
	if strings.Contains(hallpass.Log.String(), token) {
		t.Error("the pod's token is in the log")
	}
	configMap := get(t, &corev1.ConfigMap{}, "podded", "caller")
	want := map[string]string{
		"client_id": "podded.caller", "issuer_url": hallpass.Issuer.String(), "token_url": hallpass.Issuer.URL(oauth2.TokenPath),
		"jwks_url": hallpass.Issuer.URL(oauth2.JWKSPath), "introspection_url": hallpass.Issuer.URL(oauth2.IntrospectionPath), "scope": "read",
		"ca.crt": string(api.Data["ca.crt"]),
	}
	if diff := cmp.Diff(want, configMap.Data); diff != "" {
		t.Errorf("the ConfigMap (-want +got):\n%s", diff)
	}
	if owner := metav1.GetControllerOf(configMap); owner == nil || owner.UID != c.UID {
		t.Errorf("the ConfigMap belongs to %v", owner)
	}
	if c.Status.ConfigMap.Name != "caller" || c.Status.Secret.Name != "" {
		t.Errorf("the status names %+v and %+v", c.Status.ConfigMap, c.Status.Secret)
	}
}

// TestOnlyTheTokensOfThatServiceAccountForUsAreHonoured asks the API server for each.
func TestOnlyTheTokensOfThatServiceAccountForUsAreHonoured(t *testing.T) {
	account := createAccount(t, "exact", "worker")
	apply(t, "exact", accountClient("caller", "worker"))
	apply(t, "exact", newClient("secretive"))
	audiences := func(audiences ...string) authenticationv1.TokenRequestSpec {
		return authenticationv1.TokenRequestSpec{Audiences: audiences, ExpirationSeconds: new(int64(600))}
	}
	issuer := hallpass.Issuer.String()
	long := ours()
	long.ExpirationSeconds = new(int64(3601))
	passwords := startReplica(t, func(o *tokenserver.Options) { o.PasswordGrant = true })
	for name, c := range map[string]struct {
		clientID, token string
		status          int
	}{
		"the right one":                      {"exact.caller", projected(t, account, ours()), 200},
		"for the API server":                 {"exact.caller", projected(t, account, audiences()), 401},
		"for the API server and us":          {"exact.caller", projected(t, account, audiences(issuer, apiAudience(t, account))), 401},
		"for us and another":                 {"exact.caller", projected(t, account, audiences(issuer, "https://other.test")), 401},
		"for our token endpoint":             {"exact.caller", projected(t, account, audiences(hallpass.Issuer.URL(oauth2.TokenPath))), 401},
		"longer than an hour":                {"exact.caller", projected(t, account, long), 401},
		"of another account":                 {"exact.caller", projected(t, createAccount(t, "exact", "other"), ours()), 401},
		"of that name in another namespace":  {"exact.caller", projected(t, createAccount(t, "exact-too", "worker"), ours()), 401},
		"for a client with a secret":         {"exact.secretive", projected(t, account, ours()), 401},
		"for a client that does not exist":   {"exact.nobody", projected(t, account, ours()), 401},
		"of the manager, for its own client": {"exact.caller", projected(t, get(t, &corev1.ServiceAccount{}, "hallpass-system", "hallpass-manager"), ours()), 401},
	} {
		status, body := present(t, c.clientID, c.token)
		if status != c.status || status == http.StatusUnauthorized && body["error"] != "invalid_client" {
			t.Errorf("%s: %d %v, want %d", name, status, body, c.status)
		}
		if issued, answer := presentPassword(t, passwords, c.clientID, c.token); issued != (c.status == http.StatusOK) {
			t.Errorf("%s, as a password: %s", name, answer)
		}
	}
	if status, body := present(t, "", projected(t, account, ours()), "client_id"); status != http.StatusOK {
		t.Errorf("without client_id, of the only client of the account: %d %v", status, body)
	}
	if status, body := present(t, "", projected(t, get(t, &corev1.ServiceAccount{}, "exact-too", "worker"), ours()), "client_id"); status != http.StatusUnauthorized {
		t.Errorf("without client_id, of an account that no client names: %d %v", status, body)
	}
}

// presentPassword sends the token of an account as the password of the account. Without one that is
// good the answer is invalid_grant.
func presentPassword(t *testing.T, r *replica, clientID, token string) (issued bool, answer string) {
	t.Helper()
	var claims struct {
		Subject string `json:"sub"`
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	must(t, err)
	must(t, json.Unmarshal(payload, &claims))
	form := url.Values{"grant_type": {"password"}, "username": {claims.Subject}, "password": {token}, "client_id": {clientID}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+oauth2.TokenPath, strings.NewReader(form.Encode()))
	must(t, err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := hallpass.HTTP.Do(request)
	must(t, err)
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	must(t, err)
	issued = response.StatusCode == http.StatusOK
	if answer = string(content); !issued && (response.StatusCode != http.StatusBadRequest || !strings.Contains(answer, `"invalid_grant"`)) {
		t.Errorf("a password is refused with %d %s", response.StatusCode, answer)
	}
	return issued, answer
}

// TestTheTokenOfAnAccountMeansItsOnlyClient sends no client_id: while one client names the account,
// when a second one does, and when that one is deleted.
func TestTheTokenOfAnAccountMeansItsOnlyClient(t *testing.T) {
	account := createAccount(t, "meant", "worker")
	pod := createPod(t, account, "worker-0")
	bound, free := projected(t, account, boundTo(ours(), pod)), projected(t, account, ours())
	first := apply(t, "meant", accountClient("first", "worker"))
	needed := func(c *v1alpha1.OAuth2Client) bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(c), c))
		return meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionClientIDNeeded)
	}
	for _, token := range []string{bound, free} {
		if status, body := present(t, "", token, "client_id"); status != http.StatusOK {
			t.Fatalf("of the only client: %d %v", status, body)
		}
	}
	if needed(first) {
		t.Error("the only client of an account needs its client_id")
	}

	second := apply(t, "meant", accountClient("second", "worker"))
	eventually(t, "both clients need their client_id", func() bool { return needed(first) && needed(second) })
	eventually(t, "the token alone is ambiguous", func() bool {
		status, body := present(t, "", free, "client_id")
		return status == http.StatusBadRequest && body["error"] == "invalid_request"
	})
	if status, body := present(t, "meant.second", free); status != http.StatusOK {
		t.Errorf("with the client_id: %d %v", status, body)
	}
	must(t, cluster.Delete(t.Context(), pod))
	eventually(t, "only a pod that is there learns of the second client", func() bool {
		status, body := present(t, "", bound, "client_id")
		return status == http.StatusUnauthorized && body["error"] == "invalid_client"
	})

	must(t, cluster.Delete(t.Context(), second))
	eventually(t, "the first client is the only one again", func() bool {
		status, _ := present(t, "", free, "client_id")
		return status == http.StatusOK && !needed(first)
	})
}

func TestAClientOfTheAccountDefaultIsReadyWithAWarning(t *testing.T) {
	// every namespace has that account
	c := apply(t, "defaults", accountClient("caller", "default"))
	ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.Status != metav1.ConditionTrue || !strings.Contains(ready.Message, "Warning: every pod") {
		t.Errorf("%+v", ready)
	}
}

// apiAudience is the audience of the API server: that of a token without a chosen audience.
func apiAudience(t *testing.T, account *corev1.ServiceAccount) string {
	t.Helper()
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: new(int64(600))}}
	must(t, cluster.SubResource("token").Create(t.Context(), account, request))
	return request.Spec.Audiences[0]
}

// TestATokenEndsWithItsPodAndWithItsServiceAccount measures how soon.
func TestATokenEndsWithItsPodAndWithItsServiceAccount(t *testing.T) {
	account := createAccount(t, "endings", "worker")
	c := apply(t, "endings", accountClient("caller", "worker"))
	pod := createPod(t, account, "worker-0")
	bound, free := projected(t, account, boundTo(ours(), pod)), projected(t, account, ours())
	refused := func(what, token string) {
		t.Helper()
		deleted := time.Now()
		eventually(t, what, func() bool {
			status, body := present(t, "endings.caller", token)
			return status == http.StatusUnauthorized && body["error"] == "invalid_client"
		})
		t.Logf("%s after %s", what, time.Since(deleted).Round(time.Millisecond))
	}
	for _, token := range []string{bound, free} {
		if status, body := present(t, "endings.caller", token); status != http.StatusOK {
			t.Fatalf("%d %v", status, body)
		}
	}
	must(t, cluster.Delete(t.Context(), pod))
	refused("a token is refused whose pod is gone", bound)
	if status, body := present(t, "endings.caller", free); status != http.StatusOK {
		t.Errorf("another token of the account: %d %v", status, body)
	}

	must(t, cluster.Delete(t.Context(), account))
	refused("a token is refused whose service account is gone", free)
	condition(t, c, metav1.ConditionFalse, v1alpha1.ReasonServiceAccountNotFound)
	if c.Status.ConfigMap.Name != "caller" {
		t.Error("the status does not name the ConfigMap any more")
	}
	again := createAccount(t, "endings", "worker")
	condition(t, c, metav1.ConditionTrue, v1alpha1.ReasonRegistered)
	if status, body := present(t, "endings.caller", projected(t, again, ours())); status != http.StatusOK {
		t.Errorf("the account that was made again: %d %v", status, body)
	}
	if status, _ := present(t, "endings.caller", free); status != http.StatusUnauthorized {
		t.Errorf("the token of the account before: %d", status)
	}
}

// TestPodsOutliveTheAPIServerAndItsKeys kills the API server of an installation of its own, and
// starts it with a new key.
func TestPodsOutliveTheAPIServerAndItsKeys(t *testing.T) {
	cp, err := controlplane.Start(t.Context(), controlplane.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, cp.Stop()) })
	own, err := installation.Run(t.Context(), cp, root(), installation.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, own.Stop()) })
	admin, err := client.New(cp.AdminConfig(), client.Options{Scheme: cluster.Scheme()})
	must(t, err)
	defer use(shared)
	use(&world.World{Cluster: admin, Plane: cp, Hallpass: own})

	account := createAccount(t, "away", "worker")
	apply(t, "away", accountClient("caller", "worker"))
	reviewed, fresh := projected(t, account, ours()), projected(t, account, ours())
	honoured := func(when string, tokens ...string) {
		t.Helper()
		for i, token := range tokens {
			if status, body := present(t, "away.caller", token); status != http.StatusOK {
				t.Errorf("%s, token %d: %d %v", when, i+1, status, body)
			}
		}
	}
	honoured("before", reviewed)

	must(t, cp.StopAPIServer())
	honoured("while the API server is away", reviewed, fresh)
	if status, body := present(t, "away.caller", fresh[:len(fresh)-4]+"AAAA"); status != http.StatusUnauthorized {
		t.Errorf("a forged token: %d %v", status, body)
	}
	if metrics := metricsOf(t, own.Ops); strings.Contains(metrics, `hallpass_token_reviews_total{verdict="unreachable"} 0`) {
		t.Error("the metrics do not tell that a token was not reviewed")
	}

	must(t, cp.RotateAccountKey())
	must(t, cp.StartAPIServer(t.Context()))
	honoured("with another key", projected(t, account, ours()), fresh)
}

// metricsOf reads the metrics of a token server.
func metricsOf(t *testing.T, ops string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, ops+"/metrics", http.NoBody)
	must(t, err)
	response, err := http.DefaultClient.Do(request)
	must(t, err)
	defer func() { _ = response.Body.Close() }()
	metrics, err := io.ReadAll(response.Body)
	must(t, err)
	return string(metrics)
}

func TestTheFirstTokenRightAfterReadySucceedsForPodsToo(t *testing.T) {
	account := createAccount(t, "eager-pods", "worker")
	token := projected(t, account, ours())
	for i := range 20 {
		c := apply(t, "eager-pods", accountClient(fmt.Sprintf("client-%d", i), "worker"))
		if status, body := present(t, c.Status.ClientID, token); status != http.StatusOK {
			t.Fatalf("round %d: %d %v", i, status, body)
		}
	}
}

func TestTheFirstTokenRightAfterReadyNeedsNoClientID(t *testing.T) {
	for i := range 20 {
		name := fmt.Sprintf("worker-%d", i)
		token := projected(t, createAccount(t, "eager-nameless", name), ours())
		apply(t, "eager-nameless", accountClient(name, name))
		if status, body := present(t, "", token, "client_id"); status != http.StatusOK {
			t.Fatalf("round %d: %d %v", i, status, body)
		}
	}
}

// TestMethodsConvergeBothWays goes from a secret to a service account, under another name and back.
func TestMethodsConvergeBothWays(t *testing.T) {
	account := createAccount(t, "turns", "worker")
	c := apply(t, "turns", newClient("caller"))
	before := credentials(t, c)
	token := projected(t, account, ours())
	if status, _ := present(t, "turns.caller", token); status != http.StatusUnauthorized {
		t.Errorf("a token of an account for a client with a secret: %d", status)
	}

	update(t, c, func() { c.Spec.Authentication = accountClient("", "worker").Spec.Authentication })
	gone(t, before)
	get(t, &corev1.ConfigMap{}, "turns", "caller")
	eventually(t, "the account's token is honoured", func() bool {
		status, _ := present(t, "turns.caller", token)
		return status == http.StatusOK
	})
	if status, _ := post(t, before, "token_url", url.Values{"grant_type": {"client_credentials"}}); status != http.StatusUnauthorized {
		t.Errorf("the secret before: %d", status)
	}

	update(t, c, func() {
		c.Spec.Secret = v1alpha1.SecretSpec{Name: "other", Keys: v1alpha1.SecretKeys{TokenURL: "TOKEN_URL"}, Omit: []v1alpha1.OmittedEntry{v1alpha1.OmitJWKSURL}}
	})
	gone(t, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "turns", Name: "caller"}})
	renamed := get(t, &corev1.ConfigMap{}, "turns", "other")
	if renamed.Data["TOKEN_URL"] == "" || renamed.Data["token_url"] != "" || renamed.Data["jwks_url"] != "" {
		t.Errorf("the entries are %v", renamed.Data)
	}

	update(t, c, func() { c.Spec.Authentication, c.Spec.Secret = v1alpha1.AuthenticationSpec{}, v1alpha1.SecretSpec{} })
	gone(t, renamed)
	eventually(t, "there is a secret again", func() bool {
		return cluster.Get(t.Context(), client.ObjectKeyFromObject(c), before) == nil
	})
	fetch(t, before)
	if status, _ := present(t, "turns.caller", token); status != http.StatusUnauthorized {
		t.Errorf("the account's token for a client with a secret: %d", status)
	}
}

func TestAConfigMapIsHealedAndSomebodyElsesIsNeverTouched(t *testing.T) {
	createAccount(t, "config-maps", "worker")
	foreign := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "config-maps", Name: "taken", Annotations: map[string]string{v1alpha1.AnnotationClient: "taken"}},
		Data:       map[string]string{"client_id": "somebody"},
	}
	must(t, cluster.Create(t.Context(), foreign))
	taken := accountClient("taken", "worker")
	taken.Namespace = "config-maps"
	must(t, cluster.Create(t.Context(), taken))
	condition(t, taken, metav1.ConditionFalse, v1alpha1.ReasonConfigMapConflict)
	if got := get(t, &corev1.ConfigMap{}, "config-maps", "taken"); got.ResourceVersion != foreign.ResourceVersion {
		t.Error("somebody else's ConfigMap was touched")
	}
	must(t, cluster.Delete(t.Context(), foreign))

	c := apply(t, "config-maps", accountClient("caller", "worker"))
	for name, harm := range map[string]func(configMap *corev1.ConfigMap) error{
		"deleted": func(configMap *corev1.ConfigMap) error { return cluster.Delete(t.Context(), configMap) },
		"edited": func(configMap *corev1.ConfigMap) error {
			configMap.Data["token_url"] = "https://elsewhere.test"
			return cluster.Update(t.Context(), configMap)
		},
		"stripped of its label": func(configMap *corev1.ConfigMap) error {
			configMap.Labels = nil
			return cluster.Update(t.Context(), configMap)
		},
		"stripped of its owner": func(configMap *corev1.ConfigMap) error {
			configMap.OwnerReferences = nil
			return cluster.Update(t.Context(), configMap)
		},
	} {
		t.Run(name, func(t *testing.T) {
			must(t, harm(get(t, &corev1.ConfigMap{}, "config-maps", "caller")))
			eventually(t, "it is healed", func() bool {
				var healed corev1.ConfigMap
				err := cluster.Get(t.Context(), client.ObjectKeyFromObject(c), &healed)
				return err == nil && healed.Data["token_url"] == hallpass.Issuer.URL(oauth2.TokenPath) &&
					healed.Labels[v1alpha1.LabelClientConfig] == "true" && metav1.IsControlledBy(&healed, c)
			})
		})
	}
	condition(t, taken, metav1.ConditionTrue, v1alpha1.ReasonRegistered)
	must(t, cluster.Delete(t.Context(), c))
	gone(t, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "config-maps", Name: "caller"}})
}

// gone waits until an object is no more.
func gone(t *testing.T, object client.Object) {
	t.Helper()
	eventually(t, fmt.Sprintf("%T %s is gone", object, object.GetName()), func() bool {
		found, ok := object.DeepCopyObject().(client.Object)
		return ok && apierrors.IsNotFound(cluster.Get(t.Context(), client.ObjectKeyFromObject(object), found))
	})
}
