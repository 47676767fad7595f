// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package show

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// curlImage is an image with curl and a shell.
const curlImage = "curlimages/curl"

// AssertionLife is how long, in seconds, the token of a service account is valid that authenticates
// a client: the least that Kubernetes issues.
const AssertionLife = 600

// byAssertion are the parameters of a request with an assertion (RFC 7523) that is read from a
// file.
const byAssertion = "--data client_id=%s --data-urlencode client_assertion_type=" + oauth2.AssertionType +
	" --data-urlencode client_assertion@%s"

// CurlLine fetches a token with curl. No argument of curl and no line of a shell's history has the
// secret: curl reads it.
func CurlLine(c *v1alpha1.OAuth2Client, tokenURL string) string {
	entry := func(name string) string {
		return fmt.Sprintf("kubectl hallpass get secret %s --namespace %s --reveal --entry %s", c.Name, c.Namespace, name)
	}
	ca := fmt.Sprintf("  %s >ca.crt\n", entry(CAEntry(c)))
	if Method(c) == v1alpha1.ByServiceAccount {
		return ca + fmt.Sprintf("  kubectl create token %s --namespace %s --duration 10m --audience \"$(%s)\" |\n    curl --cacert ca.crt --data grant_type=client_credentials %s %s",
			c.Spec.Authentication.ServiceAccount.Name, c.Namespace, entry(IssuerEntry(c)), fmt.Sprintf(byAssertion, c.ClientID(), "-"), tokenURL)
	}
	return ca + fmt.Sprintf("  printf 'user = \"%%s:%%s\"' \"$(%s)\" \"$(%s)\" |\n    curl --config - --cacert ca.crt --data grant_type=client_credentials %s",
		entry(IDEntry(c)), entry(SecretEntry(c)), tokenURL)
}

// object is a part of a manifest.
type object = map[string]any

// PodLine fetches a token in a pod that mounts the Secret of the client, so that the secret is in
// no argument.
func PodLine(c *v1alpha1.OAuth2Client, tokenURL string) string {
	call := "curl --silent --cacert /hallpass/" + CAEntry(c) + " --data grant_type=client_credentials"
	url := ` "$(cat /hallpass/` + TokenURLEntry(c) + `)"`
	spec := object{}
	volumes := []any{object{"name": "hallpass", "secret": object{"secretName": c.Status.Secret.Name}}} //nolint:goconst // fields of a manifest
	mounts := []any{object{"name": "hallpass", "mountPath": "/hallpass"}}
	if Method(c) == v1alpha1.ByServiceAccount {
		call += " " + fmt.Sprintf(byAssertion, c.ClientID(), "/token/token") + url
		spec["serviceAccountName"] = c.Spec.Authentication.ServiceAccount.Name
		volumes = []any{
			object{"name": "hallpass", "configMap": object{"name": c.Status.ConfigMap.Name}},
			object{"name": "token", "projected": object{"sources": []any{object{"serviceAccountToken": object{
				"path": "token", "audience": strings.TrimSuffix(tokenURL, oauth2.TokenPath), "expirationSeconds": AssertionLife,
			}}}}},
		}
		mounts = append(mounts, object{"name": "token", "mountPath": "/token"})
	} else {
		call = fmt.Sprintf(`printf 'user = "%%s:%%s"' "$(cat /hallpass/%s)" "$(cat /hallpass/%s)" | %s --config -`, IDEntry(c), SecretEntry(c), call) + url
	}
	spec["volumes"] = volumes
	spec["containers"] = []any{object{"name": "token", "image": curlImage, "command": []string{"sh", "-c", call}, "volumeMounts": mounts}}
	overrides, err := json.Marshal(object{"spec": spec})
	if err != nil { // it is made of texts alone
		return ""
	}
	return fmt.Sprintf("  kubectl run hallpass-token --namespace %s --rm --stdin --quiet --restart Never --image %s --overrides %s",
		c.Namespace, curlImage, quoted(string(overrides)))
}

// quoted is a text as one word of a shell.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
