package natskeys_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/natskeys"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestHostPermissions(t *testing.T) {
	full := func(s *v1alpha1.WasmCloudHostConfigSpec) {
		s.ConfigServiceEnabled = true
		s.SecretsTopicPrefix = "vault.secrets"
		s.PolicyService = &v1alpha1.PolicyService{Topic: "wasmcloud.policy", ChangesTopic: "wasmcloud.policy.changes"}
		s.NATS = &v1alpha1.NATS{Publish: []string{"orders.>", "prices.*.eur", "orders.>"}, Subscribe: []string{"news.*"}, Buckets: []string{"sessions"}}
	}
	for name, group := range map[string]*v1alpha1.WasmCloudHostConfig{
		"minimal": groupOf("team-a", "hosts.eu", nil),
		"full":    groupOf("team-a", "hosts", full),
	} {
		got, err := natskeys.HostPermissions(group, names)
		if err != nil {
			t.Fatal(err)
		}
		var text bytes.Buffer
		out := json.NewEncoder(&text)
		out.SetEscapeHTML(false)
		out.SetIndent("", "  ")
		if err := out.Encode(got); err != nil {
			t.Fatal(err)
		}
		path := "testdata/" + name + ".golden.json"
		if *update {
			write(t, path, text.Bytes())
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), text.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestHostPermissions_Errors(t *testing.T) {
	publish := func(subject string) func(*v1alpha1.WasmCloudHostConfigSpec) {
		return func(s *v1alpha1.WasmCloudHostConfigSpec) { s.NATS = &v1alpha1.NATS{Publish: []string{subject}} }
	}
	bucket := func(name string) func(*v1alpha1.WasmCloudHostConfigSpec) {
		return func(s *v1alpha1.WasmCloudHostConfigSpec) { s.NATS = &v1alpha1.NATS{Buckets: []string{name}} }
	}
	policy := func(topic string) func(*v1alpha1.WasmCloudHostConfigSpec) {
		return func(s *v1alpha1.WasmCloudHostConfigSpec) { s.PolicyService = &v1alpha1.PolicyService{Topic: topic} }
	}
	subscribe := func(subject string) func(*v1alpha1.WasmCloudHostConfigSpec) {
		return func(s *v1alpha1.WasmCloudHostConfigSpec) { s.NATS = &v1alpha1.NATS{Subscribe: []string{subject}} }
	}
	changes := func(topic string) func(*v1alpha1.WasmCloudHostConfigSpec) {
		return func(s *v1alpha1.WasmCloudHostConfigSpec) {
			s.PolicyService = &v1alpha1.PolicyService{ChangesTopic: topic}
		}
	}
	topic := func(prefix string) func(*v1alpha1.WasmCloudHostConfigSpec) {
		return func(s *v1alpha1.WasmCloudHostConfigSpec) { s.SecretsTopicPrefix = prefix }
	}
	control := func(prefix string) func(*v1alpha1.WasmCloudHostConfigSpec) {
		return func(s *v1alpha1.WasmCloudHostConfigSpec) { s.ControlTopicPrefix = prefix }
	}
	for _, tc := range []struct {
		change      func(*v1alpha1.WasmCloudHostConfigSpec)
		field, says string
	}{
		{publish(">"), "spec.nats.publish", "begins with a word"},
		{publish("*.x"), "spec.nats.publish", "begins with a word"},
		{publish("$JS.API.>"), "spec.nats.publish", "begins with a word"},
		{publish("a b"), "spec.nats.publish", "begins with a word"},
		{publish("a.>.b"), "spec.nats.publish", "begins with a word"},
		{publish("a..b"), "spec.nats.publish", "begins with a word"},
		{publish(""), "spec.nats.publish", "begins with a word"},
		{publish("wasmcloud.>"), "spec.nats.publish", "wasmcloud.secrets.>"},
		{publish("wasmcloud.*.team-b.hosts.v1alpha1.kube.get"), "spec.nats.publish", "wasmcloud.secrets.>"},
		{publish("wasmcloud.secrets.team-a.hosts.v1alpha1.kube.get"), "spec.nats.publish", "wasmcloud.secrets.>"},
		{publish("wasmbus.*.v1.default.host.stop.*"), "spec.nats.publish", "wasmbus.ctl.>"},
		{publish("wadm.api.default.>"), "spec.nats.publish", "wadm.>"},
		{subscribe("wasmcloud.secrets.>"), "spec.nats.subscribe", "wasmcloud.secrets.>"},
		{subscribe("wadm.api.default.model.list"), "spec.nats.subscribe", "wadm.>"},
		{subscribe("$JS.API.>"), "spec.nats.subscribe", "begins with a word"},
		{changes("wasmcloud.secrets.team-b.hosts.v1alpha1.kube.get"), "spec.policyService.changesTopic", "wasmcloud.secrets.>"},
		{policy("wasmcloud.secrets.team-b.hosts.v1alpha1.kube.get"), "spec.policyService.topic", "wasmcloud.secrets.>"},
		{policy("$JS.default.API.STREAM.CREATE.x"), "spec.policyService.topic", "begins with a word"},
		{topic("wasmcloud.secrets.team-b.hosts"), "spec.secretsTopicPrefix", "wasmcloud.secrets.team-a.hosts"},
		{topic("a.*"), "spec.secretsTopicPrefix", "without wildcards"},
		{topic("wadm"), "spec.secretsTopicPrefix", "wadm.>"},
		// What group default in a namespace called v1 asks would be heard by another.
		{control("wasmcloud.secrets"), "spec.controlTopicPrefix", "wasmcloud.secrets.>"},
		{control("wasmcloud.secrets.team-b"), "spec.controlTopicPrefix", "wasmcloud.secrets.>"},
		{control("wadm.api"), "spec.controlTopicPrefix", "wadm.>"},
		{bucket("TRELLIS_default"), "spec.nats.buckets", "to Trellis"},
		{bucket("CONFIGDATA_other"), "spec.nats.buckets", "to Trellis"},
		{bucket("a.>"), "spec.nats.buckets", "no name of a bucket"},
		{func(s *v1alpha1.WasmCloudHostConfigSpec) {
			s.ControlTopicPrefix, s.NATS = "acme.ctl", &v1alpha1.NATS{Publish: []string{"acme.>"}}
		}, "spec.nats.publish", "acme.ctl.>"},
	} {
		_, err := natskeys.HostPermissions(groupOf("team-a", "hosts", tc.change), names)
		var fault *natskeys.SpecError
		if !errors.As(err, &fault) || fault.Field() != tc.field || !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), "spec.secretName") {
			t.Errorf("error = %v, want one about %s that names %q", err, tc.field, tc.says)
		}
	}
	if _, err := natskeys.HostPermissions(groupOf("team-a", "hosts", func(s *v1alpha1.WasmCloudHostConfigSpec) { s.Lattice = "a.>" }), names); err == nil {
		t.Error("a lattice with a wildcard is taken")
	}
}

// TestHostPermissions_Lattices: whatever a lattice is called, its hosts reach neither commands nor secrets of others.
func TestHostPermissions_Lattices(t *testing.T) {
	for _, lattice := range []string{"wasmcloud", "wasmbus", "wadm", "trellis", "secrets", "_INBOX", "default"} {
		got, err := natskeys.HostPermissions(groupOf("team-a", "hosts", func(s *v1alpha1.WasmCloudHostConfigSpec) { s.Lattice = lattice }), names)
		if err != nil {
			t.Fatal(err)
		}
		for _, subject := range []string{
			"wasmbus.ctl.v1." + lattice + ".host.ping", "wadm.api." + lattice + ".model.put",
			"wasmcloud.secrets.v1alpha1.kube.get", "wasmcloud.secrets.team-b.hosts.v1alpha1.kube.get", "wasmcloud.secrets.wrpc.hosts.v1alpha1.kube.get",
		} {
			if matches(got.Pub.Allow, subject) {
				t.Errorf("hosts of lattice %s may publish to %s", lattice, subject)
			}
		}
	}
}

// TestHostPermissions_Captured looks at recorded traffic of upstream's host and wadm: hosts may send what hosts sent, and
// none of what wadm and wash did, and hear what they heard.
func TestHostPermissions_Captured(t *testing.T) {
	permissions, err := natskeys.HostPermissions(groupOf("default", "hosts", nil), names)
	if err != nil {
		t.Fatal(err)
	}
	// Requests of wadm and wash go to inboxes as well, so a line tells who sent it by its subject. Recorded without a domain,
	// writes to buckets are sent with one by hosts behind a leaf.
	ofHosts := regexp.MustCompile(`^(_INBOX\.|wasmbus\.(evt|rpc)\.|\$KV\.(LATTICEDATA|CONFIGDATA)_)`)
	seen := map[bool]int{}
	for _, subject := range captured(t) {
		host := ofHosts.MatchString(subject)
		seen[host]++
		if strings.HasPrefix(subject, "$KV.") {
			subject = "$JS.default.API." + subject
		}
		if got := matches(permissions.Pub.Allow, subject); got != host {
			t.Errorf("may hosts publish to %s: %v, want %v", subject, got, host)
		}
		heard := strings.HasPrefix(subject, "wasmbus.ctl.") || strings.HasPrefix(subject, "wasmbus.rpc.") || strings.HasPrefix(subject, "_INBOX.")
		if got := matches(permissions.Sub.Allow, subject); got != heard {
			t.Errorf("do hosts hear %s: %v, want %v", subject, got, heard)
		}
	}
	if seen[true] < 100 || seen[false] < 100 {
		t.Errorf("looked at %v subjects; that proves nothing", seen)
	}
}

func captured(t *testing.T) (subjects []string) {
	t.Helper()
	for _, name := range []string{"host-and-wadm", "wash-session"} {
		file, err := os.Open("../../test/fixtures/captured/" + name + ".jsonl")
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		lines := bufio.NewScanner(file)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var line struct{ Subject string }
			if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
				t.Fatal(err)
			}
			subjects = append(subjects, line.Subject)
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return subjects
}

// matches is how NATS compares a subject with a list.
func matches(list []string, subject string) bool {
	return slices.ContainsFunc(list, func(pattern string) bool {
		expression := regexp.QuoteMeta(pattern)
		expression = strings.ReplaceAll(expression, `\*`, `[^.]+`)
		expression = regexp.MustCompile(`>$`).ReplaceAllString(expression, `.+`)
		return regexp.MustCompile(fmt.Sprintf("^%s$", expression)).MatchString(subject)
	})
}
