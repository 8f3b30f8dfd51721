package wasmhost

import (
	"fmt"
	"net"
	"net/http"
	"time"
)

const adminTimeout = 5 * time.Second

type adminServer struct{ server *http.Server }

func (a adminServer) close() {
	if a.server != nil {
		_ = a.server.Close() // nothing to be done about probes that break off
	}
}

// serveAdmin answers /livez and /readyz, unlike upstream's to many clients at once.
func (h *Host) serveAdmin() (adminServer, error) {
	if h.config.Admin == "" {
		return adminServer{}, nil
	}
	listener, err := net.Listen("tcp", h.config.Admin)
	if err != nil {
		return adminServer{}, fmt.Errorf("listen for probes: %w", err)
	}
	s := &http.Server{Handler: http.HandlerFunc(h.probe), ReadHeaderTimeout: adminTimeout, IdleTimeout: adminTimeout}
	go func() { _ = s.Serve(listener) }() // ends with close
	return adminServer{s}, nil
}

func (h *Host) probe(w http.ResponseWriter, r *http.Request) {
	status, body := http.StatusOK, `{"status":"ok"}`
	switch {
	case r.URL.Path != "/livez" && r.URL.Path != "/readyz":
		http.Error(w, "not found", http.StatusNotFound)
		return
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	case r.URL.Path == "/readyz" && !h.ready.Load():
		status, body = http.StatusInternalServerError, `{"status":"failure"}`
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body))
}
