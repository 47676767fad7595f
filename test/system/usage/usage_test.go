// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usage_test

import (
	"crypto/rand"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

func TestTheStatusTellsWhichSecretWasUsedAndWhen(t *testing.T) {
	c := apply(t, "told", "reporting")
	if !c.Status.LastUsedAt.IsZero() || !c.Status.Credentials[0].LastUsedAt.IsZero() {
		t.Fatalf("a new client was used: %+v", c.Status)
	}
	secret := shared.Credentials(t, c)
	used := time.Now()
	fetch(t, secret)
	answered := time.Now()
	isReportedNext(t, c)
	eventually(t, "the status tells of the use", func() bool {
		read(t, c)
		return !c.Status.LastUsedAt.IsZero()
	})
	minute := used.Truncate(time.Minute)
	for what, at := range map[string]time.Time{
		"lastUsedAt": c.Status.LastUsedAt.Time, "lastTokenIssuedAt": c.Status.LastTokenIssuedAt.Time,
		"credentials[0].lastUsedAt": c.Status.Credentials[0].LastUsedAt.Time,
	} {
		if at.Before(minute) || at.After(answered) {
			t.Errorf("%s is %s, want the minute of %s", what, at, used)
		}
	}

	api := apply(t, "told", "api")
	introspect(t, shared.Credentials(t, api), fetch(t, secret))
	eventually(t, "the client that only introspects is told of, too", func() bool {
		read(t, api)
		return !api.Status.LastUsedAt.IsZero()
	})
	if !api.Status.LastTokenIssuedAt.IsZero() {
		t.Error("it was issued no token")
	}
	output, err := kubectl(t, "--namespace", "told", "get", "oauth2clients", "--output", "wide")
	must(t, err)
	if !strings.Contains(output, "LAST USED") {
		t.Errorf("kubectl shows\n%s", output)
	}
}

// isReportedNext waits for the report of a use that was just made. It misses the one that is being
// written meanwhile at most.
func isReportedNext(t *testing.T, c *v1alpha1.OAuth2Client) {
	t.Helper()
	before := serving(t)
	eventually(t, "the use is reported", func() bool {
		var reports v1alpha1.UsageReportList
		must(t, cluster.List(t.Context(), &reports, client.InNamespace(installation.RegistryNamespace)))
		if reported(t, reports, c) {
			return true
		}
		for i := range reports.Items {
			if number, known := before[reports.Items[i].Name]; known && reports.Items[i].Generation >= number+atRisk {
				t.Fatalf("report %d of %s does not have a use from before report %d", reports.Items[i].Generation, reports.Items[i].Name, number+1)
			}
		}
		return false
	})
}

func kubectl(t *testing.T, args ...string) (string, error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), hallpass.ControlPlane.Kubectl(), args...)
	command.Env = append(command.Environ(), "KUBECONFIG="+hallpass.ControlPlane.Kubeconfig())
	output, err := command.CombinedOutput()
	return string(output), err
}

func TestAReplacedSecretThatIsStillUsedIsAnEventOnce(t *testing.T) {
	c := apply(t, "replaced", "reporting")
	old := shared.Credentials(t, c)
	oldID := c.Status.Credentials[0].ID
	c.Annotations = map[string]string{v1alpha1.AnnotationRotate: "1"}
	must(t, cluster.Update(t.Context(), c))
	eventually(t, "there is another secret", func() bool {
		read(t, c)
		return len(c.Status.Credentials) == 2 && !statusOf(c, oldID).ExpiresAt.Time.IsZero()
	})
	fetch(t, shared.Credentials(t, c))
	// The token server may not have read the end yet: the old secret is used until it has.
	eventually(t, "the use of the old one is an event", func() bool {
		fetch(t, old)
		return len(told(t, c, string(oauth2.PreviousSecretUsed))) > 0
	})
	read(t, c)
	if len(c.Status.StaleUses) != 1 || c.Status.StaleUses[0].Credential != oldID || c.Status.StaleUses[0].Source != "127.0.0.1" {
		t.Errorf("the status tells %+v", c.Status.StaleUses)
	}
	if statusOf(c, oldID).LastUsedAt.Time.IsZero() {
		t.Errorf("credentials %+v, want the old one with its last use", c.Status.Credentials)
	}
	version := c.Status.StaleUses[0]
	for range 3 {
		fetch(t, old)
	}
	other := apply(t, "replaced", "later")
	fetch(t, shared.Credentials(t, other))
	eventually(t, "later uses are told", func() bool {
		read(t, other)
		return !other.Status.LastUsedAt.IsZero()
	})
	read(t, c)
	events := told(t, c, string(oauth2.PreviousSecretUsed))
	if len(events) != 1 || events[0].Series != nil || c.Status.StaleUses[0] != version {
		t.Errorf("%d events %+v and %+v, want one event in an hour", len(events), events, c.Status.StaleUses)
	}
	if note := events[0].Note; !strings.Contains(note, oldID) || !strings.Contains(note, "127.0.0.1") {
		t.Errorf("the event says %q", note)
	}
}

// statusOf is the status of a secret.
func statusOf(c *v1alpha1.OAuth2Client, id string) v1alpha1.CredentialStatus {
	for _, credential := range c.Status.Credentials {
		if credential.ID == id {
			return credential
		}
	}
	return v1alpha1.CredentialStatus{}
}

func TestUseOfAnExpiredOrRevokedTokenIsAnEventAndAForgeryIsNone(t *testing.T) {
	c := apply(t, "stale", "reporting")
	api := shared.Credentials(t, apply(t, "stale", "api"))
	forged := apply(t, "stale", "forged")

	token := fetch(t, shared.Credentials(t, forged))
	if introspect(t, api, token[:strings.LastIndexByte(token, '.')+1]+strings.Repeat("A", 86)) {
		t.Fatal("a forged token is active")
	}
	expired := expiredToken(t, c)
	if introspect(t, api, expired) {
		t.Fatal("an expired token is active")
	}
	eventually(t, "the use of the expired token is an event", func() bool { return len(told(t, c, string(oauth2.ExpiredTokenUsed))) == 1 })

	secret := shared.Credentials(t, c)
	token = fetch(t, secret)
	if status, body := shared.Post(t, secret, hallpass.Issuer.URL("/oauth2/revoke"), url.Values{"token": {token}}); status != 200 {
		t.Fatalf("revoke: %d %v", status, body)
	}
	eventually(t, "the token is refused", func() bool { return !introspect(t, api, token) })
	eventually(t, "the use of the revoked token is an event", func() bool { return len(told(t, c, string(oauth2.RevokedTokenUsed))) == 1 })
	read(t, c)
	if len(c.Status.StaleUses) != 2 {
		t.Errorf("the status tells %+v, want both", c.Status.StaleUses)
	}
	read(t, forged)
	if events := told(t, forged, string(oauth2.ExpiredTokenUsed)); len(events) > 0 || len(forged.Status.StaleUses) > 0 {
		t.Errorf("a forged token that names a client is told of: %+v", events)
	}
}

// expiredToken signs a token of the client with the key of the installation, as it did half an hour
// ago.
func expiredToken(t *testing.T, c *v1alpha1.OAuth2Client) string {
	t.Helper()
	var keys, registered corev1.Secret
	must(t, cluster.Get(t.Context(), client.ObjectKey{Namespace: installation.RegistryNamespace, Name: registration.KeysSecretName}, &keys))
	name := registration.SecretName(c.Status.ClientID)
	must(t, cluster.Get(t.Context(), client.ObjectKey{Namespace: installation.RegistryNamespace, Name: name}, &registered))
	ring, err := registration.DecodeKeys(keys.Data)
	must(t, err)
	r, err := registration.Decode(registered.Data)
	must(t, err)
	key, err := ring.SigningKey(time.Now())
	must(t, err)
	grant := oauth2.Grant{Audience: hallpass.Issuer.NamespaceAudience(c.Namespace), Scopes: []string{"read"}, Lifetime: 10 * time.Minute}
	token, err := hallpass.Issuer.Issue(&r.Client, grant, key, time.Now().Add(-30*time.Minute), rand.Reader)
	must(t, err)
	return token.Value.Reveal()
}

func TestATokenThatWasHandedOutTellsOfItsUse(t *testing.T) {
	c := apply(t, "handed", "appliance")
	api := shared.Credentials(t, apply(t, "handed", "api"))
	object, token := goodToken(t, c, api)
	refresh := func() { must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(object), object)) }
	eventually(t, "its status tells of the use", func() bool {
		refresh()
		return !object.Status.LastUsedAt.IsZero()
	})
	eventually(t, "the client's does, too", func() bool {
		read(t, c)
		return !c.Status.LastUsedAt.IsZero()
	})
	eventually(t, "the token is over", func() bool { return !introspect(t, api, token) })
	eventually(t, "the use after its end stands in the status", func() bool {
		refresh()
		return len(object.Status.StaleUses) == 1
	})
	introspect(t, api, token)
	eventually(t, "it is an event on the OAuth2Token, once", func() bool { return len(toldOf(t, "handed", object.Name, string(oauth2.ExpiredTokenUsed))) == 1 })
	if events := told(t, c, string(oauth2.ExpiredTokenUsed)); len(events) > 0 {
		t.Errorf("the client has events as well: %+v", events)
	}
}

// goodToken hands out a token that ends soon, but not before it was seen to be good. What a slow
// machine makes of that decides how soon.
func goodToken(t *testing.T, c *v1alpha1.OAuth2Client, api *corev1.Secret) (object *v1alpha1.OAuth2Token, token string) {
	t.Helper()
	for life := 12 * time.Second; ; life *= 2 {
		object = &v1alpha1.OAuth2Token{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: "meter-" + life.String()}}
		object.Spec = v1alpha1.OAuth2TokenSpec{ClientRef: v1alpha1.LocalClientReference{Name: c.Name}, Mode: v1alpha1.TokenFixed}
		end := time.Now().Add(life).Truncate(time.Second)
		object.Spec.ExpirationTime = &metav1.Time{Time: end}
		must(t, cluster.Create(t.Context(), object))
		good := false
		eventually(t, "the token is good, or over", func() bool {
			var secret corev1.Secret
			if cluster.Get(t.Context(), client.ObjectKeyFromObject(object), &secret) == nil {
				token = string(secret.Data["token"])
				good = introspect(t, api, token)
			}
			return good || time.Now().After(end)
		})
		if good {
			return object, token
		}
	}
}

// The process that writes a report answers unauthenticated callers: a report that is garbled, or
// lies, harms no client.
func TestAReportThatIsNoneChangesNothing(t *testing.T) {
	c := apply(t, "garbled", "reporting")
	garbled := &v1alpha1.UsageReport{}
	garbled.Namespace, garbled.Name = installation.RegistryNamespace, "garbled"
	garbled.Annotations = map[string]string{v1alpha1.AnnotationAllowDeletion: "true"}
	garbled.Spec = v1alpha1.UsageReportSpec{
		Replica: "garbled", Part: 1, Parts: 1, State: v1alpha1.UsageServing, Uses: []byte("not a report at all"),
	}
	garbled.Spec.StartedAt.Time = time.Now().Add(1000 * time.Hour)
	must(t, cluster.Create(t.Context(), garbled))
	defer func() { must(t, cluster.Delete(t.Context(), garbled)) }()
	fetch(t, shared.Credentials(t, c))
	eventually(t, "what others report is told", func() bool {
		read(t, c)
		return !c.Status.LastUsedAt.IsZero()
	})
}
