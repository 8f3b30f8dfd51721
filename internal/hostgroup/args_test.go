package hostgroup

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

// TestObservabilityArgs: hosts 1.x end at once when the switch of a signal has no value, or stands beside that for all.
func TestObservabilityArgs(t *testing.T) {
	on := &v1alpha1.Signal{Enable: true, Endpoint: "http://t:4318"}
	for name, tc := range map[string]struct {
		in   *v1alpha1.Observability
		want string
	}{
		"nothing":      {nil, ""},
		"all":          {&v1alpha1.Observability{Enable: true, Endpoint: "http://o:4318", Protocol: "grpc"}, "--enable-observability --override-observability-endpoint http://o:4318 --observability-protocol grpc"},
		"one":          {&v1alpha1.Observability{Endpoint: "http://o:4318", Traces: on}, "--override-observability-endpoint http://o:4318 --enable-traces=true --override-traces-endpoint http://t:4318"},
		"one of all":   {&v1alpha1.Observability{Enable: true, Endpoint: "http://o:4318", Logs: on}, "--enable-observability --override-observability-endpoint http://o:4318 --override-logs-endpoint http://t:4318"},
		"an expansion": {&v1alpha1.Observability{Endpoint: "http://$(POD_IP):4318"}, "--override-observability-endpoint http://$$(POD_IP):4318"},
	} {
		if diff := cmp.Diff(tc.want, strings.Join(observabilityArgs(tc.in), " ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestHostLabels: a label reaches the host by whatever way takes it, and a pod only where it may be there.
func TestHostLabels(t *testing.T) {
	long := strings.Repeat("x", 64)
	for name, tc := range map[string]struct {
		key, value    string
		env, arg, pod bool
	}{
		"plain":                    {"zone", "edge", true, false, true},
		"not a pod label's value":  {"note", "two words", true, false, false},
		"too long for a pod label": {"note", long, true, false, false},
		"not a variable's name":    {"topology.example.com/rack", "7", false, true, false},
		"set by Trellis":           {"kubernetes_pod_uid", "x", false, false, true},
	} {
		group := loadGroup(t, minimalGroup)
		group.Spec.HostLabels = map[string]string{tc.key: tc.value}
		if p := validate(group); p != nil {
			t.Errorf("%s: %v", name, p)
		}
		objects, err := Build(group, Inputs{})
		if err != nil {
			t.Fatal(err)
		}
		template := objects.Deployment.Spec.Template
		env := false
		for _, v := range template.Spec.Containers[0].Env {
			env = env || v.Name == labelEnvPrefix+tc.key && v.Value == tc.value
		}
		arg := strings.Contains(strings.Join(template.Spec.Containers[0].Args, " "), "--label "+tc.key+"="+tc.value)
		pod := template.Labels[v1alpha1.HostLabelPrefix+tc.key] == tc.value
		if env != tc.env || arg != tc.arg || pod != tc.pod {
			t.Errorf("%s: by variable %v, by argument %v, on the pod %v", name, env, arg, pod)
		}
	}
}
