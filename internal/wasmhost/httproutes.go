package wasmhost

import "net/http"

// routes find the component of a request: all of them, or by path, or by a header.
type routes struct {
	all    string
	header string
	exact  map[string]string
}

func (r routes) find(request *http.Request) (target string, refusal int) {
	if r.exact == nil {
		if r.all == "" {
			return "", http.StatusServiceUnavailable
		}
		return r.all, 0
	}
	key := request.URL.Path
	switch {
	case http.CanonicalHeaderKey(r.header) == "Host":
		key = request.Host
	case r.header != "":
		key = request.Header.Get(r.header)
	}
	if key == "" {
		return "", http.StatusBadRequest
	}
	target, ok := r.exact[key]
	if !ok {
		return "", http.StatusNotFound
	}
	return target, 0
}

// routes of the path and host modes: each link names the one path or host that it serves; the first wins.
func (s *httpServer) routes(links []httpLink) routes {
	r := routes{exact: map[string]string{}}
	if s.mode == modeHost {
		r.header = s.base.header
	}
	for _, l := range links {
		key, ok := l.settings[s.mode]
		if !ok {
			s.log.Info("A link names no "+s.mode+" and cannot be served", "link", l.name, "component", l.target)
			continue
		}
		if first, taken := r.exact[key]; taken {
			s.log.Info("Two links name the same "+s.mode, "link", l.name, s.mode, key, "served", first)
			continue
		}
		r.exact[key] = l.target
	}
	return r
}
