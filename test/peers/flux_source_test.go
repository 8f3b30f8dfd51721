//go:build peers && linux

package peers

import (
	"crypto/sha256"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// sources does source-controller's part: it serves commits over HTTP and writes them into the status of GitRepositories, which
// is all that kustomize-controller reads of them.
type sources struct {
	address string
	mu      sync.Mutex
	packed  map[string][]byte // by path
}

func newSources(t *testing.T) *sources {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &sources{address: listener.Addr().String(), packed: map[string][]byte{}}
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return s
}

func (s *sources) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	packed, found := s.packed[r.URL.Path]
	s.mu.Unlock()
	if !found {
		http.NotFound(w, r)
		return
	}
	_, _ = w.Write(packed)
}

// publish makes a commit the newest of a GitRepository, and returns its revision.
func (s *sources) publish(t *testing.T, l *lab, namespace, name string, r *repository, commit string) string {
	t.Helper()
	packed := r.archive(t, commit)
	path := fmt.Sprintf("/gitrepository/%s/%s/%s.tar.gz", namespace, name, commit)
	s.mu.Lock()
	s.packed[path] = packed
	s.mu.Unlock()
	revision := "main@sha1:" + commit
	source := object(t, fmt.Sprintf(`
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {namespace: %s, name: %s}
spec: {url: "https://git.example.com/peers", interval: 1h, ref: {branch: main}}
`, namespace, name))
	if err := l.client.Create(t.Context(), source); apierrors.IsAlreadyExists(err) {
		err = l.client.Get(t.Context(), client.ObjectKeyFromObject(source), source)
		if err != nil {
			t.Fatal(err)
		}
	} else if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC().Format(time.RFC3339)
	source.Object["status"] = map[string]any{
		"observedGeneration": source.GetGeneration(),
		"conditions": []any{map[string]any{"type": "Ready", "status": "True", "reason": "Succeeded", "message": "stored artifact for revision '" + revision + "'",
			"lastTransitionTime": now, "observedGeneration": source.GetGeneration()}},
		"artifact": map[string]any{"path": strings.TrimPrefix(path, "/"), "url": "http://" + s.address + path, "revision": revision,
			"digest": fmt.Sprintf("sha256:%x", sha256.Sum256(packed)), "lastUpdateTime": now, "size": int64(len(packed))},
	}
	if err := l.client.Status().Update(t.Context(), source); err != nil {
		t.Fatal(err)
	}
	return revision
}

// sourceDefinitions are the kinds of sources that kustomize-controller watches, without a schema of their own: nobody but
// these tests writes them.
func sourceDefinitions(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	var all []*unstructured.Unstructured
	for kind, plural := range map[string]string{
		"GitRepository": "gitrepositories", "OCIRepository": "ocirepositories", "Bucket": "buckets", "ExternalArtifact": "externalartifacts",
	} {
		all = append(all, object(t, strings.NewReplacer("KIND", kind, "PLURAL", plural, "SINGULAR", strings.ToLower(kind)).Replace(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: PLURAL.source.toolkit.fluxcd.io}
spec:
  group: source.toolkit.fluxcd.io
  scope: Namespaced
  names: {kind: KIND, listKind: KINDList, plural: PLURAL, singular: SINGULAR}
  versions:
    - name: v1
      served: true
      storage: true
      subresources: {status: {}}
      schema:
        openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}
`)))
	}
	return all
}
