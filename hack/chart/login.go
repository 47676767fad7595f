// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

// What manager and token server have for login: where its pages are, and the token server's port
// for it.
const (
	loginURLArg = `        {{- if .Values.login.enabled }}
        - --login-url={{ .Values.login.url }}
        {{- end }}
`
	loginPortArgs = `        {{- if .Values.login.enabled }}
        - --login-url={{ .Values.login.url }}
        - --login-listen=:8444
        - --login-account={{ .Values.login.namespace }}/{{ include "hallpass.account" (list $ "login") }}
        {{- end }}
`
	loginContainerPort = `        {{- if .Values.login.enabled }}
        - {name: login, containerPort: 8444}
        {{- end }}
`
	loginIngress = `  {{- if .Values.login.enabled }}
  - from: # login's pods alone
    - namespaceSelector:
        matchLabels: {kubernetes.io/metadata.name: {{ .Values.login.namespace }}}
      podSelector:
        matchLabels:
          app.kubernetes.io/name: hallpass
          app.kubernetes.io/component: login
    ports:
    - {protocol: TCP, port: 8444}
  {{- end }}
`
)

// loginArgs are the flags of login that have values.
const loginArgs = `        {{- if .Values.login.plainHTTP }}
        - --require-https=false
        {{- end }}
        {{- range .Values.login.trustedProxies }}
        - --trusted-proxy={{ . }}
        {{- end }}
        {{- range .Values.login.ownPrefixes }}
        - --own-prefix={{ . }}
        {{- end }}
        {{- range .Values.login.extraArgs }}
        - {{ . | quote }}
        {{- end }}
`

// withoutCertificate is where the Secret with login's certificate is mounted: plain HTTP needs
// none.
const withoutCertificate = "{{- if not .Values.login.plainHTTP }}\n"

// withLoginAnd begins a condition that login is installed, and something else.
const withLoginAnd = "and " + withLogin + " "

// loginHost is the host of the pages.
const loginHost = `{{ (urlParse .Values.login.url).hostname }}`

// loginRoute is what the routes of both ways have.
var loginRoute = []replacement{ //nolint:gochecknoglobals // a constant table
	{"[login.example.com]", "[" + loginHost + "]", 1},
	{"  - {name: public, namespace: gateways}\n", "  {{- toYaml .Values.login.gateway.parentRefs | nindent 2 }}\n", 1},
	{"{name: hallpass-login, port: 443}", "{name: hallpass-login, port: {{ if .Values.login.plainHTTP }}80{{ else }}443{{ end }}}", 1},
}

// loginTemplates are those of login, each for an installation that has it.
var loginTemplates = []template{ //nolint:gochecknoglobals // a constant table
	{from: "login/namespace.yaml", to: "login-namespace.yaml", when: "and " + withLogin + " .Values.login.createNamespace", replace: []replacement{
		{"  name: hallpass-login\n", "  name: {{ .Values.login.namespace }}\n  annotations:\n    helm.sh/resource-policy: keep # the client secrets are in it\n", 1},
	}},
	{from: "login/account.yaml", to: "login-account.yaml", when: withLogin, derive: account("login", nil)},
	{from: "login/login_role.yaml", to: "login-role.yaml", when: "and " + withLogin + " " + withRights, replace: roleLabels},
	{from: "login/networkpolicies.yaml", to: "login-networkpolicies.yaml", when: withLoginAnd + ".Values.networkPolicies.enabled", derive: egress("login"),
		replace: []replacement{
			{"kubernetes.io/metadata.name: monitoring", "kubernetes.io/metadata.name: {{ .Values.networkPolicies.metricsNamespace }}", 1},
			{"    - {protocol: TCP, port: 8443} # https\n", "    - {protocol: TCP, port: 8443} # https\n    {{- with .Values.networkPolicies.loginFrom }}\n    from: {{- toYaml . | nindent 4 }}\n    {{- end }}\n", 1},
		}},
	{from: "login/deployment.yaml", to: "login.yaml", when: withLogin, derive: resources("login"), replace: append(podSettings("login", "144MiB"),
		replacement{"  replicas: 2\n", "  replicas: {{ .Values.login.replicas }}\n", 1},
		replacement{"--login-url=https://login.example.com", "--login-url={{ .Values.login.url }}", 1},
		replacement{"$(LOGIN_TOKENSERVER).$(LOGIN_SYSTEM)", "hallpass-tokenserver.hallpass-system", 1},
		replacement{"--system-namespace=$(LOGIN_SYSTEM)", "--system-namespace=hallpass-system", 1},
		replacement{"--namespace=hallpass-login", "--namespace={{ .Values.login.namespace }}", 1},
		replacement{
			"        - --tls-cert-file=/etc/hallpass/tls/tls.crt\n        - --tls-key-file=/etc/hallpass/tls/tls.key\n",
			"        " + withoutCertificate + "        - --tls-cert-file=/etc/hallpass/tls/tls.crt\n        - --tls-key-file=/etc/hallpass/tls/tls.key\n        {{- end }}\n" + loginArgs, 1,
		},
		replacement{"        ports:\n        - {name: https", environment("login") + "        ports:\n        - {name: https", 1},
		replacement{
			"        - name: tls\n          mountPath: /etc/hallpass/tls\n          readOnly: true\n",
			"        " + withoutCertificate + "        - name: tls\n          mountPath: /etc/hallpass/tls\n          readOnly: true\n        {{- end }}\n", 1,
		},
		replacement{"https://hallpass-tokenserver.hallpass-system.svc/login", `{{ include "hallpass.issuer" . }}/login`, 1},
		replacement{"      - name: tls\n        secret:\n          secretName: hallpass-login-tls\n", "      " + withoutCertificate + "      - name: tls\n        secret:\n          secretName: {{ .Values.login.certificateSecret }}\n", 1},
		replacement{"          - {key: tls.key, path: tls.key}\n", "          - {key: tls.key, path: tls.key}\n      {{- end }}\n", 1},
		replacement{"  strategy:\n    type: RollingUpdate\n    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}\n", "  strategy: {{- toYaml .Values.login.strategy | nindent 4 }}\n", 1},
		replacement{"terminationGracePeriodSeconds: 45", "terminationGracePeriodSeconds: {{ .Values.login.terminationGracePeriodSeconds }}", 1},
		probe("login", "startupProbe", "{path: /healthz, port: ops}", "          periodSeconds: 2\n          failureThreshold: 30\n"),
		probe("login", "livenessProbe", "{path: /healthz, port: ops}", "          periodSeconds: 20\n"),
		probe("login", "readinessProbe", "{path: /readyz, port: ops}", "          periodSeconds: 2\n          failureThreshold: 1 # what is not ready has withdrawn itself, and means it\n"),
	)},
	{from: "login/service.yaml", to: "login-service.yaml", when: withLogin, replace: []replacement{
		{"  namespace: hallpass-login\n", "  namespace: hallpass-login\n  {{- with .Values.login.service.annotations }}\n  annotations: {{- toYaml . | nindent 4 }}\n  {{- end }}\n", 1},
		{labelsOf("login", "") + "spec:\n", labels("login", ".Values.login.service.labels") + `spec:
  type: {{ .Values.login.service.type }}
  {{- with .Values.login.service.extraSpec }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
`, 1},
		{"  - {name: https, port: 443, targetPort: https, appProtocol: https}\n", `  {{- if .Values.login.plainHTTP }}
  - {name: http, port: 80, targetPort: https, appProtocol: http}
  {{- else }}
  - {name: https, port: 443, targetPort: https, appProtocol: https}
  {{- end }}
`, 1},
	}},
	disruption("login", withLogin),
	{from: "login/ingress/ingress.yaml", to: "login-ingress.yaml", when: "and " + withLogin + " .Values.login.ingress.enabled", replace: []replacement{
		{"login.example.com", loginHost, 2},
		{"    secretName: hallpass-login-public-tls\n", "    {{- with .Values.login.ingress.tlsSecret }}\n    secretName: {{ . }}\n    {{- end }}\n", 1},
		{labelsOf("login", ""), "  {{- with .Values.login.ingress.annotations }}\n  annotations: {{- toYaml . | nindent 4 }}\n  {{- end }}\n" + labels("login", ".Values.login.ingress.labels"), 1},
		{"port: {name: https}", "port: {name: {{ if .Values.login.plainHTTP }}http{{ else }}https{{ end }}}", 1},
		{"spec:\n", "spec:\n  {{- with .Values.login.ingress.className }}\n  ingressClassName: {{ . }}\n  {{- end }}\n", 1},
	}},
	{from: "login/passthrough/tlsroute.yaml", to: "login-tlsroute.yaml", when: `and ` + withLogin + ` .Values.login.gateway.enabled (eq .Values.login.gateway.tls "Passthrough")`, replace: append(loginRoute,
		replacement{"apiVersion: gateway.networking.k8s.io/v1\n", "apiVersion: {{ .Values.gateway.tlsRouteVersion }}\n", 1})},
	{from: "login/reencrypt/httproute.yaml", to: "login-httproute.yaml", when: `and ` + withLogin + ` .Values.login.gateway.enabled (ne .Values.login.gateway.tls "Passthrough")`, replace: append(loginRoute,
		replacement{"---\n", "{{- if eq .Values.login.gateway.tls \"Reencrypt\" }}\n---\n", 1},
		replacement{"hostname: login.example.com", "hostname: " + loginHost, 1},
		replacement{"    wellKnownCACertificates: System\n", `    {{- with .Values.login.gateway.caConfigMap }}
    caCertificateRefs:
    - {group: "", kind: ConfigMap, name: {{ . }}}
    {{- else }}
    wellKnownCACertificates: System
    {{- end }}
{{- end }}
`, 1})},
	{from: "login/certmanager/certificate.yaml", to: "login-certificate.yaml", when: withLoginAnd + ".Values.login.certManager.enabled", replace: []replacement{
		{"secretName: hallpass-login-tls", "secretName: {{ .Values.login.certificateSecret }}", 1},
		{"  - login.example.com\n", "  - " + loginHost + "\n", 1},
		{"{group: cert-manager.io, kind: ClusterIssuer, name: public}", "{{- toYaml .Values.login.certManager.issuerRef | nindent 4 }}", 1},
	}},
	{from: "login/monitoring/podmonitor.yaml", to: "login-podmonitor.yaml", when: withLoginAnd + ".Values.monitoring.podMonitor", replace: append(monitoringLabels,
		replacement{"  - port: ops\n", "  - port: ops\n" + endpoint, 1})},
}
