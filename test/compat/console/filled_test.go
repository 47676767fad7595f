// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

const (
	attack       = `<img src=x onerror="hacked=1"><script>hacked=1</script>`
	attackByLink = "javascript:hacked=1//"
)

// fill sets every field that has no value: texts to an attack, and lists to one by markup and one
// by a link.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		if v.String() == "" {
			v.SetString(attack)
		}
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		if v.Int() == 0 {
			v.SetInt(1)
		}
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		fill(v.Elem())
	case reflect.Slice:
		fillList(v)
	case reflect.Map:
		fillMap(v)
	case reflect.Struct:
		fillStruct(v)
	default:
	}
}

func fillList(v reflect.Value) {
	switch {
	case v.Len() > 0:
	case v.Type().Elem().Kind() == reflect.Uint8:
		v.SetBytes([]byte(attack))
		return
	default:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		if last := v.Index(1); last.Kind() == reflect.String {
			last.SetString(attackByLink)
		}
	}
	for i := range v.Len() {
		fill(v.Index(i))
	}
}

func fillMap(v reflect.Value) {
	if v.Len() > 0 || v.Type().Key().Kind() != reflect.String {
		return
	}
	key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
	fill(key)
	fill(value)
	v.Set(reflect.MakeMap(v.Type()))
	v.SetMapIndex(key, value)
}

func fillStruct(v reflect.Value) {
	switch content := v.Addr().Interface().(type) {
	case *metav1.Time:
		if content.IsZero() {
			*content = metav1.NewTime(time.Now().Add(-time.Hour))
		}
		return
	case *metav1.MicroTime:
		*content = metav1.NowMicro()
		return
	case *metav1.FieldsV1, *metav1.TypeMeta:
		return
	}
	for i := range v.NumField() {
		if v.Type().Field(i).IsExported() {
			fill(v.Field(i))
		}
	}
}

// filled is an object whose fields have attacks, except those that it has already.
func filled(t *testing.T, object client.Object, kind, name string) map[string]any {
	t.Helper()
	object.SetName(name)
	object.SetNamespace("shop")
	object.SetResourceVersion("1")
	object.SetOwnerReferences([]metav1.OwnerReference{})
	object.SetFinalizers([]string{})
	fill(reflect.ValueOf(object).Elem())
	object.SetDeletionTimestamp(nil)
	object.SetManagedFields(nil)
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	must(t, err)
	fields["kind"], fields["apiVersion"] = kind, v1alpha1.GroupVersion.String()
	if kind == "Secret" || kind == "ConfigMap" || kind == "Event" {
		fields["apiVersion"] = "v1"
	}
	return fields
}

// conditions are some with which a page shows more than that nothing has happened yet.
func conditions(status metav1.ConditionStatus) []metav1.Condition {
	return []metav1.Condition{
		{Type: v1alpha1.ConditionReady, Status: status}, {Type: v1alpha1.ConditionGrantsComplete, Status: metav1.ConditionFalse}, {Status: metav1.ConditionTrue},
	}
}

// attacks are objects of every kind that the console reads, by the resources of requests.
func attacks(t *testing.T) map[string][]map[string]any {
	t.Helper()
	clientBy := func(name string, method v1alpha1.AuthenticationMethod, status metav1.ConditionStatus) map[string]any {
		c := &v1alpha1.OAuth2Client{}
		c.Spec.Authentication.Method = method
		c.Status.Conditions = conditions(status)
		c.Status.Secret.Name, c.Status.ConfigMap.Name = "evil", "evil"
		return filled(t, c, "OAuth2Client", name)
	}
	resource, token, issuer := &v1alpha1.OAuth2Resource{}, &v1alpha1.OAuth2Token{}, &v1alpha1.OAuth2TrustedIssuer{}
	resource.Status.Conditions, token.Status.Conditions, issuer.Status.Conditions = conditions("False"), conditions("False"), conditions("False")
	token.Spec.ClientRef.Name, token.Status.Secret.Name = "evil", "evil"
	event := &corev1.Event{InvolvedObject: corev1.ObjectReference{APIVersion: v1alpha1.GroupVersion.String(), Kind: "OAuth2Client"}, Type: corev1.EventTypeWarning}
	trusted := filled(t, issuer, "OAuth2TrustedIssuer", "evil")
	unstructured.RemoveNestedField(trusted, "metadata", "namespace")
	return map[string][]map[string]any{
		"oauth2clients": {
			clientBy("evil", "", "False"), clientBy("evil-secret", v1alpha1.ByClientSecret, "True"), clientBy("evil-account", v1alpha1.ByServiceAccount, "False"),
			clientBy("evil-jwt", v1alpha1.ByFederatedToken, "False"), clientBy("evil-key", v1alpha1.ByPrivateKeyJWT, "True"),
		},
		"oauth2resources":      {filled(t, resource, "OAuth2Resource", "evil")},
		"oauth2tokens":         {filled(t, token, "OAuth2Token", "evil")},
		"oauth2trustedissuers": {trusted},
		"secrets":              {filled(t, &corev1.Secret{}, "Secret", "evil")},
		"configmaps":           {filled(t, &corev1.ConfigMap{}, "ConfigMap", "evil")},
		"events":               {filled(t, event, "Event", "evil")},
	}
}

// evilServer is an API server that lets the caller do everything, and whose objects are attacks.
func evilServer(t *testing.T) string {
	t.Helper()
	all := attacks(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
		last := parts[len(parts)-1]
		send := func(content any) { _ = json.NewEncoder(w).Encode(content) }
		switch objects, isList := all[last]; {
		case strings.HasSuffix(last, "reviews"):
			send(map[string]any{"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": map[string]any{}, "status": map[string]any{"allowed": true, "userInfo": map[string]any{"username": attack}}})
		case r.URL.Query().Get("watch") != "":
			<-r.Context().Done()
		case isList:
			send(map[string]any{"apiVersion": "v1", "kind": "List", "metadata": map[string]any{"resourceVersion": "1"}, "items": objects})
		case len(parts) < 2:
			send(map[string]any{})
		default:
			for _, object := range all[parts[len(parts)-2]] {
				if name, _, _ := unstructured.NestedString(object, "metadata", "name"); name == last {
					send(object)
					return
				}
			}
			send(map[string]any{"apiVersion": "v1", "kind": "List", "metadata": map[string]any{"resourceVersion": "1"}, "items": []any{}})
		}
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}

// TestEveryFieldIsText fills every field of every kind that the console reads with markup, also
// those that the API server would not accept.
func TestEveryFieldIsText(t *testing.T) {
	b := newTab(t)
	c := openWith(t, kubeconfigOf(t, evilServer(t)), "--namespace shop")
	b.Do(navigate(c))
	b.see("Overview")
	for _, hash := range []string{
		"#/", "#/clients", "#/clients/shop/evil", "#/clients/shop/evil-secret", "#/clients/shop/evil-account", "#/clients/shop/evil-jwt", "#/clients/shop/evil-key",
		"#/tokens", "#/resources", "#/resources/shop/evil", "#/issuers", "#/issuers/evil", "#/events",
	} {
		b.to(hash, "Namespace")
		b.Until("the page "+hash+" shows an attack as text", `document.querySelector("main").innerText.includes(`+quoted(attack)+`)`)
		if eval[bool](b, `window.hacked !== undefined || document.querySelector("main img, main script, main iframe, main [onerror]") !== null || [...document.links].some((a) => a.protocol === "javascript:")`) {
			t.Errorf("%s: text has become markup:\n%s", hash, b.markup())
		}
		if hash == "#/clients/shop/evil-secret" {
			b.press("YAML")
			b.press("New token…")
			b.press("Cancel")
		}
	}
	if b.Problems.String() != "" {
		t.Errorf("the browser reports:\n%s", b.Problems)
	}
}
