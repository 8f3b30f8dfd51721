package hostgroup

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

var update = flag.Bool("update", false, "rewrite golden files")

// loadGroup reads a host group as a user would write it, with the defaults of the schema.
func loadGroup(t *testing.T, text string) *v1alpha1.WasmCloudHostConfig {
	t.Helper()
	var group v1alpha1.WasmCloudHostConfig
	if err := yaml.UnmarshalStrict([]byte(text), &group); err != nil {
		t.Fatal(err)
	}
	group.UID = "11111111-2222-3333-4444-555555555555"
	group.Generation = 1
	s := &group.Spec
	s.LeafNodeDomain = orDefault(s.LeafNodeDomain, "leaf")
	s.JetstreamDomain = orDefault(s.JetstreamDomain, "default")
	s.LogLevel = orDefault(s.LogLevel, "INFO")
	return &group
}

const minimalGroup = `
apiVersion: k8s.wasmcloud.dev/v1alpha1
kind: WasmCloudHostConfig
metadata: {name: hosts, namespace: default}
spec: {lattice: default, version: 1.9.2}
`

func readInput(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name+".input.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestBuild_Golden(t *testing.T) {
	tests := map[string]struct {
		group string
		in    Inputs
	}{
		"minimal": {minimalGroup, Inputs{
			Images:   Images{Helper: "ghcr.io/trellis-operator/trellis:0.1.0"},
			LeafURLs: []string{"nats://nats.default.svc.cluster.local:7422"}}},
		"local-cluster": {minimalGroup, Inputs{
			Images: Images{Helper: "ghcr.io/trellis-operator/trellis:0.1.0", Host: "ghcr.io/trellis-operator/trellis-host:0.1.0",
				Leaf: "docker.io/library/nats:2.12-alpine", PullPolicy: "IfNotPresent",
				Mirrors: []Mirror{{Prefix: "ghcr.io/trellis-operator", Target: "registry.registry.svc:5000/trellis-operator", Insecure: true}}},
			LeafURLs: []string{"nats://trellis-nats.trellis-system.svc:7422"}, CredentialsSecret: "hosts-nats", Digest: "abc"}},
		"full": {readInput(t, "full"), Inputs{
			Images:            Images{Helper: "ghcr.io/trellis-operator/trellis:0.1.0", PullSecrets: []string{"regcred"}},
			LeafURLs:          []string{"nats://nats.nats.svc.cluster.local:7422"},
			CredentialsSecret: "edge-nats",
			Authorities: []Authority{
				{v1alpha1.CertificateAuthority{Name: "corp", ConfigMap: &v1alpha1.ConfigMapAuthority{Name: "corp-ca"}}, []string{"a.crt", "b.crt"}},
				{v1alpha1.CertificateAuthority{Name: "extra", Secret: &v1alpha1.SecretAuthority{SecretName: "extra-ca"}}, []string{"ca.crt"}}},
			Registry: &Registry{ConfigSecret: "registry", LoginSecret: "edge-registry"},
			Digest:   "def"}},
		"plant": {readInput(t, "plant"), Inputs{
			LeafURLs:     []string{"tls://nats-1.example.com:7422", "tls://nats-2.example.com:7422", "tls://nats-3.example.com:7422"},
			RemoteSecret: "plant-nats-login", Digest: "ghi"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			group := loadGroup(t, tc.group)
			if p := validate(group); p != nil {
				t.Fatalf("the group is not valid: %v", p)
			}
			objects, err := Build(group, tc.in)
			if err != nil {
				t.Fatal(err)
			}
			compareGolden(t, filepath.Join("testdata", name+".golden.yaml"), render(t, objects))
		})
	}
}

func render(t *testing.T, o Objects) string {
	t.Helper()
	var b strings.Builder
	list := []any{o.ServiceAccount, o.ConfigMap}
	if o.Deployment != nil {
		list = append(list, o.Deployment)
	}
	if o.DaemonSet != nil {
		list = append(list, o.DaemonSet)
	}
	if o.Budget != nil {
		list = append(list, o.Budget)
	}
	for _, object := range list {
		raw, err := yaml.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString("---\n")
		b.Write(raw)
	}
	return b.String()
}

func compareGolden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update rewrites it):\n%s", path, diff)
	}
}
