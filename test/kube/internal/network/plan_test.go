package network

import (
	"net/netip"
	"testing"
)

func TestOurs(t *testing.T) {
	for prefix, want := range map[string]bool{
		"10.217.0.0/24": true, "10.217.0.0/16": true, "10.218.3.0/24": true, "10.219.0.50/32": true,
		"10.0.0.0/8": false, "192.0.2.0/24": false, "10.216.0.0/16": false, "10.217.1.0/24": false,
	} {
		if got := Ours(netip.MustParsePrefix(prefix)); got != want {
			t.Errorf("%s: %v", prefix, got)
		}
	}
}

func TestNames_FitTheKernel(t *testing.T) {
	for _, name := range []string{Bridge, VethMachine(9), VethNode(9)} {
		if len(name) > 15 {
			t.Errorf("%s has more than 15 characters", name)
		}
	}
}
