package lease

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/trellis-operator/trellis/internal/natsd"
)

const (
	envServer = "TRELLIS_TEST_LEASE_SERVER"
	envHolder = "TRELLIS_TEST_LEASE_HOLDER"
	acts      = "acts"
)

// TestStoppedProcess stops the process of the holder, as a debugger or a starved node does, and lets it run again when
// somebody else leads. A process can be stopped between its look at the lease and the message, so one late message is
// possible; no more.
func TestStoppedProcess(t *testing.T) {
	t.Parallel()
	server := natsd.Run(t, natsd.Options{})
	conn := connect(t, server.ClientURL(), nil)
	j := &journal{}
	terms := map[string]int{}
	if _, err := conn.Subscribe(acts, func(m *nats.Msg) {
		holder, term, _ := strings.Cut(string(m.Data), " ")
		if terms[holder+term] == 0 {
			terms[holder+term] = j.begin()
		}
		j.add(act{holder: holder, term: terms[holder+term], at: time.Now()})
	}); err != nil {
		t.Fatal(err)
	}
	children := map[string]*os.Process{}
	for _, name := range []string{"a", "b", "c"} {
		children[name] = startChild(t, server.ClientURL(), name)
	}
	for range 2 {
		now := j.next(t, j.len(), "somebody acts", func(act) bool { return true })
		if err := children[now.holder].Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		before := j.late()
		seen := j.len()
		j.next(t, seen, "another one acts", func(a act) bool { return a.holder != now.holder })
		if err := children[now.holder].Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		// A hundred acts of the new holder, while the old one wakes up.
		count := j.len() + 100
		eventually(t, "a hundred acts more", func() bool { return j.len() >= count })
		if n := j.late() - before; n > 1 {
			t.Errorf("%d acts of a stopped process after the next one had begun", n)
		}
	}
}

func startChild(t *testing.T, server, name string) *os.Process {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$", "-test.v")
	cmd.Env = append(os.Environ(), envServer+"="+server, envHolder+"="+name)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said sync.WaitGroup
	said.Add(1)
	var lines []string
	go func() {
		defer said.Done()
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			lines = append(lines, scanner.Text())
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGCONT)
		_ = in.Close() // the child ends with its input
		said.Wait()
		if err := cmd.Wait(); err != nil {
			t.Errorf("child %s: %v\n%s", name, err, strings.Join(lines, "\n"))
		}
	})
	return cmd.Process
}

// TestChild is the process that TestStoppedProcess starts; by itself it does nothing.
func TestChild(t *testing.T) {
	server, holder := os.Getenv(envServer), os.Getenv(envHolder)
	if server == "" {
		return // not a test of its own: the parent runs it in processes that it can stop
	}
	conn := connect(t, server, nil)
	l, err := New(quick(conn, holder))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		_, _ = os.Stdin.Read(make([]byte, 1))
		cancel()
	}()
	term := 0
	err = l.Hold(ctx, func(ctx context.Context) {
		term++
		ticker := time.NewTicker(3 * time.Millisecond)
		defer ticker.Stop()
		for ctx.Err() == nil {
			<-ticker.C
			if l.Valid() {
				_ = conn.Publish(acts, fmt.Appendf(nil, "%s %d", holder, term))
				_ = conn.FlushTimeout(time.Second)
			}
		}
	})
	if err != nil {
		t.Error(err)
	}
}
