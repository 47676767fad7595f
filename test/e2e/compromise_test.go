// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"bytes"
	"crypto/rand"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// The tests of this file act with the rights of a component that an attacker has taken over. They
// show what docs/threat-model.md claims about it: what the API server refuses, and what it does
// not.

// asAccount acts with the token of a service account of Hallpass.
func asAccount(t *testing.T, account string) client.Client {
	t.Helper()
	config, err := hallpass.ControlPlane.ServiceAccountConfig(t.Context(), installation.SystemNamespace, account)
	must(t, err)
	config.UserAgent = posing
	return connect(t, config)
}

// asUser acts as a user whom the API server has authenticated.
func asUser(t *testing.T, name string, groups ...string) client.Client {
	t.Helper()
	config := rest.CopyConfig(hallpass.ControlPlane.AdminConfig())
	config.Impersonate = rest.ImpersonationConfig{UserName: name, Groups: append(groups, "system:authenticated")}
	return connect(t, config)
}

func connect(t *testing.T, config *rest.Config) client.Client {
	t.Helper()
	c, err := client.New(config, client.Options{Scheme: cluster.Scheme()})
	must(t, err)
	return c
}

type attempts map[string]func() error

// allowed shows what the component can do, so that no page claims less than that.
func (a attempts) allowed(t *testing.T) {
	t.Helper()
	for name, attempt := range a {
		if err := attempt(); err != nil {
			t.Errorf("%s: %v, want it allowed; if a right has gone, docs/threat-model.md says too much", name, err)
		}
	}
}

func (a attempts) refused(t *testing.T) {
	t.Helper()
	for name, attempt := range a {
		err := attempt()
		if !apierrors.IsForbidden(err) && !refusedByPolicy(err, "hallpass-manager-secrets") && !refusedByPolicy(err, "hallpass-signing-keys") {
			t.Errorf("%s: %v, want it forbidden", name, err)
		}
	}
}

// outOfReach is what no component of Hallpass may do, and no node.
func outOfReach(t *testing.T, c client.Client, victim *corev1.Secret) attempts {
	t.Helper()
	ctx, dry := t.Context(), client.NewDryRunClient(c)
	victims := &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Namespace: victim.Namespace, Name: victim.Name}}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "taken-over"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "x", Image: "x"}}},
	}
	admin := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"}
	return attempts{
		"running a pod in kube-system": func() error { return dry.Create(ctx, pod) },
		"binding cluster-admin": func() error {
			return dry.Create(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "taken-over"}, RoleRef: admin})
		},
		"a token of another service account": func() error {
			account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "namespace-controller"}}
			return dry.SubResource("token").Create(ctx, account, &authenticationv1.TokenRequest{})
		},
		"suspending a client": func() error {
			return dry.Patch(ctx, victims, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"state":"Suspended"}}`)))
		},
		"creating a client": func() error { c := newClient("forged"); c.Namespace = victim.Namespace; return dry.Create(ctx, c) },
		"deleting a client": func() error { return dry.Delete(ctx, victims) },
		"creating a policy": func() error {
			return dry.Create(ctx, &v1alpha1.OAuth2Policy{ObjectMeta: metav1.ObjectMeta{Name: "taken-over"}})
		},
		"labelling a namespace": func() error {
			label := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"`+installation.ProtectedLabel+`":"gold"}}}`))
			return dry.Patch(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: victim.Namespace}}, label)
		},
		"deleting the rules about the manager": func() error {
			policy := &admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "hallpass-manager-secrets"}}
			return dry.Delete(ctx, policy)
		},
		"deleting the signing keys": func() error {
			return dry.Delete(ctx, secretAs(installation.RegistryNamespace, registration.KeysSecretName, "", nil))
		},
	}
}

// forge signs a token for the client of the credentials, with what the registry has.
func forge(t *testing.T, reader client.Client, credentials *corev1.Secret) string {
	t.Helper()
	var keys, record corev1.Secret
	registry := installation.RegistryNamespace
	must(t, reader.Get(t.Context(), client.ObjectKey{Namespace: registry, Name: registration.KeysSecretName}, &keys))
	must(t, reader.Get(t.Context(), client.ObjectKey{Namespace: registry, Name: registration.SecretName(string(credentials.Data["client_id"]))}, &record))
	ring, err := registration.DecodeKeys(keys.Data)
	must(t, err)
	r, err := registration.Decode(record.Data)
	must(t, err)
	key, err := ring.SigningKey(time.Now())
	must(t, err)
	grant := oauth2.Grant{Audience: hallpass.Issuer.NamespaceAudience(credentials.Namespace), Scopes: []string{"read"}, Lifetime: time.Hour}
	token, err := hallpass.Issuer.Issue(&r.Client, grant, key, time.Now(), rand.Reader)
	must(t, err)
	return token.Value.Reveal()
}

func TestWhatACompromisedTokenServerCanDo(t *testing.T) {
	ctx := t.Context()
	victim := credentials(t, apply(t, "behind-tokenserver", newClient("victim")))
	server := asAccount(t, installation.TokenServerAccount)
	dry := client.NewDryRunClient(server)
	registry := installation.RegistryNamespace
	record := secretAs(registry, registration.SecretName(string(victim.Data["client_id"])), "", nil)
	revocation := func(name string) *v1alpha1.TokenRevocation {
		return &v1alpha1.TokenRevocation{
			ObjectMeta: metav1.ObjectMeta{Namespace: registry, Name: name},
			Spec: v1alpha1.TokenRevocationSpec{Selector: v1alpha1.RevocationSelector{
				IssuedBefore: new(metav1.NewTime(time.Now().Add(time.Hour))), Namespace: victim.Namespace,
			}},
		}
	}
	forged := forge(t, server, victim)
	if !isActive(t, victim, forged) {
		t.Error("a token that is signed with the keys of the registry is refused; docs/threat-model.md says that it is good")
	}
	stored := revocation("by-a-taken-over-tokenserver")
	attempts{
		"listing the clients of all namespaces": func() error { return server.List(ctx, &v1alpha1.OAuth2ClientList{}) },
		"listing the registry":                  func() error { return server.List(ctx, &corev1.SecretList{}, client.InNamespace(registry)) },
		"asking whose a token is": func() error {
			return server.Create(ctx, &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: "made.up.token"}})
		},
		"revoking the tokens of a namespace": func() error { return server.Create(ctx, stored) },
	}.allowed(t)
	eventually(t, "its revocation holds", func() bool { return !isActive(t, victim, forged) })
	outOfReach(t, server, victim).refused(t)
	attempts{
		"reading a user's Secret": func() error { return server.Get(ctx, client.ObjectKeyFromObject(victim), &corev1.Secret{}) },
		"listing all Secrets":     func() error { return server.List(ctx, &corev1.SecretList{}) },
		"reading its own certificate": func() error {
			return server.Get(ctx, client.ObjectKey{Namespace: installation.SystemNamespace, Name: "hallpass-tokenserver-tls"}, &corev1.Secret{})
		},
		"registering a client": func() error {
			return dry.Create(ctx, secretAs(registry, "client-forged", registration.SecretType, ourLabels()))
		},
		"changing a registration":   func() error { return dry.Update(ctx, record) },
		"deleting a registration":   func() error { return dry.Delete(ctx, record) },
		"changing the signing keys": func() error { return dry.Update(ctx, secretAs(registry, registration.KeysSecretName, "", nil)) },
		"changing a revocation":     func() error { return dry.Update(ctx, stored) },
		"deleting a revocation":     func() error { return dry.Delete(ctx, stored) },
		"deleting all revocations":  func() error { return dry.DeleteAllOf(ctx, &v1alpha1.TokenRevocation{}, client.InNamespace(registry)) },
		"deleting a usage report": func() error {
			return dry.Delete(ctx, &v1alpha1.UsageReport{ObjectMeta: metav1.ObjectMeta{Namespace: registry, Name: "x"}})
		},
		"reading the APIs of all": func() error { return server.List(ctx, &v1alpha1.OAuth2ResourceList{}) },
		"a token of the manager's account": func() error {
			account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: installation.SystemNamespace, Name: installation.ManagerAccount}}
			return dry.SubResource("token").Create(ctx, account, &authenticationv1.TokenRequest{})
		},
	}.refused(t)
	must(t, cluster.Delete(ctx, stored))
}

func TestWhatACompromisedManagerCanDo(t *testing.T) {
	ctx := t.Context()
	victim := credentials(t, apply(t, "behind-manager", newClient("victim")))
	precious := secretAs(victim.Namespace, "precious", corev1.SecretTypeOpaque, nil)
	precious.StringData = map[string]string{"password": "correct horse battery staple"}
	must(t, cluster.Create(ctx, precious))
	manager := asAccount(t, installation.ManagerAccount)
	dry := client.NewDryRunClient(manager)
	registry := installation.RegistryNamespace
	if forged := forge(t, manager, victim); !isActive(t, victim, forged) {
		t.Error("a token that is signed with the keys of the registry is refused; docs/threat-model.md says that it is good")
	}
	record := func() *corev1.Secret {
		return get(t, &corev1.Secret{}, registry, registration.SecretName(string(victim.Data["client_id"])))
	}
	attempts{
		"reading any Secret of any namespace": func() error { return manager.Get(ctx, client.ObjectKeyFromObject(precious), &corev1.Secret{}) },
		"registering a client": func() error {
			return dry.Create(ctx, secretAs(registry, "client-forged", registration.SecretType, ourLabels()))
		},
		"replacing what a client is recognised by": func() error { return dry.Update(ctx, record()) },
		"replacing a client's Secret":              func() error { return dry.Update(ctx, victim.DeepCopy()) },
		"deleting a revocation": func() error {
			return client.IgnoreNotFound(dry.Delete(ctx, &v1alpha1.TokenRevocation{ObjectMeta: metav1.ObjectMeta{Namespace: registry, Name: "x"}}))
		},
	}.allowed(t)
	outOfReach(t, manager, victim).refused(t)
	attempts{
		"changing a user's own Secret": func() error { return dry.Update(ctx, precious.DeepCopy()) },
		"deleting a user's own Secret": func() error { return dry.Delete(ctx, precious.DeepCopy()) },
		"a Secret that holds an account's token": func() error {
			return dry.Create(ctx, secretAs("kube-system", "forged", corev1.SecretTypeServiceAccountToken, ourLabels()))
		},
		"asking whose a token is": func() error {
			return dry.Create(ctx, &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: "made.up.token"}})
		},
		"reporting a use": func() error {
			return dry.Create(ctx, &v1alpha1.UsageReport{ObjectMeta: metav1.ObjectMeta{Namespace: registry, Name: "forged"}})
		},
		"acting as an administrator": func() error {
			config, err := hallpass.ControlPlane.ServiceAccountConfig(ctx, installation.SystemNamespace, installation.ManagerAccount)
			must(t, err)
			config.UserAgent, config.Impersonate = posing, rest.ImpersonationConfig{UserName: "root", Groups: []string{"system:masters"}}
			return connect(t, config).List(ctx, &corev1.NamespaceList{})
		},
	}.refused(t)
}

func TestWhatAReaderOfTheRegistryCanDo(t *testing.T) {
	ctx := t.Context()
	registry := installation.RegistryNamespace
	must(t, cluster.Create(ctx, &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: registry, Name: "reader"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get", "list", "watch"}}},
	}))
	must(t, cluster.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: registry, Name: "reader"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: "registry-reader"}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "reader"},
	}))
	reader := asUser(t, "registry-reader")
	victim := credentials(t, apply(t, "behind-registry", newClient("victim")))
	fixed := minted(t, newToken(victim.Namespace, "fixed", "victim", v1alpha1.TokenFixed))
	eventually(t, "the reader has its role", func() bool { return reader.List(ctx, &corev1.SecretList{}, client.InNamespace(registry)) == nil })

	if forged := forge(t, reader, victim); !isActive(t, victim, forged) {
		t.Error("a token that is signed with the keys of the registry is refused; docs/threat-model.md says that it is good")
	}
	// What the registry has of a secret and of an opaque token is their hash: neither can be
	// sent.
	var stored corev1.SecretList
	must(t, reader.List(ctx, &stored, client.InNamespace(registry)))
	places, verifiers := map[string][]byte{}, 0
	for i := range stored.Items {
		for entry, value := range stored.Items[i].Data {
			places[entry+" of Secret "+stored.Items[i].Name] = value
			verifiers += bytes.Count(value, []byte(`"sha256":"`))
		}
	}
	if verifiers == 0 {
		t.Error("the registry has no verifier; does this test still read it right?")
	}
	for _, leak := range leaks(places, canaries{"the client's secret": string(victim.Data["client_secret"]), "the opaque token": fixed}) {
		t.Error(leak)
	}
	dry := client.NewDryRunClient(reader)
	outOfReach(t, reader, victim).refused(t)
	attempts{
		"reading a user's Secret": func() error { return reader.Get(ctx, client.ObjectKeyFromObject(victim), &corev1.Secret{}) },
		"registering a client": func() error {
			return dry.Create(ctx, secretAs(registry, "client-forged", registration.SecretType, ourLabels()))
		},
		"revoking a token": func() error {
			return dry.Create(ctx, &v1alpha1.TokenRevocation{ObjectMeta: metav1.ObjectMeta{Namespace: registry, Name: "x"}})
		},
	}.refused(t)
}

// The file of a token server that runs holds what the registry holds, for the process's own user
// alone.
func TestWhatAReaderOfASnapshotCanDo(t *testing.T) {
	ctx := t.Context()
	victim := credentials(t, apply(t, "behind-snapshot", newClient("victim")))
	fixed := minted(t, newToken(victim.Namespace, "fixed", "victim", v1alpha1.TokenFixed))
	program, err := installation.Program(ctx, root(), "tokenserver")
	must(t, err)
	kubeconfig, err := hallpass.ControlPlane.ServiceAccountKubeconfig(ctx, installation.SystemNamespace, installation.TokenServerAccount)
	must(t, err)
	file, certificates := filepath.Join(t.TempDir(), "snapshot"), filepath.Dir(hallpass.CAFile)
	server, err := controlplane.StartProcess("tokenserver", filepath.Join(t.TempDir(), "log"), nil, program, "--kubeconfig="+kubeconfig,
		"--issuer="+hallpass.Issuer.String(), "--listen="+freeAddress(t), "--ops-listen="+freeAddress(t), "--shutdown-lag=0s", "--snapshot-file="+file,
		"--tls-cert-file="+filepath.Join(certificates, "tls.crt"), "--tls-key-file="+filepath.Join(certificates, "tls.key"))
	must(t, err)
	t.Cleanup(func() { must(t, server.Stop()) })
	var content []byte
	eventually(t, "there is a snapshot with the client", func() bool {
		content, err = os.ReadFile(file)
		return err == nil && bytes.Contains(content, []byte("behind-snapshot"))
	})
	info, err := os.Stat(file)
	must(t, err)
	if info.Mode() != 0o400 {
		t.Errorf("the snapshot has mode %s, want 0400", info.Mode())
	}
	keys := get(t, &corev1.Secret{}, installation.RegistryNamespace, registration.KeysSecretName)
	private := regexp.MustCompile(`"pkcs8":"([^"]+)"`)
	for _, value := range keys.Data {
		for _, key := range private.FindAllSubmatch(value, -1) {
			if !bytes.Contains(content, key[1]) {
				t.Error("a signing key is not in the snapshot; docs/threat-model.md says that it is")
			}
		}
	}
	for _, leak := range leaks(map[string][]byte{"the snapshot": content}, canaries{"the client's secret": string(victim.Data["client_secret"]), "the opaque token": fixed}) {
		t.Error(leak)
	}
}

// A kubelet reads the Secrets of the pods that are bound to its node, by the API server's node
// authorizer.
func TestWhatACompromisedNodeCanDo(t *testing.T) {
	ctx := t.Context()
	here := credentials(t, apply(t, "on-the-node", newClient("caller")))
	elsewhere := credentials(t, apply(t, "on-another-node", newClient("caller")))
	// once its service account is there
	eventually(t, "a pod is bound to the node", func() bool {
		err := cluster.Create(ctx, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: here.Namespace, Name: "caller"},
			Spec: corev1.PodSpec{
				NodeName: "taken-over", Containers: []corev1.Container{{Name: "x", Image: "x"}},
				Volumes: []corev1.Volume{
					{Name: "credentials", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: here.Name}}},
					{Name: "token", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
						{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Audience: hallpass.Issuer.String(), Path: "token"}},
					}}}},
				},
			},
		})
		return err == nil
	})
	node := asUser(t, "system:node:taken-over", "system:nodes")
	eventually(t, "the node reads the Secret of its pod", func() bool { return node.Get(ctx, client.ObjectKeyFromObject(here), &corev1.Secret{}) == nil })
	pod := get(t, &corev1.Pod{}, here.Namespace, "caller")
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		Audiences:      []string{hallpass.Issuer.String()},
		BoundObjectRef: &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: pod.Name, UID: pod.UID},
	}}
	tokenOf := func(namespace, name string) error {
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
		return client.NewDryRunClient(node).SubResource("token").Create(ctx, account, request.DeepCopy())
	}
	attempts{
		"a token of the service account of its pod": func() error { return tokenOf(here.Namespace, "default") },
	}.allowed(t)
	registry := installation.RegistryNamespace
	outOfReach(t, node, here).refused(t)
	attempts{
		"reading the Secret of a pod on another node": func() error { return node.Get(ctx, client.ObjectKeyFromObject(elsewhere), &corev1.Secret{}) },
		"listing the Secrets of its pod's namespace":  func() error { return node.List(ctx, &corev1.SecretList{}, client.InNamespace(here.Namespace)) },
		"reading the signing keys": func() error {
			return node.Get(ctx, client.ObjectKey{Namespace: registry, Name: registration.KeysSecretName}, &corev1.Secret{})
		},
		"listing the registry":                  func() error { return node.List(ctx, &corev1.SecretList{}, client.InNamespace(registry)) },
		"listing clients":                       func() error { return node.List(ctx, &v1alpha1.OAuth2ClientList{}) },
		"a token of the manager's account":      func() error { return tokenOf(installation.SystemNamespace, installation.ManagerAccount) },
		"a token of the token server's account": func() error { return tokenOf(installation.SystemNamespace, installation.TokenServerAccount) },
	}.refused(t)
}

// A proxy sends what it likes and reads what passes through it. It has no credentials of Hallpass.
func TestWhatACompromisedIngressCanDo(t *testing.T) {
	caller := credentials(t, apply(t, "behind-ingress", newClient("caller")))
	token := fetch(t, caller)
	other := credentials(t, apply(t, "beside-ingress", newClient("other")))
	send := func(path string, form url.Values, header http.Header) (int, string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, hallpass.Issuer.URL(path), strings.NewReader(form.Encode()))
		must(t, err)
		request.Header = header.Clone()
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		response, err := hallpass.HTTP.Do(request)
		must(t, err)
		defer func() { _ = response.Body.Close() }()
		var body bytes.Buffer
		_, err = body.ReadFrom(response.Body)
		must(t, err)
		return response.StatusCode, body.String()
	}
	// The headers in which a proxy names the caller, or what was asked for.
	claims := http.Header{
		"X-Forwarded-For": {"127.0.0.1"}, "Forwarded": {"for=127.0.0.1;host=localhost"}, "X-Real-Ip": {"127.0.0.1"}, "X-Forwarded-Host": {"localhost"},
		"X-Forwarded-Client-Cert": {`Subject="CN=behind-ingress.caller"`}, "X-Auth-Client": {"behind-ingress.caller"}, "X-Forwarded-Uri": {"/healthz"},
		"X-Remote-User": {"behind-ingress.caller"},
	}
	for name, c := range map[string]struct {
		path string
		form url.Values
	}{
		"a token without a credential":         {oauth2.TokenPath, url.Values{"grant_type": {"client_credentials"}, "client_id": {"behind-ingress.caller"}}},
		"introspection without a credential":   {oauth2.IntrospectionPath, url.Values{"token": {token}}},
		"revocation without a credential":      {oauth2.RevocationPath, url.Values{"token": {token}}},
		"forward-auth without a token":         {oauth2.ForwardAuthPath, nil},
		"a token with an access token instead": {oauth2.TokenPath, url.Values{"grant_type": {"client_credentials"}, "client_assertion": {token}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}}},
	} {
		plain, _ := send(c.path, c.form, http.Header{})
		status, body := send(c.path, c.form, claims)
		if status != plain || !slices.Contains([]int{http.StatusBadRequest, http.StatusUnauthorized}, status) {
			t.Errorf("%s: %d %s with the headers of a proxy and %d without, want the same refusal", name, status, body, plain)
		}
	}
	// A token that passes through it is good for its own audience until its exp, wherever it is
	// sent from.
	if status, _ := proxied(t, caller.Namespace, token); status != http.StatusOK {
		t.Errorf("the token at its own audience: %d; docs/threat-model.md says that it can be used", status)
	}
	if status, _ := proxied(t, other.Namespace, token); status != http.StatusUnauthorized {
		t.Errorf("the token at another audience: %d, want 401", status)
	}
	if isActive(t, other, token) {
		t.Error("a client of another namespace reads the token")
	}
}
