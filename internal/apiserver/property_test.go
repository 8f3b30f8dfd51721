package apiserver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/uuid"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/store"
)

// manifests makes random applications that are right, in every form that a spec may have.
type manifests struct{ *rand.Rand }

func (m manifests) one(of ...string) string { return of[m.IntN(len(of))] }

func (m manifests) text() string {
	return m.one("a", "ü<>&\u2028", "with space", "line\nbreak", `q"uote\`, "1", "true", "null", "ghcr.io/x/y@sha256:0", "{{}}", "", "🦀")
}

func (m manifests) stringMap() map[string]any {
	out := map[string]any{}
	for range m.IntN(3) {
		out[fmt.Sprintf("k%d", m.IntN(9))] = m.text()
	}
	return out
}

func (m manifests) config(component string) []any {
	out := []any{}
	for i := range m.IntN(3) {
		c := map[string]any{"name": fmt.Sprintf("%s-config-%d", component, i)}
		if m.IntN(2) == 0 {
			c["properties"] = m.stringMap() // {} is not the same as nothing
		}
		out = append(out, c)
	}
	return out
}

// free is what a trait of somebody else may hold.
func (m manifests) free(depth int) any {
	switch n := m.IntN(8); {
	case n == 0 && depth > 0:
		list := []any{}
		for range m.IntN(3) {
			list = append(list, m.free(depth-1))
		}
		return list
	case n == 1 && depth > 0:
		out := map[string]any{}
		for range m.IntN(3) {
			out[m.text()] = m.free(depth - 1)
		}
		return out
	case n == 2:
		return nil
	case n == 3:
		return m.IntN(2) == 0
	case n == 4:
		return int64(m.Uint64() >> 12)
	case n == 5:
		return m.Float64() * 1e6
	case n == 6:
		return -int64(m.IntN(1000))
	}
	return m.text()
}

func (m manifests) traits(component string, targets []string) any {
	traits := []any{}
	if m.IntN(2) == 0 {
		spread := []any{}
		for i := range m.IntN(3) {
			s := map[string]any{"name": fmt.Sprintf("s%d", i), "weight": int64(1 + m.IntN(100))}
			if m.IntN(2) == 0 {
				s["requirements"] = m.stringMap()
			}
			spread = append(spread, s)
		}
		properties := map[string]any{m.one("instances", "replicas"): int64(m.IntN(9))}
		if m.IntN(2) == 0 {
			properties["spread"] = spread
		}
		traits = append(traits, map[string]any{"type": m.one("spreadscaler", "daemonscaler"), "properties": properties})
	}
	for i, target := range targets {
		link := map[string]any{
			"namespace": "wasi", "package": "http", "interfaces": []any{"incoming-handler"}, "name": fmt.Sprintf("%s-%d", component, i),
		}
		if m.IntN(2) == 0 {
			link["target"] = target
			link["target_config"] = m.config(fmt.Sprintf("%s-t-%d", component, i))
		} else {
			link["target"] = map[string]any{"name": target, "config": m.config(fmt.Sprintf("%s-n-%d", component, i))}
			link["source"] = map[string]any{"config": m.config(fmt.Sprintf("%s-s-%d", component, i))}
		}
		traits = append(traits, map[string]any{"type": "link", "properties": link})
	}
	if m.IntN(3) == 0 {
		traits = append(traits, map[string]any{"type": "x-example", "properties": map[string]any{"any": m.free(3)}})
	}
	return traits
}

func (m manifests) application(name string) *unstructured.Unstructured {
	names := []string{}
	for i := range 1 + m.IntN(4) {
		names = append(names, fmt.Sprintf("part-%d", i))
	}
	components := []any{}
	for i, component := range names {
		properties := map[string]any{"image": "ghcr.io/acme/" + component + ":1"}
		if m.IntN(3) == 0 {
			properties["id"] = name + "-" + component
		}
		if m.IntN(2) == 0 {
			properties["config"] = m.config(component)
		}
		if m.IntN(4) == 0 {
			properties["secrets"] = []any{map[string]any{"name": "s", "properties": map[string]any{
				"policy": "vault", "key": "k", "field": m.one("f", "g"), "version": "1"}}}
		}
		c := map[string]any{"name": component, "type": m.one("component", "actor", "capability"), "properties": properties}
		if i == 0 && c["type"] == "capability" {
			c["type"] = "component"
		}
		if m.IntN(4) > 0 {
			c["traits"] = m.traits(component, names[:m.IntN(len(names)+1)])
		}
		components = append(components, c)
	}
	spec := map[string]any{"components": components}
	spec["policies"] = []any{map[string]any{"name": "vault", "type": "policy.secret.wasmcloud.dev/v1alpha1",
		"properties": map[string]any{"backend": "kube", "x": m.text()}}}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "core.oam.dev/v1beta1", "kind": "Application", "metadata": map[string]any{"name": name}, "spec": spec,
	}}
}

// What users wrote stays: a random manifest comes back as it was, whichever way it is written, and writing it again in
// any way changes nothing.
func TestWhatUsersWroteStays(t *testing.T) {
	w := start(t)
	client := w.apps("team-a")
	rounds := 60
	if testing.Short() {
		rounds = 20
	}
	accepted := 0
	for seed := range rounds {
		m := manifests{rand.New(rand.NewPCG(uint64(seed), 7))}
		app := m.application(fmt.Sprintf("app-%d", seed))
		var created *unstructured.Unstructured
		var err error
		if m.IntN(2) == 0 {
			created, err = client.Create(t.Context(), app.DeepCopy(), metav1.CreateOptions{})
		} else {
			created, err = client.Apply(t.Context(), app.GetName(), app.DeepCopy(), metav1.ApplyOptions{FieldManager: "m"})
		}
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, asJSON(app.Object))
		}
		accepted++
		sameAs := func(how string, got *unstructured.Unstructured) {
			t.Helper()
			if diff := cmp.Diff(normal(t, app.Object["spec"]), normal(t, got.Object["spec"])); diff != "" {
				t.Errorf("seed %d: %s is not what was written (-want +got):\n%s", seed, how, diff)
			}
			if got.GetGeneration() != 1 || str(got, "status", "version") != str(created, "status", "version") {
				t.Errorf("seed %d: %s changed generation (%d) or version", seed, how, got.GetGeneration())
			}
		}
		sameAs("create", created)
		sameAs("get", must(client.Get(t.Context(), app.GetName(), metav1.GetOptions{}))(t))
		sameAs("apply", must(client.Apply(t.Context(), app.GetName(), app.DeepCopy(), metav1.ApplyOptions{FieldManager: "m", Force: true}))(t))
		// RFC 7386 has no way to write a null, so a client never sends a merge patch with one that it means.
		if body := asJSON(map[string]any{"spec": app.Object["spec"]}); !bytes.Contains(body, []byte("null")) {
			sameAs("merge patch", must(client.Patch(t.Context(), app.GetName(), types.MergePatchType, body, metav1.PatchOptions{}))(t))
		}
		sameAs("update", must(client.Update(t.Context(), must(client.Get(t.Context(), app.GetName(), metav1.GetOptions{}))(t), metav1.UpdateOptions{}))(t))
		body := asJSON([]any{map[string]any{"op": "replace", "path": "/spec", "value": app.Object["spec"]}})
		sameAs("JSON patch", must(client.Patch(t.Context(), app.GetName(), types.JSONPatchType, body, metav1.PatchOptions{}))(t))
	}
	t.Logf("%d manifests", accepted)
}

// normal is a value without Go's distinction of number types and nils.
func normal(t *testing.T, value any) any {
	t.Helper()
	var out any
	if err := json.Unmarshal(asJSON(value), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func asJSON(value any) []byte {
	data, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return data
}

// A manifest that is damaged somewhere is taken or refused with a reason, and nothing is ever an error of the server.
func TestNeverAnInternalError(t *testing.T) {
	w := start(t)
	config := w.as("mallory")
	rounds := 600
	if testing.Short() {
		rounds = 200
	}
	statuses := map[int]int{}
	must(w.apps("team-a").Create(t.Context(), hello("target"), metav1.CreateOptions{}))(t)
	for seed := range rounds {
		m := manifests{rand.New(rand.NewPCG(uint64(seed), 11))}
		body := m.damage(asJSON(m.application("fuzz").Object))
		method, path, contentType := http.MethodPost, listPath+"?dryRun=All", "application/json"
		switch m.IntN(6) {
		case 0:
			method, path = http.MethodPut, listPath+"/target?dryRun=All"
		case 1, 2:
			method, path = http.MethodPatch, listPath+"/"+m.one("target", "fuzz")+"?dryRun=All&force=true&fieldManager=m"
			contentType = string(types.ApplyYAMLPatchType)
		case 3:
			method, path, contentType = http.MethodPatch, listPath+"/target?dryRun=All", string(types.MergePatchType)
		case 4:
			method, path, contentType = http.MethodPatch, listPath+"/target?dryRun=All", string(types.JSONPatchType)
			body = []byte(`[{"op":"` + m.one("replace", "add", "test", "x") + `","path":"` + m.one("/spec", "/spec/components/0", "/metadata", "", "/x") +
				`","value":` + string(body) + `}]`)
		}
		status, _, answer := w.send(config, method, path, contentType, "application/json", string(body))
		statuses[status]++
		if status >= 500 {
			t.Fatalf("seed %d: %d %s\n%s", seed, status, answer, body)
		}
	}
	t.Logf("statuses %v", statuses)
	if statuses[201] == 0 || statuses[400] == 0 || statuses[422] == 0 {
		t.Errorf("the damage is one-sided: %v", statuses)
	}
}

// damage changes a JSON document: a value becomes another kind of value, a member is renamed or lost, or bytes break.
func (m manifests) damage(data []byte) []byte {
	if m.IntN(6) == 0 {
		data[m.IntN(len(data))] = byte(m.IntN(256))
		return data
	}
	var doc any
	_ = json.Unmarshal(data, &doc)
	for range m.IntN(3) {
		doc = m.break1(doc, 2+m.IntN(6))
	}
	return asJSON(doc)
}

func (m manifests) break1(doc any, depth int) any {
	odd := []any{nil, 1.5, -1, 1e300, "", "x", true, []any{}, map[string]any{}, []any{nil}, map[string]any{"": nil}, strings.Repeat("long", 100)}
	if depth == 0 {
		return odd[m.IntN(len(odd))]
	}
	switch v := doc.(type) {
	case map[string]any:
		keys := sets.List(sets.KeySet(v))
		if len(keys) == 0 {
			return v
		}
		key := keys[m.IntN(len(keys))]
		switch m.IntN(6) {
		case 0:
			delete(v, key)
		case 1:
			v[m.text()] = v[key]
		default:
			v[key] = m.break1(v[key], depth-1)
		}
		return v
	case []any:
		if len(v) == 0 {
			return v
		}
		if m.IntN(5) == 0 {
			return append(v, v[m.IntN(len(v))])
		}
		i := m.IntN(len(v))
		v[i] = m.break1(v[i], depth-1)
		return v
	}
	return odd[m.IntN(len(odd))]
}

func TestWrongManifests(t *testing.T) {
	w := start(t)
	config := w.as("alice")
	component := `{"name":"a","type":"component","properties":{"image":"x"}}`
	for name, c := range map[string]struct{ metadata, spec, field string }{
		"unknown type":      {`"name":"x"`, `{"components":[{"name":"a","type":"module","properties":{"image":"x"}}]}`, "spec.components[0].type"},
		"missing image":     {`"name":"x"`, `{"components":[{"name":"a","type":"component","properties":{}}]}`, "spec.components[0].properties"},
		"two of one name":   {`"name":"x"`, `{"components":[` + component + `,` + component + `]}`, "spec.components[1].name"},
		"link to nobody":    {`"name":"x"`, `{"components":[{"name":"a","type":"component","properties":{"image":"x"},"traits":[{"type":"link","properties":{"namespace":"wasi","package":"http","interfaces":["incoming-handler"],"target":{"name":"b"}}}]}]}`, "spec.components[0].traits[0].properties.target.name"},
		"no components":     {`"name":"x"`, `{}`, "spec.components"},
		"version latest":    {`"name":"x","annotations":{"version":"latest"}`, `{"components":[]}`, "metadata.annotations[version]"},
		"a name with a dot": {`"name":"x.y"`, `{"components":[]}`, "metadata.name"},
		"a long name":       {`"name":"` + strings.Repeat("x", 64) + `"`, `{"components":[]}`, "metadata.name"},
	} {
		body := `{"apiVersion":"core.oam.dev/v1beta1","kind":"Application","metadata":{` + c.metadata + `},"spec":` + c.spec + `}`
		status, _, answer := w.do(config, http.MethodPost, listPath, "application/json", body)
		var got metav1.Status
		_ = json.Unmarshal([]byte(answer), &got)
		fields := []string{}
		if got.Details != nil {
			for _, cause := range got.Details.Causes {
				fields = append(fields, cause.Field)
			}
		}
		if status != http.StatusUnprocessableEntity || !strings.Contains(strings.Join(fields, " "), c.field) {
			t.Errorf("%s: %d, fields %v: %s", name, status, fields, answer)
		}
	}
	if len(w.claims.held) != 0 || len(w.revisions("team-a")) != 0 {
		t.Errorf("refused manifests left claims %v and %d revisions", w.claims.held, len(w.revisions("team-a")))
	}
	big := hello("big")
	components, _, _ := unstructured.NestedSlice(big.Object, "spec", "components")
	components[0].(map[string]any)["properties"].(map[string]any)["config"] = []any{map[string]any{
		"name": "c", "properties": map[string]any{"k": strings.Repeat("x", 600<<10)}}}
	_ = unstructured.SetNestedSlice(big.Object, components, "spec", "components")
	if status, _, answer := w.do(config, http.MethodPost, listPath, "application/json", string(asJSON(big.Object))); status != 422 {
		t.Errorf("600 KiB: %d %.200s", status, answer)
	}
	huge := `{"apiVersion":"core.oam.dev/v1beta1","kind":"Application","metadata":{"name":"x","annotations":{"a":"` + strings.Repeat("x", 4<<20) + `"}}}`
	if status, _, answer := w.do(config, http.MethodPost, listPath, "application/json", huge); status != 413 {
		t.Errorf("4 MiB: %d %.200s", status, answer)
	}
	deep := `{"apiVersion":"core.oam.dev/v1beta1","kind":"Application","metadata":{"name":"x"},"spec":{"components":[{"name":"a","type":"component","properties":{"image":"x"},"traits":[{"type":"x","properties":` +
		strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}]}]}}`
	if status, _, answer := w.do(config, http.MethodPost, listPath, "application/json", deep); status != 400 && status != 422 {
		t.Errorf("20,000 levels: %d %.200s", status, answer)
	}
}

// A list of 10,000 is complete, whole and in pages. They are written below the API, which takes a fiftieth of the time.
func TestLongList(t *testing.T) {
	w := start(t)
	const count, limit = 10000, 500
	w.writeBelow(count)
	whole := w.namesIn("")
	if len(whole.Items) != count {
		t.Errorf("%d in the whole list, %d written", len(whole.Items), count)
	}
	seen, pages, revision := map[string]bool{}, 0, ""
	for next := ""; ; {
		page := w.namesIn(fmt.Sprintf("?limit=%d&continue=%s", limit, url.QueryEscape(next)))
		for _, item := range page.Items {
			seen[item.Metadata.Namespace+"/"+item.Metadata.Name] = true
		}
		pages++
		if revision == "" {
			revision = page.Metadata.ResourceVersion
		}
		if len(page.Items) > limit || page.Metadata.ResourceVersion != revision {
			t.Errorf("page %d has %d items at revision %s, the first was at %s", pages, len(page.Items), page.Metadata.ResourceVersion, revision)
		}
		if next = page.Metadata.Continue; next == "" {
			break
		}
	}
	if len(seen) != count || pages != count/limit {
		t.Errorf("%d in %d pages, want %d in %d", len(seen), pages, count, count/limit)
	}
	status, _, body := w.do(w.as("alice"), http.MethodGet, "/metrics", "", "")
	if status != http.StatusOK || !bytes.Contains([]byte(body), []byte(`apiserver_cache_list_total`)) {
		t.Errorf("no list was served from the cache")
	}
}

// namesOf is what a list says about names; the rest costs time to read.
type namesOf struct {
	Metadata struct{ ResourceVersion, Continue string }
	Items    []struct {
		Metadata struct{ Namespace, Name string }
	}
}

func (w *world) namesIn(query string) (list namesOf) {
	w.t.Helper()
	status, _, body := w.do(w.as("alice"), http.MethodGet, "/apis/core.oam.dev/v1beta1/applications"+query, "", "")
	if err := json.Unmarshal([]byte(body), &list); err != nil || status != http.StatusOK {
		w.t.Fatalf("list%s: %d %.300s", query, status, body)
	}
	return list
}

// writeBelow puts applications into the store as the API does, without the API.
func (w *world) writeBelow(count int) {
	w.t.Helper()
	codecs, err := newCodecs()
	if err != nil {
		w.t.Fatal(err)
	}
	prefix := "/" + v1beta1.GroupName + "/" + applications
	raw := w.store.Storage(store.Resource{
		Group: v1beta1.GroupName, Resource: applications, Codec: codecs.stored(), Prefix: prefix,
		New:     func() runtime.Object { return &v1beta1.Application{} },
		NewList: func() runtime.Object { return &v1beta1.ApplicationList{} },
	})
	const workers = 16
	var parts sync.WaitGroup
	for worker := range workers {
		parts.Go(func() {
			for i := worker; i < count; i += workers {
				app := &v1beta1.Application{
					ObjectMeta: metav1.ObjectMeta{Namespace: fmt.Sprintf("ns-%d", i%4), Name: fmt.Sprintf("app-%d", i), UID: uuid.NewUUID()},
					Spec:       v1beta1.ApplicationSpec{Components: []v1beta1.Component{}},
				}
				if err := raw.Create(w.t.Context(), prefix+"/"+app.Namespace+"/"+app.Name, app, nil, 0); err != nil {
					w.t.Errorf("create %d: %v", i, err)
					return
				}
			}
		})
	}
	parts.Wait()
}

// An object above 512 KiB, encoded, is refused with 413, and nothing of it reaches NATS: when it is new, and when it grows.
func TestTooLarge(t *testing.T) {
	w := start(t)
	config, path := w.as("alice"), listPath
	sized := func(name string, kib int) string {
		// Metadata and spec together: each of them alone is below its own limit.
		app := hello(name)
		app.SetAnnotations(map[string]string{"note": strings.Repeat("x", 200<<10)})
		components, _, _ := unstructured.NestedSlice(app.Object, "spec", "components")
		components[0].(map[string]any)["properties"].(map[string]any)["config"] = []any{map[string]any{
			"name": "c", "properties": map[string]any{"k": strings.Repeat("x", (kib-200)<<10)}}}
		_ = unstructured.SetNestedSlice(app.Object, components, "spec", "components")
		return string(asJSON(app.Object))
	}
	if status, _, answer := w.do(config, http.MethodPost, listPath, "application/json", sized("fits", 500)); status != http.StatusCreated {
		t.Fatalf("500 KiB: %d %.300s", status, answer)
	}
	before, err := w.store.Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for what, call := range map[string]struct{ method, path, kind, body string }{
		"a new one of 520 KiB": {http.MethodPost, path, "application/json", sized("large", 520)},
		"one that grows": {http.MethodPatch, path + "/fits", "application/merge-patch+json",
			`{"metadata":{"annotations":{"more":"` + strings.Repeat("x", 30<<10) + `"}}}`},
		"one that grows by its status": {http.MethodPatch, path + "/fits/status", "application/merge-patch+json",
			`{"status":{"endpoint":"` + strings.Repeat("x", 30<<10) + `"}}`},
	} {
		status, _, answer := w.send(config, call.method, call.path, call.kind, "application/json", call.body)
		if status != http.StatusRequestEntityTooLarge || !strings.Contains(answer, "RequestEntityTooLarge") {
			t.Errorf("%s: %d %.300s", what, status, answer)
		}
	}
	after, err := w.store.Current(t.Context())
	if err != nil || after != before {
		t.Errorf("the store went from revision %d to %d: %v", before, after, err)
	}
	// The spec alone above the limit is refused by its field.
	big := strings.Replace(sized("big", 720), strings.Repeat("x", 200<<10), "x", 1)
	if status, _, answer := w.do(config, http.MethodPost, listPath, "application/json", big); status != http.StatusUnprocessableEntity ||
		!strings.Contains(answer, `"field":"spec"`) {
		t.Errorf("a spec of 520 KiB: %d %.300s", status, answer)
	}
}
