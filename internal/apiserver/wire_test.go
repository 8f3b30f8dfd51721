package apiserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	"github.com/trellis-operator/trellis/internal/certificates"
)

const listPath = "/apis/core.oam.dev/v1beta1/namespaces/team-a/applications"

// do sends a request in JSON and returns status, header and body.
func (w *world) do(config *rest.Config, method, path, accept, body string) (int, http.Header, string) {
	w.t.Helper()
	return w.send(config, method, path, "application/json", accept, body)
}

func (w *world) send(config *rest.Config, method, path, contentType, accept, body string) (int, http.Header, string) {
	w.t.Helper()
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		w.t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(w.t.Context(), method, config.Host+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	request.Header.Set("Accept", accept)
	request.Header.Set("Content-Type", contentType)
	answer, err := client.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer.StatusCode, answer.Header, string(data)
}

func TestDiscovery(t *testing.T) {
	w := start(t)
	client := discovery.NewDiscoveryClientForConfigOrDie(w.as("alice"))
	list := must(client.ServerResourcesForGroupVersion("core.oam.dev/v1beta1"))(t)
	got := map[string]metav1.Verbs{}
	for _, r := range list.APIResources {
		got[r.Name] = r.Verbs
		if r.Name == applications && (r.Kind != "Application" || r.SingularName != "application" || !r.Namespaced ||
			!cmp.Equal(r.ShortNames, []string{"app"}) || !cmp.Equal(r.Categories, []string{"oam"})) {
			t.Errorf("%+v", r)
		}
	}
	want := map[string]metav1.Verbs{
		"applications":         {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"},
		"applications/status":  {"get", "patch", "update"},
		"applicationrevisions": {"get", "list", "watch"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("verbs (-want +got):\n%s", diff)
	}
	if version := must(client.ServerVersion())(t); version.Major != "1" || !strings.HasPrefix(version.GitVersion, "v1.") {
		t.Errorf("version %+v", version)
	}
	// What current aggregators send.
	accept := "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
	status, header, body := w.do(w.as("alice"), http.MethodGet, "/apis", accept, "")
	if status != http.StatusOK || !strings.Contains(header.Get("Content-Type"), "as=APIGroupDiscoveryList") || !strings.Contains(body, `"applicationrevisions"`) {
		t.Errorf("aggregated discovery: %d %s %s", status, header.Get("Content-Type"), body)
	}
}

// kube-controller-manager prefers protobuf and accepts JSON; a server that took it at its word could not delete a
// namespace (kubernetes#86666).
func TestProtobufIsNeverAnswered(t *testing.T) {
	w := start(t)
	must(w.apps("team-a").Create(t.Context(), hello("hello"), metav1.CreateOptions{}))(t)
	for accept, want := range map[string]string{
		"application/vnd.kubernetes.protobuf,application/json":        "application/json",
		"application/vnd.kubernetes.protobuf, application/json;q=0.5": "application/json",
		"application/cbor,application/vnd.kubernetes.protobuf,*/*":    "application/json",
		"application/yaml": "application/yaml",
		// Metadata has a protobuf form whatever the kind; that of custom resources is answered in it, too.
		"application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1": "application/vnd.kubernetes.protobuf",
	} {
		status, header, body := w.do(w.as("kcm"), http.MethodGet, listPath, accept, "")
		if status != http.StatusOK || !strings.HasPrefix(header.Get("Content-Type"), want) || !strings.Contains(body, "hello") {
			t.Errorf("Accept %s: %d, %s", accept, status, header.Get("Content-Type"))
		}
	}
	if status, _, body := w.do(w.as("kcm"), http.MethodGet, listPath, "application/vnd.kubernetes.protobuf", ""); status != http.StatusNotAcceptable {
		t.Errorf("protobuf alone: %d %s", status, body)
	}
}

// The calls of the namespace controller, by its own client.
func TestNamespaceDeletionCalls(t *testing.T) {
	w := start(t)
	must(w.apps("team-a").Create(t.Context(), hello("hello"), metav1.CreateOptions{}))(t)
	config := metadata.ConfigFor(w.as("system:serviceaccount:kube-system:namespace-controller"))
	if !strings.Contains(config.AcceptContentTypes, "protobuf") {
		t.Fatalf("the client does not ask for protobuf: %s", config.AcceptContentTypes)
	}
	client := metadata.NewForConfigOrDie(config).Resource(applicationsGVR).Namespace("team-a")
	background := metav1.DeletePropagationBackground
	if err := client.DeleteCollection(t.Context(), metav1.DeleteOptions{PropagationPolicy: &background}, metav1.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	left := must(client.List(t.Context(), metav1.ListOptions{}))(t)
	if len(left.Items) != 0 {
		t.Errorf("left: %v", left.Items)
	}
}

func TestTable(t *testing.T) {
	w := start(t)
	app := must(w.apps("team-a").Create(t.Context(), hello("hello"), metav1.CreateOptions{}))(t)
	status := `{"status":{"phase":"Deployed","deployedVersion":"v0","endpoint":"10.0.0.1:8080",
		"conditions":[{"type":"Ready","status":"True","reason":"x","message":"","lastTransitionTime":"2026-01-01T00:00:00Z"}],
		"components":[{"name":"a","id":"a","kind":"component","desired":1,"running":1,"hostCount":25,
			"hosts":[{"hostID":"N1","name":"host-1","instances":1},{"hostID":"N2","instances":1}]}]}}`
	must(w.apps("team-a").Patch(t.Context(), "hello", types.MergePatchType, []byte(status), metav1.PatchOptions{}, "status"))(t)
	for path, rows := range map[string]int{listPath: 1, listPath + "/hello": 1} {
		code, _, body := w.do(w.as("alice"), http.MethodGet, path, "application/json;as=Table;v=v1;g=meta.k8s.io", "")
		var got metav1.Table
		if err := json.Unmarshal([]byte(body), &got); err != nil || code != http.StatusOK || len(got.Rows) != rows {
			t.Fatalf("%s: %d %v %s", path, code, err, body)
		}
		var names []string
		for _, c := range got.ColumnDefinitions {
			names = append(names, fmt.Sprintf("%s/%d", c.Name, c.Priority))
		}
		want := []string{"Name/0", "Lattice/0", "Ready/0", "Status/0", "Version/0", "Age/0", "Hosts/1", "Endpoint/1"}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("columns (-want +got):\n%s", diff)
		}
		cells := got.Rows[0].Cells
		if age, ok := cells[5].(string); !ok || len(age) > 4 || !strings.HasSuffix(age, "s") {
			t.Errorf("age %v", cells[5])
		}
		cells[5] = nil
		wantCells := []any{"hello", "default", "True", "Deployed", "v0 [" + str(app, "status", "version") + "]", nil, "N2,host-1,+23", "10.0.0.1:8080"}
		if diff := cmp.Diff(wantCells, cells); diff != "" {
			t.Errorf("cells (-want +got):\n%s", diff)
		}
		if !strings.Contains(string(got.Rows[0].Object.Raw), `"kind":"PartialObjectMetadata"`) {
			t.Errorf("the row has no object: %s", got.Rows[0].Object.Raw)
		}
	}
	code, _, body := w.do(w.as("alice"), http.MethodGet, strings.Replace(listPath, applications, applicationRevisions, 1), "application/json;as=Table;v=v1;g=meta.k8s.io", "")
	if code != http.StatusOK || !strings.Contains(body, `"Digest"`) {
		t.Errorf("table of revisions: %d %s", code, body)
	}
}

// Rows are a list, also where there are none.
func TestTableOfNothing(t *testing.T) {
	w := start(t)
	w.eventually("a list answers", func() error {
		code, _, body := w.do(w.as("alice"), http.MethodGet, listPath, "application/json;as=Table;v=v1;g=meta.k8s.io", "")
		switch {
		case code == http.StatusServiceUnavailable:
			return errors.New(body) // the watch cache is being filled
		case code != http.StatusOK || !strings.Contains(body, `"rows":[]`):
			t.Errorf("%d %s", code, body)
		}
		return nil
	})
}

func TestOpenAPI(t *testing.T) {
	w := start(t)
	for path, want := range map[string]string{
		"/openapi/v3/apis/core.oam.dev/v1beta1": "components are the WebAssembly components and capability providers of the application",
		"/openapi/v2":                           "properties depend on the type. For `link`: namespace, package, interfaces",
	} {
		status, _, body := w.do(w.as("alice"), http.MethodGet, path, "application/json", "")
		if status != http.StatusOK || !strings.Contains(body, want) || !strings.Contains(body, `"x-kubernetes-list-map-keys":["name"]`) {
			t.Errorf("%s: %d, %d bytes", path, status, len(body))
		}
		if !strings.Contains(body, `"x-kubernetes-group-version-kind":[{"group":"core.oam.dev","kind":"Application","version":"v1beta1"}]`) {
			t.Errorf("%s has no kind for kubectl explain", path)
		}
		if strings.Contains(body, "__internal") {
			t.Errorf("%s shows the internal version", path)
		}
	}
}

func TestFieldValidation(t *testing.T) {
	w := start(t)
	body := `{"apiVersion":"core.oam.dev/v1beta1","kind":"Application","metadata":{"name":"x"},"spec":{"components":[],"nonsense":1}}`
	for level, want := range map[string]int{"Strict": 400, "Warn": 201, "Ignore": 201} {
		status, header, answer := w.do(w.as("alice"), http.MethodPost, listPath+"?dryRun=All&fieldValidation="+level, "application/json", body)
		if status != want || strings.Contains(strings.Join(header.Values("Warning"), ""), "nonsense") != (level == "Warn") {
			t.Errorf("%s: %d %v %s", level, status, header.Values("Warning"), answer)
		}
	}
	// The manifest is read as JSON or YAML, nothing else.
	for contentType, want := range map[string]int{"application/yaml": 201, "application/vnd.kubernetes.protobuf": 415, "text/plain": 415} {
		client := must(rest.HTTPClientFor(w.as("alice")))(t)
		request := must(http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+w.address+listPath+"?dryRun=All",
			strings.NewReader("apiVersion: core.oam.dev/v1beta1\nkind: Application\nmetadata: {name: yaml}\nspec: {components: []}\n")))(t)
		request.Header.Set("Content-Type", contentType)
		answer := must(client.Do(request))(t)
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("%s: %d", contentType, answer.StatusCode)
		}
	}
}

func TestWhoMayAsk(t *testing.T) {
	w := start(t)
	nobody := &rest.Config{Host: "https://" + w.address, TLSClientConfig: rest.TLSClientConfig{CAData: w.ca.Cert}}
	stranger := must(certificates.NewAuthority("stranger", time.Now(), time.Hour))(t)
	forged := must(stranger.Client("system:admin", []string{"system:masters"}, time.Now(), time.Hour))(t)
	wrongCA := rest.CopyConfig(nobody)
	wrongCA.CertData, wrongCA.KeyData = forged.Cert, forged.Key
	expired := must(w.ca.Client("alice", nil, time.Now().Add(-2*time.Hour), time.Hour))(t)
	late := rest.CopyConfig(nobody)
	late.CertData, late.KeyData = expired.Cert, expired.Key
	token := rest.CopyConfig(nobody)
	token.BearerToken = "guess"
	headers := rest.CopyConfig(nobody)
	headers.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			r.Header.Set("X-Remote-User", "admin")
			r.Header.Set("X-Remote-Group", "system:masters")
			return next.RoundTrip(r)
		})
	})
	for who, config := range map[string]*rest.Config{
		"nobody": nobody, "a certificate of another CA": wrongCA, "an expired one": late, "a token": token, "forged headers": headers,
	} {
		for _, path := range []string{"/", "/apis", listPath, "/metrics", "/openapi/v2", "/version", "/debug/pprof/", "/logs"} {
			if status, _, body := w.do(config, http.MethodGet, path, "", ""); status != 401 && status != 403 {
				t.Errorf("%s gets %d from %s: %.80s", who, status, path, body)
			}
		}
		if who == "nobody" || who == "forged headers" {
			for _, path := range healthPaths {
				if status, _, body := w.do(config, http.MethodGet, path, "", ""); status != http.StatusOK || strings.Contains(body, "store") {
					t.Errorf("%s gets %d from %s: %s", who, status, path, body)
				}
			}
		}
	}
	if status, _, body := w.do(w.as("alice"), http.MethodGet, "/metrics", "", ""); status != http.StatusOK || !strings.Contains(body, "apiserver_request_total") {
		t.Errorf("/metrics with a certificate: %d", status)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestCertificateIsRotated(t *testing.T) {
	w := start(t)
	other := must(certificates.NewAuthority("other", time.Now(), time.Hour))(t)
	pair := must(other.Serving([]string{"127.0.0.1"}, time.Now(), time.Hour))(t)
	if err := w.certificate.Set([]byte("garbage"), pair.Key); err == nil {
		t.Error("garbage is taken as a certificate")
	}
	if err := w.certificate.Set(pair.Cert, pair.Key); err != nil {
		t.Fatal(err)
	}
	w.eventually("the new certificate is shown", func() error {
		config := w.as("alice")
		config.CAData = other.Cert
		client, err := rest.HTTPClientFor(config)
		if err != nil {
			return err
		}
		answer, err := client.Get(config.Host + "/livez")
		if err == nil {
			answer.Body.Close()
		}
		return err
	})
}

// Without NATS: what needs the newest state says so and when to come back; what the cache knows is served; discovery,
// OpenAPI and health do not notice.
func TestWithoutNATS(t *testing.T) {
	w := start(t)
	client := w.apps("team-a")
	must(client.Create(t.Context(), hello("hello"), metav1.CreateOptions{}))(t)
	w.eventually("the cache has it", func() error {
		_, err := client.Get(t.Context(), "hello", metav1.GetOptions{ResourceVersion: "0"})
		return err
	})
	config := w.as("alice")
	events := must(client.Watch(t.Context(), metav1.ListOptions{ResourceVersion: "0"}))(t)
	defer events.Stop()
	<-events.ResultChan()
	w.nats.Shutdown()

	body, _ := json.Marshal(hello("other"))
	for what, call := range map[string][3]string{
		"get": {http.MethodGet, listPath + "/hello"}, "list": {http.MethodGet, listPath},
		"create": {http.MethodPost, listPath, string(body)}, "delete": {http.MethodDelete, listPath + "/hello"},
		"deletecollection": {http.MethodDelete, listPath},
		"revisions":        {http.MethodGet, strings.Replace(listPath, applications, applicationRevisions, 1)},
	} {
		status, header, answer := w.do(config, call[0], call[1], "application/json", call[2])
		if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" || !strings.Contains(answer, `"reason":"ServiceUnavailable"`) {
			t.Errorf("%s: %d, Retry-After %q: %s", what, status, header.Get("Retry-After"), answer)
		}
	}
	for _, path := range []string{
		listPath + "/hello?resourceVersion=0", listPath + "?resourceVersion=0", "/apis", "/apis/core.oam.dev/v1beta1",
		"/openapi/v2", "/openapi/v3/apis/core.oam.dev/v1beta1", "/livez", "/readyz", "/healthz",
	} {
		began := time.Now()
		status, _, answer := w.do(config, http.MethodGet, path, "application/json", "")
		if status != http.StatusOK || time.Since(began) > 2*time.Second {
			t.Errorf("%s: %d after %s: %.200s", path, status, time.Since(began), answer)
		}
	}
	select {
	case event, ok := <-events.ResultChan():
		t.Errorf("the watch got %v %v", event, ok)
	default:
	}
}

// The exception for namespaces that are being deleted: with a complete cache and nothing in it, they need no NATS.
func TestTerminatingNamespaceWithoutNATS(t *testing.T) {
	w := start(t)
	must(w.apps("team-a").Create(t.Context(), hello("hello"), metav1.CreateOptions{}))(t)
	w.eventually("the cache has it", func() error {
		_, err := w.apps("team-a").Get(t.Context(), "hello", metav1.GetOptions{ResourceVersion: "0"})
		return err
	})
	w.server.applications.terminating = func(namespace string) bool { return namespace != "living" }
	w.nats.Shutdown()
	for namespace, want := range map[string]bool{"team-a": false, "empty": true, "living": false} {
		client := noRetry(w.as("namespace-controller")).Resource(applicationsGVR).Namespace(namespace)
		errDelete := client.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{})
		list, errList := client.List(t.Context(), metav1.ListOptions{})
		if want && (errDelete != nil || errList != nil || len(list.Items) != 0) {
			t.Errorf("%s: %v, %v", namespace, errDelete, errList)
		}
		if !want && (!apierrors.IsServiceUnavailable(errDelete) || !apierrors.IsServiceUnavailable(errList)) {
			t.Errorf("%s: %v, %v", namespace, errDelete, errList)
		}
	}
}

// noRetry hides Retry-After from client-go, which would ask ten times.
func noRetry(config *rest.Config) dynamic.Interface {
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			answer, err := next.RoundTrip(r)
			if err == nil {
				answer.Header.Del("Retry-After")
			}
			return answer, err
		})
	})
	return dynamic.NewForConfigOrDie(config)
}
