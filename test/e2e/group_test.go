//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// restricted makes the namespace refuse every pod that is not of the restricted Pod Security level.
func restricted(t *testing.T, namespace string) {
	t.Helper()
	kubectl(t, "label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted", "pod-security.kubernetes.io/enforce-version=latest")
}

// Hosts run in a restricted namespace, start in order without a single restart, hold no token of the API, and one that
// ends says goodbye before its leaf goes.
func TestHostsInARestrictedNamespace(t *testing.T) {
	a := newApplication(t, "application.yaml")
	restricted(t, a.namespace)
	a.deploy(t)
	a.scale(t, 2)
	a.awaitEndpoints(t, 90*time.Second, 2)

	t.Run("no restart", func(t *testing.T) {
		out := kubectl(t, "get", "pods", "-n", a.namespace, "-l", "app.kubernetes.io/instance=hosts", "-o",
			`jsonpath={range .items[*]}{.status.initContainerStatuses[*].restartCount} {.status.containerStatuses[*].restartCount} {end}`)
		if counts := strings.Fields(out); len(counts) != 6 || strings.Trim(out, "0 ") != "" {
			t.Errorf("restarts of the containers of two pods: %v; want six times none", counts)
		}
	})
	pods := a.podsOfGroup(t)
	t.Run("no token", func(t *testing.T) {
		pid, err := processOf(t, a.namespace, pods[0], "wasmcloud-host")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(fmt.Sprintf("/proc/%d/root/var/run/secrets/kubernetes.io", pid)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the host has a token of the API, or it can't be said: %v", err)
		}
	})
	t.Run("a goodbye", func(t *testing.T) {
		host := kubectl(t, "get", "whc", "hosts", "-n", a.namespace, "-o", fmt.Sprintf("jsonpath={.status.hosts[?(@.pod==%q)].id}", pods[0]))
		conn := connectLattice(t.Context(), t)
		defer conn.Close()
		stopped, err := conn.SubscribeSync("wasmbus.evt." + latticeName + ".host_stopped")
		if err == nil {
			err = conn.Flush()
		}
		if err != nil {
			t.Fatal(err)
		}
		kubectl(t, "delete", "pod", pods[0], "-n", a.namespace, "--wait=false")
		if err := awaitEvent(stopped, host, 90*time.Second); err != nil {
			t.Errorf("host %s of pod %s: %v", host, pods[0], err)
		}
		kubectl(t, "wait", "--for=delete", "pod/"+pods[0], "-n", a.namespace, "--timeout=60s")
		a.awaitEndpoints(t, 90*time.Second, 2)
	})
}

// awaitEvent waits for an event of that host.
func awaitEvent(events *nats.Subscription, host string, limit time.Duration) error {
	for deadline := time.Now().Add(limit); ; {
		message, err := events.NextMsg(time.Until(deadline))
		if err != nil {
			return fmt.Errorf("no such event within %s: %w", limit, err)
		}
		var event struct{ Source string }
		if err := json.Unmarshal(message.Data, &event); err != nil {
			return fmt.Errorf("%q: %w", message.Data, err)
		}
		if event.Source == host {
			return nil
		}
	}
}

// What is wrong with a group stands in its status, with what to do, and goes when it is mended.
func TestProblemsOfAHostGroup(t *testing.T) {
	const (
		sound = `{"spec":{"image":null,"natsAddress":null,"secretName":null,"schedulingOptions":null}}`
		told  = 30 * time.Second
	)
	namespace := makeNamespace(t)
	restricted(t, namespace)
	wrong := writeFile(t, strangersCredentials(t))
	kubectl(t, "create", "secret", "generic", "wrong", "-n", namespace, "--from-file=nats.creds="+wrong)
	apply(t, namespace, "apiVersion: k8s.wasmcloud.dev/v1alpha1\nkind: WasmCloudHostConfig\nmetadata: {name: hosts}\nspec: {lattice: default, version: 1.9.2}\n")
	condition(t, namespace, "whc/hosts", "Ready", "True", "")

	for _, tc := range []struct{ name, patch, reason string }{
		{"an image that does not exist", fmt.Sprintf(`{"spec":{"image":"%s/nowhere:1"}}`, os.Getenv("COMPONENT_REGISTRY")), "ImagePull"},
		{"a NATS that does not answer", `{"spec":{"natsAddress":"nats://trellis.` + system + `.svc"}}`, "LeafNotConnected"},
		{"credentials that NATS refuses", `{"spec":{"secretName":"wrong"}}`, "LeafNotConnected"},
		{"a host that ends again and again", `{"spec":{"schedulingOptions":{"containerTemplateAdditions":{"wasmcloud":{"args":["--no-such-flag"]}}}}}`, "CrashLoop"},
		{"a privileged pod", `{"spec":{"schedulingOptions":{"containerTemplateAdditions":{"wasmcloud":{"securityContext":{"privileged":true,"allowPrivilegeEscalation":true}}}}}}`, "PodsRefused"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			kubectl(t, "patch", "whc", "hosts", "-n", namespace, "--type=merge", "-p", tc.patch)
			eventually(t, told, tc.reason, func() error {
				out, err := try(t, "", "get", "whc", "hosts", "-n", namespace, "-o",
					`jsonpath={.status.conditions[?(@.type=="Ready")].status} {.status.conditions[?(@.type=="Workload")].reason} {.status.conditions[?(@.type=="Workload")].message}`)
				if err == nil && !strings.HasPrefix(out, "False "+tc.reason+" ") {
					err = errors.New(out)
				}
				return err
			})
			kubectl(t, "patch", "whc", "hosts", "-n", namespace, "--type=merge", "-p", sound)
			condition(t, namespace, "whc/hosts", "Ready", "True", "")
		})
	}
}

// strangersCredentials are well made, by an account that nobody knows.
func strangersCredentials(t *testing.T) string {
	t.Helper()
	account, err := nkeys.CreateAccount()
	if err != nil {
		t.Fatal(err)
	}
	user, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, err := user.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.NewUserClaims(public).Encode(account)
	if err != nil {
		t.Fatal(err)
	}
	seed, err := user.Seed()
	if err != nil {
		t.Fatal(err)
	}
	credentials, err := jwt.FormatUserConfig(token, seed)
	if err != nil {
		t.Fatal(err)
	}
	return string(credentials)
}

// A HorizontalPodAutoscaler owns the size of a group: more pods come and go as it says, and the user's manifest, applied
// again, does not take it back.
func TestAHorizontalPodAutoscaler(t *testing.T) {
	a := newApplication(t, "application.yaml").deploy(t)
	autoscaler := func(size int) {
		apply(t, a.namespace, fmt.Sprintf("apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: hosts}\nspec:\n"+
			"  scaleTargetRef: {apiVersion: k8s.wasmcloud.dev/v1alpha1, kind: WasmCloudHostConfig, name: hosts}\n"+
			"  minReplicas: %[1]d\n  maxReplicas: %[1]d\n"+
			"  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]\n", size))
	}
	for _, size := range []int{3, 2} {
		autoscaler(size)
		a.awaitEndpoints(t, 2*time.Minute, size)
		kubectl(t, "annotate", "whc", "hosts", "-n", a.namespace, "--overwrite", fmt.Sprint("seen=", size)) // the operator looks again
		condition(t, a.namespace, "whc/hosts", "Ready", "True", "")
		if got := kubectl(t, "get", "deployment", "hosts", "-n", a.namespace, "-o", "jsonpath={.spec.replicas}"); got != fmt.Sprint(size) {
			t.Errorf("the Deployment has %s replicas; the autoscaler says %d", got, size)
		}
	}
	a.awaitAnswer(t, 10*time.Second, "Hello from Wasm!")
}

// hubOfPods is a NATS of the user's own, with a login by user and password.
const hubOfPods = `
apiVersion: v1
kind: ConfigMap
metadata: {name: hub}
data:
  nats.conf: |
    jetstream { domain: default, store_dir: /tmp/hub }
    authorization { users: [{user: hosts, password: %[1]s}] }
    leafnodes { port: 7422, authorization { user: hosts, password: %[1]s } }
---
apiVersion: v1
kind: Service
metadata: {name: hub}
spec: {selector: {app: hub}, ports: [{name: client, port: 4222}, {name: leaf, port: 7422}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: hub}
spec:
  strategy: {type: Recreate}
  selector: {matchLabels: {app: hub}}
  template:
    metadata: {labels: {app: hub}, annotations: {login: %[1]s}}
    spec:
      containers:
      - {name: nats, image: %[2]s, imagePullPolicy: IfNotPresent, args: [--config, /nats/nats.conf], volumeMounts: [{name: conf, mountPath: /nats}, {name: tmp, mountPath: /tmp}]}
      volumes: [{name: conf, configMap: {name: hub}}, {name: tmp, emptyDir: {}}]
`

// The hub takes a login away while hosts run with it: the group says so, and is sound again with the new one.
func TestALoginIsRevoked(t *testing.T) {
	a := newApplication(t, "application.yaml")
	image := a.templateOfHosts(t).leaf
	hub := func(word string) {
		apply(t, a.namespace, fmt.Sprintf(hubOfPods, word, image))
		kubectl(t, "rollout", "status", "deployment/hub", "-n", a.namespace, "--timeout=90s")
	}
	login := func(word string) {
		apply(t, a.namespace, fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: login}\nstringData: {username: hosts, password: %s}\n", word))
	}
	hub("first")
	login("first")
	apply(t, a.namespace, fmt.Sprintf("apiVersion: k8s.wasmcloud.dev/v1alpha1\nkind: WasmCloudHostConfig\nmetadata: {name: hosts}\nspec:\n"+
		"  lattice: own\n  version: 1.9.2\n  natsAddress: nats://hub.%s.svc\n  secretName: login\n", a.namespace))
	condition(t, a.namespace, "whc/hosts", "Ready", "True", "")
	hub("second")
	condition(t, a.namespace, "whc/hosts", "Ready", "False", "login")
	login("second")
	condition(t, a.namespace, "whc/hosts", "Ready", "True", "")
}
