//go:build peers && linux

package peers

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// externalImage is the image that the test makes of the program.
const externalImage = "ghcr.io/trellis-operator/external-secrets:v0.19.2"

// run starts External Secrets in a pod, with rights in the application's namespace only: its chart's of a scoped
// installation, without what stores and generators of the whole cluster need.
func (e *external) run(t *testing.T, program string) {
	t.Helper()
	image := e.kube(t, "load-program", externalImage, program)
	all, err := objects([]byte(strings.NewReplacer("OPERATOR", e.operator, "NAMESPACE", e.namespace, "IMAGE", image).Replace(externalSecrets)))
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range all {
		e.create(t, u)
	}
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), processStop)
		defer cancel()
		out, err := e.tryKubectl(ctx, t, "logs", "-n", e.operator, "deployment/external-secrets", fmt.Sprint("--tail=", linesShown))
		t.Logf("the end of External Secrets' log: %v\n%s", err, out)
	})
	e.kubectl(t, "rollout", "status", "deployment/external-secrets", "-n", e.operator, "--timeout=60s")
}

const externalSecrets = `
apiVersion: v1
kind: ServiceAccount
metadata: {namespace: OPERATOR, name: external-secrets}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {namespace: NAMESPACE, name: operator}
rules:
  - {apiGroups: [external-secrets.io], resources: [secretstores, externalsecrets], verbs: [get, list, watch, update, patch]}
  - {apiGroups: [external-secrets.io], resources: [secretstores/status, externalsecrets/status], verbs: [get, update, patch]}
  - {apiGroups: [generators.external-secrets.io], resources: [generatorstates], verbs: [get, list, watch]}
  - {apiGroups: [""], resources: [serviceaccounts, configmaps], verbs: [get, list, watch]}
  - {apiGroups: [""], resources: [serviceaccounts/token], verbs: [create]}
  - {apiGroups: [""], resources: [secrets], verbs: [get, list, watch, create, update, patch, delete]}
  - {apiGroups: [""], resources: [events], verbs: [create, patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {namespace: NAMESPACE, name: operator}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: operator}
subjects: [{kind: ServiceAccount, namespace: OPERATOR, name: external-secrets}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {namespace: OPERATOR, name: external-secrets}
spec:
  replicas: 1
  selector: {matchLabels: {app.kubernetes.io/name: external-secrets}}
  template:
    metadata:
      labels: {app.kubernetes.io/name: external-secrets}
    spec:
      serviceAccountName: external-secrets
      securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: external-secrets
          image: IMAGE
          imagePullPolicy: IfNotPresent
          args:
            - --namespace=NAMESPACE
            - --controller-class=NAMESPACE
            - --enable-cluster-store-reconciler=false
            - --enable-cluster-external-secret-reconciler=false
            - --enable-cluster-push-secret-reconciler=false
            - --enable-push-secret-reconciler=false
          securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
`
