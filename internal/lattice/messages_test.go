package lattice

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// allEvents has one event of each kind, with members that the recorded traffic does not show.
var allEvents = []EventData{
	HostStarted{FriendlyName: "a-b-1", Labels: StringMap{"zone": "a"}, Version: "1.9.2"},
	HostHeartbeat{Inventory{HostID: testHost, Labels: StringMap{}, Components: List[ComponentDescription]{{ID: "c", Annotations: StringMap{}, Limits: map[string]string{LimitMaxMemory: "1"}}}, Providers: List[ProviderDescription]{}}},
	HostStopped{Labels: StringMap{"zone": "a"}},
	LabelsChanged{HostID: testHost, Labels: StringMap{"zone": "b"}},
	ComponentScaled{PublicKey: "M", Claims: &EventClaims{Issuer: "A", Tags: Tags{"a"}, Name: "hello", Version: "0.1.0", Revision: new(int32(3)), NotBeforeHuman: "never", ExpiresHuman: "never"}, Annotations: StringMap{AnnotationManagedBy: ManagedByWadm}, HostID: testHost, ImageRef: "r", MaxInstances: 5, ComponentID: "c"},
	ComponentScaleFailed{Annotations: StringMap{}, HostID: testHost, ImageRef: "r", MaxInstances: 1, ComponentID: "c", Error: "no"},
	ProviderStarted{HostID: testHost, ImageRef: "r", ProviderID: "p", Annotations: StringMap{}, InstanceID: "p", PublicKey: "p", LinkName: "default"},
	ProviderStartFailed{ProviderRef: "r", ProviderID: "p", HostID: testHost, Error: "no", LinkName: "default"},
	ProviderStopped{HostID: testHost, ProviderID: "p", Annotations: StringMap{}, Reason: "stop"},
	HealthCheckPassed{HostID: testHost, ProviderID: "p"},
	HealthCheckFailed{HostID: testHost, ProviderID: "p"},
	HealthCheckStatus{HostID: testHost, ProviderID: "p"},
	LinkSet{testLink},
	LinkSetFailed{Link: testLink, Error: MessageLinkConflict},
	LinkDeleted{SourceID: "s", Name: "default", WitNamespace: "wasi", WitPackage: "http"},
	ConfigSet{ConfigName: "c"},
	ConfigDeleted{ConfigName: "c"},
	UnknownEvent{Kind: "news", Raw: []byte(`{"x":1}`)},
}

var testLink = Link{SourceID: "s", Target: "t", Name: "default", WitNamespace: "wasi", WitPackage: "http",
	Interfaces: List[string]{"incoming-handler"}, SourceConfig: List[string]{}, TargetConfig: List[string]{"c"}}

func TestEvents(t *testing.T) {
	when := time.Date(2026, 2, 5, 1, 7, 51, 123456700, time.UTC)
	seen := map[EventKind]bool{}
	for _, data := range allEvents {
		in := Event{ID: EventID(when, [10]byte{1, 2, 3}), Host: testHost, Time: when, Data: data}
		seen[in.Kind()] = true
		wire, err := EncodeEvent(in)
		if err != nil {
			t.Fatal(err)
		}
		out, err := DecodeEvent(wire)
		if err != nil {
			t.Errorf("%s: %v", in.Kind(), err)
		}
		if diff := cmp.Diff(in, out); diff != "" {
			t.Errorf("%s (-in +out):\n%s", in.Kind(), diff)
		}
	}
	for kind := range eventDecoders {
		if !seen[kind] {
			t.Errorf("no example of %s", kind)
		}
	}
	// Id and time of a recorded event.
	recordedAt := time.Date(2026, 11, 23, 22, 38, 41, 429_491_063, time.UTC)
	if got := EventID(recordedAt, [10]byte{0x6a, 0xd8, 0x8b, 0x4a, 0xb7, 0x04, 0xc1, 0xf8, 0x7c, 0x34}); got != "01a20a8f-bb15-6ad8-8b4a-b704c1f87c34" {
		t.Errorf("event id %q", got)
	}
}

func TestEvents_Tolerated(t *testing.T) {
	for name, wire := range map[string]string{
		"time with offset": `{"specversion":"1.0","id":"1","type":"com.wasmcloud.lattice.config_set","source":"N","time":"2026-02-05T01:07:51+00:00","data":{"config_name":"c"}}`,
		"no time":          `{"specversion":"1.0","type":"com.wasmcloud.lattice.config_set","source":"N","data":{"config_name":"c","more":1}}`,
		"base64":           `{"specversion":"1.0","type":"com.wasmcloud.lattice.config_set","source":"N","data_base64":"eyJjb25maWdfbmFtZSI6ImMifQ=="}`,
	} {
		e, err := DecodeEvent([]byte(wire))
		if err != nil || e.Data != (ConfigSet{ConfigName: "c"}) || e.Host != "N" {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
}

func TestEvents_Errors(t *testing.T) {
	for name, wire := range map[string]string{
		"not JSON":      `{`,
		"no source":     `{"specversion":"1.0","type":"com.wasmcloud.lattice.config_set","data":{"config_name":"c"}}`,
		"other type":    `{"specversion":"1.0","type":"com.wadm.manifest_published","source":"wadm","data":{}}`,
		"other version": `{"specversion":"0.3","type":"com.wasmcloud.lattice.config_set","source":"N","data":{"config_name":"c"}}`,
		"no data":       `{"specversion":"1.0","type":"com.wasmcloud.lattice.config_set","source":"N"}`,
		"empty data":    `{"specversion":"1.0","type":"com.wasmcloud.lattice.component_scaled","source":"N","data":{}}`,
		"bad base64":    `{"specversion":"1.0","type":"com.wasmcloud.lattice.config_set","source":"N","data_base64":"?"}`,
	} {
		if e, err := DecodeEvent([]byte(wire)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
	if _, err := EncodeEvent(Event{Host: "N"}); err == nil {
		t.Error("an event without data was encoded")
	}
}

func TestDecode_Tolerated(t *testing.T) {
	old, err := Decode[Inventory]([]byte(`{"actors":[{"id":"a","image_ref":"r","max_instances":2}],"providers":[]}`))
	if err != nil || len(old.Components) != 1 || old.Components[0].MaxInstances != 2 {
		t.Errorf("old member name: %+v, %v", old, err)
	}
	stop, err := Decode[StopProvider]([]byte(`{"host_id":"N","provider_ref":"p"}`))
	if err != nil || stop.ProviderID != "p" {
		t.Errorf("old member name: %+v, %v", stop, err)
	}
	l, err := Decode[Link]([]byte(`{"source_id":"s","target":"t","wit_namespace":"wasi","wit_package":"http","interfaces":[]}`))
	if err != nil || l.Name != DefaultLinkName {
		t.Errorf("default link name: %+v, %v", l, err)
	}
	c, err := Decode[Claims]([]byte(`{"iss":"A","sub":"M","rev":"3","tags":"a,b","name":"n"}`))
	if diff := cmp.Diff(Claims{Issuer: "A", Subject: "M", Revision: "3", Tags: Tags{"a", "b"}, Name: "n"}, c); diff != "" || err != nil {
		t.Errorf("%s %v", diff, err)
	}
	r, err := Decode[Reply]([]byte(`{"success":true,"message":"x","response":null}`))
	if err != nil || r.Response != nil {
		t.Errorf("null response: %+v, %v", r, err)
	}
}

func TestDecode_Errors(t *testing.T) {
	for name, f := range map[string]func() error{
		"scale without id": func() error { _, err := Decode[ScaleComponent]([]byte(`{"count":1}`)); return err },
		"count of another case": func() error {
			c, err := Decode[ScaleComponent]([]byte(`{"component_id":"a","COUNT":3}`))
			return orNil(c.Count == 0, err)
		},
		"count too large": func() error {
			_, err := Decode[ScaleComponent]([]byte(`{"component_id":"a","count":4294967296}`))
			return err
		},
		"negative count":          func() error { _, err := Decode[ScaleComponent]([]byte(`{"component_id":"a","count":-1}`)); return err },
		"auction, no constraints": func() error { _, err := Decode[ComponentAuction]([]byte(`{"component_id":"a"}`)); return err },
		"label without value":     func() error { _, err := Decode[PutLabel]([]byte(`{"key":"a"}`)); return err },
		"config of numbers":       func() error { _, err := Decode[Config]([]byte(`{"a":1}`)); return err },
		"link without interfaces": func() error {
			_, err := Decode[ComponentSpec]([]byte(`{"url":"","links":[{"source_id":"s","target":"t","wit_namespace":"w","wit_package":"p"}]}`))
			return err
		},
		"trailing bytes": func() error { _, err := Decode[Reply]([]byte(`{"success":true}x`)); return err },
	} {
		if err := f(); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Decode[Config](make([]byte, MaxMessageBytes+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a message beyond the limit: %v", err)
	}
}

// orNil turns "was ignored as it must be" into the error that the table expects.
func orNil(ignored bool, err error) error {
	if ignored && err == nil {
		return ErrMalformed
	}
	return err
}

func TestEmptyIsNeverNull(t *testing.T) {
	for want, v := range map[string]any{
		`{"url":"","links":[]}`: ComponentSpec{},
		`{"component_id":"","component_ref":"","count":0,"host_id":"","config":[],"allow_update":false}`: ScaleComponent{},
		`{"component_id":"","component_ref":"","constraints":{}}`:                                        ComponentAuction{},
		`{"success":false,"message":"no"}`:                                                               Refused("no"),
		`{"a":"<&>"}`:                                                                                    StringMap{"a": "<&>"},
	} {
		if got, err := Encode(v); err != nil || string(got) != want {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
	}
}

func TestTexts(t *testing.T) {
	if !IsOtherRef(MessageOtherRef("a", "b", true)) || !IsOtherRef(MessageOtherRef("a", "b", false)) || IsOtherRef("") {
		t.Error("the notice about another image is not recognised")
	}
	text := MessageMissingConfig([]string{"c", "SECRET_x"})
	if text != "Failed to validate configuration and secrets. Configuration c not found in config store. Secret reference SECRET_x not found in config store. " ||
		!IsMissingConfig(text) || IsMissingConfig(MessageLinkConflict) {
		t.Errorf("%q", text)
	}
}

func TestRefs(t *testing.T) {
	for ref, want := range map[string]string{
		"oci://ghcr.io/x:1": "ghcr.io/x:1", "http://h/x": "h/x", "https://h/x": "h/x", BuiltinHTTPServer: "http-server",
		"file:///x": "/x", "ghcr.io/x:1": "ghcr.io/x:1",
	} {
		if got := NormalizeProviderRef(ref); got != want {
			t.Errorf("%s became %s, want %s", ref, got, want)
		}
	}
	if !IsBuiltin(BuiltinHTTPServer) || IsBuiltin("ghcr.io/x") {
		t.Error("builtin providers are not told apart")
	}
}

func TestHumanUptime(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0s", 5 * time.Second: "5s", 3725 * time.Second: "1h 2m 5s", 49 * time.Hour: "2days 1h", 24 * time.Hour: "1day"} {
		if got := HumanUptime(d); got != want {
			t.Errorf("%s became %q, want %q", d, got, want)
		}
	}
}
