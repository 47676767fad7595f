{{- /* The issuer: what was set, or the Service's own address. */ -}}
{{- define "hallpass.issuer" -}}
{{ .Values.issuer | default (printf "https://hallpass-tokenserver.%s.svc" .Release.Namespace) }}
{{- end }}

{{- /* The image of a process: (list . "manager") */ -}}
{{- define "hallpass.image" -}}
{{- $root := index . 0 }}{{ $name := index . 1 -}}
{{- $image := printf "%s/%s:%s" $root.Values.image.registry $name ($root.Values.image.tag | default $root.Chart.AppVersion) -}}
{{- with index $root.Values.image.digests $name }}{{ $image = printf "%s@%s" $image . }}{{ end -}}
{{ $image }}
{{- end }}
