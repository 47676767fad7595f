// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// template is a file of config/ that becomes a template of the chart.
type template struct {
	from, to string
	// when is the condition under which the chart has it; "" for always.
	when string
	// replace is done before what is done to every file.
	replace []replacement
	// derive makes the text from the file's, before anything is replaced; nil takes it as it
	// is.
	derive func(text string) (string, error)
}

// replacement puts an expression of the chart in the place of a value of config/. The old text must
// be there so many times: a change of config/ that a substitution no longer fits fails, and leaves
// no setting without effect.
type replacement struct {
	old, new string
	times    int
}

const header = "{{- /* Generated from config/%s\n      by make generate: change it there. */ -}}\n" + complete

// complete adds the values that are left out, as an upgrade with --reuse-values leaves out those
// that the earlier chart did not have.
const complete = `{{- include "hallpass.complete" (list .Values (include "hallpass.defaults" . | fromYaml)) -}}
`

// keepAnnotation has Helm leave an object when the release goes: with the kinds every client would
// go, and with the registry every registration and key.
const keepAnnotation = `
  annotations:
    {{- if .Values.crds.keep }}
    helm.sh/resource-policy: keep
    {{- end }}
    controller-gen`

// withRights is the value by which the roles of the processes and their bindings are installed.
const withRights = ".Values.rbac.create"

// withPolicies is the value by which the admission policies are installed.
const withPolicies = ".Values.admissionPolicies"

// withLogin is the value by which login is installed.
const withLogin = ".Values.login.enabled"

// everywhere is what differs between any two installations.
var everywhere = []replacement{ //nolint:gochecknoglobals // a constant table
	{"hallpass-system", `{{ include "hallpass.namespace" $ }}`, -1},
	{"hallpass-registry", "{{ $.Values.registry.namespace }}", -1},
	{"namespace: hallpass-login", "namespace: {{ $.Values.login.namespace }}", -1},
	{"metadata.name: hallpass-login", "metadata.name: {{ $.Values.login.namespace }}", -1},
	{"\n    app.kubernetes.io/part-of: hallpass\n", `
    app.kubernetes.io/part-of: hallpass
    {{- with $.Values.commonLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
`, -1},
}

// ownName is where an object is named that the installation has. The manager makes hallpass-ca,
// hallpass-tokenserver-tls and the lease hallpass-manager, which roles name in lists. ownHost is
// the host of the Service.
var (
	ownName = regexp.MustCompile(`((?:name|policyName|value): )hallpass-(tokenserver|login|manager(?:-secrets|-configmaps)?|` +
		`usage-reports|signing-keys|revocations|own-namespaces|default-deny|view|edit|dashboard)\b`)
	ownHost = regexp.MustCompile(`hallpass-tokenserver\.\{\{`)
)

// roleLabels are those that kustomize puts on the generated roles.
var roleLabels = []replacement{ //nolint:gochecknoglobals // a constant table
	{"\nmetadata:\n", "\nmetadata:\n  labels:\n    app.kubernetes.io/name: hallpass\n    app.kubernetes.io/part-of: hallpass\n", -1},
}

// monitoringLabels are those by which an operator of Prometheus chooses what is its own.
var monitoringLabels = []replacement{ //nolint:gochecknoglobals // a constant table
	{"  labels:\n    app.kubernetes.io/name: hallpass\n    app.kubernetes.io/part-of: hallpass\n", labels("", ".Values.monitoring.labels"), 1},
}

// endpoint are further fields of an endpoint of the PodMonitor.
const endpoint = `    {{- with .Values.monitoring.endpoint }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
`

// namespacesArg is the flag of an installation for chosen namespaces.
const namespacesArg = `        {{- with .Values.namespaces }}
        - --namespaces={{ join "," . }}
        {{- end }}
`

// foreignCertificateArg leaves the serving certificate to cert-manager, or to a Secret of another
// name.
const foreignCertificateArg = `        {{- if or .Values.certManager.enabled (ne .Values.tokenserver.certificateSecret "hallpass-tokenserver-tls") }}
        - --manage-serving-certificate=false
        {{- end }}
        {{- if ne .Values.tokenserver.certificateSecret "hallpass-tokenserver-tls" }}
        - --serving-certificate-secret={{ .Values.tokenserver.certificateSecret }}
        {{- end }}
`

// The authorities of the callers of introspection, where they have to show a certificate: the flag,
// and the ConfigMap in files.
const (
	callersArg = `        {{- if .Values.tokenserver.introspectionClientCA }}
        - --introspection-client-ca-file=/etc/hallpass/callers/ca.crt
        {{- end }}
`
	callersMount = `        {{- if .Values.tokenserver.introspectionClientCA }}
        - name: callers
          mountPath: /etc/hallpass/callers
          readOnly: true
        {{- end }}
`
	callersVolume = `      {{- with .Values.tokenserver.introspectionClientCA }}
      - name: callers
        configMap:
          name: {{ . }}
          items: [{key: ca.crt, path: ca.crt}]
      {{- end }}
`
)

// Where callers reach the token server beside the issuer, and what they trust there: the flags, and
// the authorities in a file.
const (
	trustArgs = `        {{- with .Values.internalURL }}
        - --internal-url={{ . }}
        {{- end }}
        {{- if eq .Values.issuerCA "public" }}
        - --issuer-ca=public
        {{- else if not (has .Values.issuerCA (list "" "Same")) }}
        - --issuer-ca=/etc/hallpass/issuer/ca.crt
        {{- end }}
`
	issuerCAMount = `        {{- if not (has .Values.issuerCA (list "" "Same" "public")) }}
        - name: issuer-ca
          mountPath: /etc/hallpass/issuer
          readOnly: true
        {{- end }}
`
	issuerCAVolume = `      {{- if not (has .Values.issuerCA (list "" "Same" "public")) }}
      - name: issuer-ca
        configMap:
          name: {{ .Values.issuerCA }}
          items: [{key: ca.crt, path: ca.crt}]
      {{- end }}
`
)

// The second serving certificate of the token server: the flags, and the Secret in files.
const (
	publicArgs = `        {{- if .Values.tokenserver.publicCertificateSecret }}
        - --public-tls-cert-file=/etc/hallpass/public/tls.crt
        - --public-tls-key-file=/etc/hallpass/public/tls.key
        {{- end }}
`
	publicMount = `        {{- if .Values.tokenserver.publicCertificateSecret }}
        - name: public-tls
          mountPath: /etc/hallpass/public
          readOnly: true
        {{- end }}
`
	publicVolume = `      {{- with .Values.tokenserver.publicCertificateSecret }}
      - name: public-tls
        secret:
          secretName: {{ . }}
          defaultMode: 0440
          items:
          - {key: tls.crt, path: tls.crt}
          - {key: tls.key, path: tls.key}
      {{- end }}
`
)

// plainArg has the token server speak plain HTTP.
const plainArg = `        {{- if .Values.tokenserver.plainHTTP }}
        - --require-https=false
        {{- end }}
`

// passwordArg serves the grant type password.
const passwordArg = `        {{- if .Values.tokenserver.unsafePasswordGrant }}
        - --unsafe-password-grant
        {{- end }}
`

// sourceArgs are the flags by which the token server finds the source of a request.
const sourceArgs = `        {{- range .Values.tokenserver.trustedProxies }}
        - --trusted-proxy={{ . }}
        {{- end }}
        {{- range .Values.tokenserver.ownPrefixes }}
        - --own-prefix={{ . }}
        {{- end }}
`

// The port for Envoy's ext_authz: the flag and the container's port.
const (
	extAuthzArg = `        {{- if .Values.tokenserver.extAuthz.enabled }}
        - --ext-authz-bind-address=:{{ .Values.tokenserver.extAuthz.port }}
        {{- end }}
`
	extAuthzContainerPort = `        {{- if .Values.tokenserver.extAuthz.enabled }}
        - {name: ext-authz, containerPort: {{ .Values.tokenserver.extAuthz.port }}}
        {{- end }}
`
)

// gateway is what the routes of both ways have.
var gateway = []replacement{ //nolint:gochecknoglobals // a constant table
	{"[hallpass.example.com]", `[{{ include "hallpass.host" (list . .Values.gateway.host "gateway") }}]`, 1},
	{"  - {name: public, namespace: gateways}\n", "  {{- toYaml .Values.gateway.parentRefs | nindent 2 }}\n", 1},
	{"{name: hallpass-tokenserver, port: 443}", "{name: hallpass-tokenserver, port: {{ if .Values.tokenserver.plainHTTP }}80{{ else }}443{{ end }}}", 1},
}

// certificate is what cert-manager is asked for.
var certificate = []replacement{ //nolint:gochecknoglobals // a constant table
	{"secretName: hallpass-tokenserver-tls", "secretName: {{ .Values.tokenserver.certificateSecret }}", 1},
	{"  - $(CERTIFICATE_SERVICE).$(CERTIFICATE_NAMESPACE).svc\n  - $(CERTIFICATE_SERVICE).$(CERTIFICATE_NAMESPACE).svc.cluster.local\n", `  {{- range .Values.certManager.dnsNames }}
  - {{ . }}
  {{- else }}
  - hallpass-tokenserver.hallpass-system.svc
  - hallpass-tokenserver.hallpass-system.svc.{{ .Values.clusterDomain }}
  {{- range include "hallpass.furtherHosts" . | splitList "," }}
  {{- if not (regexMatch "^[0-9.]+$|:|^$" .) }}
  - {{ . }}
  {{- end }}
  {{- end }}
  {{- end }}
  {{- if not .Values.certManager.dnsNames }}
  {{- with regexFindAll "[^,]*:[^,]*|[0-9]+[.][0-9]+[.][0-9]+[.][0-9]+" (include "hallpass.furtherHosts" .) -1 }}
  ipAddresses: {{ toJson . }}
  {{- end }}
  {{- end }}
`, 1},
	{"{group: cert-manager.io, kind: ClusterIssuer, name: internal}", "{{- toYaml .Values.certManager.issuerRef | nindent 4 }}", 1},
}

// clusterWide has the rights on the whole cluster only where no namespaces were chosen.
func clusterWide(text string) (string, error) {
	var all strings.Builder
	for i, document := range strings.Split("\n"+text, "\n---\n") {
		document = strings.Trim(document, "\n")
		switch {
		case document == "":
		case strings.Contains(document, "kind: ClusterRole"):
			all.WriteString("{{- if not .Values.namespaces }}\n---\n" + document + "\n{{- end }}\n")
		case i == 0:
			all.WriteString(document + "\n")
		default:
			all.WriteString("---\n" + document + "\n")
		}
	}
	return all.String(), nil
}

// forEachNamespace has what is granted in a namespace once for each that was chosen.
func forEachNamespace(text string) (string, error) {
	const metadata = "\nmetadata:\n"
	return "{{- range .Values.namespaces }}\n---\n" + strings.ReplaceAll(text, metadata, metadata+"  namespace: {{ . }}\n") + "{{- end }}\n", nil
}

// resources replaces the block of resources, whatever is in it.
func resources(component string) func(string) (string, error) {
	return func(text string) (string, error) {
		before, rest, found := strings.Cut(text, "        resources:\n")
		_, after, ends := strings.Cut(rest, "        securityContext:\n")
		if !found || !ends {
			return "", fmt.Errorf("the Deployment of the %s has no resources before its securityContext", component)
		}
		return before + "        resources: {{- toYaml .Values." + component + ".resources | nindent 10 }}\n        securityContext:\n" + after, nil
	}
}

// extraArgs end the list of arguments.
func extraArgs(component, last string) replacement {
	return replacement{last, last + `
        {{- range .Values.` + component + `.extraArgs }}
        - {{ . | quote }}
        {{- end }}`, 1}
}

// templates are all but the kinds, which config/crd lists.
var templates = []template{ //nolint:gochecknoglobals // a constant table
	{from: "namespaces/hallpass-registry.yaml", to: "registry.yaml", when: ".Values.registry.create", replace: []replacement{
		{"  name: hallpass-registry\n", "  name: hallpass-registry\n  annotations:\n    helm.sh/resource-policy: keep # the signing keys are in it\n", 1},
	}},
	{from: "rbac/manager.yaml", to: "manager-account.yaml", derive: account("manager", clusterWide)},
	{from: "rbac/manager_role.yaml", to: "manager-role.yaml", when: withRights, derive: clusterWide, replace: roleLabels},
	{from: ownRoles, to: "manager-role-namespaced.yaml", when: "and " + withRights + " .Values.namespaces", replace: []replacement{managerSubject}},
	{from: tenantRole, to: "manager-role-tenant.yaml", when: withRights, derive: forEachNamespace, replace: []replacement{managerSubject}},
	{from: "rbac/tokenserver.yaml", to: "tokenserver-account.yaml", derive: account("tokenserver", nil)},
	{from: "rbac/tokenserver_role.yaml", to: "tokenserver-role.yaml", when: withRights, replace: roleLabels},
	{from: "rbac/users.yaml", to: "users-roles.yaml", when: ".Values.userRoles"},
	{from: "admission/manager.yaml", to: "manager-admission.yaml", when: withPolicies},
	{from: "admission/own-namespaces.yaml", to: "own-namespaces-admission.yaml", when: withPolicies, replace: []replacement{
		{"'hallpass-login'", "'{{ .Values.login.namespace }}'", 1},
	}},
	{from: "admission/revocations.yaml", to: "revocations-admission.yaml", when: withPolicies},
	{from: "admission/signing-keys.yaml", to: "signing-keys-admission.yaml", when: withPolicies},
	{from: "admission/usage-reports.yaml", to: "usage-reports-admission.yaml", when: withPolicies},
	{from: "network/networkpolicies.yaml", to: "networkpolicies.yaml", when: ".Values.networkPolicies.enabled", derive: egress("manager", "tokenServer"),
		replace: []replacement{
			{"kubernetes.io/metadata.name: monitoring", "kubernetes.io/metadata.name: {{ .Values.networkPolicies.metricsNamespace }}", 2},
			{"  - ports:\n    - {protocol: TCP, port: 8443} # https\n", `  - ports:
    - {protocol: TCP, port: 8443} # https
    {{- if .Values.tokenserver.extAuthz.enabled }}
    - {protocol: TCP, port: {{ .Values.tokenserver.extAuthz.port }}}
    {{- end }}
    {{- range .Values.networkPolicies.tokenServerPorts }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
    {{- with .Values.networkPolicies.tokenServerFrom }}
    from: {{- toYaml . | nindent 4 }}
    {{- end }}
`, 1},
			{"    - {protocol: TCP, port: 8081} # ops\n", "    - {protocol: TCP, port: 8081} # ops\n" + loginIngress, 1},
		}},
	{from: "manager/deployment.yaml", to: "manager.yaml", derive: resources("manager"), replace: append(configured("manager", "440MiB"),
		replacement{"  replicas: 2\n", "  replicas: {{ .Values.manager.replicas }}\n", 1},
		replacement{".svc.cluster.local", `.svc.{{ .Values.clusterDomain }}{{ include "hallpass.furtherName" . }}`, 1},
		replacement{"lease-duration=60s", "lease-duration={{ .Values.manager.leaderElection.leaseDuration }}", 1},
		replacement{"renew-deadline=45s", "renew-deadline={{ .Values.manager.leaderElection.renewDeadline }}", 1},
		replacement{"retry-period=2s\n", "retry-period={{ .Values.manager.leaderElection.retryPeriod }}\n" + namespacesArg + recordsArg + namespaceRecordsArg, 1},
		replacement{
			"        - --health-probe-bind-address=:8081\n",
			"        - --health-probe-bind-address=:8081\n" + foreignCertificateArg + trustArgs + loginURLArg, 1,
		},
		replacement{"        volumeMounts:\n", "        volumeMounts:\n" + issuerCAMount, 1},
		replacement{"      - name: kube-api-access\n        projected:\n", issuerCAVolume + "      - name: kube-api-access\n        projected:\n", 1},
		extraArgs("manager", "        - --health-probe-bind-address=:8081"),
		replacement{"  selector:\n    matchLabels: &selector\n", "  {{- with .Values.manager.strategy }}\n  strategy: {{- toYaml . | nindent 4 }}\n  {{- end }}\n  selector:\n    matchLabels: &selector\n", 1},
		replacement{"terminationGracePeriodSeconds: 40", "terminationGracePeriodSeconds: {{ .Values.manager.terminationGracePeriodSeconds }}", 1},
		probe("manager", "startupProbe", "{path: /healthz, port: health}", "          periodSeconds: 2\n          failureThreshold: 30\n"),
		probe("manager", "livenessProbe", "{path: /healthz, port: health}", "          periodSeconds: 20\n"),
		probe("manager", "readinessProbe", "{path: /readyz, port: health}", "          periodSeconds: 5\n"),
	)},
	disruption("manager", ""),
	{from: "tokenserver/deployment.yaml", to: "tokenserver.yaml", derive: resources("tokenserver"), replace: append(configured("tokenserver", "320MiB"),
		replacement{"  replicas: 3\n", "  {{- if not .Values.tokenserver.autoscaling.enabled }}\n  replicas: {{ .Values.tokenserver.replicas }}\n  {{- end }}\n", 1},
		replacement{"sizeLimit: 128Mi", "sizeLimit: {{ .Values.tokenserver.snapshotSizeLimit }}", 1},
		replacement{"secretName: hallpass-tokenserver-tls", "secretName: {{ .Values.tokenserver.certificateSecret }}", 1},
		replacement{
			"        - --snapshot-file=/run/hallpass/snapshot\n",
			"        - --snapshot-file=/run/hallpass/snapshot\n" + recordsArg + plainArg + callersArg + passwordArg + publicArgs + extAuthzArg + sourceArgs + loginPortArgs, 1,
		},
		replacement{"          mountPath: /run/hallpass\n", "          mountPath: /run/hallpass\n" + callersMount + publicMount, 1},
		replacement{"      - name: tls\n        secret:\n", callersVolume + publicVolume + "      - name: tls\n        secret:\n", 1},
		extraArgs("tokenserver", "        - --snapshot-file=/run/hallpass/snapshot"),
		replacement{"  strategy:\n    type: RollingUpdate\n    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}\n", "  strategy: {{- toYaml .Values.tokenserver.strategy | nindent 4 }}\n", 1},
		replacement{"terminationGracePeriodSeconds: 45", "terminationGracePeriodSeconds: {{ .Values.tokenserver.terminationGracePeriodSeconds }}", 1},
		replacement{"        - {name: ops, containerPort: 8081}\n", "        - {name: ops, containerPort: 8081}\n" + extAuthzContainerPort + loginContainerPort, 1},
		probe("tokenserver", "startupProbe", "{path: /healthz, port: ops}", "          periodSeconds: 2\n          failureThreshold: 30\n"),
		probe("tokenserver", "livenessProbe", "{path: /healthz, port: ops}", "          periodSeconds: 20\n"),
		probe("tokenserver", "readinessProbe", "{path: /readyz, port: ops}", "          periodSeconds: 2\n          failureThreshold: 1 # what is not ready has withdrawn itself, and means it\n"),
	)},
	{from: "tokenserver/service.yaml", to: "tokenserver-service.yaml", replace: []replacement{
		{"  namespace: hallpass-system\n", "  namespace: hallpass-system\n  {{- with .Values.tokenserver.service.annotations }}\n  annotations: {{- toYaml . | nindent 4 }}\n  {{- end }}\n", 1},
		{labelsOf("tokenserver", "") + "spec:\n", labels("tokenserver", ".Values.tokenserver.service.labels") + `spec:
  type: {{ .Values.tokenserver.service.type }}
  {{- with .Values.tokenserver.service.extraSpec }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
`, 1},
		{"  - {name: https, port: 443, targetPort: https, appProtocol: https}\n", `  {{- if .Values.tokenserver.plainHTTP }}
  - {name: http, port: 80, targetPort: https, appProtocol: http}
  {{- else }}
  - {name: https, port: 443, targetPort: https, appProtocol: https}
  {{- end }}
  {{- if .Values.tokenserver.extAuthz.enabled }}
  - {name: ext-authz, port: {{ .Values.tokenserver.extAuthz.port }}, targetPort: ext-authz, appProtocol: grpc}
  {{- end }}
  {{- if .Values.login.enabled }}
  - {name: login, port: 8444, targetPort: login, appProtocol: https}
  {{- end }}
  {{- with .Values.tokenserver.service.extraPorts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
`, 1},
	}},
	disruption("tokenserver", ""),
	{from: "ingress/ingress.yaml", to: "ingress.yaml", when: ".Values.ingress.enabled", replace: []replacement{
		{"hallpass.example.com", `{{ include "hallpass.host" (list . .Values.ingress.host "ingress") }}`, 2},
		{"    secretName: hallpass-public-tls\n", "    {{- with .Values.ingress.tlsSecret }}\n    secretName: {{ . }}\n    {{- end }}\n", 1},
		{labelsOf("tokenserver", ""), "  {{- with .Values.ingress.annotations }}\n  annotations: {{- toYaml . | nindent 4 }}\n  {{- end }}\n" + labels("tokenserver", ".Values.ingress.labels"), 1},
		{"port: {name: https}", "port: {name: {{ if .Values.tokenserver.plainHTTP }}http{{ else }}https{{ end }}}", 1},
		{"spec:\n", "spec:\n  {{- with .Values.ingress.className }}\n  ingressClassName: {{ . }}\n  {{- end }}\n", 1},
	}},
	{from: "gateway/passthrough/tlsroute.yaml", to: "gateway-tlsroute.yaml", when: `and .Values.gateway.enabled (eq .Values.gateway.tls "Passthrough")`, replace: append(gateway,
		replacement{"apiVersion: gateway.networking.k8s.io/v1\n", "apiVersion: {{ .Values.gateway.tlsRouteVersion }}\n", 1})},
	{from: "gateway/reencrypt/httproute.yaml", to: "gateway-httproute.yaml", when: `and .Values.gateway.enabled (ne .Values.gateway.tls "Passthrough")`, replace: append(gateway,
		replacement{"---\n", "{{- if eq .Values.gateway.tls \"Reencrypt\" }}\n---\n", 1},
		replacement{"name: hallpass-ca}\n", "name: hallpass-ca}\n{{- end }}\n", 1},
		replacement{"name: hallpass-ca}", "name: {{ .Values.gateway.caConfigMap }}}", 1},
		replacement{"$(HOSTNAME_SERVICE).$(HOSTNAME_NAMESPACE).svc", `{{ and .Values.certManager.enabled (first .Values.certManager.dnsNames) | default (printf "%s-tokenserver.%s.svc" (include "hallpass.fullname" .) (include "hallpass.namespace" .)) }}`, 1})},
	{from: "certmanager/certificate.yaml", to: "tokenserver-certificate.yaml", when: ".Values.certManager.enabled", replace: certificate},
	{from: "monitoring/podmonitor.yaml", to: "monitoring-podmonitor.yaml", when: ".Values.monitoring.podMonitor", replace: append(monitoringLabels,
		replacement{"  - port: metrics # the manager\n", "  - port: metrics # the manager\n" + endpoint, 1},
		replacement{"  - port: ops # the token server\n", "  - port: ops # the token server\n" + endpoint, 1})},
	{from: prometheusRule, to: "monitoring-prometheusrule.yaml", when: ".Values.monitoring.prometheusRule", replace: monitoringLabels},
	{from: "monitoring/dashboard.json", to: "monitoring-dashboard.yaml", when: ".Values.monitoring.dashboard", derive: dashboard},
	{from: "autoscaling/horizontalpodautoscaler.yaml", to: "tokenserver-autoscaler.yaml", when: ".Values.tokenserver.autoscaling.enabled", replace: []replacement{
		{"minReplicas: 3", "minReplicas: {{ .Values.tokenserver.replicas }}", 1},
		{"maxReplicas: 10", "maxReplicas: {{ .Values.tokenserver.autoscaling.maxReplicas }}", 1},
		{"averageUtilization: 70}\n", `averageUtilization: {{ .Values.tokenserver.autoscaling.cpuUtilization }}}
  {{- with .Values.tokenserver.autoscaling.memoryUtilization }}
  - type: Resource
    resource:
      name: memory
      target: {type: Utilization, averageUtilization: {{ . }}}
  {{- end }}
`, 1},
		{"  behavior:\n    scaleDown: # a burst is rarely the last one\n      stabilizationWindowSeconds: 600\n", `  {{- with .Values.tokenserver.autoscaling.behavior }}
  behavior: {{- toYaml . | nindent 4 }} # a burst is rarely the last one
  {{- end }}
`, 1},
	}},
}

// render is the text of a template.
func (t template) render(root string) (string, error) {
	content, err := os.ReadFile(filepath.Join(root, t.from))
	if err != nil {
		return "", fmt.Errorf("read the source of a template: %w", err)
	}
	// What looks like a template in config/ is text, such as the examples in the descriptions
	// of fields.
	text := strings.ReplaceAll(string(content), "{{", `{{ "{{" }}`)
	if t.derive != nil {
		if text, err = t.derive(text); err != nil {
			return "", err
		}
	}
	for _, r := range append(t.replace, everywhere...) {
		if found := strings.Count(text, r.old); r.times >= 0 && found != r.times {
			return "", fmt.Errorf("config/%s has %d times %q, and hack/chart expects it %d times", t.from, found, r.old, r.times)
		}
		text = strings.ReplaceAll(text, r.old, r.new)
	}
	text = ownName.ReplaceAllString(text, `${1}{{ include "hallpass.fullname" $$ }}-${2}`)
	text = ownHost.ReplaceAllString(text, `{{ include "hallpass.fullname" $$ }}-tokenserver.{{`)
	if t.when != "" {
		text = "{{- if " + t.when + " }}\n" + strings.TrimSuffix(text, "\n") + "\n{{- end }}\n"
	}
	return fmt.Sprintf(header, t.from) + text, nil
}
