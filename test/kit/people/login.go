// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package people

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	login "github.com/hallpass-dev/hallpass/cmd/login/app"
	"github.com/hallpass-dev/hallpass/internal/loginport"
	"github.com/hallpass-dev/hallpass/internal/serve"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
	"github.com/hallpass-dev/hallpass/test/kit/issuers"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

// Login is login that runs beside an installation.
type Login struct {
	dir     string
	cancel  context.CancelFunc
	stopped chan error
}

// StartLogin installs login as config/login does, and starts it for an origin in example.com, with
// a certificate, the rights and the token of its service account. The token server answers it at an
// address.
func StartLogin(ctx context.Context, w *world.World, network *issuers.Network, root, origin, tokenServer string) (_ *Login, err error) {
	for _, file := range []string{"namespace.yaml", "login_role.yaml", "account.yaml"} {
		if err := installation.Kubectl(ctx, w.Plane, "apply", "--server-side", "-f", filepath.Join(root, "config", "login", file)); err != nil {
			return nil, err
		}
	}
	rights, err := w.Plane.ServiceAccountConfig(ctx, installation.LoginNamespace, installation.LoginAccount)
	if err != nil {
		return nil, err
	}
	l := &Login{stopped: make(chan error, 1)}
	if l.dir, err = os.MkdirTemp("", "hallpass-login-"); err != nil {
		return nil, fmt.Errorf("make a directory for login: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(l.dir))
		}
	}()
	files, err := l.mount(ctx, w)
	if err != nil {
		return nil, err
	}
	host, err := url.Parse(origin)
	if err != nil {
		return nil, fmt.Errorf("read the origin of login: %w", err)
	}
	listening := make(chan string, 1)
	ctx, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		l.stopped <- login.Run(ctx, login.Options{
			URL: origin, REST: rights, Namespace: installation.LoginNamespace, Listen: "127.0.0.1:0", OpsListen: "127.0.0.1:0",
			CertFile: files.certificate, KeyFile: files.key, RequireHTTPS: true,
			Server:      login.TokenServer{URL: "https://" + tokenServer, SystemNamespace: installation.SystemNamespace, TokenFile: files.token},
			Connections: login.Connections{Max: serve.DefaultMaxConnections, MaxPerSource: serve.DefaultMaxConnections},
			Log:         w.Hallpass.Log, Outbound: network.Outbound(),
			Listening: func(public, _ string) { listening <- public },
		})
	}()
	select {
	case address := <-listening:
		network.Add(host.Hostname(), address)
		return l, nil
	case err := <-l.stopped:
		return nil, errors.Join(errors.New("login has ended"), err)
	}
}

// mounted are the files of a pod of login.
type mounted struct{ certificate, key, token string }

// mount writes them.
func (l *Login) mount(ctx context.Context, w *world.World) (mounted, error) {
	files := mounted{filepath.Join(l.dir, "tls.crt"), filepath.Join(l.dir, "tls.key"), filepath.Join(l.dir, "token")}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: installation.LoginNamespace, Name: installation.LoginAccount}}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		Audiences: []string{loginport.Audience(w.Hallpass.Issuer.String())}, ExpirationSeconds: new(int64(3600)),
	}}
	if err := w.Cluster.SubResource("token").Create(ctx, account, request); err != nil {
		return files, fmt.Errorf("request the token of login: %w", err)
	}
	serving, ca := certificate()
	key, err := x509.MarshalPKCS8PrivateKey(serving.PrivateKey)
	if err != nil {
		return files, fmt.Errorf("write the key of login: %w", err)
	}
	return files, errors.Join(
		os.WriteFile(files.certificate, ca, 0o600),
		os.WriteFile(files.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600),
		os.WriteFile(files.token, []byte(request.Status.Token), 0o600),
	)
}

// Stop ends it.
func (l *Login) Stop() error {
	l.cancel()
	return errors.Join(<-l.stopped, os.RemoveAll(l.dir))
}
