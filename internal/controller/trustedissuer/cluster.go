// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package trustedissuer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/hallpass-dev/hallpass/internal/strictjson"
)

// clusterIssuerFresh is how long the issuer of the cluster counts without asking again. It changes
// when the API server is started with another one.
const clusterIssuerFresh = time.Minute

// The issuer of the tokens of this cluster's service accounts, which is never trusted as an issuer
// outside.
//
// +kubebuilder:rbac:urls=/.well-known/openid-configuration,verbs=get

// ClusterIssuer returns a function that asks the API server for the issuer of its service accounts'
// tokens.
func ClusterIssuer(api rest.Interface, now clock.PassiveClock) func(context.Context) (string, error) {
	var mu sync.Mutex
	var known string
	var until time.Time
	return func(ctx context.Context) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if now.Now().Before(until) {
			return known, nil
		}
		document, err := api.Get().AbsPath("/.well-known/openid-configuration").Do(ctx).Raw()
		if err != nil {
			return "", fmt.Errorf("read the discovery document of the API server: %w", err)
		}
		members, err := strictjson.ParseObject(string(document))
		if err != nil {
			return "", errors.New("the discovery document of the API server is no JSON object")
		}
		issuer, err := members.String("issuer")
		if err != nil {
			return "", errors.New("the discovery document of the API server names no issuer")
		}
		known, until = issuer, now.Now().Add(clusterIssuerFresh)
		return known, nil
	}
}
