{{/* Name of all objects: the release's name, with the chart's name unless the release says it already. */}}
{{- define "rerank-operator.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* Labels that select the operator's pod; they can never change. */}}
{{- define "rerank-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "rerank-operator.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "rerank-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "rerank-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "rerank-operator.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name must name an existing service account when serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* A digest says which bytes run; a tag only which name they had. */}}
{{- define "rerank-operator.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{/* Everything that the operator may do, and why. Of Secrets it may get one by name, and only where that is wanted; it
     may write one only where somebody asked for that. */}}
{{- define "rerank-operator.rules" -}}
# What users ask for.
- apiGroups: [rerank-operator.io]
  resources: [rerankservices]
  verbs: [get, list, watch]
# Conditions, written by server-side apply.
- apiGroups: [rerank-operator.io]
  resources: [rerankservices/status]
  verbs: [patch]
# Children name their reranker as owner with blockOwnerDeletion. Clusters with the admission plugin
# OwnerReferencesPermissionEnforcement (OpenShift) ask for this verb. The operator sets no finalizer.
- apiGroups: [rerank-operator.io]
  resources: [rerankservices/finalizers]
  verbs: [update]
# One Deployment per revision; retired ones are deleted.
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, update, delete]
# Revisions are immutable: created and deleted, never changed.
- apiGroups: [apps]
  resources: [controllerrevisions]
  verbs: [get, list, watch, create, delete]
# The address that Milvus calls. Deleted where spec.external names a server that somebody else runs.
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch, create, update, delete]
# The published params, their copies in other namespaces, and the files that run inside model pods.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, create, update, delete]
# Read only: which pods to verify, and why one does not start.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
{{- if .Values.diagnosis.readLogs }}
# Why an engine ended, where the kubelet's two kilobytes do not tell, and how far one is that loads.
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
{{- end }}
{{- if .Values.verification.restartPods }}
# spec.verification.onFailure RestartPod: one pod that served and went wrong, so that a new one takes its place.
- apiGroups: [""]
  resources: [pods]
  verbs: [delete]
{{- end }}
# Creates what `kubectl describe rrs` shows; lists those of a pod, to see whether an autoscaler adds a node for it.
- apiGroups: [""]
  resources: [events]
  verbs: [create, list]
# model.source.huggingFace.cache: created once, never changed; garbage collection deletes it.
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, create]
# How many model pods a node drain may take at a time.
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, update, delete]
# spec.autoscaling.metrics.
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, update, delete]
# spec.autoscaling.waitingRequests. Not watched: a cluster without KEDA does not know the kind.
- apiGroups: [keda.sh]
  resources: [scaledobjects]
  verbs: [get, list, create, update, delete]
# spec.route.ingress.
- apiGroups: [networking.k8s.io]
  resources: [ingresses]
  verbs: [get, list, watch, create, update, delete]
# spec.route.gateway. Not watched: a cluster without the Gateway API does not know the kind.
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, create, update, delete]
# spec.publish.namespaces: one by name, for the annotation with which it takes copies. In a Role: only its own namespace.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get]
{{- if .Values.access.readSecrets }}
# By its name: the key of spec.access.bearerSecretRef, with which the operator asks the model as Milvus does, and the
# token of spec.milvus.connection.tokenSecretRef and the certificate of its tls.clientSecretRef, with which it asks
# Milvus.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
{{- end }}
{{- if .Values.publish.serviceBindings }}
# spec.publish.serviceBinding: the Secret with the endpoint, deleted when it is no longer wanted.
- apiGroups: [""]
  resources: [secrets]
  verbs: [create, update, delete]
{{- end }}
{{- end }}
