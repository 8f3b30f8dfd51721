package apiserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/trellis-operator/trellis/internal/certificates"
)

// fakeKube answers as much of kube-apiserver as delegation and admission ask for. The real one is in test/e2e.
type fakeKube struct {
	proxyCA, clientCA []byte
	// mutating policies are served by clusters from 1.36 on.
	mutating bool
}

var listKinds = map[string][2]string{
	"namespaces": {"v1", "NamespaceList"}, "resourcequotas": {"v1", "ResourceQuotaList"}, "configmaps": {"v1", "ConfigMapList"},
	"mutatingwebhookconfigurations":     {"admissionregistration.k8s.io/v1", "MutatingWebhookConfigurationList"},
	"validatingwebhookconfigurations":   {"admissionregistration.k8s.io/v1", "ValidatingWebhookConfigurationList"},
	"validatingadmissionpolicies":       {"admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyList"},
	"validatingadmissionpolicybindings": {"admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBindingList"},
	"mutatingadmissionpolicies":         {"admissionregistration.k8s.io/v1", "MutatingAdmissionPolicyList"},
	"mutatingadmissionpolicybindings":   {"admissionregistration.k8s.io/v1", "MutatingAdmissionPolicyBindingList"},
}

func (k *fakeKube) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	resource := filepath.Base(r.URL.Path)
	switch {
	case resource == "subjectaccessreviews":
		k.review(w, r)
	case r.URL.Path == "/apis/admissionregistration.k8s.io/v1":
		list := metav1.APIResourceList{GroupVersion: "admissionregistration.k8s.io/v1"}
		if k.mutating {
			list.APIResources = []metav1.APIResource{{Name: "mutatingadmissionpolicies", Kind: "MutatingAdmissionPolicy"}}
		}
		reply(w, http.StatusOK, list)
	case resource == "extension-apiserver-authentication":
		reply(w, http.StatusOK, k.authentication())
	case listKinds[resource][1] == "" || strings.HasPrefix(resource, "mutatingadmission") && !k.mutating:
		status := apierrors.NewNotFound(metav1.SchemeGroupVersion.WithResource(resource).GroupResource(), "").Status()
		reply(w, http.StatusNotFound, status)
	case r.URL.Query().Get("sendInitialEvents") == "true":
		reply(w, http.StatusUnprocessableEntity, apierrors.NewInvalid(metav1.SchemeGroupVersion.WithKind("x").GroupKind(), "", nil).Status())
	case r.URL.Query().Get("watch") == "true" || r.URL.Query().Get("watch") == "1":
		w.Header().Set("Content-Type", "application/json")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	default:
		items := []any{}
		switch resource {
		case "namespaces":
			items = append(items, namespace("team-a", "Active"), namespace("team-z", "Terminating"))
		case "configmaps":
			items = append(items, k.authentication())
		}
		kind := listKinds[resource]
		reply(w, http.StatusOK, map[string]any{
			"apiVersion": kind[0], "kind": kind[1], "metadata": map[string]any{"resourceVersion": "1"}, "items": items,
		})
	}
}

func namespace(name, phase string) map[string]any {
	return map[string]any{
		"metadata": map[string]any{"name": name, "uid": "uid-of-" + name, "resourceVersion": "1"},
		"status":   map[string]any{"phase": phase},
	}
}

func (k *fakeKube) authentication() map[string]any {
	return map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": "extension-apiserver-authentication", "namespace": "kube-system", "resourceVersion": "1"},
		"data": map[string]any{
			"client-ca-file": string(k.clientCA), "requestheader-client-ca-file": string(k.proxyCA), "requestheader-allowed-names": `["front-proxy-client"]`,
			"requestheader-username-headers": `["X-Remote-User"]`, "requestheader-group-headers": `["X-Remote-Group"]`,
			"requestheader-extra-headers-prefix": `["X-Remote-Extra-"]`,
		},
	}
}

// review lets alice and masters do everything, carol and the users of wash write applications in team-a, and carol get the
// Secret mine. What Secret broken is like it can't say.
func (k *fakeKube) review(w http.ResponseWriter, r *http.Request) {
	var review authorizationv1.SubjectAccessReview
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s := review.Spec
	if s.ResourceAttributes != nil && s.ResourceAttributes.Name == "broken" {
		http.Error(w, "out of order", http.StatusBadRequest)
		return
	}
	review.Status.Allowed = s.User == "alice" ||
		s.NonResourceAttributes != nil && s.NonResourceAttributes.Path == "/version" || // as system:public-info-viewer
		s.User == "carol" && s.ResourceAttributes != nil && s.ResourceAttributes.Namespace == "team-a" &&
			(s.ResourceAttributes.Resource == applications || s.ResourceAttributes.Resource == "secrets" && s.ResourceAttributes.Verb == "get" && s.ResourceAttributes.Name == "mine") ||
		slices.Contains(s.Groups, WashGroup) && s.ResourceAttributes != nil && s.ResourceAttributes.Namespace == "team-a" &&
			s.ResourceAttributes.Resource == applications
	review.APIVersion, review.Kind = "authorization.k8s.io/v1", "SubjectAccessReview"
	reply(w, http.StatusCreated, review)
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// delegated starts a server behind a kube-apiserver; as is a client of the front proxy that says who asks.
func delegated(t *testing.T, mutating bool, more ...func(*Config)) (w *world, as func(user string, groups ...string) *rest.Config) {
	t.Helper()
	w = prepare(t)
	proxyCA := must(certificates.NewAuthority("front-proxy-ca", time.Now(), time.Hour))(t)
	kube := httptest.NewServer(&fakeKube{proxyCA: proxyCA.Cert, clientCA: w.ca.Cert, mutating: mutating})
	t.Cleanup(kube.CloseClientConnections)
	file := filepath.Join(t.TempDir(), "kubeconfig")
	content := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","clusters":[{"name":"c","cluster":{"server":%q}}],`+
		`"contexts":[{"name":"c","context":{"cluster":"c"}}],"current-context":"c"}`, kube.URL)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	proxy := must(proxyCA.Client("front-proxy-client", nil, time.Now(), time.Hour))(t)
	as = func(user string, groups ...string) *rest.Config {
		config := &rest.Config{Host: "https://" + w.address, QPS: -1, TLSClientConfig: rest.TLSClientConfig{
			CAData: w.ca.Cert, CertData: proxy.Cert, KeyData: proxy.Key,
		}}
		config.Wrap(func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(r *http.Request) (*http.Response, error) {
				r.Header.Set("X-Remote-User", user)
				for _, g := range append(groups, "system:authenticated") {
					r.Header.Add("X-Remote-Group", g)
				}
				return next.RoundTrip(r)
			})
		})
		return config
	}
	w.serve(func(c *Config) {
		c.Delegated = &Delegated{Config: &rest.Config{Host: kube.URL}, Kubeconfig: file}
		for _, m := range more {
			m(c)
		}
	})
	return w, as
}

func TestDelegated(t *testing.T) {
	for name, mutating := range map[string]bool{"with mutating policies": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			w, as := delegated(t, mutating)
			client := func(config *rest.Config, namespace string) dynamic.ResourceInterface {
				return dynamic.NewForConfigOrDie(config).Resource(applicationsGVR).Namespace(namespace)
			}
			app := must(client(as("alice"), "team-a").Create(t.Context(), hello("hello"), metav1.CreateOptions{}))(t)
			if got := app.GetAnnotations()["k8s.wasmcloud.dev/namespace-uid"]; got != "uid-of-team-a" {
				t.Errorf("UID of the namespace: %q", got)
			}
			if _, err := client(as("bob"), "team-a").Get(t.Context(), "hello", metav1.GetOptions{}); !apierrors.IsForbidden(err) {
				t.Errorf("bob: %v", err)
			}
			for _, namespace := range []string{"team-z", "missing"} {
				if _, err := client(as("alice"), namespace).Create(t.Context(), hello("x"), metav1.CreateOptions{}); !apierrors.IsForbidden(err) && !apierrors.IsNotFound(err) {
					t.Errorf("create in namespace %s: %v", namespace, err)
				}
			}
			wash := w.wash("default").Resource(applicationsGVR)
			must(wash.Namespace("team-a").Create(t.Context(), hello("washed"), metav1.CreateOptions{}))(t)
			if _, err := wash.Namespace("team-b").Get(t.Context(), "x", metav1.GetOptions{}); !apierrors.IsForbidden(err) {
				t.Errorf("wash where it has no rights: %v", err)
			}
			// The name of another's application is told to nobody who may not read it.
			_, err := wash.Namespace("team-a").Create(t.Context(), hello("Hello"), metav1.CreateOptions{})
			if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), `application "hello"`) {
				t.Errorf("wash may read team-a: %v", err)
			}
			// Headers without the proxy's certificate are worth nothing, whichever certificate there is.
			forged := as("alice")
			own := must(w.ca.Client("front-proxy-client", nil, time.Now(), time.Hour))(t)
			forged.CertData, forged.KeyData = own.Cert, own.Key
			if status, _, body := w.do(forged, http.MethodGet, listPath, "application/json", ""); status != 401 && status != 403 {
				t.Errorf("forged headers: %d %s", status, body)
			}
			stranger := &rest.Config{Host: forged.Host, TLSClientConfig: rest.TLSClientConfig{CAData: w.ca.Cert}}
			for path, want := range map[string]int{"/readyz": 200, "/livez": 200, "/healthz": 200, "/version": 403, listPath: 403} {
				if status, _, body := w.do(stranger, http.MethodGet, path, "", ""); status != want {
					t.Errorf("%s without a certificate: %d %s; want %d", path, status, body, want)
				}
			}
			if status, _, body := w.do(as("bob"), http.MethodGet, "/version", "", ""); status != http.StatusOK {
				t.Errorf("the version for whoever is known: %d %s", status, body)
			}
		})
	}
}

// An open watch does not hold up the end of the server.
func TestShutdownWithOpenWatch(t *testing.T) {
	w := start(t)
	for _, config := range []*rest.Config{w.as("alice"), w.server.LoopbackConfig()} {
		events := must(dynamic.NewForConfigOrDie(config).Resource(applicationsGVR).Watch(t.Context(), metav1.ListOptions{}))(t)
		defer events.Stop()
	}
	w.stop()
	select {
	case <-w.ended:
	case <-time.After(10 * time.Second):
		t.Error("the server has not ended after 10 s")
	}
}
