//go:build conformance && linux

package conformance

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

func sortedCopy(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return s
}

func checkList(r *transcript) {
	empty := r.ask("empty", http.MethodGet, "", nil)
	r.note("empty items", strings.Contains(string(empty.body), `"items":[]`))
	r.note("a list of nothing has a version", number(empty.version()) > 0)
	for _, name := range []string{"b", "a", "c", "a-b", "aa"} {
		r.must(http.MethodPost, "", r.app(name, set(name[:1], "metadata", "labels", "first"), set("x", "metadata", "labels", "all")))
	}
	list := r.ask("all", http.MethodGet, "", nil)
	r.note("order", names(list))
	r.note("kind", text(list.object, "apiVersion")+" "+text(list.object, "kind"))
	r.note("kind of an item", text(list.object["items"].([]any)[0].(map[string]any), "apiVersion")+" "+text(list.object["items"].([]any)[0].(map[string]any), "kind"))
	r.note("versions", number(list.version()) >= number(text(list.object["items"].([]any)[0].(map[string]any), "metadata", "resourceVersion")))
	for label, selector := range map[string]string{
		"equal": "first=a", "not equal": "first!=a", "in": "first in (a,b)", "not in": "first notin (a,b)", "exists": "all", "exists not": "!all",
		"two": "first=a,all=x", "nothing": "first=z", "bad": "==", "bad value": "first=a b", "bad key": "a b=c", "greater": "first>a",
	} {
		r.note("label "+label, names(r.do(http.MethodGet, "?labelSelector="+url.QueryEscape(selector), nil)))
	}
	for label, selector := range map[string]string{
		"name": "metadata.name=a", "not name": "metadata.name!=a", "namespace": "metadata.namespace=" + r.namespace, "another namespace": "metadata.namespace=default",
		"two": "metadata.name=a,metadata.namespace=" + r.namespace, "contradiction": "metadata.name=a,metadata.name=b",
		"unknown": "spec.nonsense=x", "of metadata": "metadata.uid=x", "bad": "metadata.name", "bad too": "=",
	} {
		r.note("field "+label, shorten(names(r.do(http.MethodGet, "?fieldSelector="+url.QueryEscape(selector), nil))))
	}
	everywhere, err := r.send(r.t.Context(), http.MethodGet, "/apis/"+r.kind.group+"/v1beta1/applications?fieldSelector="+url.QueryEscape("metadata.namespace="+r.namespace), nil)
	if err != nil {
		r.t.Fatal(err)
	}
	r.note("all namespaces", names(everywhere))
	for label, query := range map[string]string{
		"bad limit": "limit=x", "negative limit": "limit=-1", "bad timeout": "timeoutSeconds=x", "unknown parameter": "nonsense=1",
		"bad match": "resourceVersionMatch=Nonsense&resourceVersion=1", "pretty": "pretty=1&limit=1",
	} {
		r.note(label, firstWords(names(r.do(http.MethodGet, "?"+query, nil))))
	}
	other, err := r.send(r.t.Context(), http.MethodGet, "/apis/"+r.kind.group+"/v1beta1/namespaces/no-such-namespace/applications", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	r.note("a namespace that is not there", names(other))
}

func firstWords(s string) string {
	return strings.ReplaceAll(shorten(s), "\n", " ")
}

// page is a list in pieces.
func page(a *answer) string {
	return fmt.Sprintf("%s continue=%s remaining=%s", names(a), yes(text(a.object, "metadata", "continue") != ""), text(a.object, "metadata", "remainingItemCount"))
}

func checkPages(r *transcript) {
	for i := range 7 {
		r.must(http.MethodPost, "", r.app(fmt.Sprintf("app-%d", i), set(fmt.Sprint(i%2), "metadata", "labels", "odd")))
	}
	get := func(query string) *answer { return r.do(http.MethodGet, "?"+query, nil) }
	next := func(a *answer) string { return "continue=" + url.QueryEscape(text(a.object, "metadata", "continue")) }
	first := get("limit=3")
	r.note("first", page(first))
	r.must(http.MethodPost, "", r.app("app-9"))
	r.must(http.MethodDelete, "/app-4", nil)
	second := get("limit=3&" + next(first))
	r.note("second, after a change", page(second))
	r.note("one version for all", first.version() == second.version())
	third := get("limit=3&" + next(second))
	r.note("third", page(third))
	r.note("the rest at once", page(get(next(first))))
	r.note("all by limit 0", page(get("limit=0")))
	r.note("exactly all", page(get("limit=7")))
	r.note("more than all", page(get("limit=100")))
	selected := get("limit=2&labelSelector=odd%3D1")
	r.note("selected", page(selected))
	r.note("selected, second", page(get("limit=2&labelSelector=odd%3D1&"+next(selected))))
	r.note("a token that is none", get("limit=2&continue=abc"))
	forged := base64.RawURLEncoding.EncodeToString([]byte(`{"v":"meta.k8s.io/v1","rv":1,"start":"../../x\u0000"}`))
	r.note("a forged token", get("limit=2&continue="+forged))
	outside := base64.RawURLEncoding.EncodeToString([]byte(`{"v":"meta.k8s.io/v9","rv":1,"start":"x"}`))
	r.note("a token of another version", get("limit=2&continue="+outside))
	negative := base64.RawURLEncoding.EncodeToString([]byte(`{"v":"meta.k8s.io/v1","rv":-1,"start":"app-2\u0000"}`))
	r.note("a token for whatever is there", page(get("limit=2&continue="+negative)))
	r.note("a version beside a token", get("limit=2&resourceVersion="+first.version()+"&"+next(first)))
	r.note("version 0 beside a token", page(get("limit=2&resourceVersion=0&"+next(first))))
	r.note("a match beside a token", get("limit=2&resourceVersionMatch=Exact&"+next(first)))
	r.note("from the cache", page(get("limit=2&resourceVersion=0")))
	r.note("exact", page(get("limit=3&resourceVersionMatch=Exact&resourceVersion="+first.version())))
	r.note("not older than", page(get("limit=3&resourceVersionMatch=NotOlderThan&resourceVersion="+first.version())))
}

func checkVersions(r *transcript) {
	r.must(http.MethodPost, "", r.app("a"))
	r.must(http.MethodPost, "", r.app("b"))
	before := r.must(http.MethodGet, "", nil).version()
	r.must(http.MethodPost, "", r.app("c"))
	r.must(http.MethodDelete, "/a", nil)
	after := r.must(http.MethodGet, "", nil).version()
	for label, query := range map[string]string{
		"none": "", "0": "resourceVersion=0", "old": "resourceVersion=" + before, "new": "resourceVersion=" + after,
		"old, not older than":  "resourceVersionMatch=NotOlderThan&resourceVersion=" + before,
		"new, not older than":  "resourceVersionMatch=NotOlderThan&resourceVersion=" + after,
		"0, not older than":    "resourceVersionMatch=NotOlderThan&resourceVersion=0",
		"old, exact":           "resourceVersionMatch=Exact&resourceVersion=" + before,
		"new, exact":           "resourceVersionMatch=Exact&resourceVersion=" + after,
		"old, with limit":      "limit=10&resourceVersion=" + before,
		"0, exact":             "resourceVersionMatch=Exact&resourceVersion=0",
		"exact of nothing":     "resourceVersionMatch=Exact",
		"not older of nothing": "resourceVersionMatch=NotOlderThan",
		"of text":              "resourceVersion=abc",
		"negative":             "resourceVersion=-1",
		"future":               "resourceVersion=99999999",
		"future, exact":        "resourceVersionMatch=Exact&resourceVersion=99999999",
		"future, not older":    "resourceVersionMatch=NotOlderThan&resourceVersion=99999999",
	} {
		// Lists that were served from a cache which is not there yet are right, too, if they are new.
		a := r.do(http.MethodGet, "?"+query, nil)
		if label == "0" || label == "0, not older than" || label == "old" || label == "old, not older than" {
			r.note(label, a)
			continue
		}
		r.note(label, names(a))
	}
	r.note("exact: its version", r.must(http.MethodGet, "?resourceVersionMatch=Exact&resourceVersion="+before, nil).version() == before)
	for label, query := range map[string]string{"old": before, "new": after, "0": "0"} {
		r.note("get "+label, r.do(http.MethodGet, "/c?resourceVersion="+query, nil).code)
	}
	r.note("get what was there", r.do(http.MethodGet, "/a?resourceVersion="+after, nil).code)
}
