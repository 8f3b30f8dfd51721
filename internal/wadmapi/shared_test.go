package wadmapi_test

import (
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// sharing is app with the annotation that lets others use its components.
func sharing(name, version, image string) string {
	return strings.Replace(app(name, version, image), `"description":"d"`, `"experimental.wasmcloud.dev/shared":"true"`, 1)
}

// using is app with a component of another application instead of an image.
func using(name, version, owner, component string) string {
	user := strings.Replace(app(name, version, "X"), `{"image":"X"}`, `{"application":{"name":"`+owner+`","component":"`+component+`"}}`, 1)
	return strings.Replace(user, `"traits":[{"type":"spreadscaler","properties":{"instances":1}}]`, `"traits":[]`, 1)
}

// What a reference finds is what the other application runs, not what was put last.
func TestSharedComponents(t *testing.T) {
	w := start(t, newFakeAPI())
	missing := reply("error", `Application contains shared components that are not deployed in other applications: ["web"]`)
	want(t, w.ask("model.put", "application/json", using("user", "v1", "owner", "web")),
		map[string]any{"result": "created", "message": `Successfully put manifest user , but some shared components are not deployed: ["web"]`})
	want(t, w.ask("model.deploy.user", "", ""), missing)
	w.ask("model.put", "application/json", sharing("owner", "v1", "i"))
	want(t, w.ask("model.deploy.user", "", ""), missing) // put, not deployed
	w.ask("model.deploy.owner", "", "")
	w.ask("model.put", "application/json", app("owner", "v2", "i")) // put, not deployed: v1 is shared and runs
	want(t, w.ask("model.deploy.user", "", ""), map[string]any{"result": "acknowledged"})

	w.ask("model.put", "application/json", app("alone", "v1", "i"))
	w.ask("model.deploy.alone", "", "")
	w.ask("model.put", "application/json", sharing("alone", "v2", "i")) // put, not deployed: what runs is not shared
	for owner, component := range map[string]string{"alone": "web", "owner": "other", "nobody": "web"} {
		w.ask("model.put", "application/json", using("user-of-"+owner, "v1", owner, component))
		want(t, w.ask("model.deploy.user-of-"+owner, "", ""), missing)
	}
}

// What others use is neither undeployed nor deleted nor replaced by a version that lacks it; kubectl may do all that.
func TestUsedByOthers(t *testing.T) {
	w := start(t, newFakeAPI())
	events, err := w.conn.SubscribeSync("wadm.evt.default.manifest_unpublished")
	if err != nil {
		t.Fatal(err)
	}
	w.ask("model.put", "application/json", sharing("owner", "v1", "i:1"))
	w.ask("model.deploy.owner", "", "")
	for _, user := range []string{"b-user", "a-user"} {
		w.ask("model.put", "application/json", using(user, "v1", "owner", "web"))
		want(t, w.ask("model.deploy."+user, "", ""), map[string]any{"result": "acknowledged"})
	}
	w.ask("model.put", "application/json", app("owner", "v2", "i:2"))
	used := reply("error", `Application owner shares components that other deployed applications use: ["a-user", "b-user"]. Undeploy them first`)
	for _, c := range []struct{ tail, body string }{
		{"model.undeploy.owner", ""}, {"model.del.owner", ""}, {"model.del.owner", `{"version":"v1"}`}, {"model.deploy.owner", `{"version":"v2"}`},
	} {
		want(t, w.ask(c.tail, "", c.body), used)
	}
	if n, _, _ := events.Pending(); n != 0 {
		t.Errorf("%d refused requests told listeners that something is gone", n)
	}
	w.ask("model.put", "application/json", sharing("owner", "v3", "i:3"))
	want(t, w.ask("model.deploy.owner", "", ""), map[string]any{"result": "acknowledged"}) // still shares it
	want(t, w.ask("model.undeploy.a-user", "", ""), map[string]any{"result": "acknowledged"})
	want(t, w.ask("model.del.b-user", "", ""), map[string]any{"result": "deleted"})
	want(t, w.ask("model.undeploy.owner", "", ""), map[string]any{"result": "acknowledged"})
	want(t, w.ask("model.del.owner", "", ""), map[string]any{"result": "deleted"})
}

// An explicit id that runs in another application is refused in wadm's words; another refusal keeps its own.
func TestIdentifierTaken(t *testing.T) {
	api := newFakeAPI()
	w := start(t, api)
	withID := func(name, id string) string {
		return strings.Replace(app(name, "v1", "i"), `{"image":"i"}`, `{"image":"i","id":"`+id+`"}`, 1)
	}
	w.ask("model.put", "application/json", withID("first", "http_server"))
	w.ask("model.deploy.first", "", "")
	refusal := apierrors.NewInvalid(schema.GroupKind{Group: "core.oam.dev", Kind: "Application"}, "second",
		field.ErrorList{field.Invalid(field.NewPath("spec"), "x", "is in use")})
	api.mu.Lock()
	api.fail = func(call string) error {
		if call == "create" || call == "update" {
			return refusal
		}
		return nil
	}
	api.mu.Unlock()
	want(t, w.ask("model.put", "application/json", withID("second", "http_server")),
		reply("error", "Component identifier 'http_server' is already deployed in a different application 'first'."))
	want(t, w.ask("model.put", "application/json", withID("second", "other")), reply("error", refusal.Error()))
}
