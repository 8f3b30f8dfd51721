package wadmapi_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
)

// The tests of wadm's API that upstream has (tests/api_model_operations.rs and the API part of its end-to-end tests), one by
// one, with upstream's manifests. Other tests of this package go into more detail.

func manifestFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "manifest", "testdata", "wadm", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func versionsOf(w *wash, name string) (names []string) {
	w.t.Helper()
	for _, v := range w.ask("model.versions."+name, "", "").(map[string]any)["versions"].([]any) {
		v := v.(map[string]any)
		if names = append(names, v["version"].(string)); v["deployed"] == true {
			names[len(names)-1] += " deployed"
		}
	}
	return names
}

func equal(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestUpstream_CrudOperations(t *testing.T) {
	api := newFakeAPI()
	w := start(t, api)
	want(t, w.ask("model.put", "", manifestFile(t, "simple.wadm.yaml")), map[string]any{"result": "created", "total_versions": 1.0, "current_version": "v0.0.1"})
	generated := strings.Replace(app("generated", "", "i"), `"description":"d"`, `"description":"no version"`, 1)
	ulid := w.ask("model.put", "", generated).(map[string]any)["current_version"].(string)
	if len(ulid) != 26 {
		t.Errorf("the generated version is %q", ulid)
	}
	got := w.ask("model.get.generated", "", "").(map[string]any)["manifest"].(map[string]any)["metadata"].(map[string]any)["annotations"]
	if diff := cmp.Diff(map[string]any{"version": ulid, "description": "no version"}, got); diff != "" {
		t.Errorf("the generated version is written into the manifest (-want +got):\n%s", diff)
	}
	first := w.ask("model.list", "", "").([]any)[1].(map[string]any)["name"].(string)
	listed := func() (names []string) {
		for _, m := range w.ask("model.get", "", "").(map[string]any)["models"].([]any) {
			names = append(names, m.(map[string]any)["name"].(string)+" "+m.(map[string]any)["version"].(string))
		}
		return names
	}
	equal(t, "the list", listed(), "generated "+ulid, first+" v0.0.1")
	for n, version := range []string{"v0.0.2", "v0.0.3"} {
		next := strings.Replace(manifestFile(t, "simple.wadm.yaml"), "v0.0.1", version, 1)
		want(t, w.ask("model.put", "", next), map[string]any{"result": "newversion", "total_versions": float64(n + 2), "current_version": version})
	}
	equal(t, "the list", listed(), "generated "+ulid, first+" v0.0.3")
	equal(t, "versions", versionsOf(w, first), "v0.0.1", "v0.0.2", "v0.0.3")
	want(t, w.ask("model.get."+first, "", `{"version":"v0.0.1"}`), reply("success", "Successfully fetched application "+first+" v0.0.1"))
	want(t, w.ask("model.del."+first, "", `{"version":"v0.0.2"}`), map[string]any{"result": "deleted"})
	equal(t, "versions after the middle one was deleted", versionsOf(w, first), "v0.0.1", "v0.0.3")
	want(t, w.ask("model.del."+first, "", ""), map[string]any{"result": "deleted"})
	want(t, w.ask("model.get."+first, "", ""), map[string]any{"result": "notfound"})
	want(t, w.ask("model.del.generated", "", `{"version":"`+ulid+`"}`), map[string]any{"result": "deleted"})
	equal(t, "the list in the end", listed())
}

// Upstream's second and third case send the first once more; here they are what their names say.
func TestUpstream_BadRequests(t *testing.T) {
	w := start(t, newFakeAPI())
	simple := manifestFile(t, "simple.wadm.yaml")
	want(t, w.ask("model.put", "", simple), map[string]any{"result": "created"})
	want(t, w.ask("model.put", "", simple), reply("error", "Manifest version v0.0.1 already exists"))
	want(t, w.ask("model.put", "", strings.Replace(simple, "v0.0.1", "latest", 1)), reply("error", `invalid manifest version, errors: "latest is not allowed in wadm"`))
	want(t, w.ask("model.put.another-name", "", simple), reply("error", "Unsupported subject: wadm.api.default.model.put.another-name"))
}

func TestUpstream_DeleteNoop(t *testing.T) {
	w := start(t, newFakeAPI())
	noApp := reply("noop", "Application my-example-app doesn't exist or was already deleted")
	want(t, w.ask("model.del.my-example-app", "", ""), noApp)
	want(t, w.ask("model.del.my-example-app", "", `{"version":"v0.0.1"}`), noApp)
	w.ask("model.put", "", app("my-example-app", "v0.0.1", "i"))
	want(t, w.ask("model.del.my-example-app", "", `{"version":"v0.0.2"}`), reply("noop", "Application version v0.0.2 doesn't exist"))
}

func TestUpstream_InvalidTopics(t *testing.T) {
	w := start(t, newFakeAPI())
	for tail, begins := range map[string]string{
		"model": "Invalid subject", "model.get.foo.bar": "Invalid subject", "model.put.foo.bar.baz": "Invalid subject", "foo.put": "Unsupported subject",
	} {
		m := w.ask(tail, "", "").(map[string]any)
		if m["result"] != "error" || !strings.HasPrefix(m["message"].(string), begins) {
			t.Errorf("%s: %v, want %s…", tail, m, begins)
		}
	}
}

func TestUpstream_ManifestParsing(t *testing.T) {
	w := start(t, newFakeAPI())
	want(t, w.ask("model.put", "", app("plain", "v1", "i")), map[string]any{"result": "created"})
	want(t, w.ask("model.put", "application/yaml", strings.Replace(manifestFile(t, "simple.wadm.yaml"), "v0.0.1", "v1", 1)), map[string]any{"result": "created"})
	want(t, w.ask("model.put", "application/json", app("plain", "v2", "i:2")), map[string]any{"result": "newversion", "total_versions": 2.0})
	configs := strings.Replace(manifestFile(t, "config.yaml"), "annotations:", "annotations:\n    version: v1", 1)
	want(t, w.ask("model.put", "", configs), map[string]any{"result": "created"})
}

// event returns the next message, or fails.
func event(t *testing.T, sub *nats.Subscription, kind string) {
	t.Helper()
	msg, err := sub.NextMsg(5 * time.Second)
	if err != nil || msg.Subject != "wadm.evt.default."+kind {
		t.Errorf("no event %s: %v, %v", kind, msg, err)
	}
}

func TestUpstream_Deploy(t *testing.T) {
	w := start(t, newFakeAPI())
	events, err := w.conn.SubscribeSync("wadm.evt.default.>")
	if err != nil {
		t.Fatal(err)
	}
	want(t, w.ask("model.deploy.unknown", "", ""), map[string]any{"result": "notfound"})
	want(t, w.ask("model.undeploy.unknown", "", ""), map[string]any{"result": "notfound"})
	for n := range 3 {
		w.ask("model.put", "", app("shop", fmt.Sprint("v", n), fmt.Sprint("i:", n)))
	}
	want(t, w.ask("model.deploy.shop", "", ""), map[string]any{"result": "acknowledged", "version": "v2"})
	event(t, events, "manifest_published")
	equal(t, "versions", versionsOf(w, "shop"), "v0", "v1", "v2 deployed")
	want(t, w.ask("model.deploy.shop", "", `{"version":"v0"}`), map[string]any{"result": "acknowledged", "version": "v0"})
	event(t, events, "manifest_published")
	equal(t, "versions", versionsOf(w, "shop"), "v0 deployed", "v1", "v2")
	want(t, w.ask("model.deploy.shop", "", `{"version":"latest"}`), map[string]any{"result": "acknowledged", "version": "v2"})
	event(t, events, "manifest_published")
	want(t, w.ask("model.undeploy.shop", "", ""), map[string]any{"result": "acknowledged", "version": nil})
	event(t, events, "manifest_unpublished")
	equal(t, "versions", versionsOf(w, "shop"), "v0", "v1", "v2")
}

func TestUpstream_DeleteDeploy(t *testing.T) {
	w := start(t, newFakeAPI())
	events, err := w.conn.SubscribeSync("wadm.evt.default.>")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []string{"v1", "v2"} {
		w.ask("model.put", "", app("shop", v, "i:"+v))
	}
	w.ask("model.deploy.shop", "", `{"version":"v1"}`)
	event(t, events, "manifest_published")
	want(t, w.ask("model.del.shop", "", `{"version":"v1"}`), map[string]any{"result": "deleted", "undeploy": true})
	event(t, events, "manifest_unpublished")
	w.ask("model.deploy.shop", "", "")
	event(t, events, "manifest_published")
	want(t, w.ask("model.del.shop", "", ""), map[string]any{"result": "deleted", "undeploy": true})
	event(t, events, "manifest_unpublished")
}

func TestUpstream_Status(t *testing.T) {
	w := start(t, newFakeAPI())
	w.ask("model.put", "", app("shop", "v1", "i"))
	for _, name := range []string{"shop", "unknown"} { // wadm knows no other answer for an unknown application
		want(t, w.ask("model.status."+name, "", ""), map[string]any{
			"result": "ok", "message": "Successfully fetched status for application " + name,
			"status": map[string]any{"status": map[string]any{"type": "undeployed"}, "version": "", "components": []any{}},
		})
	}
}

// The API's part of upstream's end-to-end test of invalid shared components.
func TestUpstream_SharedInvalid(t *testing.T) {
	w := start(t, newFakeAPI())
	put := func(name string) any { return w.ask("model.put", "", manifestFile(t, "shared/"+name)) }
	want(t, put("both_properties.yaml"), reply("error", "Component cannot have both 'image' and 'application' properties"))
	want(t, put("no_properties.yaml"), reply("error", "Component must have either 'image' or 'application' property"))
	owner := put("notshared_http.yaml").(map[string]any)["name"].(string)
	want(t, w.ask("model.deploy."+owner, "", ""), map[string]any{"result": "acknowledged"})
	shared := put("shared_http.yaml").(map[string]any)["name"].(string)
	want(t, w.ask("model.deploy."+shared, "", ""), map[string]any{"result": "acknowledged"})
	for _, file := range []string{"no_matching_app.yaml", "no_matching_component.yaml", "notshared_http_dev.yaml"} {
		m := put(file).(map[string]any)
		if m["result"] != "created" || !strings.Contains(m["message"].(string), ", but some shared components are not deployed: [") {
			t.Errorf("%s: %v", file, m)
		}
		d := w.ask("model.deploy."+m["name"].(string), "", "").(map[string]any)
		if d["result"] != "error" || !strings.HasPrefix(d["message"].(string), "Application contains shared components that are not deployed in other applications: [") {
			t.Errorf("%s: %v", file, d)
		}
	}
	user := put("shared_http_dev.yaml").(map[string]any)["name"].(string)
	want(t, w.ask("model.deploy."+user, "", ""), map[string]any{"result": "acknowledged"})
}
