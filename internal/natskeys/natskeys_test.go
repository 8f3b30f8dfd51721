package natskeys_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/helper"
	"github.com/trellis-operator/trellis/internal/hostgroup"
	"github.com/trellis-operator/trellis/internal/natskeys"
)

func complete(t *testing.T, s *natskeys.System, lattices ...string) []string {
	t.Helper()
	made, err := s.Complete(lattices)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestComplete_KeepsWhatExists(t *testing.T) {
	var s natskeys.System
	if got, want := complete(t, &s, "default"), []string{"operator", "SYS", "TRELLIS", "lattice.default"}; !slices.Equal(got, want) {
		t.Errorf("made %v, want %v", got, want)
	}
	before := natskeys.System{Keys: maps.Clone(s.Keys), Accounts: maps.Clone(s.Accounts), Operator: maps.Clone(s.Operator)}
	if got := complete(t, &s, "default"); got != nil {
		t.Errorf("made %v again", got)
	}
	if diff := cmp.Diff(before, s); diff != "" {
		t.Errorf("a second run changed something:\n%s", diff)
	}
	if got, want := complete(t, &s, "edge"), []string{"lattice.edge"}; !slices.Equal(got, want) {
		t.Errorf("made %v, want %v", got, want)
	}
	if conf := string(s.Accounts[natskeys.AccountsConf]); !strings.Contains(conf, "lattice.default") || !strings.Contains(conf, "lattice.edge") {
		t.Error("an account that is no longer named was dropped")
	}
	for name, content := range s.Accounts {
		for file, seed := range s.Keys {
			if strings.HasSuffix(file, ".nk") && bytes.Contains(content, seed) {
				t.Errorf("%s holds the private key %s", name, file)
			}
		}
	}
	for name := range s.Operator {
		if strings.HasPrefix(name, "SYS") || name == "TRELLIS.nk" || name == "operator.nk" {
			t.Errorf("the operator holds %s", name)
		}
	}
}

func TestComplete_Errors(t *testing.T) {
	var s natskeys.System
	complete(t, &s, "default")
	s.Keys = nil
	if _, err := s.Complete([]string{"default"}); !errors.Is(err, natskeys.ErrKeysLost) {
		t.Errorf("error = %v, want ErrKeysLost", err)
	}
	if _, err := new(natskeys.System).Complete([]string{"a.b"}); err == nil {
		t.Error("a lattice name with a dot is taken")
	}
	broken := natskeys.System{Keys: natskeys.Files{"operator.nk": []byte("nonsense")}}
	if _, err := broken.Complete(nil); err == nil {
		t.Error("a broken seed is taken")
	}
}

func TestEnsure(t *testing.T) {
	client := fake.NewClientset()
	secrets := client.CoreV1().Secrets("trellis-system")
	ctx := context.Background()
	if _, err := natskeys.Ensure(ctx, secrets, "trellis-nats", []string{"default"}, map[string]string{"a": "b"}); err != nil {
		t.Fatal(err)
	}
	client.ClearActions()
	made, err := natskeys.Ensure(ctx, secrets, "trellis-nats", []string{"default"}, nil)
	if err != nil || made != nil {
		t.Fatalf("second run made %v, %v", made, err)
	}
	for _, a := range client.Actions() {
		if a.GetVerb() != "get" {
			t.Errorf("second run: %s", a.GetVerb())
		}
	}
	if err := secrets.Delete(ctx, "trellis-nats-keys", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := natskeys.Ensure(ctx, secrets, "trellis-nats", []string{"default"}, nil); !errors.Is(err, natskeys.ErrKeysLost) {
		t.Errorf("error = %v, want ErrKeysLost", err)
	}
}

// hub runs a real server with the accounts of s, configured as the chart does, and returns its client and leaf URL.
func hub(t *testing.T, s *natskeys.System) (client, leaf string) {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, natskeys.AccountsConf), s.Accounts[natskeys.AccountsConf])
	conf := filepath.Join(dir, "nats.conf")
	write(t, conf, []byte("listen: \"127.0.0.1:-1\"\nserver_name: hub\njetstream { domain: default, store_dir: \""+dir+"/js\" }\nleafnodes { listen: \"127.0.0.1:-1\" }\ninclude accounts.conf\n"))
	srv := start(t, conf, nil)
	return srv.ClientURL(), "nats://" + srv.leafAddress()
}

func start(t *testing.T, conf string, change func(*server.Options)) *runningServer {
	t.Helper()
	options, err := server.ProcessConfigFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	options.NoSigs, options.NoLog = true, true
	if change != nil {
		change(options)
	}
	s, err := server.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server did not start")
	}
	return &runningServer{s, options}
}

type runningServer struct {
	*server.Server
	options *server.Options
}

// leafAddress is where leaves connect; the server writes the port it chose back into its options.
func (r *runningServer) leafAddress() string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(r.options.LeafNode.Port))
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestLeaf runs the hub of the chart and the leaf of a host group, both as configured by Trellis, and looks from where a
// host is.
func TestLeaf(t *testing.T) {
	var s natskeys.System
	complete(t, &s, "default", "other")
	clientURL, leafURL := hub(t, &s)
	dir := t.TempDir()
	for name, content := range s.Operator {
		write(t, filepath.Join(dir, name), content)
	}
	issuer := natskeys.NewIssuer(dir, names)
	creds, err := issuer.Issue(groupOf("default", "hosts", nil))
	if err != nil {
		t.Fatal(err)
	}
	in := func(lattice string) *v1alpha1.WasmCloudHostConfig {
		return groupOf("default", "hosts", func(s *v1alpha1.WasmCloudHostConfigSpec) { s.Lattice = lattice })
	}
	if !issuer.Valid(in("default"), creds) || issuer.Valid(in("other"), creds) || issuer.Valid(in("default"), []byte("x")) {
		t.Error("Valid does not tell good credentials from bad ones")
	}
	for why, group := range map[string]*v1alpha1.WasmCloudHostConfig{
		"more is asked for":  groupOf("default", "hosts", func(s *v1alpha1.WasmCloudHostConfigSpec) { s.ConfigServiceEnabled = true }),
		"they are another's": groupOf("default", "others", nil),
	} {
		if issuer.Valid(group, creds) {
			t.Errorf("the credentials are valid, although %s", why)
		}
	}
	if issuer.Valid(in("default"), s.Operator["lattice.default.creds"]) {
		t.Error("credentials that may do everything are valid for a host group")
	}
	if _, err := issuer.Issue(in("absent")); !errors.Is(err, natskeys.ErrNoKey) {
		t.Errorf("error = %v, want ErrNoKey", err)
	}

	address := runLeaf(t, leafURL, creds)
	var stdout, stderr bytes.Buffer
	deadline := time.Now().Add(10 * time.Second)
	for helper.Run([]string{"probe", "leaf", "--address", address, "--domain", "default", "--lattice", "default"}, &stdout, &stderr) != 0 {
		if time.Now().After(deadline) {
			t.Fatalf("the leaf does not reach the hub: %s", stderr.String())
		}
	}
	putAndGet(t, address, clientURL, filepath.Join(dir, natskeys.CredentialsFile("lattice.default")))

	if _, err := nats.Connect(clientURL); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("without credentials: %v, want an authorization violation", err)
	}
}

// TestOldCredentialsEnd: credentials have no end, but die with the signing key of their lattice.
func TestOldCredentialsEnd(t *testing.T) {
	var s natskeys.System
	complete(t, &s, "default")
	old, operator := s.Operator["lattice.default.creds"], s.Operator["TRELLIS.creds"]
	delete(s.Operator, "lattice.default.nk")
	if got, want := complete(t, &s, "default"), []string{"lattice.default"}; !slices.Equal(got, want) {
		t.Errorf("made %v, want %v", got, want)
	}
	clientURL, _ := hub(t, &s)
	for what, tc := range map[string]struct {
		creds []byte
		want  error
	}{"old": {old, nats.ErrAuthorization}, "new": {s.Operator["lattice.default.creds"], nil}, "of another account": {operator, nil}} {
		path := filepath.Join(t.TempDir(), "nats.creds")
		write(t, path, tc.creds)
		conn, err := nats.Connect(clientURL, nats.UserCredentials(path))
		if !errors.Is(err, tc.want) {
			t.Errorf("credentials %s: %v, want %v", what, err, tc.want)
		}
		if err == nil {
			conn.Close()
		}
	}
}

// putAndGet stores a value by way of the leaf, as a host does, in a bucket that the operator made, and reads it at the hub.
func putAndGet(t *testing.T, leaf, hub, creds string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	operator, err := nats.Connect(hub, nats.UserCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	defer operator.Close()
	there, err := jetstream.NewWithDomain(operator, "default")
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := there.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: "LATTICEDATA_default"})
	if err != nil {
		t.Fatal(err)
	}
	host, err := nats.Connect("nats://" + leaf)
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	js, err := jetstream.NewWithDomain(host, "default")
	if err != nil {
		t.Fatal(err)
	}
	kv, err := js.KeyValue(ctx, "LATTICEDATA_default")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.PutString(ctx, "COMPONENT_a", "one"); err != nil {
		t.Fatal(err)
	}
	if entry, err := bucket.Get(ctx, "COMPONENT_a"); err != nil || string(entry.Value()) != "one" {
		t.Errorf("at the hub: %v, %v", entry, err)
	}
}

// runLeaf runs a leaf with the configuration that host groups get, and returns its address.
func runLeaf(t *testing.T, hub string, creds []byte) string {
	t.Helper()
	dir := t.TempDir()
	text := hostgroup.LeafConfig(&v1alpha1.WasmCloudHostConfigSpec{LeafNodeDomain: "leaf"}, hostgroup.Inputs{LeafURLs: []string{hub}, CredentialsSecret: "x"})
	write(t, filepath.Join(dir, "nats.creds"), creds)
	text = strings.ReplaceAll(strings.ReplaceAll(text, "/nats/nats.creds", dir+"/nats.creds"), `"/data"`, `"`+dir+`/js"`)
	conf := filepath.Join(dir, "nats.conf")
	write(t, conf, []byte(text))
	leaf := start(t, conf, func(o *server.Options) {
		if o.Host != "127.0.0.1" || o.Port != hostgroup.LeafPort {
			t.Errorf("the leaf listens on %s:%d", o.Host, o.Port)
		}
		o.Port = -1
	})
	return strings.TrimPrefix(leaf.ClientURL(), "nats://")
}

func TestLeafProbe_NamesWhatIsWrong(t *testing.T) {
	var s natskeys.System
	complete(t, &s, "default")
	_, leafURL := hub(t, &s)
	var foreign natskeys.System
	complete(t, &foreign, "default")
	address := runLeaf(t, leafURL, foreign.Operator["lattice.default.creds"])
	var stdout, stderr bytes.Buffer
	if code := helper.Run([]string{"probe", "leaf", "--address", address, "--domain", "default", "--lattice", "default", "--timeout", "500ms"}, &stdout, &stderr); code != 1 {
		t.Errorf("exit code %d with credentials of another system", code)
	}
	if !strings.Contains(stderr.String(), "credentials") {
		t.Errorf("says %q", stderr.String())
	}
	stderr.Reset()
	if code := helper.Run([]string{"probe", "nats", "--address", address}, &stdout, &stderr); code != 0 {
		t.Errorf("the leaf itself runs, but the probe says %q", stderr.String())
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
