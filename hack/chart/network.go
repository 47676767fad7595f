// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
)

// egress is what the pods of components may reach; their values of further rules have these names.
func egress(components ...string) func(string) (string, error) {
	return func(text string) (string, error) { return egressOf(text, components) }
}

func egressOf(text string, components []string) (string, error) {
	const rules = `  egress: # the API server has no labels to select it by, and many clusters have it on 6443
  - ports:
    - {protocol: TCP, port: 443}
    - {protocol: TCP, port: 6443}
  - to:
    - namespaceSelector:
        matchLabels: {kubernetes.io/metadata.name: kube-system}
    ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
`
	for _, component := range components {
		if !strings.Contains(text, rules) {
			return "", fmt.Errorf("the NetworkPolicies have other egress than hack/chart expects for the %s", component)
		}
		text = strings.Replace(text, rules, `  egress:
  - ports:
    {{- range .Values.networkPolicies.apiServerPorts }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
    {{- with .Values.networkPolicies.apiServerTo }}
    to: {{- toYaml . | nindent 4 }}
    {{- end }}
  - ports:
    {{- range .Values.networkPolicies.dns.ports }}
    - {protocol: UDP, port: {{ . }}}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
    {{- with .Values.networkPolicies.dns.to }}
    to: {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.networkPolicies.`+component+`Egress }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
`, 1)
	}
	return text, nil
}
