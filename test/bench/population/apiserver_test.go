// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package population

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// TestReportsOfUseAreAccepted as a replica sends them: made once, and then written again and again
// under the given version.
func TestReportsOfUseAreAccepted(t *testing.T) {
	p, err := New(oauth2.Issuer{}, 1, jws.ES256, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s, err := p.Serve()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Stop() }()
	reports := "https://" + s.listener.Addr().String() + "/apis/hallpass.dev/v1alpha1/namespaces/hallpass-registry/usagereports"
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.CA())
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	sent := v1alpha1.UsageReport{ObjectMeta: metav1.ObjectMeta{Name: "replica"}, Spec: v1alpha1.UsageReportSpec{Uses: []byte("uses")}}
	for _, step := range []struct{ method, url string }{
		{http.MethodPost, reports}, {http.MethodPut, reports + "/replica"}, {http.MethodPut, reports + "/replica"},
	} {
		body, err := json.Marshal(sent)
		if err != nil {
			t.Fatal(err)
		}
		request, err := http.NewRequestWithContext(t.Context(), step.method, step.url, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		var stored v1alpha1.UsageReport
		if err := json.NewDecoder(response.Body).Decode(&stored); err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s, %v", step.method, response.Status, err)
		}
		_ = response.Body.Close()
		if string(stored.Spec.Uses) != "uses" || stored.ResourceVersion == sent.ResourceVersion {
			t.Errorf("%s stored %q as version %q after %q", step.method, stored.Spec.Uses, stored.ResourceVersion, sent.ResourceVersion)
		}
		sent = stored
	}
}
