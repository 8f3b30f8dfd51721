package apiserver

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"k8s.io/apiserver/pkg/server/healthz"
)

// TestChecks: what the caller adds is a part of readiness, and of nothing else.
func TestChecks(t *testing.T) {
	w := prepare(t)
	var fails atomic.Bool
	w.serve(func(c *Config) {
		w.byCertificate(c)
		c.Checks = []healthz.HealthChecker{healthz.NamedCheck("more", func(*http.Request) error {
			if fails.Load() {
				return errors.New("not now")
			}
			return nil
		})}
	})
	fails.Store(true)
	if err := w.get("/readyz"); err == nil || !strings.Contains(err.Error(), "[-]more") {
		t.Errorf("/readyz: %v", err)
	}
	for _, path := range []string{"/readyz?exclude=more", "/livez"} {
		if err := w.get(path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}
