package hostgroup

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

func raw(text string) *apiextensionsv1.JSON { return &apiextensionsv1.JSON{Raw: []byte(text)} }

func buildWith(t *testing.T, options *v1alpha1.SchedulingOptions) (*corev1.PodSpec, error) {
	t.Helper()
	group := loadGroup(t, minimalGroup)
	group.Spec.SchedulingOptions = options
	objects, err := Build(group, Inputs{})
	if err != nil {
		return nil, err
	}
	return &objects.Deployment.Spec.Template.Spec, nil
}

func TestAdditions_UserWins(t *testing.T) {
	pod, err := buildWith(t, &v1alpha1.SchedulingOptions{
		PodTemplateAdditions: raw(`{"securityContext":{"runAsUser":1000},"hostNetwork":true,"serviceAccountName":"own","automountServiceAccountToken":true,"volumes":[{"name":"tmp","emptyDir":{"sizeLimit":"1Gi"}}]}`),
		ContainerTemplateAdditions: &v1alpha1.ContainerTemplateAdditions{Wasmcloud: raw(
			`{"readinessProbe":{"httpGet":{"path":"/readyz","port":8081}},"securityContext":{"capabilities":{"add":["NET_BIND_SERVICE"]}},"env":[{"name":"WASMCLOUD_LOG_LEVEL","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}}]}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if *pod.SecurityContext.RunAsUser != 1000 || !*pod.SecurityContext.RunAsNonRoot || pod.SecurityContext.Sysctls != nil {
		t.Errorf("pod security = %+v", pod.SecurityContext)
	}
	if pod.ServiceAccountName != "own" || !*pod.AutomountServiceAccountToken {
		t.Error("the user's service account did not win")
	}
	tmp := 0
	for _, v := range pod.Volumes {
		if v.Name == "tmp" {
			tmp++
			if v.EmptyDir.SizeLimit == nil {
				t.Error("the user's tmp volume did not win")
			}
		}
	}
	if tmp != 1 {
		t.Errorf("%d volumes tmp", tmp)
	}
	host := pod.Containers[0]
	if host.ReadinessProbe.Exec != nil || host.ReadinessProbe.HTTPGet == nil || host.StartupProbe.Exec == nil {
		t.Errorf("probes = %+v %+v", host.ReadinessProbe, host.StartupProbe)
	}
	if c := host.SecurityContext.Capabilities; len(c.Add) != 1 || len(c.Drop) != 1 {
		t.Errorf("capabilities = %+v", c)
	}
	for _, v := range host.Env {
		if v.Name == "WASMCLOUD_LOG_LEVEL" && (v.Value != "" || v.ValueFrom == nil) {
			t.Errorf("log level = %+v", v)
		}
	}
	if pod.InitContainers[1].RestartPolicy == nil {
		t.Error("the leaf is no native sidecar any more")
	}
}

// The time to drain follows from that which the pod may take; a hook of the user's own replaces ours.
func TestAdditions_Drain(t *testing.T) {
	for grace, want := range map[string]string{"60": "35s", "300": "4m35s", "30": "15s", "10": "5s", "0": "0s", "null": "15s"} {
		pod, err := buildWith(t, &v1alpha1.SchedulingOptions{PodTemplateAdditions: raw(`{"terminationGracePeriodSeconds":` + grace + `}`)})
		if err != nil {
			t.Fatal(err)
		}
		hook := strings.Join(pod.Containers[0].Lifecycle.PreStop.Exec.Command, " ")
		if hook != "/trellis/trellis-helper drain --lattice default --address 127.0.0.1:4222 --timeout "+want {
			t.Errorf("grace period %s: %s", grace, hook)
		}
	}
	host := func(text string) *v1alpha1.SchedulingOptions {
		return &v1alpha1.SchedulingOptions{ContainerTemplateAdditions: &v1alpha1.ContainerTemplateAdditions{Wasmcloud: raw(text)}}
	}
	pod, err := buildWith(t, host(`{"lifecycle":{"preStop":{"sleep":{"seconds":3}}}}`))
	if err != nil || pod.Containers[0].Lifecycle.PreStop.Exec != nil || pod.Containers[0].Lifecycle.PreStop.Sleep == nil {
		t.Errorf("the user's hook did not win: %v, %+v", err, pod)
	}
	if pod, err = buildWith(t, host(`{"lifecycle":{"postStart":{"sleep":{"seconds":3}}}}`)); err != nil || pod.Containers[0].Lifecycle.PreStop.Exec == nil {
		t.Errorf("another hook of the user replaces ours: %v, %+v", err, pod)
	}
}

// TestAdditions_More: a native sidecar, the seed that keeps a host's id, and arguments are added to ours.
func TestAdditions_More(t *testing.T) {
	pod, err := buildWith(t, &v1alpha1.SchedulingOptions{
		PodTemplateAdditions: raw(`{"initContainers":[{"name":"log-shipper","image":"x","restartPolicy":"Always"}],"containers":[{"name":"ignored","image":"x"}],"topologySpreadConstraints":[{"maxSkew":1,"topologyKey":"zone","whenUnsatisfiable":"ScheduleAnyway"}]}`),
		ContainerTemplateAdditions: &v1alpha1.ContainerTemplateAdditions{Wasmcloud: raw(
			`{"args":["--trace-level","DEBUG"],"env":[{"name":"WASMCLOUD_HOST_SEED","valueFrom":{"secretKeyRef":{"name":"seed","key":"seed"}}}]}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(pod.Containers) != 1 || len(pod.TopologySpreadConstraints) != 1 {
		t.Errorf("pod = %+v", pod)
	}
	sidecar, leaf := false, false
	for _, c := range pod.InitContainers {
		sidecar = sidecar || c.Name == "log-shipper" && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
		leaf = leaf || c.Name == v1alpha1.LeafContainer
	}
	if !sidecar || !leaf {
		t.Errorf("init containers = %+v", pod.InitContainers)
	}
	seeded := false
	for _, v := range pod.Containers[0].Env {
		seeded = seeded || v.Name == "WASMCLOUD_HOST_SEED" && v.ValueFrom.SecretKeyRef.Name == "seed"
	}
	if args := strings.Join(pod.Containers[0].Args, " "); !seeded || !strings.HasSuffix(args, "--trace-level DEBUG") {
		t.Errorf("seeded: %v, args = %s", seeded, args)
	}
}

func TestAdditions_Errors(t *testing.T) {
	host := func(text string) *v1alpha1.SchedulingOptions {
		return &v1alpha1.SchedulingOptions{ContainerTemplateAdditions: &v1alpha1.ContainerTemplateAdditions{Wasmcloud: raw(text)}}
	}
	nats := func(text string) *v1alpha1.SchedulingOptions {
		return &v1alpha1.SchedulingOptions{ContainerTemplateAdditions: &v1alpha1.ContainerTemplateAdditions{Nats: raw(text)}}
	}
	pod := func(text string) *v1alpha1.SchedulingOptions {
		return &v1alpha1.SchedulingOptions{PodTemplateAdditions: raw(text)}
	}
	for name, tc := range map[string]struct {
		options *v1alpha1.SchedulingOptions
		says    string
	}{
		"protected variable": {host(`{"env":[{"name":"WASMCLOUD_LATTICE","value":"x"}]}`), "WASMCLOUD_LATTICE"},
		"pod label":          {host(`{"env":[{"name":"WASMCLOUD_LABEL_kubernetes_pod_uid","value":"x"}]}`), "pod_uid"},
		"mount over helper":  {host(`{"volumeMounts":[{"name":"x","mountPath":"/trellis"}]}`), "/trellis"},
		"another name":       {host(`{"name":"x"}`), "wasmcloud-host"},
		"wrong type":         {host(`{"env":"x"}`), "not a container"},
		"leaf command":       {nats(`{"command":["sh"]}`), "command"},
		"leaf policy":        {nats(`{"restartPolicy":"Never"}`), "restartPolicy"},
		"volume":             {pod(`{"volumes":[{"name":"nats-data","emptyDir":{}}]}`), "nats-data"},
		"init container":     {pod(`{"initContainers":[{"name":"nats-leaf","image":"x"}]}`), "nats-leaf"},
		"a container less":   {pod(`{"initContainers":[{"$patch":"replace"}]}`), "container trellis-helper"},
		"all volumes less":   {pod(`{"volumes":[{"$patch":"replace"},{"name":"x","emptyDir":{}}]}`), "volume nats-config"},
		"a whole other pod":  {pod(`{"$patch":"replace","nodeSelector":{"a":"b"}}`), "volume nats-config"},
		"mounts less":        {host(`{"volumeMounts":[{"$patch":"replace"}]}`), "mount /tmp"},
		"variables less":     {host(`{"env":[{"$patch":"replace"}]}`), "variable WASMCLOUD_LATTICE"},
		"wrong pod":          {pod(`{"volumes":"x"}`), "not a pod spec"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := buildWith(t, tc.options)
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error = %v, want one that names %q", err, tc.says)
			}
		})
	}
}

func TestIgnoredFields(t *testing.T) {
	got := ignoredFields(&v1alpha1.SchedulingOptions{PodTemplateAdditions: raw(`{"spec":{"nodeSelector":{}},"nodeSelector":{"a":"b"}}`)})
	if !strings.Contains(got, `unknown field "spec"`) {
		t.Errorf("ignored = %q", got)
	}
}
