//go:build conformance && linux

package conformance

import (
	"net/http"
	"regexp"
	"strings"
	"time"
)

// metadataOf says what a server adds to an object that is new.
func metadataOf(r *transcript, a *answer) string {
	var out []string
	for _, key := range []string{"name", "namespace", "generation", "deletionTimestamp", "selfLink"} {
		out = append(out, key+"="+text(a.object, "metadata", key))
	}
	made, err := time.Parse(time.RFC3339, text(a.object, "metadata", "creationTimestamp"))
	out = append(out, "recent="+yes(err == nil && time.Since(made) < time.Minute && time.Until(made) < 2*time.Second))
	out = append(out, "uid="+yes(uids.MatchString(text(a.object, "metadata", "uid"))))
	out = append(out, "version="+yes(regexp.MustCompile(`^[1-9]\d*$`).MatchString(a.version())))
	return strings.Join(out, " ")
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func checkCreate(r *transcript) {
	created := r.ask("create", http.MethodPost, "", r.app("one"))
	r.note("metadata of a new object", metadataOf(r, created))
	r.note("kind", text(created.object, "apiVersion")+" "+text(created.object, "kind"))
	r.note("Location", created.header.Get("Location"))
	r.note("content type", created.header.Get("Content-Type"))
	r.ask("create again", http.MethodPost, "", r.app("one"))
	forged := r.must(http.MethodPost, "", r.app("forged", set("11111111-1111-1111-1111-111111111111", "metadata", "uid"),
		set("2001-01-01T00:00:00Z", "metadata", "creationTimestamp"), set("2001-01-01T00:00:00Z", "metadata", "deletionTimestamp"),
		set(7, "metadata", "generation"), set("/x", "metadata", "selfLink"), set(5, "metadata", "deletionGracePeriodSeconds")))
	r.note("what the server decides", metadataOf(r, forged))
	r.note("a uid of the client's", yes(text(forged.object, "metadata", "uid") == "11111111-1111-1111-1111-111111111111"))
	r.ask("with a resourceVersion", http.MethodPost, "", r.app("versioned", set("5", "metadata", "resourceVersion")))
	withStatus := r.must(http.MethodPost, "", r.app("status", set("Deployed", "status", "phase")))
	r.note("a status of the client's", text(withStatus.object, "status", "phase"))
	r.ask("namespace of the body is missing", http.MethodPost, "", r.app("bare"))
	r.ask("namespace of the body is another", http.MethodPost, "", r.app("elsewhere", set("default", "metadata", "namespace")))
	r.note("another version", r.do(http.MethodPost, "", r.app("x", set(r.kind.group+"/v9", "apiVersion"))).brief())
	r.note("another group", r.do(http.MethodPost, "", r.app("x", set("example.org/v1", "apiVersion"))).brief())
	r.note("another kind", r.do(http.MethodPost, "", r.app("x", set("ConfigMap", "kind"))).brief())
	r.note("no kind", r.do(http.MethodPost, "", r.app("x", set("", "kind"))).brief())
	r.ask("nothing", http.MethodPost, "", "")
	r.ask("no object", http.MethodPost, "", "[]")
	r.ask("no JSON", http.MethodPost, "", `{"apiVersion":`)
	r.note("spec of another type", r.do(http.MethodPost, "", r.app("x", set("text", "spec"))).brief())
	r.note("text instead of a list", r.do(http.MethodPost, "", r.app("x", set("text", "spec", "components"))).brief())
	r.note("metadata of another type", r.do(http.MethodPost, "", r.app("x", set("text", "metadata"))).brief())
	r.note("labels of another type", r.do(http.MethodPost, "", r.app("x", set(map[string]any{"a": 1}, "metadata", "labels"))).brief())
	r.ask("YAML", http.MethodPost, "", "apiVersion: "+r.kind.group+"/v1beta1\nkind: Application\nmetadata: {name: yaml}\nspec: {components: []}\n",
		"Content-Type: application/yaml")
	r.note("plain text", r.do(http.MethodPost, "", "x", "Content-Type: text/plain").brief())
}

func checkGenerateName(r *transcript) {
	generate := func(prefix string) map[string]any {
		return r.app("", set(prefix, "metadata", "generateName"), func(o map[string]any) { delete(o["metadata"].(map[string]any), "name") })
	}
	created := r.must(http.MethodPost, "", generate("gen-"))
	r.note("name", regexp.MustCompile(`^gen-[a-z0-9]{5}$`).MatchString(text(created.object, "metadata", "name")))
	long := r.must(http.MethodPost, "", generate(strings.Repeat("a", 58)))
	r.note("a long one", len(text(long.object, "metadata", "name")))
	r.ask("neither name nor generateName", http.MethodPost, "", generate(""))
	r.note("a prefix that is none", r.do(http.MethodPost, "", generate("*")).brief())
	both := r.must(http.MethodPost, "", r.app("given", set("gen-", "metadata", "generateName")))
	r.note("a name wins", text(both.object, "metadata", "name"))
}

func checkNames(r *transcript) {
	for label, name := range map[string]string{
		"capitals": "UPPER", "underscore": "a_b", "dash first": "-a", "dot first": ".a", "two dots": "..", "one dot": ".", "percent": "a%b",
		"slash": "a/b", "blank": "a b", "dot inside": "a.b", "63 letters": strings.Repeat("a", 63), "64 letters": strings.Repeat("a", 64),
		"253 letters": strings.Repeat("a", 253), "254 letters": strings.Repeat("a", 254), "another script": "ä",
	} {
		a := r.do(http.MethodPost, "?dryRun=All", r.app(name))
		// What is legal differs; that it is refused as invalid does not.
		r.note(label, a.brief())
	}
	for label, change := range map[string]func(map[string]any){
		"a label's key":         set("x", "metadata", "labels", "a b"),
		"a label's value":       set("a b", "metadata", "labels", "a"),
		"an annotation's key":   set("x", "metadata", "annotations", "a b"),
		"annotations too large": set(strings.Repeat("x", 300<<10), "metadata", "annotations", "a"),
		"a finalizer":           set([]any{"a b"}, "metadata", "finalizers"),
		"a finalizer of a word": set([]any{"word"}, "metadata", "finalizers"),
		"an owner without uid":  set([]any{map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "name": "x"}}, "metadata", "ownerReferences"),
		"an owner that is an Event": set([]any{map[string]any{"apiVersion": "v1", "kind": "Event", "name": "x", "uid": "x"}},
			"metadata", "ownerReferences"),
		"two controllers": set([]any{
			map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "x", "controller": true},
			map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "name": "y", "uid": "y", "controller": true},
		}, "metadata", "ownerReferences"),
	} {
		a := r.do(http.MethodPost, "?dryRun=All", r.app("x", change))
		r.note(label, a.brief()+a.causes())
	}
}

func shorten(s string) string {
	const most = 400
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

func checkVerbs(r *transcript) {
	r.must(http.MethodPost, "", r.app("one"))
	for _, ask := range [][2]string{
		{http.MethodPost, "/one"}, {http.MethodPut, ""}, {http.MethodPatch, ""}, {http.MethodPost, "/one/status"}, {http.MethodDelete, "/one/status"},
		{http.MethodGet, "/one/scale"}, {http.MethodGet, "/one/nothing"}, {http.MethodPut, "/one/nothing"}, {http.MethodOptions, "/one"}, {http.MethodHead, "/one"},
		{"PROPFIND", "/one"}, {http.MethodGet, "/one/status/x"},
	} {
		r.note(ask[0]+" "+ask[1], r.do(ask[0], ask[1], "{}").code)
	}
	for label, path := range map[string]string{"another version": "/v9/", "another resource": "/v1beta1/nothing"} {
		a, err := r.send(r.t.Context(), http.MethodGet, "/apis/"+r.kind.group+path, nil)
		if err != nil {
			r.t.Fatal(err)
		}
		r.note(label, a.code)
	}
}
