#!/usr/bin/env bash
# Copyright 2026 The Hallpass Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Shows that the depguard rules refuse what they should and nothing else: test-import-rules.sh
# GOLANGCI-LINT Each line below becomes a file below that package that imports just this, in a
# scratch module with our configuration.
set -euo pipefail

golangci_lint=$1
module=github.com/hallpass-dev/hallpass
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

cp .golangci.yml "$scratch/"
printf 'module %s\n\ngo 1.26.0\n' "$module" >"$scratch/go.mod"

count=0
while read -r verdict package import; do
  [[ -n $verdict ]] || continue
  count=$((count + 1))
  suffix=
  [[ $package != *:test ]] || suffix=_test
  file="${package%:test}/case$count/p$suffix.go"
  mkdir -p "$scratch/${file%/*}"
  printf 'package p\n\nimport _ "%s"\n' "${import/#\~/$module}" >"$scratch/$file"
  echo "$verdict $file $import" >>"$scratch/cases"
done <<'CASES'
refuse internal/strictjson   net/http
refuse internal/strictjson   k8s.io/apimachinery/pkg/types
refuse internal/strictjson   golang.org/x/text/unicode/norm
refuse internal/strictjson   ~/internal/jws
allow  internal/strictjson   encoding/json
refuse internal/wire         net/http
refuse internal/wire         k8s.io/apimachinery/pkg/types
refuse internal/wire         github.com/google/uuid
refuse internal/wire         ~/internal/strictjson
allow  internal/wire         encoding/binary
refuse internal/jws          net/http
refuse internal/jws          sync
refuse internal/jws          log
refuse internal/jws          k8s.io/apimachinery/pkg/types
refuse internal/jws          golang.org/x/crypto/ed25519
refuse internal/jws          ~/internal/keyring
refuse internal/jws:test     net/http
allow  internal/jws          ~/internal/strictjson
allow  internal/jws          crypto/ecdsa
allow  internal/jws          log/slog
allow  internal/jws:test     ~/internal/jws
allow  internal/jws:test     github.com/go-jose/go-jose/v4
refuse internal/apiclock     ~/internal/keyring
refuse internal/apiclock     k8s.io/utils/clock
refuse internal/apiclock     log
allow  internal/apiclock     net/http
refuse internal/keyring      net/http/httptest
refuse internal/keyring      ~/internal/apiclock
refuse internal/keyring      sync/atomic
refuse internal/keyring      sigs.k8s.io/yaml
refuse internal/keyring      github.com/go-logr/logr
refuse internal/keyring      ~/internal/oauth2
allow  internal/keyring      ~/internal/jws
refuse internal/oauth2       net/http
refuse internal/oauth2       sync
refuse internal/oauth2       ~/internal/revocation
refuse internal/oauth2       k8s.io/api/core/v1
refuse internal/oauth2       log
refuse internal/oauth2       ~/internal/registration
refuse internal/oauth2       ~/api/v1alpha1
refuse internal/oauth2:test  k8s.io/api/core/v1
allow  internal/oauth2       net/url
allow  internal/oauth2       ~/internal/keyring
allow  internal/oauth2       ~/internal/strictjson
refuse internal/codegrant    net/http
refuse internal/codegrant    sync
refuse internal/codegrant    ~/internal/seal
refuse internal/codegrant    ~/internal/revocation
refuse internal/codegrant    ~/internal/loginport
allow  internal/codegrant    ~/internal/oauth2
allow  internal/codegrant    ~/internal/wire
allow  internal/codegrant:test ~/internal/seal
refuse internal/seal         ~/internal/jws
refuse internal/seal         net/http
allow  internal/seal         crypto/hkdf
refuse internal/loginport    ~/internal/oauth2
allow  internal/loginport    net/http
refuse internal/credential   net/http
refuse internal/credential   sync
refuse internal/credential   k8s.io/apimachinery/pkg/types
refuse internal/credential   ~/api/v1alpha1
refuse internal/credential   ~/internal/registration
allow  internal/credential   ~/internal/oauth2
allow  internal/credential   ~/internal/usage
allow  internal/credential:test ~/internal/registration
refuse internal/registration net/http
refuse internal/registration sync
refuse internal/registration k8s.io/api/core/v1
refuse internal/registration ~/api/v1alpha1
refuse internal/registration ~/internal/directory
allow  internal/registration ~/internal/credential
allow  internal/registration ~/internal/oauth2
refuse internal/usage        net/http
refuse internal/usage        sync/atomic
refuse internal/usage        k8s.io/apimachinery/pkg/types
refuse internal/usage        ~/api/v1alpha1
refuse internal/usage        ~/internal/registration
allow  internal/usage        ~/internal/oauth2
allow  internal/usage        ~/internal/wire
refuse internal/revocation   net/http
refuse internal/revocation   k8s.io/apimachinery/pkg/types
refuse internal/revocation   sigs.k8s.io/yaml
refuse internal/revocation   ~/api/v1alpha1
refuse internal/revocation   ~/internal/registration
refuse internal/revocation   ~/internal/tokenserver
allow  internal/revocation   sync
allow  internal/revocation   ~/internal/jws
allow  internal/revocation   ~/internal/oauth2
refuse api/v1alpha1          k8s.io/api/core/v1
refuse api/v1alpha1          sigs.k8s.io/controller-runtime/pkg/scheme
refuse api/v1alpha1          ~/internal/oauth2
allow  api/v1alpha1          k8s.io/apimachinery/pkg/apis/meta/v1
refuse internal/budget       net/http
refuse internal/budget       log/slog
refuse internal/budget       k8s.io/apimachinery/pkg/types
refuse internal/budget       golang.org/x/time/rate
refuse internal/budget       ~/internal/oauth2
allow  internal/budget       sync
allow  internal/budget:test  ~/internal/budget
refuse internal/auth         net/http
refuse internal/auth         log/slog
refuse internal/auth         k8s.io/apimachinery/pkg/types
refuse internal/auth         sigs.k8s.io/yaml
refuse internal/auth         github.com/go-logr/logr
refuse internal/auth         github.com/prometheus/client_golang/prometheus
refuse internal/auth         go.opentelemetry.io/otel/trace
refuse internal/auth         ~/internal/directory
refuse internal/auth         ~/internal/audit
refuse internal/auth         ~/internal/answer
refuse internal/auth         ~/internal/registration
allow  internal/auth         golang.org/x/sync/singleflight
allow  internal/auth         ~/internal/budget
allow  internal/auth         ~/internal/revocation
allow  internal/auth:test    log/slog
refuse internal/answer       net
refuse internal/answer       log/slog
refuse internal/answer       github.com/prometheus/client_golang/prometheus
refuse internal/answer       ~/internal/auth
refuse internal/answer       ~/internal/tokenserver
allow  internal/answer       net/http
allow  internal/answer       ~/internal/oauth2
refuse internal/audit        k8s.io/apimachinery/pkg/types
refuse internal/audit        sigs.k8s.io/yaml
refuse internal/audit        go.opentelemetry.io/otel/sdk/trace
refuse internal/audit        ~/internal/answer
refuse internal/audit        ~/internal/tokenserver
refuse internal/audit        ~/internal/directory
allow  internal/audit        ~/internal/auth
allow  internal/audit        ~/internal/budget
allow  internal/audit        ~/internal/strictjson
allow  internal/audit        go.opentelemetry.io/otel/trace
refuse internal/tokenserver  k8s.io/apimachinery/pkg/types
refuse internal/tokenserver  sigs.k8s.io/controller-runtime
refuse internal/tokenserver  ~/internal/controller/oauth2client
refuse internal/tokenserver  ~/internal/directory
refuse internal/tokenserver  ~/internal/registration
refuse internal/tokenserver  ~/api/v1alpha1
refuse internal/tokenserver  go.opentelemetry.io/otel/sdk/trace
allow  internal/tokenserver  go.opentelemetry.io/otel/trace
allow  internal/tokenserver:test go.opentelemetry.io/otel/sdk/trace
allow  internal/tokenserver  net/http
allow  internal/tokenserver  ~/internal/oauth2
allow  internal/tokenserver  ~/internal/revocation
refuse internal/tokenserver  ~/internal/extauthz
allow  internal/tokenserver  ~/internal/auth
allow  internal/tokenserver  ~/internal/answer
allow  internal/tokenserver  ~/internal/audit
allow  internal/tokenserver  ~/internal/budget
refuse internal/extauthz     k8s.io/apimachinery/pkg/types
refuse internal/extauthz     ~/internal/directory
refuse internal/extauthz     ~/internal/tokenserver
refuse internal/extauthz     ~/internal/revocation
allow  internal/extauthz     ~/internal/auth
allow  internal/extauthz     ~/internal/answer
allow  internal/extauthz     ~/internal/audit
allow  internal/extauthz:test ~/test/kit/memory
refuse internal/serve        k8s.io/client-go/rest
refuse internal/serve        sigs.k8s.io/controller-runtime
refuse internal/serve        github.com/prometheus/client_golang/prometheus
refuse internal/serve        google.golang.org/grpc
refuse internal/serve        ~/internal/controller/oauth2client
refuse internal/serve        ~/internal/directory
refuse internal/serve        ~/internal/oauth2
refuse internal/serve        ~/internal/tokenserver
allow  internal/serve        net/http
allow  internal/serve        ~/internal/serve
allow  internal/serve:test   ~/internal/tokenserver
refuse internal/controller/oauth2client ~/internal/serve
refuse internal/directory    ~/internal/serve
refuse internal/tokenserver  ~/internal/serve
allow  cmd/tokenserver       ~/internal/serve
refuse internal/directory    ~/internal/controller/oauth2client
refuse internal/directory    ~/internal/auth
refuse internal/directory    ~/internal/tokenserver
refuse internal/directory    sigs.k8s.io/controller-runtime/pkg/client
allow  internal/directory    k8s.io/client-go/tools/cache
allow  internal/directory    ~/internal/registration
allow  internal/directory    ~/internal/wire
refuse internal/directory/memory k8s.io/apimachinery/pkg/types
refuse internal/directory/memory sigs.k8s.io/yaml
refuse internal/directory/memory net/http
refuse internal/directory/memory log/slog
refuse internal/directory/memory ~/api/v1alpha1
refuse internal/directory/memory ~/internal/directory/watch
refuse internal/directory/memory:test k8s.io/client-go/tools/cache
allow  internal/directory/memory ~/internal/registration
allow  internal/directory/memory ~/internal/restore
allow  internal/directory/memory sync
refuse internal/directory/watch ~/internal/oauth2
refuse internal/directory/watch ~/internal/registration
refuse internal/directory/watch ~/internal/directory/memory
refuse internal/directory/watch ~/api/v1alpha1
allow  internal/directory/watch ~/internal/restore
allow  internal/directory/watch k8s.io/client-go/tools/cache
refuse internal/controller/oauth2client ~/internal/directory
refuse internal/controller/oauth2client ~/internal/auth
refuse internal/controller/oauth2client ~/internal/tokenserver
refuse internal/controller/oauth2client ~/test/kit/controlplane
allow  internal/controller/oauth2client ~/internal/registration
allow  internal/controller/oauth2client:test ~/test/kit/controlplane
refuse cmd/manager           ~/internal/tokenserver
refuse cmd/manager           ~/internal/directory
refuse cmd/manager           ~/internal/extauthz
refuse cmd/manager           ~/internal/auth
refuse cmd/manager           ~/internal/reporter
allow  cmd/manager           ~/internal/controller/oauth2client
refuse cmd/tokenserver       ~/internal/controller/oauth2client
refuse cmd/tokenserver       sigs.k8s.io/controller-runtime
allow  cmd/tokenserver       ~/internal/directory
refuse cmd/tokenserver       ~/test/kit/controlplane
refuse cmd/kubectl-hallpass  ~/internal/tokenserver
refuse cmd/kubectl-hallpass  ~/internal/controller/oauth2client
refuse cmd/kubectl-hallpass  ~/cmd/manager/app
refuse cmd/kubectl-hallpass  sigs.k8s.io/controller-runtime
refuse cmd/kubectl-hallpass  k8s.io/client-go/kubernetes
refuse cmd/kubectl-hallpass  ~/test/kit/world
allow  cmd/kubectl-hallpass  github.com/spf13/cobra
allow  cmd/kubectl-hallpass  k8s.io/cli-runtime/pkg/printers
allow  cmd/kubectl-hallpass  ~/api/v1alpha1
allow  cmd/kubectl-hallpass  ~/internal/oauth2
refuse cmd/manager           github.com/spf13/cobra
refuse cmd/tokenserver       k8s.io/cli-runtime/pkg/printers
refuse internal/controller/oauth2client ~/cmd/kubectl-hallpass/show
allow  test/compat/kubectl:test ~/cmd/kubectl-hallpass/app
allow  hack/clidocs          ~/cmd/kubectl-hallpass/app
refuse hack/apidocs          ~/cmd/kubectl-hallpass/app
refuse cmd/kubectl-hallpass  github.com/chromedp/chromedp
allow  test/compat/console:test github.com/chromedp/chromedp
allow  test/compat/people:test github.com/chromedp/chromedp
refuse internal/oauth2       math/rand/v2
allow  internal/oauth2:test  math/rand/v2
refuse cmd/manager           unsafe
refuse test/e2e:test         github.com/stretchr/testify/require
allow  test/e2e:test         ~/cmd/manager/app
refuse internal/login        ~/internal/jws
refuse internal/login        ~/internal/keyring
refuse internal/login        ~/internal/oauth2
refuse internal/login        ~/internal/registration
refuse internal/login        ~/internal/directory
refuse internal/login        ~/internal/auth
refuse internal/login        ~/internal/tokenserver
refuse internal/login        k8s.io/client-go/rest
refuse internal/login        ~/internal/login/cluster
allow  internal/login        ~/internal/loginport
allow  internal/login        ~/internal/login/provider
allow  internal/login/cluster k8s.io/client-go/rest
refuse internal/login/provider k8s.io/client-go/rest
allow  internal/login/provider github.com/coreos/go-oidc/v3/oidc
refuse internal/loginport    ~/internal/oauth2
refuse internal/outbound     ~/api/v1alpha1
allow  internal/outbound     net/http
refuse cmd/login             ~/internal/registration
refuse cmd/login             ~/internal/controller/output
allow  cmd/login             ~/internal/login/cluster
CASES

# The imports cannot be resolved in the scratch module, which is no matter: depguard reads the
# import lines alone.
(cd "$scratch" && "$golangci_lint" run --enable-only depguard --output.text.path stdout --output.text.print-issued-lines=false \
  --output.text.colors=false --show-stats=false ./... >issues 2>errors) || true

wrong=0
while read -r verdict file import; do
  refused=allow
  if grep -q "^$file:.*(depguard)$" "$scratch/issues"; then refused=refuse; fi
  if [[ $refused != "$verdict" ]]; then
    echo "${file%/case*} imports $import: expected $verdict, got $refused"
    wrong=$((wrong + 1))
  fi
done <"$scratch/cases"
# A rule that no case trips over may be one that matches no file.
for rule in $(sed -n '/^    depguard:/,/^    [a-z]*:$/s/^        \([a-z0-9-]*\):$/\1/p' .golangci.yml); do
  if ! grep -q "from list '$rule'" "$scratch/issues"; then
    echo "no case shows rule $rule refusing anything"
    wrong=$((wrong + 1))
  fi
done
if ((wrong > 0)); then
  cat "$scratch/errors"
  echo "$wrong of $count cases are wrong"
  exit 1
fi
echo "$count cases, all as expected"
