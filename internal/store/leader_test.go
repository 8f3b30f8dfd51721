package store

import (
	"encoding/json"
	"testing"
)

// TestDeposed: which answers to STREAM.INFO come from a leader that can be believed.
func TestDeposed(t *testing.T) {
	for name, test := range map[string]struct {
		answer string
		want   bool
	}{
		"one server, alone":     {`{"config":{"num_replicas":1}}`, false},
		"one server, clustered": {`{"config":{"num_replicas":1},"cluster":{"leader":"a"}}`, false},
		"all heard":             {`{"config":{"num_replicas":3},"cluster":{"leader":"a","replicas":[{"active":900000000,"current":true},{"active":5,"current":false}]}}`, false},
		"one heard":             {`{"config":{"num_replicas":3},"cluster":{"leader":"a","replicas":[{"active":2900000000,"current":true},{"active":9000000000}]}}`, false},
		"one heard now":         {`{"config":{"num_replicas":3},"cluster":{"leader":"a","replicas":[{"active":0,"current":true},{"active":9000000000}]}}`, false},
		"none heard lately":     {`{"config":{"num_replicas":3},"cluster":{"leader":"a","replicas":[{"active":3000000000,"current":true},{"active":9000000000,"current":true}]}}`, true},
		"none ever heard":       {`{"config":{"num_replicas":3},"cluster":{"leader":"a","replicas":[{"active":0},{"active":0}]}}`, true},
		"no leader":             {`{"config":{"num_replicas":3},"cluster":{"replicas":[{"active":5,"current":true},{"active":5,"current":true},{"active":5}]}}`, true},
		"just elected":          {`{"ts":"2026-01-01T00:00:01Z","config":{"num_replicas":3},"cluster":{"leader":"a","leader_since":"2026-01-01T00:00:00.1Z","replicas":[{"active":5},{"active":5}]}}`, true},
		"elected a while ago":   {`{"ts":"2026-01-01T00:00:02Z","config":{"num_replicas":3},"cluster":{"leader":"a","leader_since":"2026-01-01T00:00:00.1Z","replicas":[{"active":5},{"active":5}]}}`, false},
		"one of five heard":     {`{"config":{"num_replicas":5},"cluster":{"leader":"a","replicas":[{"active":5},{"active":4000000000},{"active":4000000000},{"active":4000000000}]}}`, true},
		"two of five heard":     {`{"config":{"num_replicas":5},"cluster":{"leader":"a","replicas":[{"active":5},{"active":5},{"active":4000000000},{"active":4000000000}]}}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			state := &streamState{}
			if err := json.Unmarshal([]byte(test.answer), state); err != nil {
				t.Fatal(err)
			}
			if got := state.deposed(); got != test.want {
				t.Errorf("deposed: %t, want %t", got, test.want)
			}
		})
	}
}
