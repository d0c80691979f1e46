{{- define "sluice.labels" -}}
app.kubernetes.io/name: sluice
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{/* Of a part of Sluice's: (list $ "reflector") */}}
{{- define "sluice.selector" -}}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "sluice.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* Of every pod. They are on the host's network: there is no other one before they run. */}}
{{- define "sluice.pod" -}}
hostNetwork: true
dnsPolicy: Default
automountServiceAccountToken: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* A container of Sluice's image. */}}
{{- define "sluice.container" -}}
image: {{ include "sluice.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end }}

{{/* Rights of one that needs none. */}}
{{- define "sluice.unprivileged" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{/* The API server's address before there are Services; kubelet's own variables stay where the ConfigMap is not there. */}}
{{- define "sluice.apiServer" -}}
- name: KUBERNETES_SERVICE_HOST
  valueFrom: { configMapKeyRef: { name: sluice-api-server, key: host, optional: true } }
- name: KUBERNETES_SERVICE_PORT
  valueFrom: { configMapKeyRef: { name: sluice-api-server, key: port, optional: true } }
{{- end }}

{{- define "sluice.nodeName" -}}
- name: NODE_NAME
  valueFrom: { fieldRef: { fieldPath: spec.nodeName } }
{{- end }}

{{/* The account's token, for the containers that mount it: the others have none. */}}
{{- define "sluice.tokenVolume" -}}
- name: token
  projected:
    sources:
      - serviceAccountToken: { path: token, expirationSeconds: 3607 }
      - configMap: { name: kube-root-ca.crt, items: [{ key: ca.crt, path: ca.crt }] }
      - downwardAPI: { items: [{ path: namespace, fieldRef: { fieldPath: metadata.namespace } }] }
{{- end }}

{{- define "sluice.tokenMount" -}}
- { name: token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true }
{{- end }}

{{- define "sluice.etcdFolder" -}}
/etc/sluice/etcd
{{- end }}

{{/* The Secret with a client's certificate, or nothing. */}}
{{- define "sluice.etcdSecret" -}}
{{ ternary .Values.etcd.external.secret "sluice-etcd-client" (gt (len .Values.etcd.external.endpoints) 0) }}
{{- end }}

{{- define "sluice.etcdArguments" -}}
{{- with .Values.etcd.external.endpoints }}
- --etcd={{ join "," . }}
{{- else }}
- --etcd-service={{ .Release.Namespace }}/sluice-etcd
{{- end }}
{{- if include "sluice.etcdSecret" . }}
- --etcd-ca={{ include "sluice.etcdFolder" . }}/ca.crt
- --etcd-cert={{ include "sluice.etcdFolder" . }}/tls.crt
- --etcd-key={{ include "sluice.etcdFolder" . }}/tls.key
{{- end }}
{{- end }}

{{/* kubelet waits until all the keys are there: the etcd pod writes them. */}}
{{- define "sluice.etcdVolume" -}}
{{- with include "sluice.etcdSecret" . }}
- name: etcd-client
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    items:
      - { key: ca.crt, path: ca.crt }
      - { key: tls.crt, path: tls.crt }
      - { key: tls.key, path: tls.key }
{{- end }}
{{- end }}

{{- define "sluice.etcdMount" -}}
{{- if include "sluice.etcdSecret" . }}
- { name: etcd-client, mountPath: {{ include "sluice.etcdFolder" . }}, readOnly: true }
{{- end }}
{{- end }}

{{/* (list address port) */}}
{{- define "sluice.etcdUrl" -}}
{{ $address := index . 0 -}}
https://{{ ternary (printf "[%s]" $address) $address (contains ":" $address) }}:{{ index . 1 }}
{{- end }}
