package natskeys_test

import (
	"testing"

	"github.com/trellis-operator/trellis/internal/natskeys"
)

func TestEnforces(t *testing.T) {
	for version, want := range map[string]bool{
		"": false, "2": false, "2.12": false, "2.x.9": false, "2.-1.0": false, "nonsense": false, "2.12.7.1": false,
		"2.10.29": false, "2.11.99": false, "2.12.6": false, "1.99.99": false, "2.12.7-RC.1": false,
		"2.12.7": true, "v2.12.7": true, "2.12.15": true, "2.14.0-RC.1": true, "2.15.2": true, "3.0.0": true,
	} {
		if got := natskeys.Enforces(version); got != want {
			t.Errorf("%q: %v, want %v", version, got, want)
		}
	}
}
