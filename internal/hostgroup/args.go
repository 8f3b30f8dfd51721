package hostgroup

import (
	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

// hostArgs returns the arguments of the host: telemetry, certificate authorities, labels that no variable can carry.
func hostArgs(s *v1alpha1.WasmCloudHostConfigSpec, in Inputs) []string {
	args := observabilityArgs(s.Observability)
	for _, a := range in.Authorities {
		for _, key := range a.Keys {
			args = append(args, "--tls-ca-path", authorityDir(a.Name)+"/"+key)
		}
	}
	return append(args, labelArgs(s.HostLabels)...)
}

// observabilityArgs gives the switches of single signals a value, which hosts 1.x demand, and leaves them out beside the
// switch for all of them, which they refuse.
func observabilityArgs(o *v1alpha1.Observability) []string {
	if o == nil {
		return nil
	}
	var args []string
	if o.Enable {
		args = append(args, "--enable-observability")
	}
	if o.Endpoint != "" {
		args = append(args, "--override-observability-endpoint", literal(o.Endpoint))
	}
	if o.Protocol != "" {
		args = append(args, "--observability-protocol", o.Protocol)
	}
	for _, signal := range []struct {
		name string
		*v1alpha1.Signal
	}{{"traces", o.Traces}, {"metrics", o.Metrics}, {"logs", o.Logs}} {
		if signal.Signal == nil {
			continue
		}
		if signal.Enable && !o.Enable {
			args = append(args, "--enable-"+signal.name+"=true")
		}
		if signal.Endpoint != "" {
			args = append(args, "--override-"+signal.name+"-endpoint", literal(signal.Endpoint))
		}
	}
	return args
}
