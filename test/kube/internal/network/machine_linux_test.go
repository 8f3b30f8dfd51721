package network

import "testing"

func TestIsOurs(t *testing.T) {
	for name, want := range map[string]bool{
		"trellis0": true, "trellis-n1": true, "trellis-n9p": true,
		"trellis1": false, "trellis-n": false, "trellis-nat": false, "trellis-n1x": false, "eth0": false,
	} {
		if got := isOurs(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
