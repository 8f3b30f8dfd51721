// Package trellis_test renders the chart with the Helm of the local cluster's tools and looks at what comes out.
package trellis_test

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"

	"github.com/trellis-operator/trellis/internal/config"
	"github.com/trellis-operator/trellis/internal/natskeys"
)

// helm finds the Helm that the local cluster's tools build, or that of TRELLIS_HELM.
func helm(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("TRELLIS_HELM"); path != "" {
		return path
	}
	if dir, err := os.UserCacheDir(); err == nil {
		if found, _ := filepath.Glob(filepath.Join(dir, "trellis", "kube", "helm-*", "helm")); len(found) > 0 {
			return found[len(found)-1]
		}
	}
	if path, err := exec.LookPath("helm"); err == nil {
		return path
	}
	t.Skip("NOT RUN: there is no Helm here; `make up` builds one, TRELLIS_HELM names another")
	return ""
}

func template(t *testing.T, args ...string) (string, error) {
	t.Helper()
	readAll(t)
	command := exec.Command(helm(t), append([]string{"template", "trellis", ".", "--namespace", "trellis-system"}, args...)...)
	command.Env = append(os.Environ(), "HELM_CACHE_HOME="+t.TempDir(), "HELM_CONFIG_HOME="+t.TempDir(), "HELM_DATA_HOME="+t.TempDir())
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return stderr.String(), err
	}
	return string(out), nil
}

// readAll opens the chart's files, which lets go test know that a result depends on them.
func readAll(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		_, err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func render(t *testing.T, args ...string) []unstructured.Unstructured {
	t.Helper()
	text, err := template(t, args...)
	if err != nil {
		t.Fatalf("helm template %v: %v\n%s", args, err, text)
	}
	var out []unstructured.Unstructured
	decoder := utilyaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	for {
		var u unstructured.Unstructured
		err := decoder.Decode(&u)
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(u.Object) > 0 {
			out = append(out, u)
		}
	}
}

// find converts the object of that kind and name strictly: a field that Kubernetes does not know is an error.
func find[T any](t *testing.T, objects []unstructured.Unstructured, kind, name string) *T {
	t.Helper()
	for _, u := range objects {
		if u.GetKind() == kind && u.GetName() == name {
			out := new(T)
			if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(u.Object, out, true); err != nil {
				t.Fatalf("%s %s: %v", kind, name, err)
			}
			return out
		}
	}
	return nil
}

var variants = map[string][]string{
	"defaults": nil,
	"local cluster": {"--set", "nats.storage.type=hostPath,nats.storage.hostPath=/var/lib/nats,operator.replicas=1",
		"--set", "hosts.image=ghcr.io/trellis-operator/trellis-host:0.1.0",
		"--set-json", `hosts.mirrors=[{"prefix":"ghcr.io/trellis-operator","target":"registry.registry.svc:5000/trellis-operator","insecure":true}]`},
	"external NATS": {"--set", "nats.enabled=false,nats.external.address=nats://nats.example.com,nats.external.credentialsSecret=mine,check.enabled=false",
		"--set-json", `bindings=[{"lattice":"edge","namespaces":["*"],"home":"apps"}]`, "--set-json", "wash.lattices=[]"},
	"much set": {"--set", "fullnameOverride=other,nats.storage.type=emptyDir,nats.jetstream.maxFile=5GB,operator.podLabels.a=b,additionalLabels.x=y,nats.priorityClassName=high",
		"--set-json", `imagePullSecrets=[{"name":"pull"}]`, "--set-json", `nats.lattices=[{"name":"a","namespaces":["x"]},{"name":"b"}]`},
}

func TestChart_Config(t *testing.T) {
	for name, args := range variants {
		t.Run(name, func(t *testing.T) {
			objects := render(t, args...)
			prefix := "trellis"
			if name == "much set" {
				prefix = "other"
			}
			parsed, err := config.Parse([]byte(find[corev1.ConfigMap](t, objects, "ConfigMap", prefix+"-config").Data["config.yaml"]))
			if err != nil {
				t.Fatal(err)
			}
			if parsed.NATS.Managed == (name == "external NATS") {
				t.Errorf("nats.managed = %v", parsed.NATS.Managed)
			}
			if name == "external NATS" && parsed.Wash.Allows("default") {
				t.Error("an empty wash.lattices allows wash")
			}
		})
	}
}

// TestChart_Pods holds every pod to the restricted Pod Security level, numeric users included.
func TestChart_Pods(t *testing.T) {
	for name, args := range variants {
		t.Run(name, func(t *testing.T) {
			pods := 0
			for what, pod := range podSpecs(t, render(t, args...)) {
				pods++
				s := pod.SecurityContext
				if s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.RunAsUser == nil || *s.RunAsUser != 65532 || s.SeccompProfile == nil {
					t.Errorf("%s: pod security = %+v", what, s)
				}
				for _, c := range append(append([]corev1.Container{}, pod.InitContainers...), pod.Containers...) {
					s := c.SecurityContext
					if s == nil || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || s.Capabilities == nil ||
						!slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
						t.Errorf("%s: security of %s = %+v", what, c.Name, s)
					}
				}
			}
			if pods == 0 {
				t.Error("no pods")
			}
		})
	}
}

func podSpecs(t *testing.T, objects []unstructured.Unstructured) map[string]*corev1.PodSpec {
	t.Helper()
	out := map[string]*corev1.PodSpec{}
	for _, u := range objects {
		name := u.GetKind() + " " + u.GetName()
		switch u.GetKind() {
		case "Deployment":
			out[name] = &find[appsv1.Deployment](t, objects, u.GetKind(), u.GetName()).Spec.Template.Spec
		case "StatefulSet":
			out[name] = &find[appsv1.StatefulSet](t, objects, u.GetKind(), u.GetName()).Spec.Template.Spec
		case "Job":
			out[name] = &find[batchv1.Job](t, objects, u.GetKind(), u.GetName()).Spec.Template.Spec
		}
	}
	return out
}

// TestChart_Rights keeps the operator from what it must never have.
func TestChart_Rights(t *testing.T) {
	objects := render(t)
	for _, u := range objects {
		if u.GetKind() != "ClusterRole" {
			continue
		}
		for _, rule := range find[rbacv1.ClusterRole](t, objects, "ClusterRole", u.GetName()).Rules {
			if slices.Contains(rule.Verbs, "*") || slices.Contains(rule.Resources, "*") || slices.Contains(rule.APIGroups, "*") ||
				slices.Contains(rule.Verbs, "escalate") || slices.Contains(rule.Verbs, "impersonate") {
				t.Errorf("%s: %+v", u.GetName(), rule)
			}
			if slices.Contains(rule.Resources, "secrets") && (slices.Contains(rule.Verbs, "list") || slices.Contains(rule.Verbs, "watch") || slices.Contains(rule.Verbs, "delete")) {
				t.Errorf("%s may read all Secrets: %+v", u.GetName(), rule)
			}
			if slices.Contains(rule.Verbs, "bind") && len(rule.ResourceNames) != 1 {
				t.Errorf("%s may bind any role: %+v", u.GetName(), rule)
			}
		}
	}
}

// TestChart_NATS lets nats-server read the configuration, together with accounts that trellis init makes.
func TestChart_NATS(t *testing.T) {
	for name, args := range variants {
		if name == "external NATS" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			prefix := "trellis"
			if name == "much set" {
				prefix = "other"
			}
			objects := render(t, args...)
			var system natskeys.System
			if _, err := system.Complete([]string{"default"}); err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			t.Setenv("POD_NAME", "trellis-nats-0")
			files := map[string][]byte{
				"nats.conf":           []byte(find[corev1.ConfigMap](t, objects, "ConfigMap", prefix+"-nats").Data["nats.conf"]),
				natskeys.AccountsConf: system.Accounts[natskeys.AccountsConf],
			}
			for file, content := range files {
				if err := os.WriteFile(filepath.Join(dir, file), content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			o, err := server.ProcessConfigFile(filepath.Join(dir, "nats.conf"))
			if err != nil {
				t.Fatal(err)
			}
			if o.ServerName != "trellis-nats-0" || o.Port != 4222 || o.LeafNode.Port != 7422 || o.HTTPHost != "127.0.0.1" || !o.SyncAlways ||
				o.JetStreamDomain != "default" || len(o.TrustedOperators) != 1 || o.SystemAccount == "" || o.NoAuthUser != "" {
				t.Errorf("options = %+v", o)
			}
		})
	}
}

func TestChart_Errors(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		says string
	}{
		"unknown value":     {[]string{"--set", "operator.replica=1"}, "replica"},
		"lattice name":      {[]string{"--set-json", `nats.lattices=[{"name":"a.b"}]`}, "name"},
		"storage":           {[]string{"--set", "nats.storage.type=nfs"}, "type"},
		"hostPath missing":  {[]string{"--set", "nats.storage.type=hostPath"}, "nats.storage.hostPath"},
		"external, nowhere": {[]string{"--set", "nats.enabled=false"}, "nats.external.address"},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := template(t, tc.args...)
			if err == nil || !strings.Contains(text, tc.says) {
				t.Errorf("error = %v, %s", err, text)
			}
		})
	}
}
