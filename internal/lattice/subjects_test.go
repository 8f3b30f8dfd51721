package lattice

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const testHost = "NDUXUFQA4AGI22NWUSD6OG5RQPOOMRSFUEARFPF2BBKQNYALCPC7I73A"

func TestSubjects(t *testing.T) {
	s, err := NewSubjects("", "default")
	if err != nil {
		t.Fatal(err)
	}
	with := func(f func(string) (string, error), object string) string {
		t.Helper()
		subject, err := f(object)
		if err != nil {
			t.Fatal(err)
		}
		return subject
	}
	const base = "wasmbus.ctl.v1.default."
	for want, got := range map[string]string{
		base + "host.ping":                     s.HostPing(),
		base + "host.get." + testHost:          with(s.HostGet, testHost),
		base + "host.stop." + testHost:         with(s.HostStop, testHost),
		base + "label.put." + testHost:         with(s.LabelPut, testHost),
		base + "label.del." + testHost:         with(s.LabelDelete, testHost),
		base + "component.auction":             s.ComponentAuction(),
		base + "component.scale." + testHost:   with(s.ComponentScale, testHost),
		base + "component.update." + testHost:  with(s.ComponentUpdate, testHost),
		base + "component.refresh." + testHost: with(s.ComponentRefresh, testHost),
		base + "provider.auction":              s.ProviderAuction(),
		base + "provider.start." + testHost:    with(s.ProviderStart, testHost),
		base + "provider.stop." + testHost:     with(s.ProviderStop, testHost),
		base + "link.put":                      s.LinkPut(),
		base + "link.del":                      s.LinkDelete(),
		base + "link.get":                      s.LinkGet(),
		base + "config.put.hello_world-http":   with(s.ConfigPut, "hello_world-http"),
		base + "config.get.SECRET_a-b":         with(s.ConfigGet, "SECRET_a-b"),
		base + "config.del.c":                  with(s.ConfigDelete, "c"),
		base + "claims.get":                    s.ClaimsGet(),
		base + "registry.put":                  s.RegistryPut(),
	} {
		if want != got {
			t.Errorf("subject %q, want %q", got, want)
		}
		op, err := s.Parse(got)
		if err != nil || !strings.HasPrefix(got, base+op.Noun+"."+op.Verb) || !strings.HasSuffix(got, op.Object) {
			t.Errorf("%s taken apart: %+v, %v", got, op, err)
		}
	}
	other, err := NewSubjects("acme.ctl", "prod")
	if err != nil || other.HostPing() != "acme.ctl.v1.prod.host.ping" {
		t.Errorf("own prefix: %q, %v", other.HostPing(), err)
	}
}

func TestSubjects_Errors(t *testing.T) {
	for _, bad := range []string{"", "a.b", "a b", "*", ">", "a/b", "ü", strings.Repeat("a", 300), "a\r\nPUB x"} {
		if _, err := NewSubjects("", bad); !errors.Is(err, ErrInvalidName) {
			t.Errorf("lattice %q: %v", bad, err)
		}
		s, err := NewSubjects("", "default")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.HostGet(bad); !errors.Is(err, ErrInvalidName) {
			t.Errorf("host %q: %v", bad, err)
		}
	}
	for _, bad := range []string{".", "a..b", "a.*", "a.>", " a", "a."} {
		if _, err := NewSubjects(bad, "default"); !errors.Is(err, ErrInvalidName) {
			t.Errorf("prefix %q: %v", bad, err)
		}
	}
	s, err := NewSubjects("", "default")
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "wasmbus.ctl.v1.other.host.ping", "wasmbus.ctl.v1.default.host", "wasmbus.ctl.v1.default.host.get",
		"wasmbus.ctl.v1.default.config.put.a.b", "wasmbus.ctl.v1.default.host.dance.N", "wasmbus.ctl.v1.default.link.put.x"} {
		if op, err := s.Parse(bad); err == nil || err.Error() != MessageUnsupportedSubject {
			t.Errorf("%q gave %+v, %v", bad, op, err)
		}
	}
}

func TestHostSubscriptions(t *testing.T) {
	s, err := NewSubjects("", "d")
	if err != nil {
		t.Fatal(err)
	}
	subs, err := s.HostSubscriptions("N1", true, false)
	if err != nil {
		t.Fatal(err)
	}
	const p = "wasmbus.ctl.v1.d."
	want := []Subscription{
		{p + "host.ping", ""}, {p + "host.*.N1", ""}, {p + "label.*.N1", ""}, {p + "component.*.N1", ""},
		{p + "provider.*.N1", ""}, {p + "registry.put", ""}, {p + "link.*", p + "link"}, {p + "config.>", p + "config"},
		{p + "claims.get", p + "claims"}, {p + "component.auction", ""},
	}
	if diff := cmp.Diff(want, subs); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNames(t *testing.T) {
	for _, id := range []string{"app-hello", "two_zones-web", "a/b=c", "a.b"} {
		if err := ValidateID(id); err != nil {
			t.Error(err)
		}
	}
	for _, id := range []string{"", ".a", "a.", "a..b", "a b", "a>b", "ghcr.io/x:1", "é"} {
		if err := ValidateID(id); !errors.Is(err, ErrInvalidName) {
			t.Errorf("id %q: %v", id, err)
		}
	}
	if err := ValidateConfigName("a.b"); !errors.Is(err, ErrInvalidName) {
		t.Errorf("a configuration name with a dot: %v", err)
	}
}

func TestBuckets(t *testing.T) {
	data, err1 := DataBucket("default")
	config, err2 := ConfigBucket("default")
	component, err3 := ComponentKey("a-b")
	claims, err4 := ClaimsKey("MABC")
	if diff := cmp.Diff([]string{"LATTICEDATA_default", "CONFIGDATA_default", "COMPONENT_a-b", "CLAIMS_MABC"},
		[]string{data, config, component, claims}); diff != "" || errors.Join(err1, err2, err3, err4) != nil {
		t.Errorf("%s, %v", diff, errors.Join(err1, err2, err3, err4))
	}
	for key, want := range map[string]DataKey{"COMPONENT_a-b": {ComponentID: "a-b"}, "CLAIMS_V": {ClaimsSubject: "V"}} {
		if got, err := ParseDataKey(key); err != nil || got != want {
			t.Errorf("%s: %+v, %v", key, got, err)
		}
	}
	for _, key := range []string{"", "COMPONENT_", "LINKDEF_x", "REFMAP_y"} {
		if _, err := ParseDataKey(key); !errors.Is(err, ErrInvalidName) {
			t.Errorf("%q: %v", key, err)
		}
	}
}

func TestDrainSubject(t *testing.T) {
	if got, err := DrainSubject("default"); err != nil || got != "trellis.drain.default" {
		t.Errorf("%q, %v", got, err)
	}
	for _, name := range []string{"", "a.b", "*", "a b"} {
		if got, err := DrainSubject(name); err == nil {
			t.Errorf("%q makes %q", name, got)
		}
	}
}
