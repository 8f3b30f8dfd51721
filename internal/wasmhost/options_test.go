package wasmhost_test

import (
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trellis-operator/trellis/internal/natsconn"
	"github.com/trellis-operator/trellis/internal/wasmhost"
)

func TestParseOptions(t *testing.T) {
	c, s, err := wasmhost.ParseOptions(
		[]string{"-x", "prod", "--label", "zone=flag", "--allow-latest", "--enable-provider-auction", "false", "--max-execution-time-ms", "2999"},
		[]string{"WASMCLOUD_LATTICE=env", "WASMCLOUD_LABEL_zone=env", "WASMCLOUD_LABEL_kubernetes.io/hostname=n1", "WASMCLOUD_NATS_HOST=::1",
			"WASMCLOUD_CTL_PORT=5222", "WASMCLOUD_RPC_TLS=true", "WASMCLOUD_HEARTBEAT_INTERVAL=7", "WASMCLOUD_LOG_LEVEL=DEBUG",
			"WASMCLOUD_OCI_ALLOWED_INSECURE=a:1,b", "TRELLIS_OCI_MIRRORS=ghcr.io=a:1/x", "WASMCLOUD_SECRETS_TOPIC=s", "WASMCLOUD_POLICY_TOPIC=p",
			"WASMCLOUD_LATTICE_PREFIX=old", "WASMCLOUD_EXPERIMENTAL_FEATURES=builtin_http_server,rpc-interface", "TRELLIS_SERVICE_HOST=10.0.0.1",
			"WASMCLOUD_OCI_REGISTRY=r", "WASMCLOUD_OCI_REGISTRY_USER=u", "WASMCLOUD_OCI_REGISTRY_PASSWORD=p", "PATH=/bin"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for what, pair := range map[string][2]any{
		"a flag wins":         {c.Lattice, "prod"},
		"labels":              {c.Labels, map[string]string{"zone": "flag", "kubernetes.io/hostname": "n1"}},
		"control address":     {c.Control.URLs, []string{"nats://[::1]:5222"}},
		"rpc address":         {c.RPC.URLs, []string{"tls://[::1]:4222"}},
		"heartbeat":           {c.Heartbeat, 7 * time.Second},
		"whole seconds":       {c.MaxExecution, 2 * time.Second},
		"component auction":   {c.ComponentAuction, true},
		"provider auction":    {c.ProviderAuction, false},
		"latest":              {c.Registries.AllowLatest, true},
		"insecure registries": {c.Registries.Insecure, []string{"a:1", "b"}},
		"mirror":              {c.Registries.Mirrors.Apply("ghcr.io/y:1"), "a:1/x/y:1"},
		"credentials":         {c.RegistryCredentials["r"].Username, "u"},
		"memory":              {c.MaxMemory, int64(wasmhost.DefaultMaxMemory)},
		"secrets":             {c.SecretsTopic, "s"},
		"log level":           {s.LogLevel, "debug"},
		"without effect":      {s.Ignored, []string{"WASMCLOUD_POLICY_TOPIC", "feature rpc-interface"}},
		"unknown":             {s.Unknown, []string{"WASMCLOUD_LATTICE_PREFIX"}},
	} {
		if diff := cmp.Diff(pair[1], pair[0]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
}

// TestParseOptions_Credentials: a JWT and a seed are never written to a file.
func TestParseOptions_Credentials(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("TMPDIR", folder)
	c, _, err := wasmhost.ParseOptions([]string{"--nats-jwt", "JWT", "--nats-seed", "SEED"}, nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, connection := range []natsconn.Config{c.Control, c.RPC} {
		content := string(connection.Creds)
		if connection.CredsFile != "" || !strings.Contains(content, "JWT-----\nJWT\n------END") || !strings.Contains(content, "SEED-----\nSEED\n------END") {
			t.Errorf("file %q, credentials %s", connection.CredsFile, content)
		}
	}
	left, err := os.ReadDir(folder)
	if err != nil || len(left) > 0 {
		t.Errorf("the seed lies on the disk: %v, %v", left, err)
	}
}

// TestParseOptions_Errors: everything wrong is told at once.
func TestParseOptions_Errors(t *testing.T) {
	_, _, err := wasmhost.ParseOptions([]string{"--lattice", "a.b", "--label", "x", "left over"},
		[]string{"WASMCLOUD_CTL_TLS=yes", "WASMCLOUD_NATS_PORT=http", "WASMCLOUD_OCI_REGISTRY=r", "TRELLIS_OCI_MIRRORS=x", "WASMCLOUD_TLS_CA_PATH=/gone",
			"WASMCLOUD_MAX_COMPONENTS=-1", "WASMCLOUD_SECRETS_TOPIC=a..b"}, io.Discard)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"lattice name", "--label", "left over", "neither true nor false", `"http"`, "need all of", "a mirror is written", "-1",
		"the secrets topic must be one or more words"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not mention %q:\n%v", want, err)
		}
	}
}
