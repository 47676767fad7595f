// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package kubectl_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/app"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

// TestCommands is the life of a client, an API and a token, as their owners see it.
func TestCommands(t *testing.T) {
	namespaces(t, "shop", "orders")
	transcript(t, "commands.golden", []step{
		{user: "edit", line: "create client reporting --namespace shop --scopes read,write --access orders/orders-api=orders.read,orders.write --display-name Reporting"},
		{user: "view", line: "get clients --namespace shop", until: "2/4"},
		{user: "view", line: "why reporting --namespace shop --resource orders/orders-api"},
		{user: "edit", line: "create resource orders-api --namespace orders --scopes 'orders.read=Read orders,orders.write' --to web"},
		{user: "edit", line: "grant orders-api --namespace orders --to shop --scopes orders.read"},
		{user: "edit", line: "grant orders-api --namespace orders --to shop --scopes orders.read"},
		{user: "edit", line: "grant orders-api --namespace orders --to shop --scopes orders.delete"},
		{user: "view", line: "get clients --namespace shop", until: "3/4"},
		{user: "view", line: "get resources --namespace orders --output wide", until: "Ready"},
		{user: "view", line: "describe resource orders-api --namespace orders", until: "clients with a scope  1"},
		{user: "view", line: "describe client reporting --namespace shop"},
		{user: "view", line: "why reporting --namespace shop --resource orders/orders-api --scope orders.write"},
		{user: "view", line: "why reporting --namespace shop --resource orders/orders-api --scope orders.read"},
		{user: "edit", line: "get secret reporting --namespace shop"},
		{user: "edit", line: "get secret reporting --namespace shop --entry client_secret"},
		{user: "edit", line: "get secret reporting --namespace shop --entry client_id"},
		{user: "edit", line: "set client reporting --namespace shop --notes 'Runs at night' --contacts shop@example.com"},
		{user: "edit", line: "set client reporting --namespace shop --display-name ''"},
		{user: "edit", line: "set client reporting --namespace shop"},
		{user: "edit", line: "set client reporting --namespace shop --contacts nobody"},
		{user: "edit", line: "create token dashboard --namespace shop --client reporting --expires-in 30d --notes 'Wall display' --scopes read"},
		{user: "view", line: "get tokens --namespace shop", until: "Ready"},
		{user: "view", line: "describe token dashboard --namespace shop"},
		{user: "edit", line: "rotate reporting --namespace shop"},
		{user: "edit", line: "rotate reporting --namespace shop --now"},
		{user: "edit", line: "rotate reporting --namespace shop --now", terminal: true, stdin: "n\n"},
		{user: "edit", line: "rotate reporting --namespace shop --now", terminal: true, stdin: "y\n"},
		{user: "edit", line: "suspend reporting --namespace shop"},
		{user: "view", line: "get clients --namespace shop", until: "Suspended"},
		{user: "view", line: "why reporting --namespace shop"},
		{user: "edit", line: "resume reporting --namespace shop"},
		{user: "view", line: "get clients --namespace shop", until: "Ready"},
		{user: "edit", line: "ungrant orders-api --namespace orders --from shop"},
		{user: "edit", line: "ungrant orders-api --namespace orders --from shop"},
		{user: "view", line: "get clients --namespace shop", until: "2/4"},
		{user: "edit", line: "revoke client reporting --namespace shop"},
		{user: "edit", line: "revoke client reporting --namespace shop --yes"},
		{user: "edit", line: "revoke namespace shop --yes"},
		{line: "revoke namespace shop --yes"},
		{line: "revoke client reporting --namespace shop --yes --output name"},
	})
}

// TestDryRuns prints what each command would write. Afterwards nothing has changed.
func TestDryRuns(t *testing.T) {
	namespaces(t, "dry", "dry-orders")
	shell{}.ok(t, "create client reporting --namespace dry --scopes read --access dry-orders/api=orders.read")
	shell{}.ok(t, "create client second --namespace dry")
	shell{}.ok(t, "create resource api --namespace dry-orders --scopes orders.read,orders.write --to dry")
	shell{}.ok(t, "create token display --namespace dry --client reporting --expires-in 30d")
	eventually(t, "all is ready", func() bool {
		return settled(t, "dry") && settled(t, "dry-orders")
	})
	token := shell{cache: t.TempDir()}.ok(t, "token reporting --namespace dry --no-cache")
	before := stored(t, "dry") + stored(t, "dry-orders")
	var steps []step
	for _, line := range []string{
		"create client third --namespace dry --scopes read", "create resource other --namespace dry-orders --scopes read", "create token other --namespace dry --client reporting",
		"rotate reporting --namespace dry", "rotate reporting --namespace dry --now", "suspend reporting second --namespace dry", "resume reporting --namespace dry",
		"grant api --namespace dry-orders --to shop --scopes orders.write", "grant api --namespace dry-orders --to dry --scopes orders.read",
		"ungrant api --namespace dry-orders --from dry", "set client reporting --namespace dry --notes Nightly", "set resource api --namespace dry-orders --display-name Orders",
		"set token display --namespace dry --notes Wall", "revoke client reporting --namespace dry", "revoke namespace dry",
		"delete client reporting second --namespace dry", "delete resource api --namespace dry-orders", "delete token display --namespace dry",
	} {
		steps = append(steps, step{user: "edit", line: line + " --dry-run=client"}, step{user: "edit", line: line + " --dry-run=server"})
	}
	steps = append(steps,
		step{user: "edit", line: "create client third --namespace dry --scopes read --dry-run=client --output yaml"},
		step{user: "view", line: "suspend reporting --namespace dry --dry-run=client --output jsonpath={.spec}"},
		step{user: "view", line: "suspend reporting --namespace dry --dry-run=server"},
		step{user: "edit", line: "suspend reporting --namespace dry --dry-run=client --output name"},
		step{user: "edit", line: "rotate reporting --namespace dry --dry-run=client --output jsonpath={.metadata.annotations}"},
		step{user: "edit", line: "rotate reporting --namespace dry --now --dry-run=client --output jsonpath={.metadata.annotations}"},
		step{user: "edit", line: "grant api --namespace dry-orders --to shop --scopes orders.write --dry-run=client --output jsonpath={.spec}"},
		step{user: "edit", line: "revoke client reporting --namespace dry --dry-run=client --output jsonpath={.spec.revokeTokensIssuedBefore}"},
		step{line: "revoke namespace dry --dry-run=client --output yaml"},
		step{line: "revoke namespace dry --dry-run=client --output name"},
		step{user: "edit", line: "delete token display --namespace dry --dry-run=client --output name"},
		step{user: "admin", line: "delete client reporting --namespace dry --dry-run=server"},
		step{user: "admin", line: "revoke namespace dry --dry-run=server"},
		step{user: "admin", line: "get secret reporting --namespace dry --entry client_secret"},
		step{user: "edit", line: "delete token missing --namespace dry --dry-run=client"},
		step{user: "edit", line: "delete token display --namespace dry"},
		step{line: "revoke token --namespace dry --dry-run=client", stdin: token},
	)
	transcript(t, "dry-run.golden", steps)
	if diff := cmp.Diff(before, stored(t, "dry")+stored(t, "dry-orders")); diff != "" {
		t.Errorf("a dry run has changed something (-before +after):\n%s", diff)
	}
	if why := (shell{}).run(t, "why --token-file - --namespace dry", token); why.code != app.ExitOK {
		t.Errorf("a dry run has revoked a token: %s", why.out)
	}
	transcript(t, "delete.golden", []step{
		{user: "edit", line: "delete token display --namespace dry", terminal: true, stdin: "n\n"},
		{user: "edit", line: "delete token display --namespace dry", terminal: true, stdin: "y\n"},
		{user: "edit", line: "delete client reporting second --namespace dry --yes"},
		{user: "edit", line: "delete resource api --namespace dry-orders --yes --output name"},
		{user: "view", line: "get clients --namespace dry"},
	})
}

// TestRotateNowIsOneWrite ends the plugin after its write, as a crash does: the old secret is
// refused all the same, and the overlap of later rotations is as it was.
func TestRotateNowIsOneWrite(t *testing.T) {
	namespaces(t, "leaks")
	shell{}.ok(t, "create client reporting --namespace leaks --scopes read")
	key := client.ObjectKey{Namespace: "leaks", Name: "reporting"}
	rotation := v1alpha1.RotationSpec{Overlap: "48h", RetireWhenUnusedFor: "24h"}
	read := func() *v1alpha1.OAuth2Client {
		var c v1alpha1.OAuth2Client
		must(t, shared.Cluster.Get(t.Context(), key, &c))
		return &c
	}
	c := read()
	patch := client.MergeFrom(c.DeepCopy())
	c.Spec.Rotation = rotation
	must(t, shared.Cluster.Patch(t.Context(), c, patch))
	eventually(t, "it has a secret", func() bool { return len(read().Status.Credentials) == 1 })
	former := read().Status.Credentials[0].ID

	shell{user: "edit"}.ok(t, "rotate reporting --namespace leaks --now --yes --timeout 0s")
	eventually(t, "the rotation is done", func() bool {
		status := read().Status
		return status.Rotation.HandledRequest != "" && status.Rotation.HandledRequest == read().Annotations[v1alpha1.AnnotationRotate]
	})
	done := read()
	if len(done.Status.Credentials) != 1 || done.Status.Credentials[0].ID == former {
		t.Errorf("the old secret %s is accepted: %v", former, done.Status.Credentials)
	}
	if diff := cmp.Diff(rotation, done.Spec.Rotation); diff != "" {
		t.Errorf("spec.rotation (-want +got):\n%s", diff)
	}

	shell{user: "edit"}.ok(t, "rotate reporting --namespace leaks")
	if accepted := read().Status.Credentials; len(accepted) != 2 || time.Until(accepted[1].ExpiresAt.Time) < 47*time.Hour {
		t.Errorf("another rotation has no overlap: %v", accepted)
	}
}

// settled reports whether all clients, APIs and tokens of a namespace are ready.
func settled(t *testing.T, namespace string) bool {
	t.Helper()
	for _, noun := range []string{"clients", "resources", "tokens"} {
		for state := range strings.FieldsSeq(shell{}.ok(t, "get "+noun+" --namespace "+namespace+` --output jsonpath='{range .items[*]}{.status.conditions[?(@.type=="Ready")].status}x{" "}{end}'`)) {
			if state != "Truex" {
				return false
			}
		}
	}
	return true
}

// stored are the specs and annotations of all objects of a namespace, and the revocations.
func stored(t *testing.T, namespace string) string {
	t.Helper()
	var text strings.Builder
	for _, kind := range []client.ObjectList{&v1alpha1.OAuth2ClientList{}, &v1alpha1.OAuth2ResourceList{}, &v1alpha1.OAuth2TokenList{}, &v1alpha1.TokenRevocationList{}} {
		options := []client.ListOption{client.InNamespace(namespace)}
		if _, revocations := kind.(*v1alpha1.TokenRevocationList); revocations {
			options = nil
		}
		must(t, shared.Cluster.List(t.Context(), kind, options...))
		must(t, meta.EachListItem(kind, func(o runtime.Object) error {
			object, ok := o.(client.Object)
			if !ok {
				return fmt.Errorf("%T has no metadata", o)
			}
			object.SetManagedFields(nil)
			fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
			must(t, err)
			spec, err := json.Marshal(fields["spec"])
			must(t, err)
			fmt.Fprintf(&text, "%s %v %s\n", object.GetName(), object.GetAnnotations(), spec)
			return nil
		}))
	}
	return text.String()
}

// TestWhatOthersMayNot is what users read who may not do it.
func TestWhatOthersMayNot(t *testing.T) {
	namespaces(t, "closed")
	shell{}.ok(t, "create client caller --namespace closed --scopes read")
	shell{}.ok(t, "create resource api --namespace closed --scopes read")
	eventually(t, "all is ready", func() bool { return settled(t, "closed") })
	var steps []step
	for user, lines := range map[string][]string{
		"view": {
			"create client other", "create resource other", "create token other --client caller", "get secret caller", "set client caller --notes x",
			"grant api --to closed --scopes read", "rotate caller", "suspend caller", "revoke client caller --yes", "revoke namespace closed --yes", "token caller",
		},
		"nobody": {
			"get clients", "get resources", "get tokens", "get secret caller", "describe client caller", "create client other", "why caller", "events caller", "token caller",
		},
	} {
		for _, line := range lines {
			if !strings.Contains(line, "--namespace") {
				line += " --namespace closed"
			}
			steps = append(steps, step{user: user, line: line})
		}
	}
	sortSteps(steps)
	transcript(t, "forbidden.golden", steps)
}

// TestBadInput is what a user reads after a mistake.
func TestBadInput(t *testing.T) {
	namespaces(t, "mistakes")
	shell{}.ok(t, "create client taken --namespace mistakes")
	transcript(t, "mistakes.golden", []step{
		{line: "get clients --namespace not-there"},
		{line: "get clients missing --namespace mistakes"},
		{line: "get tokens --namespace mistakes"},
		{line: "get clinets"},
		{line: "get clients --unused-for soon --namespace mistakes"},
		{line: "get clients --namespace Not_A_Name"},
		{line: "get clients --output xml --namespace mistakes"},
		{line: "get clients --token x"},
		{line: "describe client"},
		{line: "create client taken --namespace mistakes"},
		{line: "create client Name_With_Capitals --namespace mistakes"},
		{line: "create client other --namespace mistakes --scopes 'a b'"},
		{line: "create client other --namespace mistakes --token-lifetime 2h"},
		{line: "create client other --namespace mistakes --issuer github"},
		{line: "create client other --namespace mistakes --subject a"},
		{line: "create client other --namespace mistakes --issuer github --claim environment"},
		{line: "create client other --namespace mistakes --issuer github --claim iss=a"},
		{line: "create client other --namespace mistakes --issuer github --subject a --service-account b"},
		{line: "get issuers missing"},
		{line: "describe issuer missing"},
		{line: "create client other --namespace not-there"},
		{line: "create token t --namespace mistakes"},
		{line: "create token t --namespace mistakes --client taken --expires-in 30d --expires-at 2030-01-01"},
		{line: "create token t --namespace mistakes --client taken --expires-at 2020-01-01"},
		{line: "create client a b --namespace mistakes"},
		{line: "create client a --dry-run=maybe --namespace mistakes"},
		{line: "suspend taken --dry-run=yes --namespace mistakes"},
		{line: "revoke token --dry-run=server --namespace mistakes"},
		{line: "grant missing --to shop --scopes read --namespace mistakes"},
		{line: "grant missing --scopes read --namespace mistakes"},
		{line: "grant missing --to shop --namespace mistakes"},
		{line: "why"},
		{line: "why taken --token-file - --namespace mistakes"},
		{line: "why --token-file - --namespace mistakes", stdin: "something\n"},
		{line: "why --token-file - --namespace mistakes"},
		{line: "revoke token --namespace mistakes", stdin: "hpt_abc\n"},
		{line: "token taken --header --decode --namespace mistakes"},
		{line: "create client other --namespace mistakes --output wide"},
		{line: "delete client taken --namespace mistakes --yes --output tabel"},
		{line: "suspend taken --namespace mistakes --output jsonpath={"},
		{line: "revoke client taken --namespace mistakes --yes --output jsonpath"},
		{line: "get clients --namespace mistakes"},
		{line: "suspend missing taken gone --namespace mistakes"},
		{line: "delete client missing taken gone --namespace mistakes --yes"},
		{line: "revoke issuer missing --yes --dry-run=client"},
		{line: "revoke person user:missing:U1 --yes --dry-run=client"},
		{line: "create resource api --namespace mistakes --scopes read"},
		{line: "grant api --to not-there --scopes read --namespace mistakes"},
		{line: "create client other --namespace mistakes --access orders/orders/api=read"},
		{line: "create client other --namespace mistakes --scopes ,"},
		{line: "create client other --namespace mistakes --rotate-every 5s"},
		{line: "create client other --namespace mistakes --from-metadata ''"},
		{line: "create client other --namespace mistakes --from-metadata https://127.0.0.1:1/client.json"},
		{line: "import - --format xml"},
		{line: "completion powershel"},
		{line: "get clients --request-timeout 1x"},
		{line: "describe issuer missing --namespace not-there"},
		{line: "get clients --context not-there"},
		{line: "get clients --server https://127.0.0.1:1 --namespace mistakes"},
	})
}

// TestManifests is what GitOps people commit: nothing is sent.
func TestManifests(t *testing.T) {
	transcript(t, "manifests.golden", []step{
		{user: "nobody", line: "create client reporting --namespace shop --scopes read --contacts a@example.com --rotate-every 720h --dry-run=client --output yaml"},
		{user: "nobody", line: "create client worker --namespace shop --service-account worker --dry-run=client --output yaml"},
		{user: "nobody", line: "create client deploy --namespace shop --issuer github --subject 'repo:octo-org/octo-repo:environment:prod' --claim repository_id=74 --claim environment=prod,staging --dry-run=client --output yaml"},
		{user: "nobody", line: "create client shop-cli --namespace shop --public --redirect-uri http://localhost/callback --refresh-lifetime 8h --access orders/orders-api=orders.read --dry-run=client --output yaml"},
		{user: "nobody", line: "create resource orders-api --namespace orders --scopes 'orders.read=Read orders' --to shop --dry-run=client --output yaml"},
		{user: "nobody", line: "create token exporter --namespace shop --client reporting --dry-run=client --output yaml"},
		{user: "nobody", line: "create token exporter --namespace shop --client reporting --dry-run=client --output name"},
	})
}

// TestATokenIsFetchedKeptAndRevoked walks with the rights of edit.
func TestATokenIsFetchedKeptAndRevoked(t *testing.T) {
	namespaces(t, "calling")
	edit := shell{user: "edit", cache: t.TempDir()}
	shared.Apply(t, "calling", world.NewClient("caller"))
	token := strings.TrimSpace(edit.ok(t, "token caller --namespace calling"))
	if strings.Count(token, ".") != 2 {
		t.Fatalf("that is no JWT: %d characters", len(token))
	}
	if again := strings.TrimSpace(edit.ok(t, "token caller --namespace calling")); again != token {
		t.Error("the token is not kept")
	}
	if header := edit.ok(t, "token caller --namespace calling --header"); header != "Authorization: Bearer "+token+"\n" {
		t.Error("the header has another form")
	}
	if fresh := strings.TrimSpace(edit.ok(t, "token caller --namespace calling --no-cache")); fresh == token {
		t.Error("--no-cache prints a token that was kept")
	}
	var decoded struct {
		Claims map[string]any `json:"claims"`
	}
	must(t, json.Unmarshal([]byte(edit.ok(t, "token caller --namespace calling --decode --scope read")), &decoded))
	if decoded.Claims["client_id"] != "calling.caller" || decoded.Claims["scope"] != "read" {
		t.Errorf("claims %v", decoded.Claims)
	}
	if r := edit.run(t, "token caller --namespace calling --scope other", ""); r.code != app.ExitFailed || !strings.Contains(r.err, "invalid_scope") || !strings.Contains(r.err, "kubectl hallpass why caller") {
		t.Errorf("a scope that is not granted: exit %d: %s", r.code, r.err)
	}

	if r := edit.run(t, "why --token-file - --namespace calling", "Authorization: Bearer "+token); r.code != app.ExitOK {
		t.Errorf("the token: exit %d: %s%s", r.code, r.out, r.err)
	}
	if r := edit.run(t, "revoke token --namespace calling", token); r.code != app.ExitOK {
		t.Fatalf("revoke: exit %d: %s", r.code, r.err)
	}
	inspector := shared.Credentials(t, shared.Apply(t, "calling", world.NewClient("api")))
	_, body := shared.Post(t, inspector, string(inspector.Data["introspection_url"]), map[string][]string{"token": {token}})
	if body["active"] != false {
		t.Errorf("the revoked token: %v", body)
	}
	next := strings.TrimSpace(edit.ok(t, "token caller --namespace calling"))
	if next == token {
		t.Error("a revoked token is kept")
	}
	elsewhere := shell{user: "edit", cache: t.TempDir()}
	elsewhere.ok(t, "suspend caller --namespace calling")
	if r := edit.run(t, "token caller --namespace calling", ""); r.code != app.ExitFailed || r.out != "" {
		t.Errorf("a suspended client: exit %d: %s%s", r.code, r.out, r.err)
	}
	elsewhere.ok(t, "resume caller --namespace calling")
	elsewhere.ok(t, "revoke client caller --namespace calling --yes")
	eventually(t, "the next token is issued", func() bool {
		r := edit.run(t, "token caller --namespace calling", "")
		if strings.TrimSpace(r.out) == next {
			t.Fatal("a token of a client whose tokens were revoked elsewhere is kept")
		}
		return r.code == app.ExitOK
	})
	edit.ok(t, "token caller --namespace calling --scope read")
	must(t, filepath.WalkDir(edit.cache, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o", path, info.Mode().Perm())
		}
		return err
	}))
	if r := edit.run(t, "logout", ""); r.code != app.ExitOK || r.err != "Deleted 2 tokens from this machine.\n" {
		t.Errorf("logout: exit %d: %s", r.code, r.err)
	}
	if files, err := os.ReadDir(filepath.Join(edit.cache, "tokens")); err != nil || len(files) > 0 {
		t.Errorf("after logout: %d files, %v", len(files), err)
	}
}

// TestATokenOfAServiceAccountNeedsNoSecret makes the assertion by the API server.
func TestATokenOfAServiceAccountNeedsNoSecret(t *testing.T) {
	namespaces(t, "workers")
	must(t, shared.Cluster.Create(t.Context(), newAccount("workers", "worker")))
	edit := shell{user: "edit", cache: t.TempDir()}
	edit.ok(t, "create client worker --namespace workers --service-account worker --scopes read")
	awaitReady(t, "workers", "worker")
	if token := edit.ok(t, "token worker --namespace workers"); strings.Count(token, ".") != 2 {
		t.Errorf("that is no JWT: %d characters", len(token))
	}
	if shown := edit.ok(t, "get secret worker --namespace workers"); !strings.Contains(shown, "workers.worker") {
		t.Errorf("the ConfigMap has no client_id:\n%s", shown)
	}
	if r := edit.run(t, "rotate worker --namespace workers", ""); r.code != app.ExitFailed || !strings.Contains(r.err, "has no client secret") {
		t.Errorf("rotate: exit %d: %s", r.code, r.err)
	}
}

// TestAnOpaqueTokenIsFoundByItself finds the OAuth2Token of a token that was handed out.
func TestAnOpaqueTokenIsFoundByItself(t *testing.T) {
	namespaces(t, "handed-out")
	edit := shell{user: "edit", cache: t.TempDir()}
	shared.Apply(t, "handed-out", world.NewClient("caller"))
	edit.ok(t, "create token dashboard --namespace handed-out --client caller --expires-in 1d")
	var secret corev1.Secret
	eventually(t, "the token is in its Secret", func() bool {
		err := shared.Cluster.Get(t.Context(), client.ObjectKey{Namespace: "handed-out", Name: "dashboard"}, &secret)
		return client.IgnoreNotFound(err) == nil && len(secret.Data["token"]) > 0
	})
	token := string(secret.Data["token"])
	eventually(t, "why finds nothing", func() bool {
		return edit.run(t, "why --token-file - --namespace handed-out", token).code == app.ExitOK
	})
	if r := edit.run(t, "why --token-file - --namespace default", token); r.code == app.ExitOK {
		t.Errorf("in another namespace: exit %d: %s%s", r.code, r.out, r.err)
	}
	if r := edit.run(t, "revoke token --namespace handed-out", token); r.code != app.ExitOK {
		t.Errorf("revoke: exit %d: %s", r.code, r.err)
	}
	if r := edit.run(t, "why --token-file - --namespace handed-out", token[:len(token)-1]); r.code != app.ExitFailed || !strings.Contains(r.err, "checksum") {
		t.Errorf("a token that was cut off: exit %d: %s", r.code, r.err)
	}
}

// TestRotateNowEndsTheOldSecretAndRestoresTheSpec reads the secret, not the status.
func TestRotateNowEndsTheOldSecretAndRestoresTheSpec(t *testing.T) {
	namespaces(t, "leaked")
	edit := shell{user: "edit", cache: t.TempDir()}
	c := world.NewClient("caller")
	c.Spec.Rotation = v1alpha1.RotationSpec{Overlap: "168h", RetireWhenUnusedFor: "24h"}
	c = shared.Apply(t, "leaked", c)
	before := shared.Credentials(t, c)
	shared.Fetch(t, before, string(before.Data["token_url"]))
	edit.ok(t, "rotate caller --namespace leaked --now --yes")
	eventually(t, "the old secret is refused", func() bool {
		status, _ := shared.Post(t, before, string(before.Data["token_url"]), map[string][]string{"grant_type": {"client_credentials"}})
		return status == 401
	})
	after := shared.Credentials(t, c)
	shared.Fetch(t, after, string(after.Data["token_url"]))
	must(t, shared.Cluster.Get(t.Context(), client.ObjectKeyFromObject(c), c))
	if want := (v1alpha1.RotationSpec{Overlap: "168h", RetireWhenUnusedFor: "24h"}); c.Spec.Rotation != want {
		t.Errorf("spec.rotation is %+v, want %+v", c.Spec.Rotation, want)
	}
}

func awaitReady(t *testing.T, namespace, name string) {
	t.Helper()
	var c v1alpha1.OAuth2Client
	for end := time.Now().Add(patience); !meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady); {
		must(t, shared.Cluster.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, &c))
		if time.Now().After(end) {
			t.Fatalf("%s is not ready: %+v", name, c.Status.Conditions)
		}
	}
}

// TestDoctor examines a cluster without a node: the replicas are not ready, and the rest is well.
func TestDoctor(t *testing.T) {
	namespaces(t, "examined")
	for user, want := range map[string][]string{
		"": {
			"ok       clock: ", "problem  manager: 0 of 2 replicas are ready", "ok       signing keys: A key of ES256 signs.", "ok       certificate: ",
			"ok       admission policies: Those of Hallpass are there: ", "you may: list clients, create clients, change, rotate and suspend clients, delete clients, read secrets and fetch tokens",
		},
		"view": {
			"unknown  manager and tokenserver: ", "unknown  signing keys: ", "unknown  certificate: ", "In namespace examined you may: list clients, read events. You may not: create clients",
		},
		"nobody": {"you may: nothing."},
	} {
		r := shell{user: user}.run(t, "doctor --namespace examined", "")
		for _, text := range want {
			if !strings.Contains(r.out, text) {
				t.Errorf("%s does not read %q:\n%s%s", user, text, r.out, r.err)
			}
		}
		if code := map[bool]int{true: app.ExitRefused, false: app.ExitOK}[strings.Contains(r.out, "problem ")]; r.code != code {
			t.Errorf("%s: exit %d, want %d:\n%s", user, r.code, code, r.out)
		}
	}
	var findings []map[string]string
	if err := json.Unmarshal([]byte(shell{user: "view"}.run(t, "doctor --namespace examined --output json", "").out), &findings); err != nil || len(findings) < 6 {
		t.Errorf("%d findings as JSON: %v", len(findings), err)
	}
}

// TestSigningKeysAreListedWithoutTheirPrivateHalves reads the Secret that holds both.
func TestSigningKeysAreListedWithoutTheirPrivateHalves(t *testing.T) {
	listed := shell{}.ok(t, "get keys")
	if !strings.Contains(listed, "ES256") || !strings.Contains(listed, "Active") {
		t.Errorf("no key is active:\n%s", listed)
	}
	var keys []map[string]string
	must(t, json.Unmarshal([]byte(shell{}.ok(t, "get keys --output json")), &keys))
	for _, key := range keys {
		for field := range key {
			switch field {
			case "kid", "alg", "state", "publishedAt", "activeAt", "retiredAt", "goneAt":
			default:
				t.Errorf("a key has the field %s", field)
			}
		}
	}
	if r := (shell{user: "admin"}).run(t, "get keys", ""); r.code != app.ExitFailed || !strings.Contains(r.err, "you may not do that") {
		t.Errorf("a tenant: exit %d: %s%s", r.code, r.out, r.err)
	}
}

// TestARefusedRequestIsFoundInTheLogs reads the real audit lines, of a Pod that a proxy before the
// API server makes up.
func TestARefusedRequestIsFoundInTheLogs(t *testing.T) {
	namespaces(t, "logged")
	shared.Apply(t, "logged", world.NewClient("caller"))
	serveReadyPod(t)
	kubeconfig := proxied(t, "/log", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(shared.Hallpass.Log.String())) })
	r := shell{cache: t.TempDir()}.run(t, "token caller --namespace logged --scope other", "")
	id := regexp.MustCompile(`request id ([^)]+)\)`).FindStringSubmatch(r.err)
	if id == nil {
		t.Fatalf("exit %d without a request id: %s", r.code, r.err)
	}
	eventually(t, "the request is found", func() bool {
		r = shell{kubeconfig: kubeconfig}.run(t, "why --request-id "+id[1], "")
		return r.code == app.ExitRefused
	})
	if !strings.Contains(r.out, "ScopeNotGranted: The request of client logged.caller") || !strings.Contains(r.out, "to the endpoint token") {
		t.Errorf("it says %s%s", r.out, r.err)
	}
	if r = (shell{kubeconfig: kubeconfig}).run(t, "why --request-id not-there", ""); r.code != app.ExitFailed || !strings.Contains(r.err, "none of the logs of 1 Pods") {
		t.Errorf("another id: exit %d: %s%s", r.code, r.out, r.err)
	}
	if r = (shell{user: "admin"}).run(t, "why --request-id x", ""); r.code != app.ExitFailed || !strings.Contains(r.err, "you may not do that") {
		t.Errorf("a tenant: exit %d: %s%s", r.code, r.out, r.err)
	}
}

// TestAnImportIsApplied applies the manifests of an export, and fetches a token with the secret
// that the client had.
func TestAnImportIsApplied(t *testing.T) {
	namespaces(t, "imported")
	secret := rand.Text()
	export := "client_id,name,scopes,secret\nlegacy-reporting,Reporting,read," + secret + "\n"
	masked := shell{}.run(t, "import - --format csv --namespace imported", export)
	if masked.code != app.ExitOK || strings.Contains(masked.out+masked.err, secret) || !strings.Contains(masked.err, "add --reveal") {
		t.Errorf("exit %d: %s%s", masked.code, masked.out, masked.err)
	}
	r := shell{}.run(t, "import - --format csv --reveal --namespace imported", export)
	if r.code != app.ExitOK || r.err != "" {
		t.Fatalf("exit %d: %s", r.code, r.err)
	}
	allow := "apiVersion: hallpass.dev/v1alpha1\nkind: OAuth2Policy\nmetadata: {name: imported}\nspec:\n  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: imported}}\n  clientIDs: [legacy-reporting]\n---\n"
	file := filepath.Join(t.TempDir(), "clients.yaml")
	must(t, os.WriteFile(file, []byte(allow+strings.TrimPrefix(r.out, "---\n")), 0o600))
	must(t, installation.Kubectl(t.Context(), shared.Plane, "apply", "--filename", file))
	awaitReady(t, "imported", "legacy-reporting")
	edit := shell{user: "edit", cache: t.TempDir()}
	var decoded struct {
		Claims map[string]any `json:"claims"`
	}
	must(t, json.Unmarshal([]byte(edit.ok(t, "token legacy-reporting --namespace imported --decode")), &decoded))
	if decoded.Claims["client_id"] != "legacy-reporting" {
		t.Errorf("claims %v", decoded.Claims)
	}
}
