package apiserver

import (
	"net/http"
	"slices"
	"time"

	"k8s.io/apiserver/pkg/server"
)

const (
	// http2Streams a connection may have: the client is a proxy that bundles many users.
	http2Streams = 1000
	// requestTimeout of everything but watches.
	requestTimeout = 60 * time.Second
	// watchGracePeriod is the time in which open watches are ended at shutdown.
	watchGracePeriod = time.Second
	// defaultMaxReads and defaultMaxWrites are those of kube-apiserver.
	defaultMaxReads  = 400
	defaultMaxWrites = 200
)

// buildHandler puts the filters of k8s.io/apiserver around the API, with one exception: health is not counted among the
// requests in flight. Otherwise an overload would fail the probes, and the kubelet would end the replicas one after another
// while they do their best.
func buildHandler(api http.Handler, c *server.Config) http.Handler {
	limited := server.DefaultBuildHandlerChain(refuseDuplicates(api), c)
	unlimited := *c
	unlimited.MaxRequestsInFlight, unlimited.MaxMutatingRequestsInFlight = 0, 0
	health := server.DefaultBuildHandlerChain(api, &unlimited)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slices.Contains(healthPaths, r.URL.Path) {
			health.ServeHTTP(w, r)
			return
		}
		limited.ServeHTTP(w, r)
	})
}
