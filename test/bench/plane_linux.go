package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/trellis-operator/trellis/test/bench/rig"
	"github.com/trellis-operator/trellis/test/controlplane"
	"github.com/trellis-operator/trellis/test/isolated"
)

// planes are what is measured with `trellis serve` in a control plane without nodes, in namespaces of its own.
func planes(o options) map[string]func(context.Context, string) ([]row, error) {
	return map[string]func(context.Context, string) ([]row, error){
		"exposure": isolate(o, "exposure", measureExposure), "hostgroups": isolate(o, "hostgroups", measureGroups),
		secretsName: isolate(o, secretsName, measureSecrets),
	}
}

// isolate runs a measurement in a process of its own and reads its rows.
func isolate(o options, name string, measure func(context.Context, *planeBench) error) func(context.Context, string) ([]row, error) {
	return func(ctx context.Context, dir string) ([]row, error) {
		if isolated.Inside() {
			b := &planeBench{size: planeSizeOf(o.short, o.long), dir: dir, short: o.short, secrets: name == secretsName}
			return b.inPlane(ctx, o.program, measure)
		}
		out := filepath.Join(dir, name+".jsonl")
		cmd, err := isolated.Again(ctx, "-only="+name, "-trellis="+o.program, fmt.Sprintf("-long=%t", o.long), "-out="+out)
		if err != nil {
			return nil, err
		}
		cmd.Env = append(cmd.Env, "TMPDIR="+dir) // what it leaves when it is killed goes with this folder
		cmd.Stderr = os.Stderr
		failed := cmd.Run()
		rows, err := readRows(out)
		if failed != nil {
			failed = fmt.Errorf("measure in namespaces of their own: %w; run as root, or allow users namespaces of their own", failed)
		}
		return rows, errors.Join(failed, err)
	}
}

func readRows(out string) (rows []row, err error) {
	file, err := os.Open(out)
	if err != nil {
		return nil, fmt.Errorf("read the rows: %w", err)
	}
	defer func() { _ = file.Close() }()
	for decoder := json.NewDecoder(bufio.NewReader(file)); ; {
		var r row
		if err := decoder.Decode(&r); errors.Is(err, io.EOF) {
			return rows, nil
		} else if err != nil {
			return rows, fmt.Errorf("read the rows: %w", err)
		}
		rows = append(rows, r)
	}
}

// planeBench is a control plane with a simulated lattice.
type planeBench struct {
	size    planeSize
	dir     string
	short   bool
	secrets bool // whether trellis serves them
	plane   *controlplane.Plane
	kube    kubernetes.Interface
	hosts   *rig.Simulator
	trellis rig.Usage
	audit   *audit
	pods    int
	ids     map[string]string // of hosts, by the names of their pods
	rows    []row
}

// inPlane starts a control plane and a lattice without hosts, measures, and ends them.
func (b *planeBench) inPlane(ctx context.Context, program string, measure func(context.Context, *planeBench) error) (rows []row, err error) {
	if err := isolated.Enter(); err != nil {
		return nil, err
	}
	if err := isolated.OwnAddresses(); err != nil {
		return nil, fmt.Errorf("own the addresses of pods: %w", err)
	}
	defer func() { err = errors.Join(err, b.stop()) }()
	if err := b.start(ctx, program); err != nil {
		return nil, err
	}
	if err := measure(ctx, b); err != nil {
		return b.rows, errors.Join(err, b.lastWords())
	}
	return b.rows, nil
}

func (b *planeBench) start(ctx context.Context, program string) error {
	assets, err := rig.Assets()
	if err != nil {
		return err
	}
	helm, err := rig.Helm()
	if err != nil {
		return err
	}
	if b.plane, err = controlplane.Start(ctx, controlplane.Options{
		Kubernetes: assets, Helm: helm, Chart: filepath.Join("charts", "trellis"), Bin: filepath.Dir(program), Dir: b.dir, Audit: true, Secrets: b.secrets,
	}); err != nil {
		return err
	}
	b.plane.Config.QPS = -1
	if b.kube, err = kubernetes.NewForConfig(b.plane.Config); err != nil {
		return fmt.Errorf("make a client of kube-apiserver: %w", err)
	}
	b.trellis = rig.Usage{PID: b.plane.TrellisPID()}
	b.audit = &audit{file: filepath.Join(b.dir, controlplane.KubeAuditLog), user: controlplane.User}
	b.hosts, err = rig.StartSimulator(ctx, b.dir, b.plane.NATS, 0, "--command-delay="+answerDelay, "--start-delay="+answerDelay, "--health-check=1h")
	return err
}

func (b *planeBench) stop() error {
	if b.hosts != nil {
		b.hosts.Stop()
	}
	if b.plane == nil {
		return nil
	}
	return b.plane.Stop()
}

func (b *planeBench) lastWords() error {
	text, err := os.ReadFile(filepath.Join(b.dir, "trellis.log"))
	if err != nil {
		return err
	}
	return fmt.Errorf("the end of its log:\n%s", text[max(0, len(text)-4000):])
}

func (b *planeBench) add(r row) {
	r.Load = loadAverage()
	b.rows = append(b.rows, r)
	fmt.Fprintf(os.Stderr, "  %s: %.4g %s\n", r.Name, r.Value, r.Unit)
}

func (b *planeBench) namespace(ctx context.Context, name string) error {
	_, err := b.kube.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("make namespace %s: %w", name, err)
	}
	return nil
}

// quiet waits until trellis has written nothing for a while.
func (b *planeBench) quiet(ctx context.Context, span time.Duration) (total writes, err error) {
	total = writes{of: map[string]int{}}
	for last := time.Now(); time.Since(last) < span; {
		found, err := b.audit.since()
		if err != nil {
			return total, err
		}
		if found.sum() > 0 {
			last = time.Now()
		}
		total.join(found)
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return total, fmt.Errorf("trellis does not come to rest: %w; it wrote %s", ctx.Err(), total)
		}
	}
	return total, nil
}

// rest lets everything be for a time, and adds what was written and used. It begins when nothing was written for a while.
func (b *planeBench) rest(ctx context.Context, what string, quiet, span time.Duration) error {
	if _, err := b.quiet(ctx, quiet); err != nil {
		return err
	}
	before, err := b.trellis.CPU()
	if err != nil {
		return err
	}
	select {
	case <-time.After(span):
	case <-ctx.Done():
		return ctx.Err()
	}
	after, err := b.trellis.CPU()
	if err != nil {
		return err
	}
	found, err := b.audit.since()
	if err != nil {
		return err
	}
	what = fmt.Sprintf("host groups: %s at rest for %s", what, span)
	b.add(atMost(row{Name: fmt.Sprintf("%s, writes (beside %d of leases)", what, found.leases), Value: float64(found.sum()), Unit: "writes"}, 0))
	if found.sum() > 0 {
		fmt.Fprintln(os.Stderr, "    that is", found)
	}
	b.add(row{Name: what + ", processor", Value: (after - before).Seconds(), Unit: "s"})
	b.add(row{Name: what + ", memory, highest so far", Value: float64(b.trellis.Peak()) / mib, Unit: "MiB"})
	return nil
}

func worst(took []time.Duration) time.Duration { return slices.Max(took) }
