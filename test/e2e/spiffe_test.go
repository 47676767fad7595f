// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/test/kit/issuers"
)

// workloadAPI is the part of the SPIFFE Workload API that gives JWT-SVIDs, for one SPIFFE ID.
type workloadAPI struct {
	subject string
	// sign signs an SVID for an audience.
	sign func(audience string) string
}

// serveWorkloadAPI serves it on a socket, whose name is that of SPIFFE_ENDPOINT_SOCKET.
func serveWorkloadAPI(t *testing.T, api workloadAPI) string {
	t.Helper()
	// a socket has a short path, which t.TempDir does not
	dir, err := os.MkdirTemp("", "spiffe-") //nolint:usetesting // see above
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "agent.sock")
	listener, err := net.Listen("unix", socket)
	must(t, err)
	server := grpc.NewServer(grpc.ForceServerCodec(rawMessages{}), grpc.UnknownServiceHandler(api.serve))
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return "unix://" + socket
}

// rawMessages leaves messages as they come.
type rawMessages struct{}

func (rawMessages) Name() string                       { return "raw" }
func (rawMessages) Marshal(v any) ([]byte, error)      { return *v.(*[]byte), nil }                      //nolint:errcheck,forcetypeassert // ours
func (rawMessages) Unmarshal(data []byte, v any) error { *v.(*[]byte) = slices.Clone(data); return nil } //nolint:errcheck,forcetypeassert // ours

func (api workloadAPI) serve(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	header, _ := metadata.FromIncomingContext(stream.Context())
	if method != "/SpiffeWorkloadAPI/FetchJWTSVID" || !slices.Equal(header.Get("workload.spiffe.io"), []string{"true"}) {
		return status.Error(codes.InvalidArgument, "not a request for a JWT-SVID")
	}
	var request []byte
	if err := stream.RecvMsg(&request); err != nil {
		return err
	}
	// JWTSVIDRequest has the audiences in field 1
	number, _, n := protowire.ConsumeTag(request)
	audience, m := protowire.ConsumeString(request[max(n, 0):])
	if number != 1 || n < 0 || m < 0 {
		return status.Error(codes.InvalidArgument, "no audience")
	}
	// JWTSVIDResponse has the SVIDs in field 1: an id and the JWT
	svid := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), api.subject)
	svid = protowire.AppendString(protowire.AppendTag(svid, 2, protowire.BytesType), api.sign(audience))
	answer := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), svid)
	return stream.SendMsg(&answer)
}

// TestAWorkloadOfSPIFFECallsAnAPI runs the program of docs/federation/spiffe, whose library is that
// of SPIFFE.
func TestAWorkloadOfSPIFFECallsAnAPI(t *testing.T) {
	const namespace, subject = "spiffe", "spiffe://example.org/ns/ci/sa/deploy"
	program := filepath.Join(t.TempDir(), "spiffe")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", program, ".")
	build.Dir, build.Env = filepath.Join(root(), "docs", "federation", "spiffe"), append(os.Environ(), "CGO_ENABLED=0")
	if printed, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v: %s", err, printed)
	}
	allowFederation(t, namespace)
	issuer := issuers.Start(t, &network, "https://spire.example.org", jws.ES256)
	entry := v1alpha1.IssuerNamespaces{From: fromNamespace(namespace), SubjectPrefixes: []v1alpha1.SubjectPrefix{"spiffe://example.org/ns/ci/"}}
	// by SPIRE's discovery provider, and by the bundle endpoint of the trust domain
	trust(t, trusting("spiffe", issuer, entry), v1alpha1.ReasonTrusted)
	domain := trusting("spiffe-domain", issuer, entry)
	spiffe(domain)
	domain.Spec.Keys = v1alpha1.IssuerKeysSpec{Source: v1alpha1.KeysByURL, URL: issuer.URL + issuers.BundlePath}
	trust(t, domain, v1alpha1.ReasonTrusted)
	if len(domain.Status.Keys) != 1 {
		t.Errorf("the keys of the trust domain are %+v", domain.Status.Keys)
	}
	apply(t, namespace, federatedClient("deploy", "spiffe", v1alpha1.FederatedTokenSpec{Subject: subject}))
	apply(t, namespace, federatedClient("of-domain", "spiffe-domain", v1alpha1.FederatedTokenSpec{Subject: subject}))

	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ey") {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = fmt.Fprint(w, "the answer of the API")
	}))
	t.Cleanup(api.Close)
	socket := func(id string, others map[string]any) string {
		return serveWorkloadAPI(t, workloadAPI{subject: id, sign: func(audience string) string {
			now := time.Now()
			// the claims of SPIRE: sub, aud, exp and iat
			claims := map[string]any{"sub": id, "aud": []string{audience}, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix()}
			maps.Copy(claims, others)
			return issuer.Sign(claims)
		}})
	}
	run := func(socket, clientID string) (string, error) {
		command := exec.CommandContext(t.Context(), program)
		command.Env = append(os.Environ(), "SPIFFE_ENDPOINT_SOCKET="+socket, "ISSUER="+hallpass.Issuer.String(), "CLIENT_ID="+clientID,
			"CA_FILE="+hallpass.CAFile, "API_URL="+api.URL)
		printed, err := command.CombinedOutput()
		return string(printed), err
	}
	for name, c := range map[string]struct {
		others   map[string]any
		clientID string
	}{
		"of the discovery provider":                    {map[string]any{"iss": issuer.URL}, namespace + ".deploy"},
		"of the discovery provider, without client_id": {map[string]any{"iss": issuer.URL}, ""},
		"of the trust domain":                          {nil, namespace + ".of-domain"},
		"of the trust domain, without client_id":       {nil, ""},
		"of the trust domain, with an iss":             {map[string]any{"iss": "https://other.example.org"}, ""},
	} {
		if printed, err := run(socket(subject, c.others), c.clientID); err != nil || printed != "200 OK\nthe answer of the API\n" {
			t.Errorf("a JWT-SVID %s: %v: %s", name, err, printed)
		}
		const another = "spiffe://example.org/ns/ci/sa/another"
		if printed, err := run(socket(another, c.others), c.clientID); err == nil || !strings.Contains(printed, "invalid_") {
			t.Errorf("of another SPIFFE ID, %s: %v: %s", name, err, printed)
		}
	}
}
