// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

func newToken(namespace, name, clientName string, mode v1alpha1.TokenMode) *v1alpha1.OAuth2Token {
	token := &v1alpha1.OAuth2Token{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.OAuth2TokenSpec{ClientRef: v1alpha1.LocalClientReference{Name: clientName}, Mode: mode},
	}
	if mode == v1alpha1.TokenFixed {
		token.Spec.ExpirationTime = new(metav1.NewTime(time.Now().Add(30 * 24 * time.Hour)))
	}
	return token
}

// tokenIs waits for the condition Ready of a token to have a reason for the spec as it is.
func tokenIs(t *testing.T, token *v1alpha1.OAuth2Token, reason string) {
	t.Helper()
	eventually(t, "OAuth2Token "+token.Name+" is "+reason, func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(token), token))
		ready := meta.FindStatusCondition(token.Status.Conditions, v1alpha1.ConditionReady)
		return ready != nil && ready.Reason == reason && ready.ObservedGeneration == token.Generation
	})
}

// minted creates a token, waits until it is there and reads it.
func minted(t *testing.T, token *v1alpha1.OAuth2Token) string {
	t.Helper()
	must(t, cluster.Create(t.Context(), token))
	tokenIs(t, token, v1alpha1.ReasonIssued)
	return tokenIn(t, token)
}

func tokenIn(t *testing.T, token *v1alpha1.OAuth2Token) string {
	t.Helper()
	return string(get(t, &corev1.Secret{}, token.Namespace, token.Status.Secret.Name).Data["token"])
}

func updateToken(t *testing.T, token *v1alpha1.OAuth2Token, change func()) {
	t.Helper()
	eventually(t, "the change is accepted", func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(token), token))
		change()
		return cluster.Update(t.Context(), token) == nil
	})
}

// asked is what introspection returns to an API of the namespace about a token.
func asked(t *testing.T, api *corev1.Secret, token string) map[string]any {
	t.Helper()
	status, body := post(t, api, "introspection_url", url.Values{"token": {token}})
	if status != http.StatusOK {
		t.Fatalf("introspection: %d %v", status, body)
	}
	return body
}

func isActive(t *testing.T, api *corev1.Secret, token string) bool {
	t.Helper()
	active, _ := asked(t, api, token)["active"].(bool)
	return active
}

// proxied asks forward-auth about a token and returns the status and the challenge.
func proxied(t *testing.T, namespace, token string) (int, string) {
	t.Helper()
	query := url.Values{"audience": {hallpass.Issuer.NamespaceAudience(namespace)}}.Encode()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, hallpass.Issuer.URL(oauth2.ForwardAuthPath)+"?"+query, http.NoBody)
	must(t, err)
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := hallpass.HTTP.Do(request)
	must(t, err)
	must(t, response.Body.Close())
	return response.StatusCode, response.Header.Get("WWW-Authenticate")
}

func TestATokenIsMadeForSoftwareThatCannotFetchOne(t *testing.T) {
	c := newClient("legacy")
	c.Spec.Scopes = []v1alpha1.Scope{"read", "write"}
	apply(t, "minting", c)
	api := credentials(t, apply(t, "minting", newClient("api")))
	for _, mode := range []v1alpha1.TokenMode{v1alpha1.TokenRefreshing, v1alpha1.TokenFixed} {
		t.Run(string(mode), func(t *testing.T) {
			token := newToken("minting", strings.ToLower(string(mode)), "legacy", mode)
			token.Spec.Scopes = []v1alpha1.Scope{"read"}
			token.Spec.Secret = v1alpha1.TokenSecretSpec{
				Name: "for-" + token.Name, Labels: map[string]v1alpha1.LabelValue{"app": "legacy"},
				Keys:     v1alpha1.TokenSecretKeys{ExpiresAt: "until"},
				Template: map[string]v1alpha1.TemplateText{"curlrc": "header = \"Authorization: $(authorization)\"\n"},
			}
			value := minted(t, token)
			secret := get(t, &corev1.Secret{}, "minting", "for-"+token.Name)
			if secret.Type != v1alpha1.SecretTypeToken || secret.Labels["app"] != "legacy" || len(secret.OwnerReferences) != 1 {
				t.Errorf("Secret of type %s with labels %v and owners %v", secret.Type, secret.Labels, secret.OwnerReferences)
			}
			want := map[string]string{
				"token": value, "token_type": "Bearer", "authorization": "Bearer " + value, "curlrc": "header = \"Authorization: Bearer " + value + "\"\n",
				"until": token.Status.ExpiresAt.UTC().Format(time.RFC3339), "ca.crt": string(api.Data["ca.crt"]),
			}
			got := map[string]string{}
			for entry, data := range secret.Data {
				got[entry] = string(data)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error("entries (-want +got):\n" + diff)
			}
			if opaque := strings.HasPrefix(value, oauth2.OpaqueTokenPrefix); opaque != (mode == v1alpha1.TokenFixed) {
				t.Errorf("a %s token that is opaque: %t", mode, opaque)
			}
			body := asked(t, api, value)
			for claim, want := range map[string]any{
				"active": true, "client_id": "minting.legacy", "scope": "read", "jti": token.Status.TokenID, "token_uid": string(token.UID),
				"exp": float64(token.Status.ExpiresAt.Unix()), "aud": hallpass.Issuer.NamespaceAudience("minting"),
			} {
				if body[claim] != want {
					t.Errorf("%s is %v, want %v", claim, body[claim], want)
				}
			}
			if status, challenge := proxied(t, "minting", value); status != http.StatusOK {
				t.Errorf("forward-auth: %d %s", status, challenge)
			}
			if end := token.Spec.ExpirationTime; mode == v1alpha1.TokenFixed && !token.Status.ExpiresAt.Time.Equal(end.Truncate(time.Second)) {
				t.Errorf("it expires at %s, not at %s", token.Status.ExpiresAt, end)
			}
		})
	}
}

func TestATokenWhoseSecretIsDeletedIsReplacedAndRefused(t *testing.T) {
	apply(t, "healing", newClient("legacy"))
	api := credentials(t, apply(t, "healing", newClient("api")))
	for _, mode := range []v1alpha1.TokenMode{v1alpha1.TokenRefreshing, v1alpha1.TokenFixed} {
		token := newToken("healing", strings.ToLower(string(mode)), "legacy", mode)
		first := minted(t, token)
		must(t, cluster.Delete(t.Context(), get(t, &corev1.Secret{}, "healing", token.Name)))
		var second string
		eventually(t, "the Secret is back with another token", func() bool {
			var secret corev1.Secret
			if cluster.Get(t.Context(), client.ObjectKeyFromObject(token), &secret) != nil {
				return false
			}
			second = string(secret.Data["token"])
			return second != "" && second != first
		})
		if !isActive(t, api, second) {
			t.Errorf("the new %s token is refused", mode)
		}
		eventually(t, "the old token is refused", func() bool { return !isActive(t, api, first) })
		eventually(t, "an entry is edited", func() bool {
			secret := get(t, &corev1.Secret{}, "healing", token.Name)
			secret.Data["authorization"] = []byte("nothing")
			return cluster.Update(t.Context(), secret) == nil
		})
		eventually(t, "the edited entry is mended around the same token", func() bool {
			return string(get(t, &corev1.Secret{}, "healing", token.Name).Data["authorization"]) == "Bearer "+second
		})
	}
}

func TestARenamedSecretKeepsItsToken(t *testing.T) {
	apply(t, "renaming", newClient("legacy"))
	token := newToken("renaming", "printer", "legacy", v1alpha1.TokenFixed)
	value := minted(t, token)
	updateToken(t, token, func() {
		token.Spec.Secret = v1alpha1.TokenSecretSpec{Name: "other", Keys: v1alpha1.TokenSecretKeys{Token: "bearer"}}
	})
	eventually(t, "the token stands under the new name", func() bool {
		var secret corev1.Secret
		return cluster.Get(t.Context(), client.ObjectKey{Namespace: "renaming", Name: "other"}, &secret) == nil && string(secret.Data["bearer"]) == value
	})
	eventually(t, "the old Secret is gone", func() bool {
		return apierrors.IsNotFound(cluster.Get(t.Context(), client.ObjectKey{Namespace: "renaming", Name: "printer"}, &corev1.Secret{}))
	})
}

func TestATokenEndsAtOnceWithoutTheManagerToo(t *testing.T) {
	c := apply(t, "ending", newClient("legacy"))
	other := apply(t, "ending", newClient("suspended"))
	api := credentials(t, apply(t, "ending", newClient("api")))
	var deleted, narrowed, suspended []string
	var objects []*v1alpha1.OAuth2Token
	for _, mode := range []v1alpha1.TokenMode{v1alpha1.TokenRefreshing, v1alpha1.TokenFixed} {
		name := strings.ToLower(string(mode))
		gone := newToken("ending", "deleted-"+name, c.Name, mode)
		deleted = append(deleted, minted(t, gone))
		objects = append(objects, gone)
		suspended = append(suspended, minted(t, newToken("ending", "suspended-"+name, other.Name, mode)))
	}
	narrow := newToken("ending", "narrowed", c.Name, v1alpha1.TokenRefreshing)
	narrowed = append(narrowed, minted(t, narrow))
	must(t, hallpass.StopManager())
	defer func() { must(t, hallpass.StartManager(t.Context())) }()

	updateToken(t, narrow, func() { narrow.Spec.Scopes = []v1alpha1.Scope{"other"} })
	update(t, other, func() { other.Spec.State = v1alpha1.ClientSuspended })
	for _, object := range objects {
		must(t, cluster.Delete(t.Context(), object))
	}
	began := time.Now()
	eventually(t, "every one of them is refused", func() bool {
		for _, token := range append(append(deleted, narrowed...), suspended...) {
			if isActive(t, api, token) {
				return false
			}
		}
		return true
	})
	t.Logf("refused %s later", time.Since(began).Round(time.Millisecond))
	if status, _ := proxied(t, "ending", deleted[1]); status != http.StatusUnauthorized {
		t.Errorf("forward-auth with a deleted token: %d", status)
	}
}

func TestTheRecordOfADeletedTokenIsRemoved(t *testing.T) {
	apply(t, "sweeping", newClient("legacy"))
	token := newToken("sweeping", "printer", "legacy", v1alpha1.TokenFixed)
	minted(t, token)
	key := client.ObjectKey{Namespace: installation.RegistryNamespace, Name: registration.TokenSecretName(string(token.UID))}
	must(t, cluster.Get(t.Context(), key, &corev1.Secret{}))
	must(t, cluster.Delete(t.Context(), token))
	for what, object := range map[string]client.ObjectKey{"record": key, "Secret": client.ObjectKeyFromObject(token)} {
		eventually(t, "the "+what+" is gone", func() bool { return apierrors.IsNotFound(cluster.Get(t.Context(), object, &corev1.Secret{})) })
	}
}

func TestAnExpiredTokenIsToldFromOthers(t *testing.T) {
	apply(t, "expiring", newClient("legacy"))
	token, value := endingSoon(t, "expiring")
	if !meta.IsStatusConditionTrue(token.Status.Conditions, v1alpha1.ConditionExpiresSoon) {
		eventually(t, "its end is announced", func() bool {
			must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(token), token))
			return meta.IsStatusConditionTrue(token.Status.Conditions, v1alpha1.ConditionExpiresSoon)
		})
	}
	tokenIs(t, token, v1alpha1.ReasonExpired)
	eventually(t, "it is refused as expired", func() bool {
		status, challenge := proxied(t, "expiring", value)
		return status == http.StatusUnauthorized && strings.Contains(challenge, `error="invalid_token"`) && strings.Contains(challenge, "expired")
	})
}

// endingSoon makes a token that is good for a moment more. How long that is depends on what it
// takes here to make one and to ask.
func endingSoon(t *testing.T, namespace string) (token *v1alpha1.OAuth2Token, value string) {
	t.Helper()
	for life := 4 * time.Second; ; life *= 2 {
		token = newToken(namespace, "printer-"+life.String(), "legacy", v1alpha1.TokenFixed)
		end := time.Now().Add(life)
		token.Spec.ExpirationTime = new(metav1.NewTime(end))
		must(t, cluster.Create(t.Context(), token))
		eventually(t, "the token is made, or over", func() bool {
			must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(token), token))
			return meta.IsStatusConditionTrue(token.Status.Conditions, v1alpha1.ConditionReady) || time.Now().After(end)
		})
		if time.Now().After(end) {
			continue
		}
		value = tokenIn(t, token)
		status, _ := proxied(t, namespace, value)
		if status == http.StatusOK {
			return token, value
		}
		if time.Now().Before(end.Add(-time.Second)) { // the end is in whole seconds
			t.Fatalf("the token gets %d before its end", status)
		}
	}
}

func TestATokenThatCannotBeMadeSaysWhy(t *testing.T) {
	apply(t, "refused-tokens", newClient("legacy"))
	createAccount(t, "refused-tokens", "pods")
	apply(t, "refused-tokens", accountClient("pods", "pods"))
	apply(t, "elsewhere-tokens", newClient("foreign"))
	must(t, cluster.Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "refused-tokens", Name: "taken"}, Data: map[string][]byte{"token": []byte("theirs")},
	}))
	cases := map[string]struct {
		change func(token *v1alpha1.OAuth2Token)
		reason string
	}{
		"a client that is not there": {func(o *v1alpha1.OAuth2Token) { o.Spec.ClientRef.Name = "nobody" }, v1alpha1.ReasonClientNotFound},
		"a client of another namespace": {
			func(o *v1alpha1.OAuth2Token) { o.Spec.ClientRef.Name = "foreign" }, v1alpha1.ReasonClientNotFound,
		},
		"a client with a service account": {func(o *v1alpha1.OAuth2Token) { o.Spec.ClientRef.Name = "pods" }, v1alpha1.ReasonMethodNotSupported},
		"a scope that is not granted":     {func(o *v1alpha1.OAuth2Token) { o.Spec.Scopes = []v1alpha1.Scope{"fly"} }, v1alpha1.ReasonScopeNotGranted},
		"a resource that is not granted": {
			func(o *v1alpha1.OAuth2Token) { o.Spec.Resource = "https://api.example.com" }, v1alpha1.ReasonTargetNotGranted,
		},
		"a Secret's name that is taken": {func(o *v1alpha1.OAuth2Token) { o.Spec.Secret.Name = "taken" }, v1alpha1.ReasonSecretConflict},
		"an end that is over": {func(o *v1alpha1.OAuth2Token) {
			o.Spec.Mode, o.Spec.ExpirationTime = v1alpha1.TokenFixed, new(metav1.NewTime(time.Now().Add(-time.Minute)))
		}, v1alpha1.ReasonExpired},
		"an end beyond the limit": {func(o *v1alpha1.OAuth2Token) {
			o.Spec.Mode, o.Spec.ExpirationTime = v1alpha1.TokenFixed, new(metav1.NewTime(time.Now().Add(91*24*time.Hour)))
		}, v1alpha1.ReasonExpirationTooLate},
		"a template that cannot be rendered": {func(o *v1alpha1.OAuth2Token) {
			o.Spec.Secret.Template = map[string]v1alpha1.TemplateText{"x": "$(client_secret)"}
		}, v1alpha1.ReasonInvalidTemplate},
	}
	for what, c := range cases {
		t.Run(what, func(t *testing.T) {
			token := newToken("refused-tokens", strings.ReplaceAll(strings.ReplaceAll(strings.ToLower(what), " ", "-"), "'", ""), "legacy", v1alpha1.TokenRefreshing)
			c.change(token)
			must(t, cluster.Create(t.Context(), token))
			tokenIs(t, token, c.reason)
			if name := token.Name; token.Spec.Secret.Name == "" {
				if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: "refused-tokens", Name: name}, &corev1.Secret{}); !apierrors.IsNotFound(err) {
					t.Errorf("a Secret was written: %v", err)
				}
			}
		})
	}
	if taken := get(t, &corev1.Secret{}, "refused-tokens", "taken"); string(taken.Data["token"]) != "theirs" || len(taken.OwnerReferences) > 0 {
		t.Errorf("the Secret of somebody else was touched: %v", taken.OwnerReferences)
	}
}

func TestBadTokenSpecsAreRefusedAtApply(t *testing.T) {
	makeNamespace(t, "bad-tokens", nil)
	cases := map[string]struct {
		change func(token *v1alpha1.OAuth2Token)
		want   string
	}{
		"no mode":            {func(o *v1alpha1.OAuth2Token) { o.Spec.Mode = "" }, "mode"},
		"no client":          {func(o *v1alpha1.OAuth2Token) { o.Spec.ClientRef.Name = "" }, "clientRef"},
		"both lives":         {func(o *v1alpha1.OAuth2Token) { o.Spec.ExpirationTime = new(metav1.Now()) }, "set expirationTime if and only if mode is Fixed"},
		"a life without end": {func(o *v1alpha1.OAuth2Token) { o.Spec.Mode = v1alpha1.TokenFixed }, "set expirationTime if and only if mode is Fixed"},
		"two entries of one name": {func(o *v1alpha1.OAuth2Token) {
			o.Spec.Secret.Keys = v1alpha1.TokenSecretKeys{Token: "a", Authorization: "a"}
		}, "two entries of the Secret would have the same name"},
		"an entry with the name of another": {func(o *v1alpha1.OAuth2Token) {
			o.Spec.Secret.Keys = v1alpha1.TokenSecretKeys{Token: "expires_at"}
		}, "two entries of the Secret would have the same name"},
		"a scope with a space": {func(o *v1alpha1.OAuth2Token) { o.Spec.Scopes = []v1alpha1.Scope{"a b"} }, "a scope is printable ASCII"},
	}
	for what, c := range cases {
		token := newToken("bad-tokens", "x", "legacy", v1alpha1.TokenRefreshing)
		c.change(token)
		if err := cluster.Create(t.Context(), token); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want a refusal with %q", what, err, c.want)
		}
	}
	fixed := newToken("bad-tokens", "fixed", "legacy", v1alpha1.TokenFixed)
	must(t, cluster.Create(t.Context(), fixed))
	for what, change := range map[string]func(spec *v1alpha1.OAuth2TokenSpec){
		"its end":    func(s *v1alpha1.OAuth2TokenSpec) { s.ExpirationTime = new(metav1.NewTime(time.Now().Add(time.Hour))) },
		"its scopes": func(s *v1alpha1.OAuth2TokenSpec) { s.Scopes = []v1alpha1.Scope{"read"} },
		"its client": func(s *v1alpha1.OAuth2TokenSpec) { s.ClientRef.Name = "other" },
		"its mode":   func(s *v1alpha1.OAuth2TokenSpec) { s.Mode, s.ExpirationTime = v1alpha1.TokenRefreshing, nil },
	} {
		var err error
		eventually(t, "there is an answer about "+what, func() bool {
			changed := get(t, &v1alpha1.OAuth2Token{}, "bad-tokens", "fixed")
			change(&changed.Spec)
			err = cluster.Update(t.Context(), changed)
			return !apierrors.IsConflict(err) // its status was written meanwhile
		})
		if !apierrors.IsInvalid(err) {
			t.Errorf("%s of a Fixed token was changed: %v", what, err)
		}
	}
}

// A renewal costs three writes, and between renewals there are none. A reader of the Secret
// meanwhile finds a valid token each time.
func TestARenewalCostsThreeWritesAndNobodyReadsABadToken(t *testing.T) {
	t.Parallel() // it waits for the renewals
	c := newClient("legacy")
	c.Spec.TokenLifetime = "1m" // so that the first renewal comes after 20 to 30 s
	apply(t, "renewals", c)
	api := credentials(t, apply(t, "renewals", newClient("api")))
	tokens := map[string]*v1alpha1.OAuth2Token{}
	first, end, records := map[string]string{}, map[string]time.Time{}, map[string]string{}
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		token := newToken("renewals", name, "legacy", v1alpha1.TokenRefreshing)
		end[name] = time.Now().Add(time.Minute)
		first[name] = minted(t, token)
		tokens[name] = token
		records[registration.TokenSecretName(string(token.UID))] = name
	}
	began := time.Now()
	renewed := map[string]bool{}
	eventually(t, "all are renewed", func() bool {
		for name, token := range tokens {
			value := tokenIn(t, token)
			if !isActive(t, api, value) {
				t.Fatalf("a reader of %s finds a token that is refused", name)
			}
			if value != first[name] {
				renewed[name] = true
			}
			if !isActive(t, api, first[name]) && time.Now().Before(end[name]) {
				t.Fatalf("the first token of %s is refused %s before its end", name, time.Until(end[name]))
			}
		}
		return len(renewed) == len(tokens)
	})
	defer func() { // or they are renewed for as long as other tests run
		for _, token := range tokens {
			must(t, cluster.Delete(context.Background(), token))
		}
	}()
	writes, renewals := map[string]int{}, map[string]int{}
	eventually(t, "the audit log has the last of them", func() bool {
		clear(writes)
		clear(renewals)
		for _, write := range writesOfTheManager(t, began) {
			name := write.Object.Name
			if record, ours := records[name]; ours {
				name = record
			} else if write.Object.Namespace != "renewals" {
				continue
			}
			if writes[name]++; write.Object.Resource == "secrets" && write.Object.Namespace == "renewals" {
				renewals[name]++
			}
		}
		return len(renewals) == len(tokens) && writes["a"] >= 3
	})
	for name := range tokens {
		// and one for when it was last used, which the requests above made news
		if writes[name] > 3*renewals[name]+1 {
			t.Errorf("%d renewals of %s cost %d writes", renewals[name], name, writes[name])
		}
	}
}
