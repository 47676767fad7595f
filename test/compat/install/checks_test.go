// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package install_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const outside = "issuer=https://id.example.com"

// TestValuesThatDoNotFitTogetherAreRefused: each refusal has what to do.
func TestValuesThatDoNotFitTogetherAreRefused(t *testing.T) {
	for values, want := range map[string]string{
		"registry.namespace=hallpass-system":                                                                   "Give the registry a namespace of its own",
		"namespaceOverride=hallpass-registry":                                                                  "Give the registry a namespace of its own",
		"namespaces={shop,hallpass-system}":                                                                    "namespaces has hallpass-system",
		"namespaces={shop,hallpass-registry}":                                                                  "namespaces has hallpass-registry",
		"tokenserver.publicCertificateSecret=public":                                                           "set issuerCA to public",
		"ingress.enabled=true,ingress.tlsSecret=public," + outside:                                             "ingress.tlsSecret shows callers another certificate",
		"gateway.enabled=true,gateway.tls=Reencrypt," + outside:                                                "the Gateway of gateway.tls=Reencrypt shows callers",
		"tokenserver.plainHTTP=true,issuerCA=public":                                                           "set issuer",
		"tokenserver.plainHTTP=true," + outside:                                                                "set issuerCA to public",
		"tokenserver.plainHTTP=true,issuerCA=public,internalURL=https://a.example.com," + outside:              "leave one of them out",
		"tokenserver.plainHTTP=true,issuerCA=public,tokenserver.publicCertificateSecret=a," + outside:          "publicCertificateSecret is for HTTPS",
		"tokenserver.plainHTTP=true,issuerCA=public,tokenserver.introspectionClientCA=a," + outside:            "introspectionClientCA is for HTTPS",
		"tokenserver.plainHTTP=true,issuerCA=public,gateway.enabled=true," + outside:                           "takes gateway.tls=Terminate",
		"gateway.enabled=true,gateway.tls=Terminate,issuerCA=public," + outside:                                "takes tokenserver.plainHTTP=true",
		"certManager.enabled=true,certManager.dnsNames={id.example.com},internalURL=https://hallpass.internal": "certManager.dnsNames lacks hallpass.internal",
		"tokenserver.autoscaling.enabled=true,tokenserver.autoscaling.maxReplicas=2":                           "tokenserver.replicas=3 is more than",
		"tokenserver.extAuthz.enabled=true,tokenserver.extAuthz.port=8081":                                     "Choose another one, such as 9001",
		"tokenserver.extAuthz.enabled=true,tokenserver.extAuthz.port=8443":                                     "tokenserver.extAuthz.port=8443 is taken",
		"tokenserver.extAuthz.enabled=true,tokenserver.extAuthz.port=443":                                      "tokenserver.extAuthz.port=443 is taken",
		"records.maxMemory=22.5Mi":                                                                             "set tokenserver.goMemLimit, tokenserver.resources.limits.memory and tokenserver.snapshotSizeLimit",
		"manager.leaderElection.leaseDuration=10s":                                                             "leaseDuration=10s must be longer than renewDeadline=45s",
		"manager.leaderElection.leaseDuration=45s":                                                             "or two managers work at the same time",
		"manager.leaderElection.retryPeriod=38s":                                                               "renewDeadline=45s must be longer than 1.2 times retryPeriod=38s",
		"manager.leaderElection.retryPeriod=0s":                                                                "a second or more",
		"ingress.enabled=true,issuer=https://192.0.2.1":                                                        "192.0.2.1 is an address: set ingress.host",
		"gateway.enabled=true,issuer=https://[2001:db8::1]":                                                    "2001:db8::1 is an address: set gateway.host",
		`commonLabels.app\.kubernetes\.io/name=mine`:                                                           "commonLabels has app.kubernetes.io/name",
		`manager.podLabels.app\.kubernetes\.io/component=mine`:                                                 "manager.podLabels has app.kubernetes.io/component",
		`tokenserver.deploymentLabels.app\.kubernetes\.io/part-of=platform`:                                    "or use app.kubernetes.io/instance",
		`tokenserver.service.labels.app\.kubernetes\.io/part-of=platform`:                                      "tokenserver.service.labels has app.kubernetes.io/part-of",
		`manager.serviceAccount.labels.app\.kubernetes\.io/name=mine`:                                          "manager.serviceAccount.labels has",
		`monitoring.labels.app\.kubernetes\.io/name=mine`:                                                      "monitoring.labels has",
		`login.service.labels.app\.kubernetes\.io/name=mine`:                                                   "login.service.labels has",
		`login.podLabels.app\.kubernetes\.io/component=mine`:                                                   "login.podLabels has",
		"login.enabled=true": "set login.url, such as https://login.example.com",
		"login.enabled=true,login.url=https://id.example.com," + outside:                       "login.url has the host of the issuer, id.example.com",
		"login.enabled=true,login.url=https://id.example.com:8443," + outside:                  "login.url has the host of the issuer",
		"login.enabled=true,login.url=https://hallpass-tokenserver.hallpass-system.svc":        "login.url has the host of the issuer",
		withLogin + ",namespaces={shop}":                                                       "login.enabled takes OAuth2TrustedIssuers",
		withLogin + ",login.namespace=hallpass-system":                                         "give login a namespace of its own",
		withLogin + ",login.namespace=hallpass-registry":                                       "login.namespace is hallpass-registry",
		withLogin + ",tokenserver.plainHTTP=true,issuerCA=public":                              "leave tokenserver.plainHTTP out",
		withLogin + ",tokenserver.extAuthz.enabled=true,tokenserver.extAuthz.port=8444":        "tokenserver.extAuthz.port=8444 is that for login",
		withLogin + ",certManager.enabled=true,certManager.dnsNames={hallpass.example.com}":    "certManager.dnsNames lacks hallpass-tokenserver.hallpass-system.svc, by which login calls",
		withLogin + ",login.plainHTTP=true,login.certManager.enabled=true":                     "login.certManager is for HTTPS",
		withLogin + ",login.plainHTTP=true,login.gateway.enabled=true":                         "login.plainHTTP takes login.gateway.tls=Terminate",
		withLogin + ",login.gateway.enabled=true,login.gateway.tls=Terminate":                  "login.gateway.tls=Terminate takes login.plainHTTP=true",
		"login.enabled=true,login.url=https://192.0.2.1,login.ingress.enabled=true," + outside: "login.url has the address 192.0.2.1",
	} {
		if _, err := template(t, "--set", values); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", values, err, want)
		}
	}
}

// TestValuesThatFitTogetherAreTaken: what is beside a refusal renders.
func TestValuesThatFitTogetherAreTaken(t *testing.T) {
	rendered := map[string]string{}
	for values, wants := range map[string][]string{
		"tokenserver.publicCertificateSecret=public,issuerCA=Same":                                                                        {"!--issuer-ca", "--public-tls-cert-file"},
		"ingress.enabled=true,ingress.tlsSecret=public,issuerCA=Same," + outside:                                                          {"!issuer-ca", "secretName: public"},
		`ingress.enabled=true,ingress.tlsSecret=a,ingress.annotations.nginx\.ingress\.kubernetes\.io/ssl-passthrough=\"true\",` + outside: {"!--issuer-ca"},
		`ingress.enabled=true,ingress.tlsSecret=a,ingress.annotations.route\.openshift\.io/termination=passthrough,` + outside:            {"!--issuer-ca"},
		"manager.leaderElection.leaseDuration=1m30s,manager.leaderElection.renewDeadline=1m29s":                                           {"--leader-elect-lease-duration=1m30s"},
		"records.maxMemory=22.5Mi,records.maxMemoryPerNamespace=20Mi,tokenserver.goMemLimit=304MiB": {
			"        - --max-records-memory=22.5Mi\n        - --max-namespace-records-memory=20Mi\n", "snapshot\n        - --max-records-memory=22.5Mi\n"},
		"internalURL=https://hallpass.internal:8443": {
			"--serving-dns-names=$(SERVICE).hallpass-system.svc,$(SERVICE).hallpass-system.svc.cluster.local,hallpass.internal\n"},
		"internalURL=https://hallpass-tokenserver.hallpass-system.svc.cluster.local," + outside:                                                {"$(SERVICE).hallpass-system.svc.cluster.local\n"},
		"certManager.enabled=true,internalURL=https://hallpass.internal," + outside:                                                            {"  - id.example.com\n  - hallpass.internal\n"},
		"certManager.enabled=true,certManager.dnsNames={id.example.com},gateway.enabled=true,gateway.tls=Reencrypt,issuerCA=public," + outside: {"    hostname: id.example.com\n"},
		"certManager.dnsNames={id.example.com},gateway.enabled=true,gateway.tls=Reencrypt,issuerCA=public," + outside:                          {"    hostname: hallpass-tokenserver.hallpass-system.svc\n"},
		"tokenserver.plainHTTP=true,issuerCA=public,ingress.enabled=true," + outside: {
			"--require-https=false", "port: {name: http}", "!appProtocol: https", "--issuer-ca=public"},
		"tokenserver.plainHTTP=true,issuerCA=public,gateway.enabled=true,gateway.tls=Terminate," + outside: {
			"kind: HTTPRoute", "{name: hallpass-tokenserver, port: 80}", "!BackendTLSPolicy"},
		`commonLabels.team=a,tokenserver.service.labels.team=b,manager.podLabels.app\.kubernetes\.io/version=v1`: {"    team: b\n", "app.kubernetes.io/version: v1"},
		"global.imagePullSecrets={mirror,other},image.pullSecrets[0].name=own":                                   {"      - name: own\n      - name: mirror\n      - name: other\n"},
		"global.imageRegistry=mirror.example.com":                                                                {"image: mirror.example.com/hallpass-dev/manager:", "image: mirror.example.com/hallpass-dev/tokenserver:"},
		"global.image.registry=mirror.example.com/":                                                              {"image: mirror.example.com/hallpass-dev/manager:"},
		"global.imageRegistry=mirror.example.com,image.registry=registry.example.com/own":                        {"image: registry.example.com/own/manager:"},
		withLogin: {
			"        - --login-url=https://login.example.com\n        - --login-listen=:8444\n        - --login-account=hallpass-login/hallpass-login\n",
			"audience: https://hallpass.example.com/login\n", "--token-server-url=https://hallpass-tokenserver.hallpass-system.svc:8444\n",
			"  - {name: login, port: 8444, targetPort: login, appProtocol: https}\n"},
		withLogin + ",login.plainHTTP=true,login.ingress.enabled=true,login.trustedProxies={10.0.0.0/8}": {
			"- --require-https=false", "!hallpass-login-tls", "port: {name: http}", "--trusted-proxy=10.0.0.0/8"},
		withLogin + ",login.plainHTTP=true,login.gateway.enabled=true,login.gateway.tls=Terminate": {"{name: hallpass-login, port: 80}", "!BackendTLSPolicy"},
		withLogin + ",certManager.enabled=true,certManager.dnsNames={hallpass.example.com},login.extraArgs={--token-server-url=https://hallpass.example.com:8444}": {
			"--token-server-url=https://hallpass.example.com:8444"},
		"login.url=https://login.example.com": {"!hallpass-login/", "!--login-url", "!8444"},
		"namespaceOverride=identity":          {"--issuer=https://hallpass-tokenserver.identity.svc", "!hallpass-system"},
	} {
		stream, err := template(t, "--set", values)
		if err != nil {
			t.Errorf("%s: %v", values, err)
			continue
		}
		rendered[values] = stream
		for _, want := range wants {
			unwanted, without := strings.CutPrefix(want, "!")
			if strings.Contains(stream, unwanted) == without {
				t.Errorf("%s does not do what it should: %q", values, want)
			}
		}
		objects(t, stream)
	}
}

// TestAnUpgradeIsNotRefusedForWhatWasTaken: a release of before continues with values for which a
// new one is refused, and is warned.
func TestAnUpgradeIsNotRefusedForWhatWasTaken(t *testing.T) {
	values := "tokenserver.publicCertificateSecret=public"
	if _, err := template(t, "--is-upgrade", "--set", values); err != nil {
		t.Error(err)
	}
	// A release of before is one that the check did not see.
	copied := copyOfChart(t)
	must(t, os.Remove(filepath.Join(copied, "templates", "checks.yaml")))
	if notes := notesOf(t, copied, values); !strings.Contains(notes, "WARNING: tokenserver.publicCertificateSecret shows callers another certificate") {
		t.Errorf("the notes do not warn:\n%s", notes)
	}
	if notes := notesOf(t, chart, "global.storageClass=fast,global.imageRegistry=mirror.example.com"); !strings.Contains(notes, "does not read global.storageClass") ||
		strings.Contains(notes, "global.imageRegistry") {
		t.Errorf("the notes do not say what is not read:\n%s", notes)
	}
}

// notesOf is what Helm prints after an installation.
func notesOf(t *testing.T, chart, values string) string {
	t.Helper()
	output, _, err := helm(t, "", "install", "hallpass", chart, "--namespace", system, "--dry-run=client", "--set", "crds.install=false", "--set", values)
	must(t, err)
	_, notes, found := strings.Cut(output, "NOTES:\n")
	if !found {
		t.Fatalf("no notes: %s", output)
	}
	return notes
}
