package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/storage/feature"
	"k8s.io/utils/clock"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/applications"
	"github.com/trellis-operator/trellis/internal/natsd"
	"github.com/trellis-operator/trellis/internal/store"
	"github.com/trellis-operator/trellis/internal/storemark"
)

func TestMain(m *testing.M) {
	feature.DefaultFeatureSupportChecker = store.FeatureSupport{} // as Run does
	os.Exit(m.Run())
}

const patience = 60 * time.Second

func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s: %v", patience, what, err)
		}
		time.Sleep(20 * time.Millisecond) // the pace of polling
	}
}

// installation is the API server, the orchestrator and wadm's API of one process, and a NATS server that can lose its disk.
type installation struct {
	t      *testing.T
	dir    string
	port   int
	nats   *natsd.Server
	dev    *dev
	parts  *parts
	client *applications.Client
	shelf  storemark.Shelf
	clock  clock.WithTicker
	// askAgain is the pause between two questions whether wadm still runs.
	askAgain time.Duration
}

func startInstallation(t *testing.T) *installation {
	t.Helper()
	return startInstallationAt(t, nil)
}

// startInstallationAt is one whose API goes by a clock; nil is the real one.
func startInstallationAt(t *testing.T, clock clock.WithTicker) *installation {
	t.Helper()
	i := &installation{t: t, dir: filepath.Join(t.TempDir(), "nats"), clock: clock}
	i.startNATS()
	t.Cleanup(func() { i.nats.Shutdown() })
	i.start(filepath.Join(t.TempDir(), "state"))
	return i
}

// startNATS starts the server, at the same address each time.
func (i *installation) startNATS() {
	i.t.Helper()
	options := natsd.Options{Port: natsd.RandomPort, StoreDir: i.dir, SyncAlways: true}
	if i.port != 0 {
		options.Port = i.port
	}
	var err error
	if i.nats, err = natsd.Start(options); err != nil {
		i.t.Fatal(err)
	}
	u, err := url.Parse(i.nats.ClientURL())
	if err != nil {
		i.t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(u.Host)
	if err == nil {
		i.port, err = strconv.Atoi(port)
	}
	if err != nil {
		i.t.Fatal(err)
	}
}

// loseVolume ends the server, and starts one without what the other had.
func (i *installation) loseVolume() {
	i.t.Helper()
	i.nats.Shutdown()
	if err := os.RemoveAll(i.dir); err != nil {
		i.t.Fatal(err)
	}
	i.startNATS()
}

func (i *installation) start(stateDir string) {
	i.t.Helper()
	state, err := openDevState(stateDir)
	if err != nil {
		i.t.Fatal(err)
	}
	i.t.Cleanup(func() { _ = state.close() })
	i.parts = newParts()
	i.dev = &dev{
		options: devOptions{stateDir: stateDir, natsURL: i.nats.ClientURL(), noHost: true}, state: state, parts: i.parts, clock: i.clock, askAgain: i.askAgain,
	}
	i.t.Cleanup(func() {
		if err := i.parts.stop(); err != nil {
			i.t.Errorf("stop: %v", err)
		}
	})
	for _, step := range []func(context.Context) error{i.dev.startNATS, i.dev.startAPI, i.dev.startOrchestration} {
		if err := step(i.t.Context()); err != nil {
			i.t.Fatal(err)
		}
	}
	if i.client, err = applications.NewClient(i.dev.adminConfig); err != nil {
		i.t.Fatal(err)
	}
	i.shelf = storeShelf(state, i.dev.options.natsURL)
}

func (i *installation) access() *storeAccess {
	return &storeAccess{stateDir: i.dev.state.dir, natsURL: i.dev.options.natsURL}
}

const numbered = `{"apiVersion":"core.oam.dev/v1beta1","kind":"Application","metadata":{"name":"app-%[1]d","namespace":"default"},"spec":{"components":[
 {"name":"main","type":"component","properties":{"image":"ghcr.io/acme/main:1"},"traits":[{"type":"spreadscaler","properties":{"instances":1}}]},
 {"name":"http","type":"capability","properties":{"image":"ghcr.io/wasmcloud/http-server:0.27.0"},"traits":[{"type":"link","properties":{
  "target":{"name":"main"},"namespace":"wasi","package":"http","interfaces":["incoming-handler"],
  "source":{"config":[{"name":"address","properties":{"address":"0.0.0.0:%[2]d"}}]}}}]}]}}`

// apply applies the applications from..to-1, as `trellis dev --apply` does.
func (i *installation) apply(from, to int) {
	i.t.Helper()
	var all []string
	for n := from; n < to; n++ {
		all = append(all, fmt.Sprintf(numbered, n, 8000+n))
	}
	file := filepath.Join(i.t.TempDir(), "apps.yaml")
	if err := os.WriteFile(file, []byte(strings.Join(all, "\n---\n")), 0o600); err != nil {
		i.t.Fatal(err)
	}
	if _, _, err := applyFile(i.t.Context(), i.dev.adminConfig, file); err != nil {
		i.t.Fatal(err)
	}
}

// deployed waits until there are exactly so many applications and all of them are deployed.
func (i *installation) deployed(want int) []oam.Application {
	i.t.Helper()
	var items []oam.Application
	eventually(i.t, fmt.Sprintf("%d applications are deployed", want), func() error {
		list, err := i.client.In("default").List(i.t.Context(), metav1.ListOptions{})
		if err != nil {
			return err
		}
		if items = list.Items; len(items) != want {
			return fmt.Errorf("there are %d", len(items))
		}
		for _, app := range items {
			if app.Status.Phase != oam.PhaseDeployed || app.Status.ObservedGeneration != app.Generation {
				return fmt.Errorf("%s is %s: %v", app.Name, app.Status.Phase, app.Status.Conditions)
			}
		}
		return nil
	})
	return items
}

// storeChanged waits until the API says so.
func (i *installation) storeChanged() {
	i.t.Helper()
	eventually(i.t, "the API answers StoreChanged", func() error {
		_, err := i.client.In("default").Get(i.t.Context(), "app-1", metav1.GetOptions{})
		if apierrors.HasStatusCause(err, store.CauseStoreChanged) && apierrors.IsServiceUnavailable(err) {
			return nil
		}
		return fmt.Errorf("it answers %w", err)
	})
}

// onRecord waits until what can be accepted is on record, and is of an identity or not.
func (i *installation) onRecord(empty bool) {
	i.t.Helper()
	eventually(i.t, "the problem is on record", func() error {
		record, _, err := i.shelf.Load(i.t.Context())
		if err == nil && (record.Problem == "" || (record.Found.Identity == "") != empty) {
			err = fmt.Errorf("the record is %+v", record)
		}
		return err
	})
}

// quiet lets a host live for a while and fails when any command reaches it: longer than a lease takes to be won again and
// the lattice to be looked at.
func (i *installation) quiet(h *simulated, since int) {
	i.t.Helper()
	for end := time.Now().Add(8 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if sent := h.sent(since); len(sent) > 0 {
			i.t.Fatalf("%d commands reached the host, the first is %q", len(sent), sent[0])
		}
	}
}

// orphans looks for what runs for nobody, as trellis check --orphans does: a component and a provider of each application.
func (i *installation) orphans(want int) {
	i.t.Helper()
	known, err := applicationsByLattice(i.t.Context(), i.client)
	if err != nil {
		i.t.Fatal(err)
	}
	found, err := i.dev.lattices.orphans(i.t.Context(), devLattice, known[devLattice])
	if err != nil || len(found) != 2*want {
		i.t.Fatalf("orphans are %v, %v", found, err)
	}
	var out bytes.Buffer
	printOrphans(&out, devLattice, found)
	if !strings.Contains(out.String(), "app-15") || strings.Contains(out.String(), "app-5") {
		i.t.Errorf("the list is\n%s", &out)
	}
}

// TestRecovery_OldBackup: 20 applications run, the volume is lost, a backup that knows 10 of them is restored. No command
// reaches a host before accept; after it, without a restart, the 10 converge and what the others run is left alone.
func TestRecovery_OldBackup(t *testing.T) {
	t.Parallel()
	i := startInstallation(t)
	host := simulate(t, i.nats.ClientURL())
	i.apply(0, 10)
	i.deployed(10)
	file := filepath.Join(t.TempDir(), "backup")
	links, err := i.access().connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer links.close()
	var report bytes.Buffer
	if err := backupTo(t.Context(), links, file, &report); err != nil || !strings.Contains(report.String(), "ledger of lattice default") {
		t.Fatalf("backup: %v\n%s", err, &report)
	}
	i.apply(10, 20)
	before := i.deployed(20)
	count := len(host.sent(0))
	last := newest(t, before)

	i.loseVolume()
	i.storeChanged()
	i.onRecord(true)
	i.quiet(host, count)

	restored := restoring{connect: i.access().connect, shelf: i.shelf, file: open(t, file), out: &report}
	if err := runRestore(t.Context(), restored); err != nil {
		t.Fatalf("restore: %v\n%s", err, &report)
	}
	i.storeChanged()
	i.onRecord(false)
	i.quiet(host, count)

	if err := runAccept(t.Context(), i.shelf, &report); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the 10 are wired again: the lattice's buckets were lost, too", func() error {
		if sent := host.sent(count); len(sent) < 20 { // a configuration and a link each
			return fmt.Errorf("only %d commands were sent", len(sent))
		}
		return nil
	})
	after := i.deployed(10)
	if oldest := oldestOf(t, after); oldest <= last {
		t.Errorf("resourceVersion %d comes again: %d was served before", oldest, last)
	}
	uids := map[string]string{}
	for _, app := range before {
		uids[app.Name] = string(app.UID)
	}
	for _, app := range after {
		if uids[app.Name] != string(app.UID) {
			t.Errorf("%s has another uid", app.Name)
		}
	}
	for _, command := range host.sent(count) {
		if strings.HasPrefix(command, "component.") || strings.HasPrefix(command, "provider.") || strings.HasSuffix(command, ".del") {
			t.Errorf("after accept, %q touches what runs", command)
		}
	}
	if components, providers := host.runs(); components != 20 || providers != 20 {
		t.Errorf("the host runs %d components and %d providers, want 20 of each", components, providers)
	}
	i.orphans(10)
	i.apply(20, 21)
	i.deployed(11)
	t.Log(report.String())
}

// TestRecovery_Nothing: the volume is lost and there is no backup; an empty store is accepted, and Git applies again.
func TestRecovery_Nothing(t *testing.T) {
	t.Parallel()
	i := startInstallation(t)
	host := simulate(t, i.nats.ClientURL())
	i.apply(0, 3)
	i.deployed(3)
	count := len(host.sent(0))
	i.loseVolume()
	i.storeChanged()
	i.onRecord(true)
	if err := runAccept(t.Context(), i.shelf, &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	i.deployed(0)
	i.quiet(host, count)
	i.apply(0, 3)
	i.deployed(3)
	if components, providers := host.runs(); components != 3 || providers != 3 {
		t.Errorf("the host runs %d components and %d providers, want 3 of each", components, providers)
	}
	for _, command := range host.sent(count) {
		if strings.HasPrefix(command, "component.") || strings.HasPrefix(command, "provider.") {
			t.Errorf("%q touches what runs already", command)
		}
	}
}

// TestRestore_Refused: what can't be restored changes nothing.
func TestRestore_Refused(t *testing.T) {
	t.Parallel()
	i := startInstallation(t)
	i.apply(0, 2)
	links, err := i.access().connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer links.close()
	file := filepath.Join(t.TempDir(), "backup")
	if err := backupTo(t.Context(), links, file, &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	if err := backupTo(t.Context(), links, file, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "exists") {
		t.Errorf("a second backup into the same file: %v", err)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 1
	for name, tc := range map[string]struct {
		content []byte
		says    string
	}{
		"not empty": {whole, "--replace"},
		"truncated": {whole[:len(whole)-10], "whole backup"},
		"half":      {whole[:len(whole)/2], "whole backup"},
		"flipped":   {flipped, "whole backup"},
		"longer":    {append(bytes.Clone(whole), 'x'), "whole backup"},
		"empty":     {nil, "whole backup"},
		"a tar":     {[]byte(strings.Repeat("ustar\x00", 100)), "whole backup"},
	} {
		t.Run(name, func(t *testing.T) {
			replace := tc.says != "--replace"
			err := runRestore(t.Context(), restoring{
				connect: i.access().connect, shelf: i.shelf, file: bytes.NewReader(tc.content), replace: replace, out: &bytes.Buffer{},
			})
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error = %v", err)
			}
		})
	}
	if list, err := i.client.In("default").List(t.Context(), metav1.ListOptions{}); err != nil || len(list.Items) != 2 {
		t.Errorf("the store was touched: %v", err)
	}

	// With the right file, --replace replaces.
	i.apply(2, 3)
	var out bytes.Buffer
	if err := runRestore(t.Context(), restoring{connect: i.access().connect, shelf: i.shelf, file: open(t, file), replace: true, out: &out}); err != nil {
		t.Fatal(err)
	}
	i.storeChanged()
	i.onRecord(false)
	if err := runAccept(t.Context(), i.shelf, &out); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what was backed up is there", func() error {
		list, err := i.client.In("default").List(t.Context(), metav1.ListOptions{})
		if err == nil && len(list.Items) != 2 {
			err = fmt.Errorf("there are %d", len(list.Items))
		}
		return err
	})
}

// TestRestore_StandardInput: a pod gets the file that way.
func TestRestore_StandardInput(t *testing.T) {
	t.Parallel()
	file, err := openBackup(standardStream, strings.NewReader("the file"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for range 2 { // verified first, then unpacked
		if content, err := io.ReadAll(file); err != nil || string(content) != "the file" {
			t.Errorf("content %q, %v", content, err)
		}
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(file.Name()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the copy has a name on the disk: %v", err)
	}
}

// TestBackup_Interrupted leaves nothing behind.
func TestBackup_Interrupted(t *testing.T) {
	t.Parallel()
	i := startInstallation(t)
	i.apply(0, 1)
	links, err := i.access().connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer links.close()
	ctx, cancel := context.WithCancel(t.Context())
	dir := t.TempDir()
	err = backupTo(ctx, links, filepath.Join(dir, "backup"), writerFunc(func(p []byte) (int, error) {
		cancel() // after the object stream, before the ledgers
		return len(p), nil
	}))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func open(t *testing.T, path string) *os.File {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return file
}

func newest(t *testing.T, apps []oam.Application) (out uint64) {
	for _, app := range apps {
		out = max(out, revisionOf(t, app))
	}
	return out
}

func oldestOf(t *testing.T, apps []oam.Application) uint64 {
	out := ^uint64(0)
	for _, app := range apps {
		out = min(out, revisionOf(t, app))
	}
	return out
}

func revisionOf(t *testing.T, app oam.Application) uint64 {
	t.Helper()
	revision, err := strconv.ParseUint(app.ResourceVersion, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return revision
}
