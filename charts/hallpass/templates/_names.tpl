{{- /* What the names of all objects begin with. */ -}}
{{- define "hallpass.fullname" -}}
{{ .Values.fullnameOverride | default .Values.nameOverride | default "hallpass" }}
{{- end }}

{{- /* The issuer: what was set, or the Service's own address. */ -}}
{{- define "hallpass.issuer" -}}
{{ .Values.issuer | default (printf "https://%s-tokenserver.%s.svc" (include "hallpass.fullname" .) (include "hallpass.namespace" .)) }}
{{- end }}

{{- /* The host by which callers reach the issuer from outside: (list . "what was set" "the section
      of the values") */ -}}
{{- define "hallpass.host" -}}
{{- $issuer := (index . 0).Values.issuer -}}
{{- if not (or (index . 1) $issuer) }}{{ fail (printf "%s.enabled takes a host by which callers outside reach the token server: set issuer" (index . 2)) }}{{ end -}}
{{- $host := (index . 1) | default (urlParse $issuer).hostname -}}
{{- if regexMatch "^[0-9.]+$|:" $host }}{{ fail (printf "%s.enabled takes a host that is a DNS name, and %s is an address: set %s.host, or use a Service of the type LoadBalancer" (index . 2) $host (index . 2)) }}{{ end -}}
{{ $host }}
{{- end }}

{{- /* The image of a process: (list . "manager") */ -}}
{{- define "hallpass.image" -}}
{{- $root := index . 0 }}{{ $name := index . 1 -}}
{{- $image := printf "%s/%s:%s" (include "hallpass.registry" $root) (index $root.Values.image.repositories $name) ($root.Values.image.tag | default $root.Chart.AppVersion) -}}
{{- with index $root.Values.image.digests $name }}{{ $image = printf "%s@%s" $image . }}{{ end -}}
{{ $image }}
{{- end }}

{{- /* The ServiceAccount of a process: (list $ "manager") */ -}}
{{- define "hallpass.account" -}}
{{- $name := index . 1 -}}
{{ (index (index . 0).Values $name).serviceAccount.name | default (printf "%s-%s" (include "hallpass.fullname" (index . 0)) $name) }}
{{- end }}

{{- /* The security context of a process's pod: (list . "manager") */ -}}
{{- define "hallpass.podSecurityContext" -}}
{{- $context := (index (index . 0).Values (index . 1)).podSecurityContext -}}
{{- if not (index . 0).Values.fixedIDs }}{{ $context = omit $context "runAsUser" "runAsGroup" "fsGroup" }}{{ end -}}
{{ toYaml $context }}
{{- end }}

{{- /* Adds to values what they lack of the defaults: (list values defaults). A map of Kubernetes'
      own is taken whole. */ -}}
{{- define "hallpass.complete" -}}
{{- $values := index . 0 -}}
{{- range $name, $default := index . 1 -}}
{{- if not (hasKey $values $name) -}}
{{- $_ := set $values $name $default -}}
{{- else if and (kindIs "map" $default) (kindIs "map" (get $values $name)) (not (regexMatch "^(resources|strategy|.*SecurityContext|securityContext|.*Probe|issuerRef)$" $name)) -}}
{{- include "hallpass.complete" (list (get $values $name) $default) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- /* The namespace of the objects. */ -}}
{{- define "hallpass.namespace" -}}
{{ .Values.namespaceOverride | default .Release.Namespace }}
{{- end }}

{{- /* The labels of an object: (list $ "manager" and further labels). Those of the chart cannot be
      changed, and further ones take precedence over commonLabels. */ -}}
{{- define "hallpass.labels" -}}
{{- $own := dict "app.kubernetes.io/name" "hallpass" "app.kubernetes.io/part-of" "hallpass" -}}
{{- with index . 1 }}{{ $_ := set $own "app.kubernetes.io/component" . }}{{ end -}}
{{ toYaml (merge $own (deepCopy (index . 2)) (index . 0).Values.commonLabels) }}
{{- end }}

{{- /* The Secrets for the registry. Charts that are installed together share a list, of names or of
      {name: …}. */ -}}
{{- define "hallpass.pullSecrets" -}}
{{- range concat .Values.image.pullSecrets ((.Values.global).imagePullSecrets | default list) }}
- name: {{ if kindIs "string" . }}{{ . }}{{ else }}{{ .name }}{{ end }}
{{- end }}
{{- end }}

{{- /* The registry of the images: what was set, or the default with the host that charts
      share. */ -}}
{{- define "hallpass.registry" -}}
{{- $default := (include "hallpass.defaults" . | fromYaml).image.registry -}}
{{- $shared := (.Values.global).imageRegistry | default ((.Values.global).image).registry -}}
{{- if and $shared (eq .Values.image.registry $default) -}}
{{ trimSuffix "/" $shared }}/{{ regexReplaceAll "^[^/]*/" $default "" }}
{{- else -}}
{{ .Values.image.registry }}
{{- end -}}
{{- end }}

{{- /* The hosts of issuer and internalURL that are no names of the Service, separated by
      commas. */ -}}
{{- define "hallpass.furtherHosts" -}}
{{- $service := printf "%s-tokenserver.%s.svc" (include "hallpass.fullname" .) (include "hallpass.namespace" .) -}}
{{- $hosts := list (urlParse .Values.issuer).hostname (urlParse .Values.internalURL).hostname -}}
{{ without (uniq $hosts) "" $service (printf "%s.%s" $service .Values.clusterDomain) | join "," }}
{{- end }}

{{- /* The host of internalURL as a further name of the manager's certificate. It adds that of the
      issuer itself. */ -}}
{{- define "hallpass.furtherName" -}}
{{- with without (include "hallpass.furtherHosts" . | splitList ",") "" (urlParse .Values.issuer).hostname }},{{ join "," . }}{{ end -}}
{{- end }}

{{- /* The seconds of a duration such as 1m30s. */ -}}
{{- define "hallpass.seconds" -}}
{{- $seconds := 0 -}}
{{- range regexFindAll "[0-9]+[hms]" . -1 -}}
{{- $seconds = add $seconds (mul (trimAll "hms" . | int64) (get (dict "h" 3600 "m" 60 "s" 1) (regexFind "[hms]" .))) -}}
{{- end -}}
{{ $seconds }}
{{- end }}

{{- /* What shows callers another certificate than that of the Service: the subject of a sentence,
      or nothing. */ -}}
{{- define "hallpass.otherCertificate" -}}
{{- $through := false -}}
{{- range $name, $value := .Values.ingress.annotations -}}
{{- if and (contains "passthrough" (printf "%s=%s" $name $value)) (ne $value "false") }}{{ $through = true }}{{ end -}}
{{- end -}}
{{- if .Values.tokenserver.publicCertificateSecret -}}tokenserver.publicCertificateSecret
{{- else if .Values.tokenserver.plainHTTP -}}the proxy in front of tokenserver.plainHTTP
{{- else if and .Values.gateway.enabled (ne .Values.gateway.tls "Passthrough") -}}the Gateway of gateway.tls={{ .Values.gateway.tls }}
{{- else if and .Values.ingress.enabled .Values.ingress.tlsSecret (not $through) -}}ingress.tlsSecret
{{- end -}}
{{- end }}

{{- /* What to do about it, if issuerCA is not set. */ -}}
{{- define "hallpass.missingCA" -}}
{{- $shown := include "hallpass.otherCertificate" . -}}
{{- if and $shown (not .Values.issuerCA) -}}
{{ $shown }} shows callers another certificate than that of the Service, and ca.crt in their Secrets may not verify it: set issuerCA to public, to the name of a ConfigMap with its CA, or to Same if one CA signed both
{{- end -}}
{{- end }}
