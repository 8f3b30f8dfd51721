package store

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats-server/v2/logger"

	"github.com/trellis-operator/trellis/internal/natsd"
)

// serverEnv holds the options of the server that this program becomes.
const serverEnv = "TRELLIS_NATS_SERVER"

// serve is the server's process. It ends with its standard input, so that none outlives the tests.
func serve(text string) error {
	var options natsd.Options
	if err := json.Unmarshal([]byte(text), &options); err != nil {
		return fmt.Errorf("read the options of the server: %w", err)
	}
	options.Logger = logger.NewStdLogger(true, false, false, false, true)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // ends with the tests
		stop()
	}()
	server, err := natsd.Start(options)
	if err != nil {
		return err
	}
	fmt.Println(ready)
	<-ctx.Done()
	server.Shutdown()
	return nil
}

const ready = "ready"

// server is a nats-server as a process, started again and again at the same address.
type server struct {
	t       *testing.T
	options natsd.Options
	log     string
	cmd     *exec.Cmd
	stdin   io.Closer
}

// newServer makes a server that is not started yet. Without a port it gets one that stays its own.
func newServer(t *testing.T, o natsd.Options) *server {
	t.Helper()
	if o.Port == 0 {
		o.Port = freePorts(t, 1)[0]
	}
	if o.StoreDir == "" {
		o.StoreDir = filepath.Join(t.TempDir(), "jetstream")
	}
	s := &server{t: t, options: o, log: filepath.Join(t.TempDir(), "nats.log")}
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Logf("the end of the log of %s:\n%s", s.url(), s.tail(8))
		}
	})
	return s
}

// freePorts finds ports below those that the system gives to outgoing connections: nobody takes one while its server is
// down.
func freePorts(t *testing.T, n int) (ports []int) {
	t.Helper()
	const first, last = 20000, 32000
	for port := first + rand.IntN(last-first-1000); port < last && len(ports) < n; port++ {
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			_ = l.Close()
			ports = append(ports, port)
		}
	}
	if len(ports) < n {
		t.Fatalf("no %d ports are free between %d and %d", n, first, last)
	}
	return ports
}

func (s *server) url() string { return fmt.Sprintf("nats://127.0.0.1:%d", s.options.Port) }

// start starts the server and returns when it accepts connections.
func (s *server) start() {
	s.t.Helper()
	if err := s.tryStart(); err != nil {
		s.t.Fatalf("start the server on port %d: %v; its log ends with:\n%s", s.options.Port, err, s.tail(20))
	}
}

func (s *server) tryStart() error {
	options, err := json.Marshal(s.options)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), serverEnv+"="+string(options))
	cmd.Stderr = log
	if s.stdin, err = cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmd = cmd
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if lines.Text() == ready {
			return nil
		}
	}
	return fmt.Errorf("it ended: %w", s.wait())
}

// kill ends the server as a crash would, and returns when the process is gone.
func (s *server) kill() {
	s.signal(syscall.SIGKILL)
	_ = s.wait() // says that it was killed
}

// stop ends the server in good order.
func (s *server) stop() {
	s.signal(syscall.SIGTERM)
	_ = s.wait()
}

func (s *server) signal(what syscall.Signal) {
	if s.cmd != nil {
		_ = s.cmd.Process.Signal(what) // fails when it has ended
	}
}

func (s *server) wait() error {
	if s.cmd == nil {
		return nil
	}
	err := s.cmd.Wait()
	_ = s.stdin.Close()
	s.cmd = nil
	return err
}

// tail is the end of the server's log.
func (s *server) tail(lines int) string {
	text, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
