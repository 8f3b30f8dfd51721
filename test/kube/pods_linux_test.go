package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// probeObjects are a server with its Service and a host port, in a namespace
// with the strictest rules. IMAGE is filled in.
const probeObjects = `
apiVersion: v1
kind: Namespace
metadata: {name: probe}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: first, namespace: probe}
spec:
  selector: {matchLabels: {app: first}}
  template:
    metadata: {labels: {app: first}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - {name: probe, image: "IMAGE", imagePullPolicy: IfNotPresent, args: [serve, from the first], ports: [{containerPort: 8080, hostPort: 18080}]}
---
apiVersion: v1
kind: Service
metadata: {name: first, namespace: probe}
spec: {selector: {app: first}, ports: [{port: 80, targetPort: 8080}]}
`

// jobObjects run one program to its end. NAME, IMAGE, COMMAND are filled in.
const jobObjects = `
apiVersion: batch/v1
kind: Job
metadata: {name: NAME, namespace: probe}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: probe
          image: "IMAGE"
          imagePullPolicy: IfNotPresent
          command: [COMMAND]
          securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
`

// testPods runs a server and asks it by its Service: from a pod, by name and
// by address, and from the machine.
func testPods(t *testing.T, kube runner) {
	probe := filepath.Join(t.TempDir(), "probe")
	goBuild(t, probe, "./testdata/probe", "CGO_ENABLED=0")
	image := loadProbe(t, kube, probe, nil)
	kube.apply(t, strings.ReplaceAll(probeObjects, "IMAGE", image))
	kube.run(t, "kubectl", "-n", "probe", "rollout", "status", "deployment/first", "--timeout=60s")
	address := serviceAddress(t, kube)
	expectAnswer(t, kube, address, "from the first")
	expectAnswer(t, kube, "10.217.0.11:18080", "from the first")
	for name, url := range map[string]string{"by-name": "http://first", "by-address": "http://" + address} {
		output := runJob(t, kube, name, image, "/usr/local/bin/trellis, get, '"+url+"'")
		if output != "from the first" {
			t.Errorf("%s: a pod got %q", name, output)
		}
	}
	output := kube.run(t, "kubectl", "-n", "probe", "exec", "deployment/first", "--", "/usr/local/bin/trellis", "get", "http://127.0.0.1:8080")
	if output != "from the first" {
		t.Errorf("exec: got %q", output)
	}
	testDynamicProgram(t, kube)
}

// testDynamicProgram runs a program of this machine that is linked with the C
// library, whose image has to bring it along, and lets that resolve a name.
func testDynamicProgram(t *testing.T, kube runner) {
	getent, err := exec.LookPath("getent")
	if err != nil {
		t.Fatalf("this machine has no getent, which comes with the C library: %v", err)
	}
	out, errs, err := kube.try(t, "", nil, "load-images", "--host", getent)
	if err != nil {
		t.Fatalf("%v\n%s", err, errs)
	}
	output := runJob(t, kube, "dynamic", value(out, "HOST_IMAGE"), "/usr/local/bin/trellis-host, hosts, kubernetes.default.svc.cluster.local")
	if !strings.HasPrefix(output, "10.219.0.1 ") {
		t.Errorf("getent got %q", output)
	}
}

// loadProbe gives the probe to the cluster in the role of trellis.
func loadProbe(t *testing.T, kube runner, probe string, env []string) string {
	t.Helper()
	out, errs, err := kube.try(t, "", env, "load-images", "--trellis", probe)
	if err != nil {
		t.Fatalf("load-images: %v\n%s", err, errs)
	}
	return value(out, "TRELLIS_IMAGE")
}

func value(output, name string) string {
	for _, line := range strings.Split(output, "\n") {
		if value, found := strings.CutPrefix(line, name+"="); found {
			return value
		}
	}
	return ""
}

func runJob(t *testing.T, kube runner, name, image, command string) string {
	t.Helper()
	kube.apply(t, strings.NewReplacer("NAME", name, "IMAGE", image, "COMMAND", command).Replace(jobObjects))
	begun := time.Now()
	out, errs, err := kube.try(t, "", nil, "kubectl", "-n", "probe", "wait", "--for=condition=complete", "--timeout=60s", "job/"+name)
	if err != nil {
		t.Errorf("job %s: %v\n%s%s\n%s", name, err, out, errs, kube.run(t, "kubectl", "-n", "probe", "describe", "pods", "-l", "job-name="+name))
	}
	t.Logf("job %s took %s", name, time.Since(begun))
	return kube.run(t, "kubectl", "-n", "probe", "logs", "job/"+name)
}

func serviceAddress(t *testing.T, kube runner) string {
	t.Helper()
	return kube.run(t, "kubectl", "-n", "probe", "get", "service", "first", "-o", "jsonpath={.spec.clusterIP}")
}
