// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strconv"
	"strings"
)

// with is a block of a component's pod or container, at an indentation, where the value is not
// empty.
func with(component, value, field string, indent int) string {
	space := strings.Repeat(" ", indent)
	text := space + "{{- with .Values." + component + "." + value + " }}\n"
	if field != "" {
		text += space + field + ": {{- toYaml . | nindent " + strconv.Itoa(indent+2) + " }}\n"
	} else {
		text += space + "{{- toYaml . | nindent " + strconv.Itoa(indent) + " }}\n"
	}
	return text + space + "{{- end }}\n"
}

// environment are the further variables of a component's container.
func environment(component string) string {
	return with(component, "extraEnv", "", 8) + with(component, "extraEnvFrom", "envFrom", 8)
}

// settings puts values in the place of the ConfigMap that kustomize makes for a component.
func settings(component string) []replacement {
	return []replacement{
		{"--issuer=$(ISSUER)", `--issuer={{ include "hallpass.issuer" . }}`, 1},
		{"        envFrom:\n        - configMapRef: {name: hallpass-settings}\n", environment(component), 1},
	}
}

// configured are podSettings of a component with the ConfigMap of kustomize.
func configured(component, memoryLimit string) []replacement {
	return append(podSettings(component, memoryLimit), settings(component)...)
}

// podSettings are those that all Deployments have.
func podSettings(component, memoryLimit string) []replacement {
	values := ".Values." + component
	with := func(value, field string, indent int) string { return with(component, value, field, indent) }
	return []replacement{
		{"        image: ghcr.io/hallpass-dev/" + component + "\n", `        image: {{ include "hallpass.image" (list . "` + component + `") }}
`, 1},
		{"imagePullPolicy: IfNotPresent", "imagePullPolicy: {{ .Values.image.pullPolicy }}", 1},
		{labelsOf(component, " &labels"), with("deploymentAnnotations", "annotations", 2) + labels(component, values+".deploymentLabels"), 1},
		{"spec:\n  replicas:", `spec:
  {{- if ne (toString ` + values + `.revisionHistoryLimit) "" }}
  revisionHistoryLimit: {{ ` + values + `.revisionHistoryLimit }}
  {{- end }}
  {{- with ` + values + `.minReadySeconds }}
  minReadySeconds: {{ . }}
  {{- end }}
  replicas:`, 1},
		{"    metadata:\n      labels: *labels\n    spec:\n", `    metadata:
      labels: {{- include "hallpass.labels" (list $ "` + component + `" ` + values + `.podLabels) | nindent 8 }}
` + with("podAnnotations", "annotations", 6) + `    spec:
      {{- with include "hallpass.pullSecrets" . | fromYamlArray }}
      imagePullSecrets: {{- toYaml . | nindent 6 }}
      {{- end }}
      {{- with ` + values + `.priorityClassName | default .Values.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
` + with("nodeSelector", "nodeSelector", 6) + with("tolerations", "tolerations", 6) + with("affinity", "affinity", 6) + with("extraPodSpec", "", 6), 1},
		{"serviceAccountName: hallpass-" + component, `serviceAccountName: {{ include "hallpass.account" (list $ "` + component + `") }}`, 1},
		{podSecurityContext, `      securityContext: {{- include "hallpass.podSecurityContext" (list . "` + component + `") | nindent 8 }}
`, 1},
		{containerSecurityContext, "        securityContext: {{- toYaml " + values + ".securityContext | nindent 10 }}\n", 1},
		{"      containers:\n", with("initContainers", "initContainers", 6) + "      containers:\n", 1},
		{"      topologySpreadConstraints:\n", with("extraVolumeMounts", "", 8) + with("extraContainers", "", 6) +
			"      {{- with " + values + ".topologySpreadConstraints }}\n      topologySpreadConstraints: {{- toYaml . | nindent 6 }}\n      {{- else }}\n      topologySpreadConstraints:\n", 1},
		{"      volumes:\n", "      {{- end }}\n      volumes:\n" + with("extraVolumes", "", 6), 1},
		{memoryLimit, "{{ " + values + ".goMemLimit }}", 1},
	}
}

// labelsOf are the labels of a component's object in config/.
func labelsOf(component, anchor string) string {
	return "  labels:" + anchor + "\n    app.kubernetes.io/name: hallpass\n    app.kubernetes.io/component: " + component + "\n    app.kubernetes.io/part-of: hallpass\n"
}

// labels are those of the chart, of commonLabels and of a value.
func labels(component, value string) string {
	return `  labels: {{- include "hallpass.labels" (list $ "` + component + `" ` + value + `) | nindent 4 }}` + "\n"
}

// The security contexts of all Deployments.
const (
	podSecurityContext = `      securityContext:
        runAsNonRoot: true
        runAsUser: 65532
        runAsGroup: 65532
        fsGroup: 65532
        seccompProfile: {type: RuntimeDefault}
`
	containerSecurityContext = `        securityContext:
          allowPrivilegeEscalation: false
          readOnlyRootFilesystem: true
          capabilities: {drop: [ALL]}
`
)

// probe puts the settings of a probe in the place of what follows its request.
func probe(component, name, request, settings string) replacement {
	return replacement{
		"        " + name + ":\n          httpGet: " + request + "\n" + settings,
		"        " + name + ":\n          httpGet: " + request + "\n          {{- toYaml .Values." + component + "." + name + " | nindent 10 }}\n", 1,
	}
}

// disruption is the budget of a component's pods, where a condition holds.
func disruption(component, when string) template {
	values := ".Values." + component + ".podDisruptionBudget"
	condition := values + ".enabled"
	if when != "" {
		condition = "and " + when + " " + condition
	}
	return template{
		from: component + "/poddisruptionbudget.yaml", to: component + "-poddisruptionbudget.yaml", when: condition,
		replace: []replacement{{"  maxUnavailable: 1\n", `  {{- if ne (toString ` + values + `.minAvailable) "" }}
  minAvailable: {{ ` + values + `.minAvailable }}
  {{- else }}
  maxUnavailable: {{ ` + values + `.maxUnavailable }}
  {{- end }}
`, 1}},
	}
}

// account is the component's ServiceAccount, which is the first document of a file, and what names
// it.
func account(component string, derive func(string) (string, error)) func(string) (string, error) {
	return func(text string) (string, error) {
		first, rest, found := strings.Cut(text, "---\n")
		if !found || !strings.Contains(first, "kind: ServiceAccount\n") {
			return "", fmt.Errorf("the ServiceAccount of the %s is not the first of several documents", component)
		}
		values := ".Values." + component + ".serviceAccount"
		name := accountName(component)
		first = strings.Replace(first, "  name: hallpass-"+component+"\n", name, 1)
		own := labelsOf(component, "")
		if !strings.Contains(first, own) {
			return "", fmt.Errorf("the ServiceAccount of the %s has other labels than hack/chart expects", component)
		}
		first = strings.Replace(first, own, "  {{- with "+values+".annotations }}\n  annotations: {{- toYaml . | nindent 4 }}\n  {{- end }}\n"+labels(component, values+".labels"), 1)
		if derive != nil {
			var err error
			if rest, err = derive(rest); err != nil {
				return "", err
			}
		}
		bindings := strings.TrimSuffix(strings.ReplaceAll(rest, subject(component), "- kind: ServiceAccount\n"+name), "\n")
		return "{{- if " + values + ".create }}\n" + first + "{{- end }}\n{{- if " + withRights + " }}\n---\n" + bindings + "\n{{- end }}\n", nil
	}
}

// subject is how a binding names a component's account.
func subject(component string) string {
	return "- kind: ServiceAccount\n  name: hallpass-" + component + "\n"
}

// managerSubject is the manager's account in a binding.
var managerSubject = replacement{subject("manager"), "- kind: ServiceAccount\n" + accountName("manager"), -1} //nolint:gochecknoglobals // a constant

// accountName is the line of a template that names a component's account.
func accountName(component string) string {
	return `  name: {{ include "hallpass.account" (list $ "` + component + `") }}` + "\n"
}
