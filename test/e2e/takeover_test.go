//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// oldTemplate is what wasmCloud's operator made for a group: containers side by side, no labels that join hosts and pods,
// no probes. %[1]s is the uid of the group; images and the mirror of the registry are those of this cluster.
const oldTemplate = `
apiVersion: v1
kind: ConfigMap
metadata:
  name: hosts
  ownerReferences: [{apiVersion: k8s.wasmcloud.dev/v1alpha1, kind: WasmCloudHostConfig, name: hosts, uid: %[1]s, controller: true}]
data:
  nats.conf: |

    jetstream {
      domain: leaf
    }
    leafnodes {
      remotes: [
        {
          url: "nats://trellis-nats.trellis-system.svc:7422"
          credentials: "/nats/nats.creds"
        }
      ]
    }
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: hosts
  labels: {app.kubernetes.io/name: wasmcloud, app.kubernetes.io/managed-by: wadm-operator}
  ownerReferences: [{apiVersion: k8s.wasmcloud.dev/v1alpha1, kind: WasmCloudHostConfig, name: hosts, uid: %[1]s, controller: true}]
spec:
  replicas: 1
  selector: {matchLabels: {app.kubernetes.io/name: wasmcloud, app.kubernetes.io/instance: hosts}}
  template:
    metadata:
      labels: {app.kubernetes.io/name: wasmcloud, app.kubernetes.io/instance: hosts, app.kubernetes.io/managed-by: wadm-operator}
    spec:
      containers:
      - name: nats-leaf
        image: %[2]s
        imagePullPolicy: IfNotPresent
        args: ["-js", "--config", "/nats/nats.conf"]
        ports: [{containerPort: 4222}]
        volumeMounts:
        - {name: nats-config, mountPath: /nats/nats.conf, subPath: nats.conf, readOnly: true}
        - {name: nats-creds, mountPath: /nats/nats.creds, subPath: nats.creds, readOnly: true}
        - {name: temporary, mountPath: /tmp}
      - name: wasmcloud-host
        image: %[3]s
        command: [wasmcloud]
        env:
        - {name: WASMCLOUD_STRUCTURED_LOGGING_ENABLED, value: "true"}
        - {name: WASMCLOUD_LOG_LEVEL, value: INFO}
        - {name: WASMCLOUD_JS_DOMAIN, value: default}
        - {name: WASMCLOUD_LATTICE, value: default}
        - {name: WASMCLOUD_LATTICE_PREFIX, value: default}
        - {name: WASMCLOUD_NATS_HOST, value: 127.0.0.1}
        - {name: WASMCLOUD_NATS_PORT, value: "4222"}
        - {name: WASMCLOUD_RPC_TIMEOUT_MS, value: "4000"}
        - {name: WASMCLOUD_LABEL_kubernetes, value: "true"}
        %[4]s
        volumeMounts: [{name: temporary, mountPath: /tmp}]
      volumes:
      - {name: nats-config, configMap: {name: hosts}}
      - {name: nats-creds, secret: {secretName: hub}}
      - {name: temporary, emptyDir: {}}
`

// A group of wasmCloud's operator with a running host is taken over: its pods stay as they are and serve, and are replaced
// when the user says so.
func TestHostsOfTheOldOperatorAreTakenOver(t *testing.T) {
	a := newApplication(t, "application.yaml")
	template := a.templateOfHosts(t)
	a.copyCredentials(t)

	// While no operator looks, the group gets the pods that the old one made.
	away(t, func() {
		apply(t, a.namespace, "apiVersion: k8s.wasmcloud.dev/v1alpha1\nkind: WasmCloudHostConfig\nmetadata:\n  name: hosts\n"+
			"  finalizers: [operator.k8s.wasmcloud.dev/wasmcloud-host-config]\nspec: {lattice: default, version: 1.9.2, secretName: hub}\n")
		uid := kubectl(t, "get", "whc", "hosts", "-n", a.namespace, "-o", "jsonpath={.metadata.uid}")
		old := fmt.Sprintf(oldTemplate, uid, template.leaf, template.host, template.env)
		if _, err := try(t, old, "apply", "--server-side", "--field-manager=application/apply-patch+yaml", "-n", a.namespace, "-f", "-"); err != nil {
			t.Fatal(err)
		}
		kubectl(t, "rollout", "status", "deployment/hosts", "-n", a.namespace, "--timeout=60s")
	})
	old := a.podsOfGroup(t)
	condition(t, a.namespace, "whc/hosts", "TemplateOutdated", "True", "k8s.wasmcloud.dev/adopt")
	condition(t, a.namespace, "whc/hosts", "Ready", "True", "")
	apply(t, a.namespace, a.text)
	a.awaitAnswer(t, 60*time.Second, "Hello from Wasm!")
	a.awaitEndpoints(t, 30*time.Second, 1)
	if now := a.podsOfGroup(t); len(old) != 1 || len(now) != 1 || now[0] != old[0] {
		t.Errorf("the pods were %v and are %v: nobody asked for new ones", old, now)
	}

	kubectl(t, "annotate", "whc", "hosts", "-n", a.namespace, "k8s.wasmcloud.dev/adopt=roll")
	eventually(t, 2*time.Minute, "the pod is replaced", func() error {
		if now := a.podsOfGroup(t); len(now) != 1 || now[0] == old[0] {
			return fmt.Errorf("the pods are %v", now)
		}
		return nil
	})
	a.awaitAnswer(t, 60*time.Second, "Hello from Wasm!")
	condition(t, a.namespace, "whc/hosts", "Ready", "True", "")
	out := kubectl(t, "get", "whc", "hosts", "-n", a.namespace, "-o",
		`jsonpath={.status.conditions[?(@.type=="TemplateOutdated")].status}{.metadata.finalizers}{.status.hosts[*].pod}`)
	if now := a.podsOfGroup(t); len(now) != 1 || out != now[0] {
		t.Errorf("condition, finalizers and pod of the host are %s; want the pod of %v alone", out, now)
	}
}

// images of a host pod in this cluster, and what its host needs to pull from the cluster's registry.
type hostTemplate struct{ leaf, host, env string }

// templateOfHosts reads what a group of this cluster is made of, from one without a host.
func (a *application) templateOfHosts(t *testing.T) (out hostTemplate) {
	t.Helper()
	apply(t, a.namespace, a.binding())
	eventually(t, 30*time.Second, "the template of a group", func() error {
		text, err := try(t, "", "get", "deployment", a.name, "-n", a.namespace, "-o", "json")
		if err != nil {
			return err
		}
		var deployment struct {
			Spec struct {
				Template struct {
					Spec struct{ InitContainers, Containers []container }
				}
			}
		}
		if err := json.Unmarshal([]byte(text), &deployment); err != nil {
			return err
		}
		pod := deployment.Spec.Template.Spec
		for _, c := range append(pod.InitContainers, pod.Containers...) {
			out.take(c)
		}
		if out.leaf == "" || out.host == "" {
			return fmt.Errorf("no leaf or no host in %+v", pod)
		}
		return nil
	})
	return out
}

type container struct {
	Name, Image string
	Env         []struct{ Name, Value string }
}

func (h *hostTemplate) take(c container) {
	switch c.Name {
	case "nats-leaf":
		h.leaf = c.Image
	case "wasmcloud-host":
		h.host = c.Image
		var env []string
		for _, v := range c.Env {
			if strings.Contains(v.Name, "_OCI_") {
				env = append(env, fmt.Sprintf("- {name: %s, value: %q}", v.Name, v.Value))
			}
		}
		h.env = strings.Join(env, "\n        ")
	}
}

// copyCredentials makes Secret hub of what the operator gave the group that binds the namespace.
func (a *application) copyCredentials(t *testing.T) {
	t.Helper()
	eventually(t, 30*time.Second, "credentials of the lattice", func() error {
		credentials, err := try(t, "", "get", "secret", a.name+"-nats", "-n", a.namespace, "-o", `go-template={{index .data "nats.creds" | base64decode}}`)
		if err != nil {
			return err
		}
		if credentials == "" {
			return errors.New("they are empty")
		}
		kubectl(t, "create", "secret", "generic", "hub", "-n", a.namespace, "--from-file=nats.creds="+writeFile(t, credentials))
		return nil
	})
}

// away does something while no operator runs.
func away(t *testing.T, do func()) {
	t.Helper()
	replicas := kubectl(t, "get", "deployment", "trellis", "-n", system, "-o", "jsonpath={.spec.replicas}")
	back := func() { kubectlInCleanup(t, "scale", "deployment", "trellis", "-n", system, "--replicas="+replicas) }
	t.Cleanup(back)
	kubectl(t, "scale", "deployment", "trellis", "-n", system, "--replicas=0")
	kubectl(t, "wait", "--for=delete", "pods", "-n", system, "-l", "app.kubernetes.io/component=operator", "--timeout=60s")
	do()
	back()
	awaitSystem(t)
	apiAnswers(t)
}
