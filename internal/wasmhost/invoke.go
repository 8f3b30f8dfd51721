package wasmhost

import (
	"net/http"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// serveComponent answers a request with a component of this host.
func (h *Host) serveComponent(id string, w http.ResponseWriter, r *http.Request) {
	c := h.use(id)
	if c == nil {
		unavailable(w, "The component that this address is linked to does not run on this host.")
		return
	}
	defer c.code.done()
	if h.draining.Load() {
		w.Header().Set("Connection", "close") // the next request of the client goes to another host
	}
	if err := c.acquire(r.Context(), h.config.InstanceWait); err != nil {
		w.Header().Set("Retry-After", "1")
		unavailable(w, "All instances of the component are busy.")
		return
	}
	log := h.log.WithValues("component", id)
	call := Call{
		Config:           func() map[string]string { return h.data.merged(c.config) },
		Secret:           c.secret,
		MaxMemory:        h.config.MaxMemory,
		MaxTime:          h.config.MaxExecution,
		MaxCoreInstances: h.config.MaxCoreInstances,
		Log: func(level, context, message string) {
			log.Info("The component says", "level", level, "context", context, "text", message)
		},
		Done: func(err error) {
			c.release()
			if err != nil {
				log.Error(err, "A request failed in the component", "method", r.Method, "path", r.URL.Path)
			}
		},
	}
	if n, ok := c.limit(lattice.LimitMaxMemory); ok {
		call.MaxMemory = n
	}
	if n, ok := c.limit(lattice.LimitMaxExecutionTime); ok {
		call.MaxTime = time.Duration(n) * time.Second
	}
	c.code.Serve(w, r, call)
}

func unavailable(w http.ResponseWriter, text string) {
	http.Error(w, text, http.StatusServiceUnavailable)
}
