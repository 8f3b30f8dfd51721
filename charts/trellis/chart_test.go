// Package trellis_test renders the chart with the Helm of the local cluster's tools and looks at what comes out.
package trellis_test

import (
	"bytes"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/trellis-operator/trellis/internal/config"
	"github.com/trellis-operator/trellis/internal/natskeys"
	"github.com/trellis-operator/trellis/internal/storemark"
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
		"--set-json", `imagePullSecrets=[{"name":"pull"}]`, "--set-json", `nats.lattices=[{"name":"a","namespaces":["x"]},{"name":"b"}]`, "--set", "wash.accounts.a=Aone"},
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
			if name == "much set" && parsed.Wash.Accounts["a"] != "Aone" {
				t.Errorf("wash.accounts is %v", parsed.Wash.Accounts)
			}
		})
	}
}

// TestChart_MaxFile: NATS refuses before its volume is full.
func TestChart_MaxFile(t *testing.T) {
	for set, want := range map[string]string{
		"nats.storage.size=10Gi":                              "max_file_store: 8589934592",
		"nats.storage.size=1500M":                             "max_file_store: 1200000000",
		"nats.storage.size=1.5Ti":                             "max_file_store: 1319413953331",
		"nats.storage.size=10Gi,nats.jetstream.maxFile=9GB":   "max_file_store: 9GB",
		"nats.storage.type=hostPath,nats.storage.hostPath=/x": "",
	} {
		conf := find[corev1.ConfigMap](t, render(t, "--set", set), "ConfigMap", "trellis-nats").Data["nats.conf"]
		if got := regexp.MustCompile("max_file_store: .*").FindString(conf); got != want {
			t.Errorf("with %s: %q, want %q", set, got, want)
		}
	}
	if out, err := template(t, "--set", "nats.storage.size=10Pounds"); err == nil {
		t.Errorf("a size without meaning is accepted:\n%s", out)
	}
}

// The audit log never holds what a request says, only who asked what.
func TestChart_Audit(t *testing.T) {
	arguments := func(objects []unstructured.Unstructured) string {
		return strings.Join(find[appsv1.Deployment](t, objects, "Deployment", "trellis").Spec.Template.Spec.Containers[0].Args, " ")
	}
	objects := render(t)
	text := find[corev1.ConfigMap](t, objects, "ConfigMap", "trellis-config").Data["audit-policy.yaml"]
	var policy struct {
		APIVersion, Kind string
		Rules            []struct{ Level string }
	}
	if err := yaml.Unmarshal([]byte(text), &policy); err != nil || policy.APIVersion != "audit.k8s.io/v1" || policy.Kind != "Policy" || len(policy.Rules) < 2 {
		t.Fatalf("the policy is %v %+v:\n%s", err, policy, text)
	}
	for i, rule := range policy.Rules {
		if rule.Level != "None" && rule.Level != "Metadata" {
			t.Errorf("rule %d has level %s", i, rule.Level)
		}
	}
	if args := arguments(objects); !strings.Contains(args, "--audit-log-path=- --audit-policy-file=/etc/trellis/audit-policy.yaml") {
		t.Errorf("the operator runs with %s", args)
	}
	off := render(t, "--set", "audit.log=")
	if args := arguments(off); strings.Contains(args, "audit") || find[corev1.ConfigMap](t, off, "ConfigMap", "trellis-config").Data["audit-policy.yaml"] != "" {
		t.Errorf("an audit log that is off: %s", args)
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

// TestChart_Uninstall: what ends the operator before the release goes may do that and no more.
func TestChart_Uninstall(t *testing.T) {
	objects := render(t)
	job := find[batchv1.Job](t, objects, "Job", "trellis-uninstall")
	if job == nil || job.Annotations["helm.sh/hook"] != "pre-delete" {
		t.Fatalf("job = %+v", job)
	}
	deployment := find[appsv1.Deployment](t, objects, "Deployment", "trellis")
	if args := strings.Join(job.Spec.Template.Spec.Containers[0].Args, " "); args != "uninstall --namespace=$(POD_NAMESPACE) --deployment="+deployment.Name {
		t.Errorf("the Job runs %s", args)
	}
	const own = "app.kubernetes.io/component"
	if job.Spec.Template.Labels[own] == deployment.Spec.Selector.MatchLabels[own] {
		t.Error("the Job waits for its own end: its pod has the labels of the operator's")
	}
	rules := append(find[rbacv1.ClusterRole](t, objects, "ClusterRole", "trellis-uninstall").Rules, find[rbacv1.Role](t, objects, "Role", "trellis-uninstall").Rules...)
	got := map[string]string{}
	for _, rule := range rules {
		got[strings.Join(rule.Resources, ",")+strings.Join(rule.ResourceNames, ",")] = strings.Join(rule.Verbs, ",")
	}
	want := map[string]string{"services": "list,patch", "deployments" + deployment.Name: "patch", "pods": "list"}
	if !maps.Equal(got, want) {
		t.Errorf("rights = %v, want %v", got, want)
	}
	for _, u := range objects {
		if strings.HasSuffix(u.GetName(), "-uninstall") && u.GetAnnotations()["helm.sh/hook"] != "pre-delete" {
			t.Errorf("%s %s is there for as long as the release is", u.GetKind(), u.GetName())
		}
	}
}

// TestChart_Availability: the deletion of every namespace waits for the API, so its pods are hard to lose; and a pod stays
// reachable when its store has changed, to say so.
func TestChart_Availability(t *testing.T) {
	objects := render(t)
	deployment := find[appsv1.Deployment](t, objects, "Deployment", "trellis")
	pod := deployment.Spec.Template
	if *deployment.Spec.Replicas != 2 || pod.Spec.PriorityClassName != "system-cluster-critical" {
		t.Errorf("replicas %d of priority class %q", *deployment.Spec.Replicas, pod.Spec.PriorityClassName)
	}
	preferred := pod.Spec.Affinity.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution
	if len(preferred) != 1 || !selects(preferred[0].PodAffinityTerm.LabelSelector, pod.Labels) ||
		len(pod.Spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution) > 0 {
		t.Errorf("anti-affinity = %+v", pod.Spec.Affinity.PodAntiAffinity)
	}
	budget := find[policyv1.PodDisruptionBudget](t, objects, "PodDisruptionBudget", "trellis")
	if budget == nil || budget.Spec.MaxUnavailable.IntValue() != 1 || !selects(budget.Spec.Selector, pod.Labels) {
		t.Errorf("budget = %+v", budget)
	}
	if probe := pod.Spec.Containers[0].ReadinessProbe.HTTPGet.Path; probe != "/readyz?exclude=store-changed" {
		t.Errorf("readiness is probed at %s", probe)
	}
}

func selects(selector *metav1.LabelSelector, set map[string]string) bool {
	s, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && !s.Empty() && s.Matches(labels.Set(set))
}

// TestChart_Roles: the cluster's view, edit and admin have the rights on applications, their revisions, host groups and
// grants that their names promise, and nobody else gets them.
func TestChart_Roles(t *testing.T) {
	const aggregate = "rbac.authorization.k8s.io/aggregate-to-"
	objects := render(t)
	for role, want := range map[string]map[string][]string{
		"view":          {"applications": {"get", "list", "watch"}, "applicationrevisions": {"get", "list", "watch"}, "wasmcloudhostconfigs": {"get", "list", "watch"}, "secretgrants": {"get", "list", "watch"}},
		"edit":          {"applications": {"create", "update", "patch", "delete", "deletecollection"}, "wasmcloudhostconfigs": {"create", "update", "patch", "delete", "deletecollection"}, "secretgrants": nil},
		"grant-secrets": {"secretgrants": {"create", "update", "patch", "delete", "deletecollection"}, "applications": nil},
	} {
		found := find[rbacv1.ClusterRole](t, objects, "ClusterRole", "trellis-"+role)
		got := map[string][]string{}
		for _, rule := range found.Rules {
			for _, resource := range rule.Resources {
				got[resource] = append(got[resource], rule.Verbs...)
			}
		}
		for resource, verbs := range want {
			if !slices.Equal(got[resource], verbs) {
				t.Errorf("%s may %v %s, want %v", role, got[resource], resource, verbs)
			}
		}
		if verbs := got["applicationrevisions"]; role == "edit" && len(verbs) > 0 {
			t.Errorf("edit may %v applicationrevisions, which Trellis alone writes", verbs)
		}
		for _, into := range []string{"view", "edit", "admin"} {
			if on := found.Labels[aggregate+into] == "true"; on != (role == "view" || into != "view") {
				t.Errorf("%s is part of %s: %v", role, into, on)
			}
		}
	}
	for _, u := range render(t, "--set", "rbac.aggregate=false") {
		for label := range u.GetLabels() {
			if strings.HasPrefix(label, aggregate) {
				t.Errorf("%s has %s although rbac.aggregate is false", u.GetName(), label)
			}
		}
	}
	own := find[rbacv1.Role](t, objects, "Role", "trellis")
	if !slices.ContainsFunc(own.Rules, func(r rbacv1.PolicyRule) bool {
		return slices.Equal(r.ResourceNames, []string{storemark.ConfigMapName}) && slices.Equal(r.Verbs, []string{"get", "update"})
	}) {
		t.Errorf("the operator may not keep the mark of its store: %+v", own.Rules)
	}
}

// TestChart_Secrets: without them neither configuration nor rights speak of them; with them the operator has what they take.
func TestChart_Secrets(t *testing.T) {
	for name, tc := range map[string]struct {
		args     []string
		want     config.Secrets
		of, keys []string // verbs on grants and on the Secret with the keys
	}{
		"off": {nil, config.Secrets{Backend: "kube", Prefix: "wasmcloud.secrets"}, nil, nil},
		"on": {[]string{"--set", "secrets.enabled=true"}, config.Secrets{Enabled: true, Backend: "kube", Prefix: "wasmcloud.secrets"},
			[]string{"list", "watch"}, []string{"get"}},
		"named": {[]string{"--set", "secrets.enabled=true,secrets.backend=mine,secrets.prefix=a.b"}, config.Secrets{Enabled: true, Backend: "mine", Prefix: "a.b"},
			[]string{"list", "watch"}, []string{"get"}},
	} {
		objects := render(t, tc.args...)
		parsed, err := config.Parse([]byte(find[corev1.ConfigMap](t, objects, "ConfigMap", "trellis-config").Data["config.yaml"]))
		if err != nil {
			t.Fatal(err)
		}
		if parsed.Secrets != tc.want {
			t.Errorf("%s: configuration %+v, want %+v", name, parsed.Secrets, tc.want)
		}
		var of, keys []string
		for _, rule := range find[rbacv1.ClusterRole](t, objects, "ClusterRole", "trellis").Rules {
			if slices.Contains(rule.Resources, "secretgrants") {
				of = append(of, rule.Verbs...)
			}
		}
		for _, rule := range find[rbacv1.Role](t, objects, "Role", "trellis").Rules {
			if slices.Equal(rule.ResourceNames, []string{"trellis-secrets-key"}) {
				keys = append(keys, rule.Verbs...)
			}
		}
		if !slices.Equal(of, tc.of) || !slices.Equal(keys, tc.keys) {
			t.Errorf("%s: the operator may %v grants and %v its keys", name, of, keys)
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
		"unknown value":     {[]string{"--set", "operator.replica=1"}, "additional properties 'replica' not allowed"},
		"unknown section":   {[]string{"--set", "operators.replicas=1"}, "additional properties 'operators' not allowed"},
		"unknown, deep":     {[]string{"--set", "nats.storage.kind=pvc"}, "additional properties 'kind' not allowed"},
		"unknown, image":    {[]string{"--set", "image.name=x"}, "additional properties 'name' not allowed"},
		"unknown, in list":  {[]string{"--set-json", `bindings=[{"lattice":"a","namespaces":["*"],"namespace":"x"}]`}, "additional properties 'namespace' not allowed"},
		"wrong type":        {[]string{"--set", "operator.replicas=two"}, "operator/replicas"},
		"lattice name":      {[]string{"--set-json", `nats.lattices=[{"name":"a.b"}]`}, "name"},
		"storage":           {[]string{"--set", "nats.storage.type=nfs"}, "type"},
		"secrets prefix":    {[]string{"--set", "secrets.prefix=a.*"}, "prefix"},
		"secrets, unknown":  {[]string{"--set", "secrets.enable=true"}, "additional properties 'enable' not allowed"},
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
