//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// The value of no Secret stands anywhere but in Secrets. This is the last test but the one that removes the release, whose
// logs go with it.
func TestTheValuesOfSecretsAreNowhere(t *testing.T) {
	namespace := makeNamespace(t)
	apply(t, namespace, "apiVersion: v1\nkind: Secret\nmetadata: {name: app}\nstringData: {password: "+newCanary()+"}\n")
	if found := secretsWith(t, canaryPrefix); !slices.Contains(found, namespace+"/app") {
		t.Errorf("Secrets with such a value: %v; the search does not find the one that has just been made in %s", found, namespace)
	}
	nowhere(t, canaryPrefix)
}

// nowhere looks for a text wherever Trellis, a host, NATS or Kubernetes could have written it, but for the Secrets of tests.
func nowhere(t *testing.T, text string) {
	t.Helper()
	began := time.Now()
	s := &search{forms: formsOf(text)}
	for _, place := range []struct {
		name string
		look func(*testing.T, *search)
	}{
		{"logs", lookAtLogs}, {"objects", lookAtObjects}, {"metrics", lookAtMetrics}, {"NATS", lookAtNATS},
		{"the audit log of kube-apiserver", lookAtAudit}, {"processes", lookAtProcesses},
	} {
		before := s.bytes
		place.look(t, s)
		if s.bytes == before {
			t.Errorf("%s: nothing was read; that no value is there proves nothing", place.name)
		}
	}
	for _, found := range secretsWith(t, text) {
		if !strings.HasPrefix(found, "e2e-") {
			t.Errorf("Secret %s holds the value", found)
		}
	}
	for _, where := range s.found {
		t.Errorf("the value of a Secret is in %s", where)
	}
	t.Logf("%d KiB searched in %s", s.bytes>>10, time.Since(began).Round(time.Second))
}

// lookAtLogs reads the logs of all containers of all pods, also of those that ended and were started again.
func lookAtLogs(t *testing.T, s *search) {
	var list struct {
		Items []struct {
			Metadata struct{ Namespace, Name string }
			Status   struct{ InitContainerStatuses, ContainerStatuses []containerStatus }
		}
	}
	if err := json.Unmarshal([]byte(kubectl(t, "get", "pods", "-A", "-o", "json")), &list); err != nil {
		t.Fatal(err)
	}
	for _, pod := range list.Items {
		for _, c := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
			for _, previous := range c.logs() {
				where := fmt.Sprintf("the log of %s/%s, container %s", pod.Metadata.Namespace, pod.Metadata.Name, c.Name)
				out, err := try(t, "", "logs", "-n", pod.Metadata.Namespace, pod.Metadata.Name, "-c", c.Name, fmt.Sprint("--previous=", previous))
				if err != nil && !strings.Contains(err.Error(), "not found") { // it went meanwhile, or its last log did
					t.Errorf("%s: %v", where, err)
				}
				s.in(where, out)
			}
		}
	}
}

// containerStatus is that of one container.
type containerStatus struct {
	Name         string
	RestartCount int
	State        struct{ Running, Terminated *struct{} }
}

// logs says which of its logs a container has: that of now, and that of the one before.
func (c containerStatus) logs() (previous []bool) {
	if c.State.Running != nil || c.State.Terminated != nil {
		previous = append(previous, false)
	}
	if c.RestartCount > 0 {
		previous = append(previous, true)
	}
	return previous
}

// lookAtObjects reads every object of the API but Secrets: events, statuses and managed fields among them.
func lookAtObjects(t *testing.T, s *search) {
	kinds := strings.Fields(kubectl(t, "api-resources", "--verbs=list", "-o", "name"))
	for _, must := range []string{"events", "applications.core.oam.dev", "applicationrevisions.core.oam.dev", "wasmcloudhostconfigs.k8s.wasmcloud.dev"} {
		if !slices.Contains(kinds, must) {
			t.Errorf("%s are no kind that is looked at; there are %v", must, kinds)
		}
	}
	for _, kind := range kinds {
		if kind == "secrets" {
			continue
		}
		out, err := try(t, "", "get", kind, "-A", "-o", "json", "--show-managed-fields")
		if err != nil {
			t.Error(err)
		}
		s.in("an object of "+kind, out)
	}
}

// secretsWith are the Secrets with a value that has a text in it, whoever made them.
func secretsWith(t *testing.T, text string) (found []string) {
	t.Helper()
	var list struct {
		Items []struct {
			Metadata struct{ Namespace, Name string }
			Data     map[string][]byte
		}
	}
	if err := json.Unmarshal([]byte(kubectl(t, "get", "secrets", "-A", "-o", "json")), &list); err != nil {
		t.Fatal(err)
	}
	for _, secret := range list.Items {
		for _, value := range secret.Data {
			if strings.Contains(string(value), text) {
				found = append(found, secret.Metadata.Namespace+"/"+secret.Metadata.Name)
				break
			}
		}
	}
	return found
}

// lookAtMetrics reads those of every replica, at its own port: who may administer the cluster may read them.
func lookAtMetrics(t *testing.T, s *search) {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		t.Fatal(err)
	}
	config.Insecure, config.CAData, config.CAFile = true, nil, "" // its certificate is not for an address
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	for _, address := range podIPs(t, system, "app.kubernetes.io/component=operator") {
		status, body, err := get(t.Context(), client, "https://"+address+":8443/metrics")
		if err != nil || status != http.StatusOK || !strings.Contains(body, "trellis_secrets_") {
			t.Errorf("the metrics at %s: status %d, %.200q, %v", address, status, body, err)
		}
		s.in("the metrics of the operator at "+address, body)
	}
}

// lookAtNATS reads every stream, those of buckets included, of the lattice and of the store.
func lookAtNATS(t *testing.T, s *search) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for account, conn := range map[string]*nats.Conn{"lattice " + latticeName: connectAs(t, "lattice."+latticeName), "the store": connectAs(t, "TRELLIS")} {
		js, err := jetstream.NewWithDomain(conn, domain)
		if err != nil {
			t.Fatal(err)
		}
		before, names := s.bytes, js.StreamNames(ctx)
		for name := range names.Name() {
			if err := lookAtStream(ctx, js, name, s); err != nil {
				t.Errorf("stream %s of %s: %v", name, account, err)
			}
		}
		if names.Err() != nil || s.bytes == before {
			t.Errorf("streams of %s: %d bytes were read; %v", account, s.bytes-before, names.Err())
		}
	}
}

func lookAtStream(ctx context.Context, js jetstream.JetStream, name string, s *search) error {
	stream, err := js.Stream(ctx, name)
	if err != nil {
		return err
	}
	last := stream.CachedInfo().State.LastSeq
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return err
	}
	for {
		message, err := consumer.Next(jetstream.FetchMaxWait(2 * time.Second))
		if errors.Is(err, nats.ErrTimeout) {
			return nil // the last ones went meanwhile, or there are none
		}
		if err != nil {
			return err
		}
		s.in("stream "+name+", at "+message.Subject(), fmt.Sprint(message.Subject(), message.Headers(), string(message.Data())))
		if metadata, err := message.Metadata(); err != nil || metadata.Sequence.Stream >= last {
			return err
		}
	}
}

// auditLogs are those of the kube-apiserver of test/kube.
const auditLogs = "/var/lib/trellis-kube/logs/audit*.log"

func lookAtAudit(t *testing.T, s *search) {
	files, err := filepath.Glob(auditLogs)
	if err != nil || len(files) == 0 {
		t.Errorf("no %s on this machine (%v): this test needs the local cluster of test/kube", auditLogs, err)
	}
	for _, name := range files {
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.lines("the audit log of kube-apiserver", file), file.Close()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// lookAtProcesses reads environment and arguments of all processes of this machine: those of the nodes are among them.
func lookAtProcesses(t *testing.T, s *search) {
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	operator := false
	for _, environ := range files {
		arguments := filepath.Join(filepath.Dir(environ), "cmdline")
		for _, file := range []string{environ, arguments} {
			content, err := os.ReadFile(file)
			if err != nil {
				continue // it ended
			}
			operator = operator || strings.Contains(string(content), "trellis\x00serve")
			s.in(file, string(content))
		}
	}
	if !operator {
		t.Error("no operator is among the processes of this machine: this test needs the local cluster of test/kube")
	}
}
