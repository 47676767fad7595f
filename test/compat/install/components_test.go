// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package install_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	// the types that envoy.yaml names.
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// components are those of config that an installation may add, with the values of the chart that
// add the same.
var components = map[string]string{
	"autoscaling":         "tokenserver.autoscaling.enabled=true",
	"certmanager":         "certManager.enabled=true",
	"extauthz":            "tokenserver.extAuthz.enabled=true",
	"ingress":             "ingress.enabled=true,ingress.host=hallpass.example.com,ingress.tlsSecret=hallpass-public-tls,issuerCA=public",
	"gateway/passthrough": "gateway.enabled=true,gateway.host=hallpass.example.com",
	"publiccertificate": "internalURL=https://hallpass-tokenserver.hallpass-system.svc,issuerCA=public," +
		"tokenserver.publicCertificateSecret=hallpass-public-tls",
	"gateway/reencrypt": "gateway.enabled=true,gateway.tls=Reencrypt,gateway.host=hallpass.example.com,issuerCA=public",
	"login":             withLogin,
	"login/certmanager": withLogin + ",login.certManager.enabled=true",
	"login/ingress":     withLogin + ",login.ingress.enabled=true,login.ingress.tlsSecret=hallpass-login-public-tls",
	"login/monitoring":  withLogin + ",monitoring.podMonitor=true",
	"login/passthrough": withLogin + ",login.gateway.enabled=true",
	"login/reencrypt":   withLogin + ",login.gateway.enabled=true,login.gateway.tls=Reencrypt",
}

// withLogin installs login; loginSettings does so with kustomize.
const (
	withLogin     = "login.enabled=true,login.url=https://login.example.com,issuer=https://hallpass.example.com"
	loginSettings = "configMapGenerator:\n" +
		"- {name: hallpass-settings, namespace: hallpass-system, behavior: merge, literals: [ISSUER=https://hallpass.example.com, LOGIN_URL=https://login.example.com]}\n"
	loginNamespace = "hallpass-login"
)

// listed is a component as a kustomization lists it. Those of login come after it.
func listed(component string) string {
	if strings.HasPrefix(component, "login/") {
		return "../config/login, ../config/" + component
	}
	return "../config/" + component
}

func withComponent(t *testing.T, component string) string {
	t.Helper()
	settings := ""
	if strings.HasPrefix(component, "login") {
		settings = loginSettings
	}
	return own(t, "resources: [../config/default]\ncomponents: ["+listed(component)+"]\n"+settings, nil)
}

// TestTheComponentsInstallWhatTheChartDoes compares object by object, and has every promised
// version of Kubernetes validate what is rendered.
func TestTheComponentsInstallWhatTheChartDoes(t *testing.T) {
	rendered := map[string]string{}
	for component, values := range components {
		dir := withComponent(t, component)
		if component == "login/monitoring" {
			// config/monitoring is applied apart, with the other PodMonitor
			rendered["component "+component] = kustomize(t, dir)
			got := objects(t, rendered["component "+component])["PodMonitor hallpass-login/hallpass-login"]
			if diff := cmp.Diff(got, objects(t, must1(template(t, "--set", values))(t))["PodMonitor hallpass-login/hallpass-login"]); diff != "" || got == nil {
				t.Errorf("the PodMonitor of login (-kustomize +helm):\n%s", diff)
			}
			continue
		}
		compareInstallations(t, dir, "--set", values)
		rendered["component "+component] = kustomize(t, dir)
	}
	everyPromisedVersionAccepts(t, rendered)
}

// TestNoComponentIsForgotten looks for further components in config. config/renamed has a test of
// its own.
func TestNoComponentIsForgotten(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "config", "*", "kustomization.yaml"))
	must(t, err)
	deeper, err := filepath.Glob(filepath.Join(root, "config", "*", "*", "kustomization.yaml"))
	must(t, err)
	known := []string{"renamed"}
	for component := range components {
		known = append(known, component)
	}
	var found []string
	for _, file := range append(files, deeper...) {
		if strings.Contains(string(must1(os.ReadFile(file))(t)), "\nkind: Component\n") {
			found = append(found, strings.TrimPrefix(filepath.Dir(file), filepath.Join(root, "config")+"/"))
		}
	}
	slices.Sort(found)
	slices.Sort(known)
	if diff := cmp.Diff(known, found); diff != "" {
		t.Errorf("the components of config (-tested +found):\n%s", diff)
	}
}

// TestEnvoyAsksAPortThatIsOpen follows the connection of docs/proxies/envoy.yaml: to the Service,
// past the NetworkPolicy, to the port on which the token server listens, by a name that its
// certificate has.
func TestEnvoyAsksAPortThatIsOpen(t *testing.T) {
	host, asked := askedByEnvoy(t)
	rendered, err := template(t, "--set", "tokenserver.extAuthz.enabled=true")
	must(t, err)
	for how, stream := range map[string]string{"helm": rendered, "kustomize": kustomize(t, withComponent(t, "extauthz"))} {
		all := objects(t, stream)
		var service corev1.Service
		var deployment appsv1.Deployment
		var policy networkingv1.NetworkPolicy
		for kind, object := range map[string]any{"Service": &service, "Deployment": &deployment, "NetworkPolicy": &policy} {
			must(t, runtime.DefaultUnstructuredConverter.FromUnstructured(all[kind+" hallpass-system/hallpass-tokenserver"], object))
		}
		if want := service.Name + "." + service.Namespace + ".svc"; host != want {
			t.Errorf("%s: Envoy asks %s, and the Service is %s", how, host, want)
		}
		port := slices.IndexFunc(service.Spec.Ports, func(p corev1.ServicePort) bool { return p.Port == asked })
		if port < 0 {
			t.Fatalf("%s: the Service has the ports %v, and Envoy asks %d", how, service.Spec.Ports, asked)
		}
		container := deployment.Spec.Template.Spec.Containers[0]
		listening := slices.IndexFunc(container.Ports, func(p corev1.ContainerPort) bool { return p.Name == service.Spec.Ports[port].TargetPort.StrVal })
		if listening < 0 {
			t.Fatalf("%s: the Service leads to %v, and the pod has %v", how, service.Spec.Ports[port].TargetPort, container.Ports)
		}
		number := container.Ports[listening].ContainerPort
		if flag := fmt.Sprintf("--ext-authz-bind-address=:%d", number); !slices.Contains(container.Args, flag) {
			t.Errorf("%s: the token server is started with %q, want %s", how, container.Args, flag)
		}
		if !slices.ContainsFunc(policy.Spec.Ingress, func(rule networkingv1.NetworkPolicyIngressRule) bool {
			return len(rule.From) == 0 && slices.ContainsFunc(rule.Ports, func(p networkingv1.NetworkPolicyPort) bool { return p.Port.IntVal == number })
		}) {
			t.Errorf("%s: the NetworkPolicy lets nobody in on %d: %v", how, number, policy.Spec.Ingress)
		}
	}
}

// askedByEnvoy is the host and the port of the cluster hallpass. It is asked with TLS, and its
// certificate has to be for the host.
func askedByEnvoy(t *testing.T) (host string, port int32) {
	t.Helper()
	var bootstrap bootstrapv3.Bootstrap
	must(t, protojson.Unmarshal(must1(yaml.YAMLToJSON(must1(os.ReadFile(filepath.Join(root, "docs", "proxies", "envoy.yaml")))(t)))(t), &bootstrap))
	for _, cluster := range bootstrap.GetStaticResources().GetClusters() {
		if cluster.GetName() != "hallpass" {
			continue
		}
		address := cluster.GetLoadAssignment().GetEndpoints()[0].GetLbEndpoints()[0].GetEndpoint().GetAddress().GetSocketAddress()
		var security tlsv3.UpstreamTlsContext
		must(t, cluster.GetTransportSocket().GetTypedConfig().UnmarshalTo(&security))
		names := security.GetCommonTlsContext().GetValidationContext().GetMatchTypedSubjectAltNames()
		if security.GetSni() != address.GetAddress() || len(names) != 1 || names[0].GetMatcher().GetExact() != address.GetAddress() {
			t.Errorf("Envoy asks %s by the name %q and expects %v", address.GetAddress(), security.GetSni(), names)
		}
		return address.GetAddress(), int32(address.GetPortValue()) //nolint:gosec // a port
	}
	t.Fatal("docs/proxies/envoy.yaml has no cluster hallpass")
	return "", 0
}
