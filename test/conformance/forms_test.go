//go:build conformance && linux

package conformance

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

const (
	asTable    = "Accept: application/json;as=Table;v=v1;g=meta.k8s.io"
	asMetadata = "Accept: application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
	asList     = "Accept: application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
)

// table is the form of a table; what the columns are is the kind's own affair, that the first is the name is not.
func table(a *answer) string {
	rows, ok := a.object["rows"].([]any)
	if !ok {
		return a.String()
	}
	var out []string
	for _, row := range rows {
		r := row.(map[string]any)
		cells := r["cells"].([]any)
		out = append(out, fmt.Sprintf("%v (%v %v, spec %s)", cells[0], at(r, "object", "kind"), at(r, "object", "metadata", "name"), yes(at(r, "object", "spec") != nil)))
	}
	columns, _ := a.object["columnDefinitions"].([]any)
	first, age := "", false
	for i, column := range columns {
		c := column.(map[string]any)
		if i == 0 {
			first = fmt.Sprintf("%v %v %v", c["name"], c["type"], c["format"])
		}
		age = age || c["name"] == "Age"
		if len(rows) > 0 && len(columns) != len(rows[0].(map[string]any)["cells"].([]any)) {
			first = "columns and cells do not match"
		}
	}
	return fmt.Sprintf("%d %v %v [%s] first=%s age=%s version=%s", a.code, a.object["apiVersion"], a.object["kind"], strings.Join(out, ", "), first, yes(age), yes(text(a.object, "metadata", "resourceVersion") != ""))
}

func checkForms(r *transcript) {
	start := r.must(http.MethodPost, "", r.app("a", set("y", "metadata", "labels", "x")))
	r.must(http.MethodPost, "", r.app("b"))
	get := func(rest string, headers ...string) *answer { return r.do(http.MethodGet, rest, nil, headers...) }
	r.note("table of a list", table(get("", asTable)))
	r.note("table of one", table(get("/a", asTable)))
	r.note("table with objects", table(get("?includeObject=Object", asTable)))
	r.note("table without objects", table(get("?includeObject=None", asTable)))
	r.note("table with nonsense", get("?includeObject=Nonsense", asTable))
	r.note("table in pages", table(get("?limit=1", asTable)))
	r.note("table of the selected", table(get("?labelSelector=x", asTable)))
	r.note("table of nothing", table(get("?labelSelector=nothing", asTable)))
	r.note("table or JSON", table(get("", asTable+",application/json")))
	r.note("table of another version", get("", "Accept: application/json;as=Table;v=v9;g=meta.k8s.io"))
	r.note("table v1beta1", get("", "Accept: application/json;as=Table;v=v1beta1;g=meta.k8s.io"))
	r.note("table of a refusal", get("/missing", asTable))
	metadata := get("/a", asMetadata)
	r.note("metadata of one", metadata.String()+" "+text(metadata.object, "apiVersion")+" spec="+yes(at(metadata.object, "spec") != nil)+" "+text(metadata.object, "metadata", "labels"))
	list := get("", asList)
	r.note("metadata of a list", list.String()+" "+names(list)+" spec="+yes(strings.Contains(string(list.body), `"spec"`)))
	r.note("metadata: kind of an item", firstItem(list, "apiVersion")+" "+firstItem(list, "kind"))
	r.note("metadata as protobuf or JSON", get("", "Accept: application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,"+strings.TrimPrefix(asList, "Accept: ")).header.Get("Content-Type"))
	r.note("metadata of one, asked as a list", get("/a", asList))
	r.note("a list, asked as metadata of one", get("", asMetadata))
	r.note("an unknown form", get("", "Accept: application/json;as=Nonsense;v=v1;g=meta.k8s.io"))
	for label, header := range map[string]string{"table": asTable, "metadata": asMetadata} {
		w := r.watch("", "allowWatchBookmarks=true&resourceVersion="+start.version(), header)
		e := w.next()
		r.note("watch as "+label, fmt.Sprintf("%s %v spec=%s", e.Type, e.Object["kind"], yes(at(e.Object, "spec") != nil)))
	}
	r.note("patch as table", table(r.do(http.MethodPatch, "/a", `{"metadata":{"labels":{"z":"z"}}}`, mergePatch, asTable)))
	r.note("patch as metadata", r.do(http.MethodPatch, "/a", `{"metadata":{"labels":{"q":"z"}}}`, mergePatch, asMetadata))
	r.note("create as metadata", r.do(http.MethodPost, "", r.app("c"), asMetadata))
	r.note("delete as table", table(r.do(http.MethodDelete, "/c", nil, asTable)))
	r.note("status as table", table(get("/a/status", asTable)))
	r.note("YAML", strings.HasPrefix(string(get("/a", "Accept: application/yaml").body), "apiVersion: "))
	r.note("YAML list", strings.HasPrefix(string(get("", "Accept: application/yaml").body), "apiVersion: "))
}

func firstItem(a *answer, path ...string) string {
	items, _ := a.object["items"].([]any)
	if len(items) == 0 {
		return ""
	}
	return text(items[0].(map[string]any), path...)
}

// root asks kube-apiserver for a path that is in no namespace.
func (r *transcript) root(path string, headers ...string) *answer {
	r.t.Helper()
	a, err := r.send(context.WithoutCancel(r.t.Context()), http.MethodGet, path, nil, headers...)
	if err != nil {
		r.t.Fatal(err)
	}
	return a
}

func checkDiscovery(r *transcript) {
	groups := r.root("/apis")
	var found map[string]any
	for _, group := range groups.object["groups"].([]any) {
		if g := group.(map[string]any); g["name"] == r.kind.group {
			found = g
		}
	}
	r.note("group", mustJSON(r, found))
	one := r.root("/apis/" + r.kind.group)
	delete(one.object, "serverAddressByClientCIDRs")
	r.note("group alone", mustJSON(r, one.object))
	resources := r.root("/apis/" + r.kind.group + "/" + version)
	r.note("resources", resources)
	for _, item := range resources.object["resources"].([]any) {
		resource := item.(map[string]any)
		name := text(resource, "name")
		if strings.HasPrefix(name, "applicationrevisions") || strings.HasSuffix(name, "/placement") {
			continue // there is nothing to compare with
		}
		verbs := strings.Fields(strings.Trim(text(resource, "verbs"), "[]"))
		slices.Sort(verbs)
		r.note(name+": verbs", verbs)
		for _, key := range []string{"kind", "namespaced", "singularName", "shortNames", "categories", "group", "version"} {
			r.note(name+": "+key, fmt.Sprint(resource[key]))
		}
		r.note(name+": storage version", text(resource, "storageVersionHash") != "")
	}
	aggregated := r.root("/apis", "Accept: application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
	r.note("aggregated", aggregated)
	for _, item := range aggregated.object["items"].([]any) {
		group := item.(map[string]any)
		if text(group, "metadata", "name") != r.kind.group {
			continue
		}
		v := group["versions"].([]any)[0].(map[string]any)
		r.note("aggregated: freshness", fmt.Sprint(v["version"], " ", v["freshness"]))
		for _, item := range v["resources"].([]any) {
			if resource := item.(map[string]any); resource["resource"] == "applications" {
				verbs := strings.Fields(strings.Trim(text(resource, "verbs"), "[]"))
				slices.Sort(verbs)
				var subresources []string
				for _, item := range resource["subresources"].([]any) {
					s := item.(map[string]any)
					subresources = append(subresources, text(s, "subresource")+" "+text(s, "verbs"))
				}
				r.note("aggregated: applications", fmt.Sprint(resource["scope"], " ", resource["responseKind"], " ", verbs, " ", subresources))
			}
		}
	}
	checkOpenAPI(r)
}

func checkOpenAPI(r *transcript) {
	path := "/openapi/v3/apis/" + r.kind.group + "/" + version
	// kube-apiserver fetches the documents of others once in a while.
	eventually(r.t, "OpenAPI is there", func() string {
		if a := r.root(path); a.code != http.StatusOK {
			return a.String()
		}
		return ""
	})
	v3 := r.root(path)
	r.note("OpenAPI v3", v3.code)
	r.note("OpenAPI v3: paths", pathsOf(r, v3))
	schemas, _ := at(v3.object, "components", "schemas").(map[string]any)
	r.note("OpenAPI v3: schema", described(r, schemas))
	v2 := r.root("/openapi/v2")
	definitions, _ := v2.object["definitions"].(map[string]any)
	r.note("OpenAPI v2: schema", described(r, definitions))
	r.note("OpenAPI v2: paths", pathsOf(r, v2))
	index := r.root("/openapi/v3")
	url := text(index.object, "paths", "apis/"+r.kind.group+"/"+version, "serverRelativeURL")
	r.note("OpenAPI v3: hash", strings.Contains(url, "?hash="))
	r.note("OpenAPI v3: protobuf", r.root("/openapi/v3/apis/"+r.kind.group+"/"+version, "Accept: application/com.github.proto-openapi.spec.v3.v1.0+protobuf").code)
	r.note("OpenAPI v3: unchanged", r.root(path, "If-None-Match: "+v3.header.Get("Etag")).code)
}

// pathsOf are the paths of applications with their operations.
func pathsOf(r *transcript, document *answer) string {
	paths, _ := document.object["paths"].(map[string]any)
	var out []string
	for path, item := range paths {
		if !strings.HasPrefix(path, "/apis/"+r.kind.group+"/"+version+"/") || !strings.HasSuffix(strings.TrimSuffix(strings.TrimSuffix(path, "/status"), "/{name}"), "/applications") {
			continue
		}
		if strings.Contains(path, "/watch/") {
			continue // built-in kinds have these, too; nobody asks them any more
		}
		var operations []string
		for name := range item.(map[string]any) {
			if name != "parameters" {
				operations = append(operations, name)
			}
		}
		slices.Sort(operations)
		out = append(out, path+" "+strings.Join(operations, ","))
	}
	slices.Sort(out)
	return strings.Join(out, "; ")
}

// described says what a schema of the kind tells `kubectl explain` and server-side apply.
func described(r *transcript, schemas map[string]any) string {
	for name, schema := range schemas {
		s := schema.(map[string]any)
		if !strings.Contains(mustJSON(r, s["x-kubernetes-group-version-kind"]), `"`+r.kind.group+`","kind":"Application"`) {
			continue
		}
		whole := mustJSON(r, s)
		if ref := text(s, "properties", "spec", "$ref"); ref != "" || strings.Contains(whole, "allOf") {
			whole += mustJSON(r, schemas)
		}
		return fmt.Sprintf("description=%s spec=%s status=%s list-map=%s", yes(name != "" && text(s, "description") != ""),
			yes(at(s, "properties", "spec") != nil), yes(at(s, "properties", "status") != nil), yes(strings.Contains(whole, `"x-kubernetes-list-map-keys":["name"]`)))
	}
	return "no schema"
}
