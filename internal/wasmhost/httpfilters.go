package wasmhost

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/trellis-operator/trellis/internal/wasmhost/wasi"
)

// wrap puts what the settings ask for around the components: CORS, read-only mode, cache control and the time limit.
func (s listenSettings) wrap(next http.Handler) http.Handler {
	if s.timeout > 0 {
		next = s.limitTime(next)
	}
	if s.readonly {
		next = readOnly(next)
	}
	if s.cacheControl != "" {
		next = s.addCacheControl(next)
	}
	return s.cors.wrap(next)
}

func readOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			http.Error(w, "only GET and HEAD are allowed", http.StatusMethodNotAllowed)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s listenSettings) addCacheControl(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Cache-Control", s.cacheControl)
		next.ServeHTTP(w, r)
	})
}

// limitTime ends the component's request; the component is interrupted and the client gets 408 when nothing was sent.
func (s listenSettings) limitTime(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeoutCause(r.Context(), s.timeout, &wasi.TimeoutError{Status: http.StatusRequestTimeout, Text: "The request took longer than its link allows"})
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// corsSettings are strings, so that settings can be compared.
type corsSettings struct {
	origins, headers, methods, exposed string // comma separated; empty origins mean any
	maxAge                             uint64
}

type corsJSON struct {
	Origins []string `json:"cors_allowed_origins"`
	Headers []string `json:"cors_allowed_headers"`
	Methods []string `json:"cors_allowed_methods"`
	Exposed []string `json:"cors_exposed_headers"`
	MaxAge  *uint64  `json:"cors_max_age_secs"`
}

func (c corsJSON) settings() corsSettings {
	s := corsSettings{
		origins: strings.Join(c.Origins, ","), exposed: strings.Join(c.Exposed, ", "),
		headers: "accept, accept-language, content-type, content-language",
		methods: "GET, POST, PUT, DELETE, HEAD, OPTIONS",
		maxAge:  300,
	}
	if len(c.Headers) > 0 {
		s.headers = strings.Join(c.Headers, ", ")
	}
	if len(c.Methods) > 0 {
		s.methods = strings.Join(c.Methods, ", ")
	}
	if c.MaxAge != nil {
		s.maxAge = *c.MaxAge
	}
	return s
}

func corsFromStrings(values map[string]string) (corsSettings, error) {
	var c corsJSON
	for key, into := range map[string]*[]string{
		"cors_allowed_origins": &c.Origins, "cors_allowed_headers": &c.Headers,
		"cors_allowed_methods": &c.Methods, "cors_exposed_headers": &c.Exposed,
	} {
		if text, ok := values[key]; ok {
			if err := json.Unmarshal([]byte(text), into); err != nil {
				return corsSettings{}, fmt.Errorf("%s is no JSON array of strings: %w", key, err)
			}
		}
	}
	if n, err := strconv.ParseUint(values["cors_max_age_secs"], 10, 64); err == nil {
		c.MaxAge = &n
	}
	return c.settings(), nil
}

func (c corsSettings) allows(origin string) bool {
	return c.origins == "" || slices.Contains(strings.Split(c.origins, ","), origin)
}

// wrap answers preflight requests and marks responses to allowed origins. Requests without Origin pass untouched.
func (c corsSettings) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		if origin == "" {
			next.ServeHTTP(w, r)
			return
		}
		h := w.Header()
		h.Add("Vary", "Origin")
		if c.allows(origin) {
			h.Set("Access-Control-Allow-Origin", origin)
			if c.exposed != "" {
				h.Set("Access-Control-Expose-Headers", c.exposed)
			}
		}
		if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
			next.ServeHTTP(w, r)
			return
		}
		if c.allows(origin) {
			h.Set("Access-Control-Allow-Methods", c.methods)
			h.Set("Access-Control-Allow-Headers", c.headers)
			h.Set("Access-Control-Max-Age", strconv.FormatUint(c.maxAge, 10))
		}
		w.WriteHeader(http.StatusOK)
	})
}
