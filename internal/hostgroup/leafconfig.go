package hostgroup

import (
	"fmt"
	"strings"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

const (
	leafConfigKey = "nats.conf"
	leafConfigDir = "/nats"
	leafStoreDir  = "/data"
)

// LeafConfig renders the configuration of the leaf. The paths are those of wasmCloud's operator, so that a pod of the
// old template that restarts during a take-over can use it as well.
func LeafConfig(spec *v1alpha1.WasmCloudHostConfigSpec, in Inputs) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Made by Trellis from the WasmCloudHostConfig; changes are overwritten.\n")
	fmt.Fprintf(&b, "# Only the containers of this pod reach the leaf: whoever reaches it has all rights of the lattice.\n")
	fmt.Fprintf(&b, "listen: \"127.0.0.1:%d\"\n", LeafPort)
	fmt.Fprintf(&b, "jetstream {\n  domain: %s\n  store_dir: %s\n}\n", quote(leafDomain(spec)), quote(leafStoreDir))
	fmt.Fprintf(&b, "leafnodes {\n  remotes: [\n    {\n      url: %s\n", quote(in.LeafURL))
	if in.CredentialsSecret != "" {
		fmt.Fprintf(&b, "      credentials: %s\n", quote(leafConfigDir+"/"+v1alpha1.CredentialsKey))
	}
	fmt.Fprintf(&b, "    }\n  ]\n}\n")
	return b.String()
}

func leafDomain(spec *v1alpha1.WasmCloudHostConfigSpec) string {
	if spec.LeafNodeDomain == "" {
		return "leaf"
	}
	return spec.LeafNodeDomain
}

// quote makes a string of NATS's configuration language, in which a value without quotes may be a variable or a number.
// Quotes and control characters are refused by validate, so a backslash is all that has to be escaped.
func quote(s string) string { return `"` + strings.ReplaceAll(s, `\`, `\\`) + `"` }
