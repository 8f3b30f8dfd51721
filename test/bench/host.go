package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/trellis-operator/trellis/internal/control"
	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/natsd"
	"github.com/trellis-operator/trellis/test/bench/rig"
)

const (
	benchLattice = "bench"
	requests     = 4000
	connections  = 16
	gib          = 1 << 30
	mib          = 1 << 20
)

// subject is a component to measure.
type subject struct {
	name, file, port, path string
}

// measureHost runs trellis-host with the small and the JavaScript component and asks them over HTTP.
func measureHost(ctx context.Context, dir string) ([]row, error) {
	hub, err := natsd.Start(natsd.Options{Port: natsd.RandomPort, StoreDir: filepath.Join(dir, "nats")})
	if err != nil {
		return nil, err
	}
	defer hub.Shutdown()
	host, err := startHost(ctx, hub.ClientURL(), dir)
	if err != nil {
		return nil, err
	}
	defer host.stop()
	var rows []row
	for _, s := range []subject{
		{"hello (small)", "examples/hello/component/hello.wasm", "28081", "/"},
		{"JavaScript", "test/fixtures/components/js/app.wasm", "28082", "/"},
		{"echo (small)", "test/fixtures/components/echo.wasm", "28083", "/"},
	} {
		if err := host.deploy(ctx, s); err != nil {
			return nil, fmt.Errorf("deploy %s: %w", s.name, err)
		}
		url := "http://127.0.0.1:" + s.port + s.path
		if strings.HasPrefix(s.name, "echo") {
			found, err := host.measureEcho(ctx, url)
			if err != nil {
				return nil, err
			}
			rows = append(rows, found...)
			continue
		}
		found, err := host.measureLoad(ctx, s.name, url)
		if err != nil {
			return nil, err
		}
		rows = append(rows, found...)
	}
	found, err := instantiateTime(ctx)
	return append(rows, found...), err
}

func (h *hostUnderTest) measureLoad(ctx context.Context, name, url string) ([]row, error) {
	if _, _, err := load(ctx, url, 200, 4); err != nil { // warm
		return nil, err
	}
	_, single, err := load(ctx, url, requests/4, 1)
	if err != nil {
		return nil, err
	}
	rate, many, err := load(ctx, url, requests, connections)
	if err != nil {
		return nil, err
	}
	return []row{
		{Name: name + ": requests/s, 16 connections", Value: rate, Unit: "1/s"},
		{Name: name + ": latency p50, 1 connection", Value: milli(single.p50), Unit: "ms"},
		{Name: name + ": latency p99, 1 connection", Value: milli(single.p99), Unit: "ms"},
		{Name: name + ": latency p50, 16 connections", Value: milli(many.p50), Unit: "ms"},
		{Name: name + ": latency p99, 16 connections", Value: milli(many.p99), Unit: "ms"},
		{Name: name + ": memory of the host after", Value: float64(h.memory()) / mib, Unit: "MiB"},
	}, nil
}

// measureEcho watches the host's memory while a large body passes through.
func (h *hostUnderTest) measureEcho(ctx context.Context, url string) ([]row, error) {
	stop, peak := h.watchMemory()
	took, err := echo(ctx, url, gib)
	stop()
	if err != nil {
		return nil, err
	}
	return []row{
		atMost(row{Name: "1 GiB body echoed: memory of the host, highest", Value: float64(*peak) / mib, Unit: "MiB"}, 200),
		{Name: "1 GiB body echoed: throughput", Value: gib / mib / took.Seconds(), Unit: "MiB/s"},
	}, nil
}

// hostUnderTest is a trellis-host of its own.
type hostUnderTest struct {
	cmd     *exec.Cmd
	control *control.Client
	conn    *nats.Conn
	id      string
}

func startHost(ctx context.Context, at, dir string) (*hostUnderTest, error) {
	_, port, _ := strings.Cut(strings.TrimPrefix(at, "nats://"), ":")
	h := &hostUnderTest{cmd: exec.Command("bin/trellis-host")}
	h.cmd.Env = append(os.Environ(), "WASMCLOUD_LATTICE="+benchLattice, "WASMCLOUD_NATS_PORT="+port,
		"WASMCLOUD_ALLOW_FILE_LOAD=true", "WASMCLOUD_LOG_LEVEL=WARN", "TRELLIS_CACHE_DIR="+filepath.Join(dir, "compiled"))
	h.cmd.Stderr = os.Stderr
	if err := h.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start bin/trellis-host: %w; `make build` builds it", err)
	}
	var err error
	if h.conn, err = nats.Connect(at); err != nil {
		h.stop()
		return nil, err
	}
	if h.control, err = control.New(h.conn, benchLattice, control.Options{Window: 200 * time.Millisecond}); err != nil {
		h.stop()
		return nil, err
	}
	return h, h.awaitID(ctx)
}

func (h *hostUnderTest) awaitID(ctx context.Context) error {
	deadline := time.Now().Add(30 * time.Second)
	for time.Now().Before(deadline) {
		pings, err := h.control.Ping(ctx)
		if err == nil && len(pings) == 1 {
			h.id = pings[0].ID
			return nil
		}
	}
	h.stop()
	return fmt.Errorf("trellis-host did not join the lattice within 30 s")
}

func (h *hostUnderTest) stop() {
	if h.conn != nil {
		h.conn.Close()
	}
	_ = h.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	_ = h.cmd.Wait()
}

// deploy starts a component behind an HTTP server and waits until it answers.
func (h *hostUnderTest) deploy(ctx context.Context, s subject) error {
	file, err := filepath.Abs(s.file)
	if err != nil {
		return err
	}
	id, server := "component"+s.port, "server"+s.port
	if err := h.control.PutConfig(ctx, "address"+s.port, lattice.Config{"address": "127.0.0.1:" + s.port}); err != nil {
		return err
	}
	if err := h.control.StartProvider(ctx, lattice.StartProvider{HostID: h.id, ProviderID: server, ProviderRef: lattice.BuiltinHTTPServer}); err != nil {
		return err
	}
	if err := h.control.PutLink(ctx, lattice.Link{SourceID: server, Target: id, Name: "default", WitNamespace: "wasi", WitPackage: "http",
		Interfaces: []string{"incoming-handler"}, SourceConfig: []string{"address" + s.port}}); err != nil {
		return err
	}
	if _, err := h.control.ScaleComponent(ctx, lattice.ScaleComponent{HostID: h.id, ComponentID: id, ComponentRef: "file://" + file, Count: 64}); err != nil {
		return err
	}
	deadline := time.Now().Add(2 * time.Minute)
	for {
		_, _, err := load(ctx, "http://127.0.0.1:"+s.port+s.path, 1, 1)
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// memory is the resident memory of the host, in bytes.
func (h *hostUnderTest) memory() int64 { return rig.Usage{PID: h.cmd.Process.Pid}.Memory() }

// watchMemory looks at the resident memory until stop is called; peak is the highest then.
func (h *hostUnderTest) watchMemory() (stop func(), peak *int64) {
	peak = new(int64)
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for {
			*peak = max(*peak, h.memory())
			select {
			case <-end:
				return
			case <-ticker.C:
			}
		}
	}()
	return func() { close(end); <-ended }, peak
}

// instantiateTime runs the Go benchmark of the engine, which has no HTTP in it.
func instantiateTime(ctx context.Context) ([]row, error) {
	out, err := exec.CommandContext(ctx, "go", "test", "-run=^$", "-bench=^BenchmarkInstantiate$", "./internal/wasmhost/engine").Output()
	if err != nil {
		return nil, fmt.Errorf("run the benchmark of the engine: %w\n%s", err, out)
	}
	var rows []row
	for _, line := range strings.Split(string(out), "\n") {
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "BenchmarkInstantiate/") {
			continue
		}
		ns, err := strconv.ParseFloat(fields[2], 64)
		if err != nil {
			return nil, fmt.Errorf("read %q: %w", line, err)
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(fields[0], "BenchmarkInstantiate/"), "-")
		rows = append(rows, row{Name: "instantiate, " + name, Value: ns / 1e6, Unit: "ms"})
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("the benchmark of the engine printed no figure:\n%s", out)
	}
	return rows, nil
}
