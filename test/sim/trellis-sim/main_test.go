package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/trellis-operator/trellis/internal/control"
	"github.com/trellis-operator/trellis/internal/natsd"
	"github.com/trellis-operator/trellis/test/sim"
)

// TestProgram runs the program: hosts come up, take steps from standard input, and the counters are its last line.
func TestProgram(t *testing.T) {
	url := natsd.Run(t, natsd.Options{}).ClientURL()
	ctx, stop := context.WithCancel(t.Context())
	in, steps := io.Pipe()
	out, write := io.Pipe()
	cmd := command()
	cmd.SetArgs([]string{"--nats", url, "--hosts", "5", "--zones", "2", "--labels", "kind=big", "--command-delay", "1ms..2ms", "--script", "-"})
	cmd.SetIn(in)
	cmd.SetOut(write)
	done := make(chan error, 1)
	go func() {
		done <- cmd.ExecuteContext(ctx)
		_ = write.Close()
	}()
	lines := bufio.NewScanner(out)
	next := func(want string) string {
		t.Helper()
		if !lines.Scan() || !strings.Contains(lines.Text(), want) {
			t.Fatalf("the program wrote %q, want %q", lines.Text(), want)
		}
		return lines.Text()
	}
	next("5 hosts are up")
	conn, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client, err := control.New(conn, "default", control.Options{Window: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	zones := func() string {
		t.Helper()
		hosts, err := client.Ping(ctx)
		if err != nil {
			t.Fatal(err)
		}
		count := map[string]int{}
		for _, h := range hosts {
			count[h.Labels["zone"]+h.Labels["kind"]]++
		}
		return fmt.Sprint(count)
	}
	if got := zones(); got != "map[0big:3 1big:2]" {
		t.Errorf("hosts by zone: %s", got)
	}
	for step, answer := range map[string]string{
		`{kill: {label: zone=1}}`: "done", `{wobble: {}}`: "error: ", `{"report":true}`: `"host.ping":1`,
	} {
		if _, err := io.WriteString(steps, step+"\n"); err != nil {
			t.Fatal(err)
		}
		next(answer)
	}
	if got := zones(); got != "map[0big:3]" {
		t.Errorf("hosts by zone after the kill: %s", got)
	}
	stop()
	var counts sim.Counts
	if err := json.Unmarshal([]byte(next("host.ping")), &counts); err != nil || counts.Commands["host.ping"] != 2 || counts.Events["host_started"] != 5 {
		t.Errorf("counters at the end: %+v, %v", counts, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
