{{- define "trellis.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{/* The prefix of every name; short enough for what is appended. */}}
{{- define "trellis.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 45 | trimSuffix "-" -}}
{{- else if contains (include "trellis.name" .) .Release.Name -}}
{{- .Release.Name | trunc 45 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "trellis.name" .) | trunc 45 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "trellis.natsname" -}}{{ include "trellis.fullname" . }}-nats{{- end -}}

{{/* The most that JetStream keeps on disk: what is set, or four fifths of its own volume, so that NATS refuses before the disk is full. */}}
{{- define "trellis.natsMaxFile" -}}
{{- $nats := .Values.nats -}}
{{- if $nats.jetstream.maxFile -}}
{{- $nats.jetstream.maxFile -}}
{{- else if eq $nats.storage.type "pvc" -}}
{{- $size := toString $nats.storage.size -}}
{{- $unit := regexFind "[A-Za-z]*$" $size -}}
{{- $units := dict "" 1 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- if not (hasKey $units $unit) -}}
{{- fail (printf "nats.storage.size %q has no unit that is known; use Gi, or set nats.jetstream.maxFile" $size) -}}
{{- end -}}
{{- mulf (trimSuffix $unit $size | float64) (get $units $unit) 0.8 | floor | int64 -}}
{{- end -}}
{{- end -}}

{{- define "trellis.image" -}}
{{ .Values.image.repository }}{{ if not (contains "@" .Values.image.repository) }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end -}}

{{/* Labels of objects; call with (list . "component"). */}}
{{- define "trellis.labels" -}}
{{- $ := index . 0 -}}
helm.sh/chart: {{ printf "%s-%s" $.Chart.Name $.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/version: {{ $.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $.Release.Service }}
app.kubernetes.io/part-of: trellis
{{ include "trellis.selector" . }}
{{- with $.Values.additionalLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Labels of pods: without versions, so that an upgrade rolls only what changed. */}}
{{- define "trellis.podLabels" -}}
{{- $ := index . 0 -}}
app.kubernetes.io/part-of: trellis
{{ include "trellis.selector" . }}
{{- with $.Values.additionalLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "trellis.selector" -}}
{{- $ := index . 0 -}}
app.kubernetes.io/name: {{ include "trellis.name" $ }}
app.kubernetes.io/instance: {{ $.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* The restricted Pod Security level, with a numeric user. */}}
{{- define "trellis.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "trellis.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "trellis.pullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The Secret with what the operator logs in to NATS with; empty if there is none. */}}
{{- define "trellis.credentialsSecret" -}}
{{- if .Values.nats.enabled -}}{{ include "trellis.natsname" . }}-operator{{- else -}}{{ .Values.nats.external.credentialsSecret }}{{- end -}}
{{- end -}}

{{/* The names of lattices, joined by commas. */}}
{{- define "trellis.latticeNames" -}}
{{- $names := list -}}
{{- range .Values.nats.lattices }}{{ $names = append $names .name }}{{ end -}}
{{- join "," $names -}}
{{- end -}}

{{/* The pod of a Job of the release; call with (dict "root" . "component" … "serviceAccount" … "args" … "nats" bool). */}}
{{- define "trellis.jobPod" -}}
{{- $ := .root -}}
metadata:
  labels:
    {{- include "trellis.podLabels" (list $ .component) | nindent 4 }}
spec:
  restartPolicy: Never
  serviceAccountName: {{ .serviceAccount }}
  {{- include "trellis.pullSecrets" $ | nindent 2 }}
  securityContext:
    {{- include "trellis.podSecurity" $ | nindent 4 }}
  containers:
    - name: {{ .component }}
      image: {{ include "trellis.image" $ }}
      imagePullPolicy: {{ $.Values.image.pullPolicy }}
      args:
        {{- toYaml .args | nindent 8 }}
      env:
        - name: POD_NAMESPACE
          valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
      securityContext:
        {{- include "trellis.containerSecurity" $ | nindent 8 }}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
        {{- if .config }}
        - {name: config, mountPath: /etc/trellis, readOnly: true}
        {{- if include "trellis.credentialsSecret" $ }}
        - {name: nats, mountPath: /etc/trellis-nats, readOnly: true}
        {{- end }}
        {{- end }}
  volumes:
    - name: tmp
      emptyDir: {}
    {{- if .config }}
    - name: config
      configMap: {name: {{ include "trellis.fullname" $ }}-config}
    {{- with include "trellis.credentialsSecret" $ }}
    - name: nats
      secret: {secretName: {{ . }}, defaultMode: 0440}
    {{- end }}
    {{- end }}
  {{- with $.Values.operator.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $.Values.operator.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
