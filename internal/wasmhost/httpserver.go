package wasmhost

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/go-logr/logr"
)

const (
	readHeaderTimeout = 30 * time.Second
	idleTimeout       = 120 * time.Second
	// bindRetry is how often a port that is in use is tried again: it may belong to a host that is just ending.
	bindRetry = time.Second
	// requestGrace is how long requests that have begun may take when their listener is closed.
	requestGrace = 10 * time.Second
)

// httpLink is a link from the provider to a component, with the content of its source configuration.
type httpLink struct {
	name     string
	target   string
	settings map[string]string
}

// httpServer is the HTTP server provider.
type httpServer struct {
	log   logr.Logger
	serve func(component string, w http.ResponseWriter, r *http.Request)
	mode  string
	base  providerSettings
	// closing are the listeners that are closed and answer what came before.
	closing *sync.WaitGroup

	mu        sync.Mutex
	stopped   bool
	listeners map[string]*listener // by address
	fixed     *listener            // of the path and host modes
	retry     *time.Timer
	links     []httpLink
}

func newHTTPServer(config map[string]string, serve func(string, http.ResponseWriter, *http.Request), closing *sync.WaitGroup, log logr.Logger) (*httpServer, error) {
	base, err := readProviderSettings(config)
	if err != nil {
		return nil, err
	}
	s := &httpServer{log: log, serve: serve, mode: base.mode, base: base, closing: closing, listeners: map[string]*listener{}}
	if s.mode != modeAddress {
		if s.fixed, err = s.open(base.listen); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// setLinks makes the listeners what the links ask for. Listeners that stay the same are not touched.
func (s *httpServer) setLinks(links []httpLink) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return
	}
	s.links = links
	if s.mode != modeAddress {
		s.fixed.route(s.routes(links))
		return
	}
	wanted := s.wanted(links)
	for address, l := range s.listeners {
		if w, ok := wanted[address]; !ok || w.listen != l.settings {
			delete(s.listeners, address)
			l.close(context.Background(), s.closing)
		}
	}
	missing := false
	for address, w := range wanted {
		l := s.listeners[address]
		if l == nil {
			var err error
			if l, err = s.open(w.listen); err != nil {
				s.log.Error(err, "An address cannot be listened on; it is tried again", "address", address)
				missing = true
				continue
			}
			s.listeners[address] = l
			s.log.Info("The HTTP server listens", "address", l.address(), "component", w.target)
		}
		l.route(routes{all: w.target})
	}
	s.tryAgain(missing)
}

// tryAgain is called with the lock held.
func (s *httpServer) tryAgain(missing bool) {
	if s.retry != nil {
		s.retry.Stop()
		s.retry = nil
	}
	if missing {
		s.retry = time.AfterFunc(bindRetry, func() {
			s.mu.Lock()
			links := s.links
			s.mu.Unlock()
			s.setLinks(links)
		})
	}
}

type wantedListener struct {
	listen listenSettings
	target string
}

// wanted is a listener for each distinct address. Of several links with one address the first is served.
func (s *httpServer) wanted(links []httpLink) map[string]wantedListener {
	wanted := map[string]wantedListener{}
	for _, l := range links {
		listen, err := readListenSettings(l.settings, s.base.defaultAddress)
		if err != nil {
			s.log.Error(err, "A link cannot be served", "link", l.name, "component", l.target)
			continue
		}
		if first, taken := wanted[listen.address]; taken {
			s.log.Info("A link shares the address of another, which is served", "link", l.name, "address", listen.address, "served", first.target)
			continue
		}
		wanted[listen.address] = wantedListener{listen, l.target}
	}
	return wanted
}

// stop closes the listeners. Requests under way go on until ctx ends, at most; ended is closed then.
func (s *httpServer) stop(ctx context.Context) (ended <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	s.tryAgain(false)
	var all sync.WaitGroup
	if s.fixed != nil {
		all.Go(s.fixed.close(ctx, s.closing))
	}
	for _, l := range s.listeners {
		all.Go(l.close(ctx, s.closing))
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	return done
}

// listener is one open port.
type listener struct {
	settings listenSettings
	net      net.Listener
	server   *http.Server

	mu     sync.Mutex
	routes routes
}

func (s *httpServer) open(settings listenSettings) (*listener, error) {
	l := &listener{settings: settings}
	opened, err := net.Listen("tcp", settings.address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", settings.address, err)
	}
	l.net = opened
	handler := settings.wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		target, refusal := l.find(r)
		if refusal != 0 {
			http.Error(w, http.StatusText(refusal), refusal)
			return
		}
		s.serve(target, w, r)
	}))
	l.server = &http.Server{Handler: handler, Protocols: protocols(), ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout, ErrorLog: quiet(s.log)}
	go func() {
		if err := settings.listen(l.server, opened); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			s.log.Error(err, "A listener ended", "address", settings.address)
		}
	}()
	return l, nil
}

// protocols of listeners: HTTP/2 also without TLS, where a client begins with it, as those of gRPC do behind a gateway.
func protocols() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetHTTP2(true)
	p.SetUnencryptedHTTP2(true)
	return p
}

func (l *listener) address() string { return l.net.Addr().String() }

func (l *listener) route(r routes) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.routes = r
}

func (l *listener) find(r *http.Request) (target string, refusal int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.routes.find(r)
}

// close frees the port now and lets requests under way end, until ctx ends or their time is over; wait waits for that.
func (l *listener) close(ctx context.Context, closing *sync.WaitGroup) (wait func()) {
	_ = l.net.Close() // Shutdown would do it too, but later
	ended := make(chan struct{})
	closing.Go(func() {
		defer close(ended)
		ctx, cancel := context.WithTimeout(ctx, requestGrace)
		defer cancel()
		if l.server.Shutdown(ctx) != nil {
			_ = l.server.Close() // nothing to be done about requests that break off
		}
	})
	return func() { <-ended }
}
