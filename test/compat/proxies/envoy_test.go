// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package proxies_test

import (
	"crypto/tls"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	extauthzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	managerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	upstreamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"sigs.k8s.io/yaml"

	answers "github.com/hallpass-dev/hallpass/internal/answer"
	"github.com/hallpass-dev/hallpass/internal/extauthz"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/test/kit/memory"
)

// There is no Envoy to run here. Its documented configuration is read by the types that Envoy
// publishes, checked by their rules, and what it gives each route is asked of Hallpass as Envoy
// asks.
func TestDocumentedEnvoyConfiguration(t *testing.T) {
	routes := envoyRoutes(t)
	w := newWorld(t)
	check := dialEnvoy(t, w)
	for name, c := range map[string]struct {
		route  string
		caller caller
		status int
	}{
		"a token with the scope":                {"/", w.reader, 200},
		"a token that was exchanged":            {"/", w.exchanged, 200},
		"an exchanged token without the scope":  {"/admin", w.exchanged, 403},
		"a token of a person":                   {"/", w.person, 200},
		"a token of a person without the scope": {"/admin", w.person, 403},
		"no token":                              {"/", caller{}, 401},
		"a path that needs more":                {"/admin", w.writer, 200},
		"a path that needs more than there is":  {"/admin", w.reader, 403},
		"a client that was taken out of action": {"/", w.suspended, 401},
	} {
		t.Run(name, func(t *testing.T) {
			extensions, ok := routes[c.route]
			if !ok {
				t.Fatalf("there is no route %s in %v", c.route, routes)
			}
			headers := map[string]string{}
			if c.caller.token != "" {
				headers["authorization"] = "Bearer " + c.caller.token
			}
			response, err := check.Check(t.Context(), &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
				ContextExtensions: extensions,
				Request:           &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{Headers: headers}},
			}})
			if err != nil {
				t.Fatal(err)
			}
			a := answer{status: http.StatusOK, header: http.Header{}}
			if denied := response.GetDeniedResponse(); denied != nil {
				a.status = int(denied.GetStatus().GetCode())
				for _, header := range denied.GetHeaders() {
					a.header.Add(header.GetHeader().GetKey(), header.GetHeader().GetValue()+string(header.GetHeader().GetRawValue()))
				}
			}
			if a.status != c.status {
				t.Errorf("status %d, want %d", a.status, c.status)
			}
			a.checkChallenge(t)
			if c.status != http.StatusOK {
				return
			}
			sent := http.Header{}
			for _, header := range response.GetOkResponse().GetHeaders() {
				sent.Add(header.GetHeader().GetKey(), header.GetHeader().GetValue()+string(header.GetHeader().GetRawValue()))
			}
			if diff := cmp.Diff(kind{namespace: memory.Namespace}.identity(&c.caller), identityOf(sent)); diff != "" {
				t.Error("identity for the upstream (-want +got):\n" + diff)
			}
		})
	}
	if extensions, protected := routes["/healthz"]; !protected || extensions != nil {
		t.Errorf("/healthz should be there and need nothing: %v", extensions)
	}
}

// dialEnvoy connects as Envoy does, with TLS.
func dialEnvoy(t *testing.T, w *world) authv3.AuthorizationClient { //nolint:ireturn // the generated code has only this
	t.Helper()
	certificate, caFile := memory.Certify(t, []string{issuerHost})
	listener := memory.Listen(t)
	server := extauthz.NewServer(w.hallpass.Authority, w.hallpass.Auditor, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}})
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	trusting, err := credentials.NewClientTLSFromFile(caFile, issuerHost)
	if err != nil {
		t.Fatal(err)
	}
	connection, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(trusting))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	return authv3.NewAuthorizationClient(connection)
}

// envoyRoutes are the routes of the documented configuration, by path, with the context extensions
// that Envoy sends for each: its own, or those of the virtual host. A route for which Envoy does
// not ask has none.
func envoyRoutes(t *testing.T) map[string]map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(docs, "envoy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	var bootstrap bootstrapv3.Bootstrap
	if err := protojson.Unmarshal(asJSON, &bootstrap); err != nil {
		t.Fatal(err)
	}
	valid(t, &bootstrap)
	for _, cluster := range bootstrap.GetStaticResources().GetClusters() {
		for _, option := range cluster.GetTypedExtensionProtocolOptions() {
			unpack(t, option, &upstreamv3.HttpProtocolOptions{})
		}
		if socket := cluster.GetTransportSocket(); socket != nil {
			unpack(t, socket.GetTypedConfig(), &tlsv3.UpstreamTlsContext{})
		}
	}
	manager := managerOf(t, bootstrap.GetStaticResources().GetListeners()[0])
	filters := manager.GetHttpFilters()
	filter := unpack(t, filters[0].GetTypedConfig(), &extauthzv3.ExtAuthz{})
	unpack(t, filters[1].GetTypedConfig(), &routerv3.Router{})
	if filter.GetFailureModeAllow() {
		t.Error("requests pass while Hallpass is away")
	}
	routes := map[string]map[string]string{}
	for _, host := range manager.GetRouteConfig().GetVirtualHosts() {
		all := perRoute(t, host.GetTypedPerFilterConfig())
		for _, route := range host.GetRoutes() {
			extensions := all.GetCheckSettings().GetContextExtensions()
			if own := perRoute(t, route.GetTypedPerFilterConfig()); own != nil {
				extensions = own.GetCheckSettings().GetContextExtensions()
			}
			routes[pathOf(route)] = extensions
		}
	}
	return routes
}

func managerOf(t *testing.T, listener *listenerv3.Listener) *managerv3.HttpConnectionManager {
	t.Helper()
	return unpack(t, listener.GetFilterChains()[0].GetFilters()[0].GetTypedConfig(), &managerv3.HttpConnectionManager{})
}

func perRoute(t *testing.T, config map[string]*anypb.Any) *extauthzv3.ExtAuthzPerRoute {
	t.Helper()
	packed, ok := config["envoy.filters.http.ext_authz"]
	if !ok {
		return nil
	}
	return unpack(t, packed, &extauthzv3.ExtAuthzPerRoute{})
}

func pathOf(route *routev3.Route) string {
	match := route.GetMatch()
	return match.GetPath() + match.GetPrefix() + match.GetPathSeparatedPrefix()
}

// unpack reads a part of a configuration and checks it.
func unpack[M proto.Message](t *testing.T, packed *anypb.Any, into M) M {
	t.Helper()
	if err := packed.UnmarshalTo(into); err != nil {
		t.Fatal(err)
	}
	valid(t, into)
	return into
}

// valid applies the rules that Envoy publishes with its types.
func valid(t *testing.T, message proto.Message) {
	t.Helper()
	rules, ok := message.(interface{ ValidateAll() error })
	if !ok {
		t.Fatalf("%T has no rules", message)
	}
	if err := rules.ValidateAll(); err != nil {
		t.Error(err)
	}
}

// The configurations for Kubernetes require the audience that their neighbours require.
func TestDocumentedManifestsAreYAML(t *testing.T) {
	for _, file := range []string{"traefik.yaml", "envoy-gateway.yaml", "istio.yaml"} {
		text, err := os.ReadFile(filepath.Join(docs, file))
		if err != nil {
			t.Fatal(err)
		}
		for manifest := range strings.SplitSeq(string(text), "\n---\n") {
			var object struct {
				APIVersion string `json:"apiVersion"`
				Kind       string `json:"kind"`
				Metadata   struct{ Name, Namespace string }
				Spec       map[string]any `json:"spec"`
			}
			if err := yaml.UnmarshalStrict([]byte(manifest), &object); err != nil {
				t.Errorf("%s: %v", file, err)
			}
			if object.APIVersion == "" || object.Kind == "" || object.Metadata.Name == "" || object.Metadata.Namespace == "" || len(object.Spec) == 0 {
				t.Errorf("%s: not a manifest: %+v", file, object)
			}
		}
		if !strings.Contains(string(text), audience()) {
			t.Errorf("%s requires another audience than %s", file, audience())
		}
	}
}

// The annotations of ingress controllers, which are not run, require what the declared API does,
// and name each identity header.
func TestDocumentedAnnotationsAskForTheDeclaredAPI(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(docs, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	asked := regexp.MustCompile(`auth-url: (\S+)`).FindAllStringSubmatch(string(text), -1)
	if len(asked) != 2 {
		t.Fatalf("%d annotations with a URL; does this test still read them right?", len(asked))
	}
	for _, annotation := range asked {
		target, err := url.Parse(annotation[1])
		if err != nil {
			t.Fatal(err)
		}
		required, err := oauth2.ParseRequirementQuery(target.RawQuery)
		if err != nil || required.Audience != "https://"+issuerHost+"/resources/orders/orders-api" || !slices.Equal(required.Scopes, []string{"orders.read"}) {
			t.Errorf("%s requires %+v, %v", annotation[1], required, err)
		}
		if target.Path != oauth2.ForwardAuthPath {
			t.Errorf("%s asks at %s", annotation[1], target.Path)
		}
	}
	if listed := strings.Count(string(text), ": "+strings.Join(answers.IdentityHeaders[:], ",")+"\n"); listed != len(asked) {
		t.Errorf("%d annotations list the identity headers, want %d", listed, len(asked))
	}
}
