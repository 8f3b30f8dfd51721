package wadmapi_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/wadmapi"
)

// app is a manifest with a version (none: no annotation) and an image.
func app(name, version, image string) string {
	annotations := ""
	if version != "" {
		annotations = fmt.Sprintf(`"version":%q,`, version)
	}
	return fmt.Sprintf(`{"apiVersion":"core.oam.dev/v1beta1","kind":"Application",
		"metadata":{"name":%q,"annotations":{%s"description":"d"},"labels":{"tier":"web"}},
		"spec":{"components":[{"name":"web","type":"component","properties":{"image":%q},
		"traits":[{"type":"spreadscaler","properties":{"instances":1}}]}]}}`, name, annotations, image)
}

// want compares members of a reply.
func want(t *testing.T, reply any, members map[string]any) {
	t.Helper()
	got := map[string]any{}
	for k := range members {
		if v, ok := reply.(map[string]any)[k]; ok {
			got[k] = v
		}
	}
	if diff := cmp.Diff(members, got); diff != "" {
		t.Errorf("reply (-want +got):\n%s", diff)
	}
}

func reply(result, message string) map[string]any {
	return map[string]any{"result": result, "message": message}
}

func TestPut_NeverDeploys(t *testing.T) {
	api := newFakeAPI()
	w := start(t, api)
	w.ask("model.put", "application/json", app("shop", "v1", "i:1"))
	first := api.get("shop")
	if diff := cmp.Diff(map[string]string{"version": "v1", "description": "d", oam.WashDeployedVersionAnnotation: "none"}, first.Annotations); diff != "" {
		t.Errorf("annotations of a new application (-want +got):\n%s", diff)
	}
	if first.Namespace != "team" || first.Labels[oam.LatticeLabel] != "default" || first.Labels["tier"] != "web" {
		t.Errorf("namespace %q, labels %v", first.Namespace, first.Labels)
	}
	w.ask("model.deploy.shop", "", "")
	w.ask("model.put", "application/json", app("shop", "v2", "i:2"))
	if got := api.get("shop").Annotations[oam.WashDeployedVersionAnnotation]; got != "v1" {
		t.Errorf("after a put of v2 the deployed version is %q, want v1", got)
	}
	want(t, w.ask("model.deploy.shop", "", `{"version":"latest"}`), map[string]any{"result": "acknowledged", "version": "v2"})
	want(t, w.ask("model.deploy.shop", "", `{"version":"v1"}`), map[string]any{"result": "acknowledged", "version": "v1"})
}

// TestPut_OnKubernetesApplication: the latest runs because nobody said otherwise; a put by wash keeps that version and
// everything that belongs to others.
func TestPut_OnKubernetesApplication(t *testing.T) {
	api := newFakeAPI()
	w := start(t, api)
	w.ask("model.put", "application/json", app("shop", "v1", "i:1"))
	api.edit("shop", func(a *oam.Application) {
		delete(a.Annotations, oam.WashDeployedVersionAnnotation)
		a.Annotations["argocd.argoproj.io/tracking-id"] = "x"
		a.Annotations["owner"] = "me"
		a.Labels["app.kubernetes.io/instance"] = "y"
	})
	want(t, w.ask("model.put", "application/json", app("shop", "v2", "i:2")),
		map[string]any{"result": "newversion", "total_versions": 2.0, "current_version": "v2", "message": "Successfully put manifest shop v1"})
	got := api.get("shop")
	if diff := cmp.Diff(map[string]string{
		"version": "v2", "description": "d", oam.WashDeployedVersionAnnotation: "v1", "argocd.argoproj.io/tracking-id": "x",
	}, got.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	if got.Labels["app.kubernetes.io/instance"] != "y" || got.Labels[oam.LatticeLabel] != "default" {
		t.Errorf("labels %v", got.Labels)
	}
	manifest := w.ask("model.get.shop", "", "").(map[string]any)["manifest"].(map[string]any)["metadata"]
	if diff := cmp.Diff(map[string]any{"name": "shop", "annotations": map[string]any{"version": "v2", "description": "d"},
		"labels": map[string]any{"tier": "web"}}, manifest); diff != "" {
		t.Errorf("what wash sees (-want +got):\n%s", diff)
	}
}

func TestPinnedByKubernetes(t *testing.T) {
	api := newFakeAPI()
	w := start(t, api)
	w.ask("model.put", "application/json", app("shop", "v1", "i:1"))
	api.edit("shop", func(a *oam.Application) { a.Annotations[oam.DeployedVersionAnnotation] = "v1" })
	w.ask("model.put", "application/json", app("shop", "v2", "i:2"))
	text := `Application shop is deployed by Kubernetes: its annotation k8s.wasmcloud.dev/deployed-version is "v1". To let wash deploy it, ` +
		`remove the annotation: kubectl annotate application shop -n team k8s.wasmcloud.dev/deployed-version-`
	before := api.get("shop")
	for _, tail := range []string{"model.deploy.shop", "model.undeploy.shop"} {
		want(t, w.ask(tail, "", ""), reply("error", text))
	}
	want(t, w.ask("model.del.shop", "", `{"version":"v1"}`), reply("error", text))
	if diff := cmp.Diff(before, api.get("shop")); diff != "" {
		t.Errorf("a refused request changed the application:\n%s", diff)
	}
	versions := w.ask("model.versions.shop", "", "").(map[string]any)["versions"]
	if diff := cmp.Diff([]any{map[string]any{"version": "v1", "deployed": true}, map[string]any{"version": "v2", "deployed": false}}, versions); diff != "" {
		t.Errorf("versions:\n%s", diff)
	}
	want(t, w.ask("model.del.shop", "", `{"version":"v2"}`), reply("deleted", "Successfully deleted version v2 of application shop"))
}

func TestDeleteVersions(t *testing.T) {
	api := newFakeAPI()
	w := start(t, api)
	events, err := w.conn.SubscribeSync("wadm.evt.default.>")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []string{"v1", "v2", "v3"} {
		w.ask("model.put", "application/json", app("shop", v, "i:"+v))
	}
	want(t, w.ask("model.del.shop", "", `{"version":"v9"}`), map[string]any{"result": "noop", "message": "Application version v9 doesn't exist", "undeploy": false})
	if n, _, _ := events.Pending(); n != 0 {
		t.Error("deleting a version that does not exist told listeners that the application is gone")
	}
	w.ask("model.deploy.shop", "", `{"version":"v2"}`)
	want(t, w.ask("model.del.shop", "", `{"version":"v3"}`), map[string]any{"result": "deleted", "undeploy": false})
	want(t, w.ask("model.get.shop", "", `{"version":"v3"}`), reply("notfound", "Application shop with version v3 doesn't exist"))
	want(t, w.ask("model.get.shop", "", ""), map[string]any{"result": "success"})
	list := w.ask("model.list", "", "").([]any)[0].(map[string]any)
	want(t, list, map[string]any{"version": "v2", "deployed_version": "v2"})
	want(t, w.ask("model.del.shop", "", `{"version":"v2"}`), map[string]any{"result": "deleted", "undeploy": true})
	a := api.get("shop")
	if a.Annotations[oam.WashDeployedVersionAnnotation] != "none" || a.Annotations[oam.WashDeletedVersionsAnnotation] != "v2,v3" {
		t.Errorf("annotations %v", a.Annotations)
	}
	// A deleted version may be put again and is visible again.
	want(t, w.ask("model.put", "application/json", app("shop", "v3", "i:new")), map[string]any{"result": "newversion", "total_versions": 2.0})
	want(t, w.ask("model.get.shop", "", `{"version":"v3"}`), map[string]any{"result": "success"})
	w.ask("model.del.shop", "", `{"version":"v3"}`)
	want(t, w.ask("model.del.shop", "", `{"version":"v1"}`), reply("deleted", "Successfully deleted last version of application shop"))
	want(t, w.ask("model.del.shop", "", ""), reply("noop", "Application shop doesn't exist or was already deleted"))
}

// TestNeverDeployed: wash deletes undeployed applications but leaves those alone that were never deployed.
func TestNeverDeployed(t *testing.T) {
	api := newFakeAPI()
	w := start(t, api)
	detailed := func() any {
		return w.ask("model.list", "", "").([]any)[0].(map[string]any)["detailed_status"].(map[string]any)["status"].(map[string]any)["type"]
	}
	w.ask("model.put", "application/json", app("shop", "v1", "i:1"))
	if got := detailed(); got != "waiting" {
		t.Errorf("never deployed: %v", got)
	}
	want(t, w.ask("model.undeploy.shop", "", ""), reply("acknowledged", "Application shop was already undeployed"))
	if got := detailed(); got != "waiting" {
		t.Errorf("undeployed without ever being deployed: %v", got)
	}
	w.ask("model.deploy.shop", "", "")
	w.ask("model.undeploy.shop", "", "")
	if got := detailed(); got != "undeployed" {
		t.Errorf("undeployed: %v", got)
	}
}

func TestRequests_Errors(t *testing.T) {
	api := newFakeAPI()
	w := start(t, api)
	w.ask("model.put", "application/json", app("shop", "v1", "i:1"))
	for _, c := range []struct{ tail, contentType, body, result, message string }{
		{"model.put", "text/plain", "{}", "error", "Unable to parse manifest: Unsupported content type text/plain given. Wadm supports YAML and JSON"},
		{"model.put", "application/json", app("shop", "latest", "i"), "error", `invalid manifest version, errors: "latest is not allowed in wadm"`},
		{"model.put", "application/json", app("my.shop", "v1", "i"), "error", "Manifest name my.shop contains invalid characters. Manifest names can only contain alphanumeric characters, dashes, and underscores."},
		{"model.put", "application/json", app("shop", "v1", "i:2"), "error", "Manifest version v1 already exists"},
		{"model.put", "application/json", app("shop", "v1", "i:1"), "error", "Manifest version v1 already exists"},
		{"model.put", "application/json", strings.Replace(app("shop", "v2", "i"), `"tier":"web"`, `"k8s.wasmcloud.dev/lattice":"other"`, 1), "error",
			"The manifest names lattice other by its label k8s.wasmcloud.dev/lattice but was put to lattice default"},
		{"model.get.shop", "", "null", "error", "Unable to parse get application request: expected an object"},
		{"model.deploy.shop", "", `{"version":"v7"}`, "error", "Application with the name 'shop' does not have a version 'v7' to deploy"},
		{"model.deploy.nope", "", "", "notfound", "Application with the name nope not found"},
		{"model.undeploy.nope", "", `{"non_destructive":true}`, "notfound", "Application with the name nope not found"},
		{"model.versions.nope", "", "", "notfound", "Application with the name nope not found"},
		{"model.history.shop", "", "", "error", "Model deployment history is not currently supported. It may be added in a future version"},
		{"model.put.shop", "", "", "error", "Unsupported subject: wadm.api.default.model.put.shop"},
		{"model.del", "", "", "error", "Unsupported subject: wadm.api.default.model.del"},
		{"other.put", "", "", "error", "Unsupported subject: wadm.api.default.other.put"},
		{"model", "", "", "error", "Invalid subject: Expected to find operation"},
		{"model.get.a.b", "", "", "error", "Invalid subject: Found extra components of subject, ensure your manifest name consists of only alphanumeric characters, dashes, and underscores."},
	} {
		t.Run(c.tail+" "+c.body, func(t *testing.T) {
			w.t = t
			want(t, w.ask(c.tail, c.contentType, c.body), reply(c.result, c.message))
		})
	}
}

// TestAPI_Errors: what the API says reaches the user where it helps; everything else is wadm's storage error.
func TestAPI_Errors(t *testing.T) {
	for name, c := range map[string]struct {
		call string
		err  error
		want string
	}{
		"down":      {"list", errors.New("dial tcp"), "Internal storage error"},
		"find":      {"find", apierrors.NewServiceUnavailable("NATS is away"), "Internal storage error"},
		"forbidden": {"create", apierrors.NewForbidden(resource, "new", errors.New("no role")), `applications.core.oam.dev "new" is forbidden: no role`},
		"conflict":  {"create", apierrors.NewConflict(resource, "new", errors.New("always")), "was changed by others at the same time"},
		"version": {"create", &apierrors.StatusError{ErrStatus: metav1.Status{Reason: metav1.StatusReasonAlreadyExists, Code: 409,
			Message: "Manifest version v1 already exists", Details: &metav1.StatusDetails{Kind: "applicationrevisions"}}}, "Manifest version v1 already exists"},
	} {
		t.Run(name, func(t *testing.T) {
			api := newFakeAPI()
			w := start(t, api)
			api.mu.Lock()
			api.fail = func(call string) error {
				if call == c.call {
					return c.err
				}
				return nil
			}
			api.mu.Unlock()
			var got any
			if c.call == "list" {
				got = w.ask("model.list", "", "")
			} else {
				got = w.ask("model.put", "application/json", app("new", "v1", "i"))
			}
			m := got.(map[string]any)
			if m["result"] != "error" || !strings.Contains(m["message"].(string), c.want) {
				t.Errorf("reply %v, want an error with %q", m, c.want)
			}
		})
	}
	api := newFakeAPI()
	api.home = ""
	want(t, start(t, api).ask("model.put", "application/json", app("new", "v1", "i")), reply("error", wadmapi.ErrNoHome.Error()))
}

// TestLostRaces: another writer comes between read and write; the request is done again on what is there then.
func TestLostRaces(t *testing.T) {
	api := newFakeAPI()
	w := start(t, api)
	w.ask("model.put", "application/json", app("shop", "v1", "i:1"))
	races := 2
	api.onFind = func() {
		if races > 0 {
			races--
			api.edit("shop", func(a *oam.Application) { a.Annotations["other"] = fmt.Sprint(races) })
		}
	}
	want(t, w.ask("model.deploy.shop", "", ""), map[string]any{"result": "acknowledged", "version": "v1"})
	a := api.get("shop")
	if a.Annotations["other"] != "0" || a.Annotations[oam.WashDeployedVersionAnnotation] != "v1" {
		t.Errorf("annotations %v", a.Annotations)
	}
}

// TestList_LargerThanAMessage drops details rather than not answering.
func TestList_LargerThanAMessage(t *testing.T) {
	api := newFakeAPI()
	w := start(t, api)
	for i := range 30 {
		name := fmt.Sprintf("app%02d", i)
		w.ask("model.put", "application/json", app(name, "v1", "i"))
		w.ask("model.deploy."+name, "", "")
		api.edit(name, func(a *oam.Application) {
			a.Status.Components = []oam.ComponentStatus{{ID: name + "-web", Desired: 1, Message: strings.Repeat("x", 20_000)}}
		})
	}
	if got := w.ask("model.list", "", "").([]any); len(got) != 30 {
		t.Errorf("%d applications", len(got))
	}
}
