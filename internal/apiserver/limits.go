package apiserver

import "time"

const (
	// http2Streams a connection may have: the client is a proxy that bundles many users.
	http2Streams = 1000
	// requestTimeout of everything but watches.
	requestTimeout = 60 * time.Second
	// watchGracePeriod is the time in which open watches are ended at shutdown.
	watchGracePeriod = time.Second
)
