//go:build conformance && linux

package conformance

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trellis-operator/trellis/internal/certificates"
)

// home is where wash creates applications.
var home = boundNamespaces[0]

// ofHome selects the namespace that the rules of these tests are for.
var ofHome = &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": home}}

func rules() admissionregistrationv1.RuleWithOperations {
	return admissionregistrationv1.RuleWithOperations{
		Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
		Rule:       admissionregistrationv1.Rule{APIGroups: []string{ours.group}, APIVersions: []string{version}, Resources: []string{"applications"}},
	}
}

// both are the two ways to the same object.
type both struct {
	t      *testing.T
	client *client
	wash   *wash
}

func (b both) post(name, query string) *answer {
	b.t.Helper()
	a, err := b.client.send(b.t.Context(), http.MethodPost, homePath("")+query, application(ours, name))
	if err != nil {
		b.t.Fatal(err)
	}
	return a
}

func homePath(rest string) string {
	return "/apis/core.oam.dev/v1beta1/namespaces/" + home + "/applications" + rest
}

// refuses demands that both ways are refused with the same words.
func (b both) refuses(name, words string) {
	b.t.Helper()
	eventually(b.t, "a rule of the cluster is known", func() string {
		if a := b.post(name, "?dryRun=All"); !strings.Contains(a.String(), words) {
			return a.String()
		}
		return ""
	})
	if a := b.post(name, ""); a.code/100 != 4 || !strings.Contains(a.String(), words) {
		b.t.Errorf("by Kubernetes: %s", a)
	}
	if r := b.wash.put(name); r.Result != "error" || !strings.Contains(r.Message, words) {
		b.t.Errorf("by wash: %+v", r)
	}
	if a := b.post(name+"-not", ""); a.code != http.StatusCreated {
		b.t.Errorf("another one is refused, too: %s", a)
	}
}

// label is one of the application that was put by wash or by Kubernetes.
func (b both) label(name, key string) string {
	b.t.Helper()
	a, err := b.client.send(b.t.Context(), http.MethodGet, homePath("/"+name), nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return text(a.object, "metadata", "labels", key)
}

// changes demands that what both put gets a label.
func (b both) changes(name, key string) {
	b.t.Helper()
	eventually(b.t, "a rule of the cluster is known", func() string {
		if a := b.post(name, "?dryRun=All"); text(a.object, "metadata", "labels", key) == "" {
			return a.String()
		}
		return ""
	})
	if a := b.post(name, ""); a.code != http.StatusCreated {
		b.t.Fatal(a)
	}
	if r := b.wash.put(name + "-washed"); r.Result != "created" {
		b.t.Fatalf("%+v", r)
	}
	for _, n := range []string{name, name + "-washed"} {
		if got := b.label(n, key); got != "yes" {
			b.t.Errorf("%s has label %s=%q", n, key, got)
		}
	}
}

// Whoever writes, the rules of the cluster are asked: kubectl's objects and wash's are the same objects.
func TestAdmission(t *testing.T) {
	c := newClient(t, world.plane.Config)
	letWashIn(t, c, home)
	b := both{t, c, newWash(t)}
	eventually(t, "wash may write", func() string {
		if r := b.wash.put("first"); r.Result != "created" && r.Result != "newversion" {
			return r.Message
		}
		return ""
	})
	for name, test := range map[string]func(*testing.T, both){
		"validating policy": validatingPolicy, "mutating policy": mutatingPolicy, "webhooks": webhooks,
	} {
		t.Run(name, func(t *testing.T) {
			b.t, b.wash.t = t, t
			test(t, b)
		})
	}
	t.Run("quota", func(t *testing.T) {
		b.t, b.wash.t = t, t
		quotaOfBoth(t, b)
	})
}

func validatingPolicy(t *testing.T, b both) {
	api := b.client.kube.AdmissionregistrationV1()
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "no-such-name"},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionregistrationv1.MatchResources{NamespaceSelector: ofHome,
				ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: rules()}}},
			Validations: []admissionregistrationv1.Validation{{Expression: "object.metadata.name != 'against-policy'", Message: "the policy says no"}},
		}}
	if _, err := api.ValidatingAdmissionPolicies().Create(t.Context(), policy, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{ObjectMeta: policy.ObjectMeta,
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{PolicyName: policy.Name, ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny}}}
	if _, err := api.ValidatingAdmissionPolicyBindings().Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	b.refuses("against-policy", "the policy says no")
}

func mutatingPolicy(t *testing.T, b both) {
	api := b.client.kube.AdmissionregistrationV1()
	policy := &admissionregistrationv1.MutatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "label"},
		Spec: admissionregistrationv1.MutatingAdmissionPolicySpec{
			ReinvocationPolicy: admissionregistrationv1.NeverReinvocationPolicy,
			MatchConstraints: &admissionregistrationv1.MatchResources{NamespaceSelector: ofHome,
				ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: rules()}}},
			Mutations: []admissionregistrationv1.Mutation{{PatchType: admissionregistrationv1.PatchTypeApplyConfiguration,
				ApplyConfiguration: &admissionregistrationv1.ApplyConfiguration{Expression: `Object{metadata: Object.metadata{labels: {"by-policy": "yes"}}}`}}},
		}}
	if _, err := api.MutatingAdmissionPolicies().Create(t.Context(), policy, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	binding := &admissionregistrationv1.MutatingAdmissionPolicyBinding{ObjectMeta: policy.ObjectMeta,
		Spec: admissionregistrationv1.MutatingAdmissionPolicyBindingSpec{PolicyName: policy.Name}}
	if _, err := api.MutatingAdmissionPolicyBindings().Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	b.changes("by-policy", "by-policy")
}

func webhooks(t *testing.T, b both) {
	url, trust := serveWebhooks(t)
	fail, none := admissionregistrationv1.Fail, admissionregistrationv1.SideEffectClassNone
	to := func(path string) admissionregistrationv1.WebhookClientConfig {
		address := url + path
		return admissionregistrationv1.WebhookClientConfig{URL: &address, CABundle: trust}
	}
	api := b.client.kube.AdmissionregistrationV1()
	validating := &admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "refuse"},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{{Name: "refuse.example.com", ClientConfig: to("/refuse"), FailurePolicy: &fail, SideEffects: &none,
			AdmissionReviewVersions: []string{"v1"}, NamespaceSelector: ofHome, Rules: []admissionregistrationv1.RuleWithOperations{rules()}}}}
	if _, err := api.ValidatingWebhookConfigurations().Create(t.Context(), validating, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = api.ValidatingWebhookConfigurations().Delete(context.WithoutCancel(t.Context()), "refuse", metav1.DeleteOptions{})
	})
	mutating := &admissionregistrationv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "change"},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{Name: "change.example.com", ClientConfig: to("/change"), FailurePolicy: &fail, SideEffects: &none,
			AdmissionReviewVersions: []string{"v1"}, NamespaceSelector: ofHome, Rules: []admissionregistrationv1.RuleWithOperations{rules()}}}}
	if _, err := api.MutatingWebhookConfigurations().Create(t.Context(), mutating, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = api.MutatingWebhookConfigurations().Delete(context.WithoutCancel(t.Context()), "change", metav1.DeleteOptions{})
	})
	b.refuses("against-webhook", "the webhook says no")
	b.changes("by-webhook", "by-webhook")
}

// serveWebhooks serves /refuse and /change, and returns its address and whom to trust.
func serveWebhooks(t *testing.T) (url string, trust []byte) {
	t.Helper()
	authority, err := certificates.NewAuthority("webhooks", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := authority.Serving([]string{"127.0.0.1", "localhost"}, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(review), ReadHeaderTimeout: time.Second,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}}}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.ServeTLS(listener, "", "") }()
	t.Cleanup(func() { _ = server.Close(); <-ended })
	return "https://" + listener.Addr().String(), authority.Cert
}

// review refuses a name, or adds a label.
func review(w http.ResponseWriter, r *http.Request) {
	var asked admissionv1.AdmissionReview
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	response := &admissionv1.AdmissionResponse{UID: asked.Request.UID, Allowed: true}
	switch {
	case r.URL.Path == "/refuse" && asked.Request.Name == "against-webhook":
		response.Allowed, response.Result = false, &metav1.Status{Message: "the webhook says no"}
	case r.URL.Path == "/change":
		var object map[string]any
		_ = json.Unmarshal(asked.Request.Object.Raw, &object) // it comes from an API server
		labels, _ := at(object, "metadata", "labels").(map[string]any)
		if labels == nil {
			labels = map[string]any{}
		}
		labels["by-webhook"] = "yes"
		patch, _ := json.Marshal([]map[string]any{{"op": "add", "path": "/metadata/labels", "value": labels}}) // it is made of text
		kind := admissionv1.PatchTypeJSONPatch
		response.Patch, response.PatchType = patch, &kind
	}
	asked.Request, asked.Response = nil, response
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(asked) // whoever asked is gone, and asks again
}

// quotaOfBoth lets two more applications in, and the third by neither way.
func quotaOfBoth(t *testing.T, b both) {
	const counted = corev1.ResourceName("count/applications.core.oam.dev")
	quotas := b.client.kube.CoreV1().ResourceQuotas(home)
	list, err := b.client.send(t.Context(), http.MethodGet, homePath(""), nil)
	if err != nil {
		t.Fatal(err)
	}
	there := int64(len(list.object["items"].([]any)))
	countedQuota(t, b.client, home, "two-more", counted, there+2)
	t.Cleanup(func() {
		if err := quotas.Delete(context.WithoutCancel(t.Context()), "two-more", metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	if a := b.post("quota-1", ""); a.code != http.StatusCreated {
		t.Fatal(a)
	}
	if r := b.wash.put("quota-2"); r.Result != "created" {
		t.Fatalf("%+v", r)
	}
	if a := b.post("quota-3", ""); a.code != http.StatusForbidden || !strings.Contains(a.String(), "exceeded quota: two-more") {
		t.Errorf("the third by Kubernetes: %s", a)
	}
	if r := b.wash.put("quota-3"); r.Result != "error" || !strings.Contains(r.Message, "exceeded quota: two-more") {
		t.Errorf("the third by wash: %+v", r)
	}
	if r := b.wash.put("quota-2", image("ghcr.io/acme/web:2")); r.Result != "newversion" {
		t.Errorf("an update by wash: %+v", r)
	}
}
