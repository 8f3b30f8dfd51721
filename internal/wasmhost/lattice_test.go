package wasmhost_test

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/trellis-operator/trellis/internal/control"
	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/natsd"
	"github.com/trellis-operator/trellis/internal/ociwasm"
	"github.com/trellis-operator/trellis/internal/wasmhost"
)

// TestRegistry: a component comes from a registry that a mirror names, and credentials come by the lattice.
func TestRegistry(t *testing.T) {
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "bot" || password != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="r"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	credentials := func(string) (string, string, bool) { return "bot", "secret", true }
	if _, err := ociwasm.PushBytes(t.Context(), address+"/t/hello:0.1.0", []byte("\x00asm"), ociwasm.Options{Credentials: credentials}); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(c *wasmhost.Config) {
		c.Registries.Mirrors = ociwasm.Mirrors{{From: "ghcr.io/trellis-operator", To: address + "/t"}}
	})
	scale := func() {
		t.Helper()
		_, err := w.client.ScaleComponent(t.Context(), lattice.ScaleComponent{ComponentID: "hello", HostID: w.host, Count: 1,
			ComponentRef: "ghcr.io/trellis-operator/hello:0.1.0"})
		w.must(err)
	}
	scale()
	w.event(lattice.KindComponentScaleFailed, func(e lattice.Event) bool {
		return strings.Contains(e.Data.(lattice.ComponentScaleFailed).Error, "401")
	})
	w.must(w.conn.Publish("wasmbus.ctl.v1.default.registry.put", []byte(`{"`+address+`":{"username":"bot","password":"secret"}}`)))
	w.eventually("the component runs", func() bool {
		scale()
		i, err := w.client.HostInventory(t.Context(), w.host)
		return err == nil && len(i.Components) == 1 && i.Components[0].ImageRef == "ghcr.io/trellis-operator/hello:0.1.0"
	})
}

// TestNATSRestart: requests are answered while NATS is away, and afterwards the host takes part as before.
func TestNATSRestart(t *testing.T) {
	address := freeAddress(t)
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	options := natsd.Options{Port: port, StoreDir: t.TempDir()}
	server := natsd.Run(t, options)
	w := joinWorld(t, server.ClientURL(), nil)
	url := w.serve("app", program(t, "hi"), 1, nil)
	server.Shutdown()
	w.eventually("the loss is noticed", func() bool { return !w.client.Connected() })
	if status, _ := get(t, url); status != 200 {
		t.Errorf("without NATS: %d", status)
	}
	natsd.Run(t, options)
	w.eventually("the host answers again", func() bool {
		_, err := w.client.HostInventory(t.Context(), w.host)
		return err == nil
	})
	other := freeAddress(t)
	w.eventually("configuration can be put", func() bool {
		return w.client.PutConfig(t.Context(), "app-address", lattice.Config{"address": other}) == nil
	})
	w.must(w.client.DeleteLink(t.Context(), w.link("app").Key()))
	w.must(w.client.PutLink(t.Context(), w.link("app")))
	w.eventually("the listener follows the link again", func() bool {
		response, err := http.Get("http://" + other)
		if err == nil {
			_ = response.Body.Close()
		}
		return err == nil
	})
}

// TestTwoHosts: what one host is told about links and configuration reaches the other.
func TestTwoHosts(t *testing.T) {
	w := newWorld(t, nil)
	first := w.host
	w.startHost(nil)
	second := w.host
	hosts, err := w.client.Ping(t.Context())
	if err != nil || len(hosts) != 2 {
		t.Fatal(hosts, err)
	}
	url := w.serve("app", program(t, "hi"), 1, nil)
	if status, _ := get(t, url); status != 200 {
		t.Errorf("status %d", status)
	}
	for range 4 { // any host of the two may answer
		w.must(w.client.PutConfig(t.Context(), "shared", lattice.Config{"k": "v"}))
		if c, found, err := w.client.GetConfig(t.Context(), "shared"); err != nil || !found || c["k"] != "v" {
			t.Error(c, found, err)
		}
	}
	for _, host := range []string{first, second} {
		i, err := w.client.HostInventory(t.Context(), host)
		if err != nil || (len(i.Components) == 1) != (host == second) {
			t.Errorf("inventory of %s: %+v, %v", host, i, err)
		}
	}
	if text, _ := control.Refusal(w.client.StopHost(t.Context(), first, 0)); text != "" {
		t.Errorf("stop: %s", text)
	}
	w.event(lattice.KindHostStopped, func(e lattice.Event) bool { return e.Host == first })
}

// TestBucketsDeleted: a hand deletes the buckets that all hosts share. Requests are answered all the while; the host says
// what happened, makes the buckets again, and takes commands and follows what is put as before.
func TestBucketsDeleted(t *testing.T) {
	w := newWorld(t, nil)
	url := w.serve("app", program(t, "hi"), 1, nil)
	js, err := jetstream.New(w.conn)
	w.must(err)
	for _, name := range []func(string) (string, error){lattice.DataBucket, lattice.ConfigBucket} {
		bucket, err := name("default")
		w.must(err)
		w.must(js.DeleteKeyValue(t.Context(), bucket))
	}
	if status, _ := get(t, url); status != 200 {
		t.Errorf("without the buckets: %d", status)
	}
	other := freeAddress(t)
	w.must(w.client.PutConfig(t.Context(), "app-address", lattice.Config{"address": other}))
	w.must(w.client.PutLink(t.Context(), w.link("app")))
	if !w.log.contains("was deleted") {
		t.Error("the host does not say what happened")
	}
	config, found, err := w.client.GetConfig(t.Context(), "app-address")
	if err != nil || !found || config["address"] != other {
		t.Errorf("config = %v, %v, %v", config, found, err)
	}
	w.eventually("the host follows the new buckets", func() bool {
		response, err := http.Get("http://" + other)
		if err == nil {
			_ = response.Body.Close()
		}
		return err == nil
	})
}

// TestBucketsDeleted_Unasked: they are made again without any command, too.
func TestBucketsDeleted_Unasked(t *testing.T) {
	w := newWorld(t, frequently)
	js, err := jetstream.New(w.conn)
	w.must(err)
	bucket, err := lattice.ConfigBucket("default")
	w.must(err)
	w.must(js.DeleteKeyValue(t.Context(), bucket))
	w.eventually("the bucket is there", func() bool {
		_, err := js.KeyValue(t.Context(), bucket)
		return err == nil
	})
}

func frequently(c *wasmhost.Config) { c.Heartbeat = 200 * time.Millisecond }

// TestBucketsReplaced: somebody else was faster to make a bucket again. Its revisions begin anew, and none is missed.
func TestBucketsReplaced(t *testing.T) {
	w := newWorld(t, frequently)
	w.serve("app", program(t, "hi"), 1, nil)
	for range 5 {
		w.must(w.client.PutConfig(t.Context(), "app-more", lattice.Config{"k": "v"}))
	}
	js, err := jetstream.New(w.conn)
	w.must(err)
	bucket, err := lattice.ConfigBucket("default")
	w.must(err)
	w.must(js.DeleteKeyValue(t.Context(), bucket))
	kv, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: bucket})
	w.must(err)
	other := freeAddress(t)
	_, err = kv.PutString(t.Context(), "app-address", `{"address":"`+other+`"}`)
	w.must(err)
	w.eventually("the listener follows the new bucket", func() bool {
		w.must(w.client.PutLink(t.Context(), w.link("app"))) // configuration behind a link counts when the link is put
		response, err := http.Get("http://" + other)
		if err == nil {
			_ = response.Body.Close()
		}
		return err == nil
	})
}
