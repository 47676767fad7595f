{{- /* The issuer: what was set, or the Service's own address. */ -}}
{{- define "hallpass.issuer" -}}
{{ .Values.issuer | default (printf "https://hallpass-tokenserver.%s.svc" .Release.Namespace) }}
{{- end }}

{{- /* The host by which callers reach the issuer from outside: (list . "what was set" "the section of the values") */ -}}
{{- define "hallpass.host" -}}
{{- $issuer := (index . 0).Values.issuer -}}
{{- if not (or (index . 1) $issuer) }}{{ fail (printf "%s.enabled takes a host by which callers outside reach the token server: set issuer" (index . 2)) }}{{ end -}}
{{ (index . 1) | default (urlParse $issuer).hostname }}
{{- end }}

{{- /* The image of a process: (list . "manager") */ -}}
{{- define "hallpass.image" -}}
{{- $root := index . 0 }}{{ $name := index . 1 -}}
{{- $image := printf "%s/%s:%s" $root.Values.image.registry (index $root.Values.image.repositories $name) ($root.Values.image.tag | default $root.Chart.AppVersion) -}}
{{- with index $root.Values.image.digests $name }}{{ $image = printf "%s@%s" $image . }}{{ end -}}
{{ $image }}
{{- end }}

{{- /* The ServiceAccount of a process: (list $ "manager") */ -}}
{{- define "hallpass.account" -}}
{{- $name := index . 1 -}}
{{ (index (index . 0).Values $name).serviceAccount.name | default (printf "hallpass-%s" $name) }}
{{- end }}

{{- /* The security context of a process's pod: (list . "manager") */ -}}
{{- define "hallpass.podSecurityContext" -}}
{{- $context := (index (index . 0).Values (index . 1)).podSecurityContext -}}
{{- if not (index . 0).Values.fixedIDs }}{{ $context = omit $context "runAsUser" "runAsGroup" "fsGroup" }}{{ end -}}
{{ toYaml $context }}
{{- end }}

{{- /* Adds to values what they lack of the defaults: (list values defaults). A map of Kubernetes' own is taken whole. */ -}}
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
