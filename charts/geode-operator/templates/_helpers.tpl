{{- define "geode-operator.labels" -}}
app.kubernetes.io/name: geode-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "geode-operator.selector" -}}
app.kubernetes.io/name: geode-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* What the operator may do, where its clusters are. It cannot exec, and it sees no other kinds. */ -}}
{{- define "geode-operator.rules" -}}
- apiGroups: [geodedb.com]
  resources: [geodeclusters, geodebackups, geodebackupschedules, geoderestores, geoderestoretests]
  verbs: [get, list, watch]
- apiGroups: [geodedb.com]
  resources: [geodeclusters/status, geodebackups/status, geodebackupschedules/status, geoderestores/status, geoderestoretests/status]
  verbs: [get, patch]
# Backups that are due, and those whose time is over.
- apiGroups: [geodedb.com]
  resources: [geodebackups]
  verbs: [create, delete]
# A GeodeRestore with newCluster makes one. None is changed or deleted.
- apiGroups: [geodedb.com]
  resources: [geodeclusters]
  verbs: [create]
# Owner references with blockOwnerDeletion need it.
- apiGroups: [geodedb.com]
  resources: [geodeclusters/finalizers]
  verbs: [update]
- apiGroups: [""]
  resources: [configmaps, secrets, services, serviceaccounts]
  verbs: [get, list, watch, create, patch]
# A restore in place makes the StatefulSet anew: the names in its volume templates cannot change.
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
# Role labels, and restarts in the right order; the throw-away pods of restore tests.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, create, patch, delete]
# Growing volumes, giving up those whose storage is lost, deleting those that a restore kept and a user released.
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, list, watch, patch, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{- /* Nodes have no namespace. Leadership leaves a node that is cordoned. */ -}}
{{- define "geode-operator.node-rules" -}}
- apiGroups: [""]
  resources: [nodes]
  verbs: [get, list, watch]
{{- end }}
