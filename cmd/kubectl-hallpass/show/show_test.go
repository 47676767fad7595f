// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package show_test

import (
	"bytes"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/show"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

var now = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func before(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }

func TestParseSpan(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"90d": 90 * day, "2w": 14 * day, "720h": 720 * time.Hour, "1d12h": 36 * time.Hour, "1w1d1h30m": 8*day + 90*time.Minute, "36500d": 36500 * day,
	} {
		if got, err := show.ParseSpan(text); err != nil || got != want {
			t.Errorf("%s is %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "90", "d", "-1d", "1.5d", "0d", "0h", "12h1d", "1d-2h", "36501d", "99999999999999999999d", "1y", "1d 2h", "d1"} {
		if got, err := show.ParseSpan(text); err == nil {
			t.Errorf("%q is taken for %s", text, got)
		}
	}
}

func TestUnusedClientsAreThoseThatWereThereAndNotUsed(t *testing.T) {
	client := func(name string, created, used time.Duration) v1alpha1.OAuth2Client {
		c := v1alpha1.OAuth2Client{}
		c.Name, c.CreationTimestamp = name, before(created)
		if used > 0 {
			c.Status.LastUsedAt = before(used)
		}
		return c
	}
	clients := []v1alpha1.OAuth2Client{
		client("used", 10*time.Hour, time.Hour), client("old", 10*time.Hour, 5*time.Hour), client("never", 8*time.Hour, 0), client("new", time.Hour, 0),
	}
	var got []string
	for _, c := range show.UnusedClients(clients, now.Add(-2*time.Hour)) {
		got = append(got, c.Name)
	}
	if diff := cmp.Diff([]string{"never", "old"}, got); diff != "" {
		t.Errorf("unused, the longest first (-want +got):\n%s", diff)
	}
}

func TestASecretIsMaskedWhereverItStands(t *testing.T) {
	credential, err := oauth2.NewClientSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	secret := credential.Value.Reveal()
	data := map[string][]byte{
		"client_id": []byte("shop.a"), "client_secret": []byte(secret), "token_url": []byte("https://hallpass/oauth2/token"), "ca.crt": []byte("PEM"),
		"config.ini": []byte("[auth]\nsecret = " + secret), "scope": []byte("read"), "other": []byte("whatever"),
	}
	c := &v1alpha1.OAuth2Client{}
	masked := map[string]bool{}
	for _, e := range show.Entries(c, data, false) {
		masked[e.Name] = e.Masked
		if strings.Contains(e.Text, secret) || e.Masked && strings.Contains(e.Text, "whatever") {
			t.Errorf("%s shows the secret", e.Name)
		}
		if e.Name == "client_secret" && !strings.HasPrefix(e.Text, "hp_"+credential.ID+"_•") {
			t.Errorf("the masked secret has no id: %s", e.Text)
		}
	}
	want := map[string]bool{"client_id": false, "client_secret": true, "token_url": false, "ca.crt": false, "config.ini": true, "scope": false, "other": true}
	if diff := cmp.Diff(want, masked); diff != "" {
		t.Errorf("masked entries (-want +got):\n%s", diff)
	}
	for _, e := range show.Entries(c, data, true) {
		if e.Masked || e.Text != string(data[e.Name]) {
			t.Errorf("%s is not revealed", e.Name)
		}
	}

	// The names are those of the spec: a secret may be in the entry scope, and a template too.
	c.Spec.Secret.Keys = v1alpha1.SecretKeys{ClientSecret: "scope", Scope: "client_secret"}
	c.Spec.Secret.Template = v1alpha1.SecretTemplate{"token_url": "$(client_secret)"}
	renamed := map[string][]byte{"scope": []byte(secret), "client_secret": []byte("read"), "token_url": []byte("x")}
	for _, e := range show.Entries(c, renamed, false) {
		if e.Masked != (e.Name != "client_secret") {
			t.Errorf("%s is masked: %t", e.Name, e.Masked)
		}
	}
}

func TestMaskShowsNoPartOfAnotherSecret(t *testing.T) {
	if got := show.Mask("correct horse battery staple"); got != "•••••••• (28 characters)" {
		t.Errorf("masked: %s", got)
	}
	if got := show.Mask("hp_abc"); got != "•••••••• (6 characters)" {
		t.Errorf("masked: %s", got)
	}
}

// TestTheTextOfATenantControlsNoTerminal fills what a tenant may write with an escape sequence.
func TestTheTextOfATenantControlsNoTerminal(t *testing.T) {
	const controls = "\x1b\x07\r\u009b\u202e"
	const attack = "\x1b]0;owned\x07\u009b31m\u202e\rname"
	c := &v1alpha1.OAuth2Client{Spec: v1alpha1.OAuth2ClientSpec{DisplayName: attack, Description: attack + "\n" + attack, Contacts: []v1alpha1.Contact{attack}}}
	c.Status.Refusals = []v1alpha1.RefusalStatus{{Reason: attack, Count: 1, Message: attack}}
	c.Status.Credentials = []v1alpha1.CredentialStatus{{ID: attack, KeptMessage: attack}}
	c.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: attack, Message: attack}}
	c.Status.Grants = []v1alpha1.GrantStatus{{Audience: attack, Scopes: []v1alpha1.ScopeGrant{{Name: attack, Decision: attack}}}}
	r := &v1alpha1.OAuth2Resource{Spec: v1alpha1.OAuth2ResourceSpec{DisplayName: attack, Scopes: []v1alpha1.ResourceScope{{Name: attack, Description: attack}}}}
	o := &v1alpha1.OAuth2Token{Spec: v1alpha1.OAuth2TokenSpec{Description: attack, Mode: attack}}
	for what, text := range map[string]string{
		"client": show.DescribeClient(c, nil, []v1alpha1.OAuth2Token{*o}, now), "resource": show.DescribeResource(r, now), "token": show.DescribeToken(o, now),
	} {
		if strings.ContainsAny(text, controls) || !strings.Contains(text, "name") {
			t.Errorf("the description of a %s has a control character: %q", what, text)
		}
	}
	var table bytes.Buffer
	if err := printers.NewTablePrinter(printers.PrintOptions{Wide: true}).PrintObj(show.Clients([]v1alpha1.OAuth2Client{*c}, now), &table); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(table.String(), controls) || !strings.Contains(table.String(), "name") {
		t.Errorf("the table has a control character: %q", table.String())
	}
}
