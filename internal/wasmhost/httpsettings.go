package wasmhost

import (
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/go-logr/logr"
)

// Routing modes of the HTTP server provider.
const (
	modeAddress = "address"
	modePath    = "path"
	modeHost    = "host"

	fallbackAddress = "0.0.0.0:8000"
)

var errTLSFiles = errors.New("tls_cert_file and tls_priv_key_file must be set both or neither")

// providerSettings come from the provider's own configuration; the names of its keys are lower case.
type providerSettings struct {
	mode           string
	defaultAddress string
	header         string
	listen         listenSettings // path and host mode
}

func readProviderSettings(config map[string]string) (providerSettings, error) {
	s := providerSettings{mode: modeAddress, defaultAddress: fallbackAddress, header: "host"}
	if v, ok := config["routing_mode"]; ok {
		s.mode = v
	}
	if s.mode != modeAddress && s.mode != modePath && s.mode != modeHost {
		return s, fmt.Errorf("unknown routing_mode: %s", s.mode)
	}
	if v, ok := config["default_address"]; ok {
		if err := checkAddress(v); err != nil {
			return s, err
		}
		s.defaultAddress = v
	}
	if v, ok := config["header"]; ok {
		s.header = v
	}
	if s.mode == modeAddress {
		return s, nil
	}
	var err error
	s.listen, err = readListenSettings(config, s.defaultAddress)
	return s, err
}

// checkAddress takes an IP address with a port: no names, no bare ports.
func checkAddress(address string) error {
	if _, err := netip.ParseAddrPort(address); err != nil {
		return fmt.Errorf("invalid address: %s: %w", address, err)
	}
	return nil
}

// listenSettings describe one listener; equal ones need not be opened again.
type listenSettings struct {
	address      string
	cacheControl string
	readonly     bool
	timeout      time.Duration
	certFile     string
	keyFile      string
	cors         corsSettings
}

// listenJSON is the form of config_json and config_b64.
type listenJSON struct {
	Address      string  `json:"address"`
	CacheControl string  `json:"cache_control"`
	ReadonlyMode bool    `json:"readonly_mode"`
	TimeoutMS    *uint64 `json:"timeout_ms"`
	CertFile     string  `json:"tls_cert_file"`
	KeyFile      string  `json:"tls_priv_key_file"`
	TLS          *struct {
		CertFile string `json:"cert_file"`
		KeyFile  string `json:"priv_key_file"`
	} `json:"tls"`
	corsJSON
	CORS *struct {
		Origins []string `json:"allowed_origins"`
		Headers []string `json:"allowed_headers"`
		Methods []string `json:"allowed_methods"`
		Exposed []string `json:"exposed_headers"`
		MaxAge  *uint64  `json:"max_age_secs"`
	} `json:"cors"`
}

// readListenSettings reads link source configuration (address mode) or provider configuration (path and host mode).
// Unlike upstream, the JSON form falls back to the provider's default address as well.
func readListenSettings(config map[string]string, defaultAddress string) (listenSettings, error) {
	values := map[string]string{}
	for k, v := range config {
		values[strings.ToLower(k)] = v
	}
	s, err := fromJSON(values)
	if err == nil && s == nil {
		s, err = fromStrings(values)
	}
	if err != nil {
		return listenSettings{}, err
	}
	if s.address == "" {
		s.address = defaultAddress
	}
	if err := checkAddress(s.address); err != nil {
		return listenSettings{}, err
	}
	if (s.certFile == "") != (s.keyFile == "") {
		return listenSettings{}, errTLSFiles
	}
	if s.certFile != "" {
		if _, err := tls.LoadX509KeyPair(s.certFile, s.keyFile); err != nil {
			return listenSettings{}, fmt.Errorf("load the certificate: %w", err)
		}
	}
	return *s, nil
}

func fromJSON(values map[string]string) (*listenSettings, error) {
	text, found := values["config_json"]
	if encoded, ok := values["config_b64"]; ok {
		decoded, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(encoded, "="))
		if err != nil {
			return nil, fmt.Errorf("config_b64: %w", err)
		}
		text, found = string(decoded), true
	}
	if !found {
		return nil, nil
	}
	var j listenJSON
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return nil, fmt.Errorf("config_json: %w", err)
	}
	s := &listenSettings{address: j.Address, cacheControl: j.CacheControl, readonly: j.ReadonlyMode, certFile: j.CertFile, keyFile: j.KeyFile}
	if j.TimeoutMS != nil {
		s.timeout = time.Duration(*j.TimeoutMS) * time.Millisecond
	}
	if j.TLS != nil {
		s.certFile, s.keyFile = j.TLS.CertFile, j.TLS.KeyFile
	}
	c := j.corsJSON
	if j.CORS != nil {
		c = corsJSON{j.CORS.Origins, j.CORS.Headers, j.CORS.Methods, j.CORS.Exposed, j.CORS.MaxAge}
	}
	s.cors = c.settings()
	return s, nil
}

func fromStrings(values map[string]string) (*listenSettings, error) {
	if port, ok := values["port"]; ok { // checked and otherwise ignored, as upstream does
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			//lint:ignore ST1005 upstream's text
			return nil, fmt.Errorf("Invalid port: %s", port)
		}
	}
	s := &listenSettings{address: values["address"], cacheControl: values["cache_control"],
		certFile: values["tls_cert_file"], keyFile: values["tls_priv_key_file"]}
	s.readonly, _ = strconv.ParseBool(values["readonly_mode"])
	if ms, err := strconv.ParseUint(values["timeout_ms"], 10, 32); err == nil {
		s.timeout = time.Duration(ms) * time.Millisecond
	}
	var err error
	s.cors, err = corsFromStrings(values)
	return s, err
}

func (s listenSettings) listen(server *http.Server, l net.Listener) error {
	if s.certFile != "" {
		return server.ServeTLS(l, s.certFile, s.keyFile)
	}
	return server.Serve(l)
}

// quiet sends the server's own complaints, mostly of clients that break off, to the debug log.
func quiet(log logr.Logger) *stdlog.Logger { return stdlog.New(logWriter{log.V(1)}, "", 0) }

type logWriter struct{ log logr.Logger }

func (w logWriter) Write(p []byte) (int, error) {
	w.log.Info("HTTP server", "text", strings.TrimSpace(string(p)))
	return len(p), nil
}
