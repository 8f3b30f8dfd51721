//go:build conformance && linux

package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// event is one of a watch.
type event struct {
	Type   string
	Object map[string]any
}

func (e event) name() string { return text(e.Object, "metadata", "name") }

func (e event) version() string { return text(e.Object, "metadata", "resourceVersion") }

// watching is an open watch, or one that was refused.
type watching struct {
	r       *transcript
	refused *answer
	events  chan event
}

const (
	eventPatience = 20 * time.Second
	// quietTime is how long a watch is listened to that should say nothing.
	quietTime = 500 * time.Millisecond
)

// watch opens a watch below the collection that ends with the test.
func (r *transcript) watch(rest, parameters string, headers ...string) *watching {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	r.t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.config.Host+r.path(rest)+"?watch=true&"+parameters, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set("Accept", "application/json")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		request.Header.Set(name, value)
	}
	response, err := r.http.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	w := &watching{r: r, events: make(chan event, 1000)}
	if response.StatusCode != http.StatusOK {
		defer func() { _ = response.Body.Close() }()
		w.refused = &answer{code: response.StatusCode, header: response.Header}
		if w.refused.body, err = io.ReadAll(response.Body); err != nil {
			r.t.Fatal(err)
		}
		_ = json.Unmarshal(w.refused.body, &w.refused.object) // text is shown as it is
		close(w.events)
		return w
	}
	go func() {
		defer close(w.events)
		defer func() { _ = response.Body.Close() }()
		for decoder := json.NewDecoder(response.Body); ; {
			var e event
			if err := decoder.Decode(&e); err != nil {
				if !errors.Is(err, io.EOF) && ctx.Err() == nil {
					w.events <- event{Type: "BROKEN: " + err.Error()}
				}
				return
			}
			w.events <- e
		}
	}()
	return w
}

// next is the next event; the type is "END" when the watch has ended, and "LATE" when nothing comes.
func (w *watching) next() event {
	if w.refused != nil {
		return event{Type: "REFUSED " + w.refused.String()}
	}
	select {
	case e, ok := <-w.events:
		if !ok {
			return event{Type: "END"}
		}
		return e
	case <-time.After(eventPatience):
		return event{Type: "LATE"}
	}
}

// types are those of the next n events.
func (w *watching) types(n int) []string {
	var out []string
	for range n {
		out = append(out, w.next().Type)
	}
	return out
}

// told are the next n events, with names.
func (w *watching) told(n int) string {
	var out []string
	for range n {
		e := w.next()
		if e.Type == "ERROR" {
			out = append(out, fmt.Sprintf("ERROR %v %v: %v", e.Object["code"], e.Object["reason"], e.Object["message"]))
			continue
		}
		out = append(out, strings.TrimSpace(e.Type+" "+e.name()))
	}
	return strings.Join(out, ", ")
}

// quiet listens whether something comes that should not.
func (w *watching) quiet() string {
	if w.refused != nil {
		return w.refused.String()
	}
	select {
	case e, ok := <-w.events:
		if !ok {
			return "the watch has ended"
		}
		return "there came " + e.Type + " " + e.name()
	case <-time.After(quietTime):
		return "quiet"
	}
}

func checkWatch(r *transcript) {
	start := r.must(http.MethodGet, "", nil).version()
	w := r.watch("", "resourceVersion="+start)
	versions := []string{start}
	remember := func(a *answer) *answer { versions = append(versions, a.version()); return a }
	remember(r.must(http.MethodPost, "", r.app("a")))
	remember(r.must(http.MethodPost, "", r.app("b")))
	remember(r.must(http.MethodPatch, "/a", `{"metadata":{"labels":{"x":"y"}}}`, mergePatch))
	remember(r.must(http.MethodPatch, "/a/status", `{"status":{"phase":"Deployed"}}`, mergePatch))
	r.must(http.MethodDelete, "/a", nil)
	remember(r.must(http.MethodPost, "", r.app("a")))
	remember(r.must(http.MethodPatch, "/b", `{"metadata":{"labels":{"x":"y"}}}`, mergePatch))
	all := []string{"ADDED a", "ADDED b", "MODIFIED a", "MODIFIED a", "DELETED a", "ADDED a", "MODIFIED b"}
	var heard []event
	for range all {
		heard = append(heard, w.next())
	}
	r.note("order", tell(heard))
	r.note("no more", w.quiet())
	r.note("versions grow", growing(heard))
	r.note("a deletion has a version of its own", number(heard[4].version()) > number(heard[3].version()))
	r.note("a deletion shows the last state", text(heard[4].Object, "status", "phase"))
	// The versions of writes are those of their events; from each of them, exactly the rest follows.
	for i, from := range append([]string{start}, versionsOf(heard)...) {
		rest := all[i:]
		again := r.watch("", "resourceVersion="+from)
		var got []event
		for range rest {
			got = append(got, again.next())
		}
		r.note(fmt.Sprintf("from version %d", i), tell(got)+" "+again.quiet())
	}
	one := r.watch("/b", "resourceVersion="+start)
	r.note("one object", one.told(2)+" "+one.quiet())
	named := r.watch("", "fieldSelector=metadata.name%3Db&resourceVersion="+start)
	r.note("by name", named.told(2)+" "+named.quiet())
	r.note("without a version", sorted(r.watch("", ""), 2))
	r.note("from the cache", sorted(r.watch("", "resourceVersion=0"), 2))
	r.note("a version that is none", r.watch("", "resourceVersion=abc").told(1))
	r.note("a bad selector", r.watch("", "labelSelector=%3D%3D").told(1))
	r.note("an unknown field", r.watch("", "fieldSelector=spec.nonsense%3Dx").told(1))
	r.note("with limit", sorted(r.watch("", "limit=1"), 2))
	r.note("with continue", r.watch("", "continue=abc").told(1))
	r.note("with a match", r.watch("", "resourceVersionMatch=Exact&resourceVersion="+start).told(1))
	r.note("ends in time", r.watch("", "timeoutSeconds=1&resourceVersion="+versions[len(versions)-1]).told(1))
	future := r.watch("", "timeoutSeconds=4&resourceVersion=99999999")
	r.note("from the future", future.told(1))
	old := r.do(http.MethodGet, "?watch=true&timeoutSeconds=1&resourceVersion="+versions[len(versions)-1], nil)
	r.note("header", fmt.Sprint(old.code, " ", old.header.Get("Content-Type")))
}

func tell(events []event) string {
	var out []string
	for _, e := range events {
		out = append(out, e.Type+" "+e.name())
	}
	return strings.Join(out, ", ")
}

func versionsOf(events []event) []string {
	var out []string
	for _, e := range events {
		out = append(out, e.version())
	}
	return out
}

func growing(events []event) bool {
	for i := range events[1:] {
		if number(events[i+1].version()) <= number(events[i].version()) {
			return false
		}
	}
	return true
}

// sorted are the next n events, in the order of their text: a watch tells what there is in any order.
func sorted(w *watching, n int) string {
	var out []string
	for range n {
		e := w.next()
		out = append(out, e.Type+" "+e.name())
	}
	return strings.Join(sortedCopy(out), ", ") + " " + w.quiet()
}

func checkWatchSelectors(r *transcript) {
	start := r.must(http.MethodGet, "", nil).version()
	selected := r.watch("", "labelSelector=team%3Dred&resourceVersion="+start)
	all := r.watch("", "resourceVersion="+start)
	r.must(http.MethodPost, "", r.app("in", set("red", "metadata", "labels", "team")))
	r.must(http.MethodPost, "", r.app("out", set("blue", "metadata", "labels", "team")))
	label := func(name, team string) {
		r.must(http.MethodPatch, "/"+name, `{"metadata":{"labels":{"team":"`+team+`"}}}`, mergePatch)
	}
	label("out", "red")
	label("in", "blue")
	label("in", "green")
	label("in", "red")
	r.must(http.MethodDelete, "/in", nil)
	r.must(http.MethodPatch, "/out", `{"metadata":{"labels":{"team":null}}}`, mergePatch)
	r.must(http.MethodDelete, "/out", nil)
	r.note("selected", selected.told(6)+" "+selected.quiet())
	r.note("all", all.told(9)+" "+all.quiet())
	sets := r.watch("", "labelSelector=team+in+(red,green)&resourceVersion="+start)
	r.note("a set", sets.told(7)+" "+sets.quiet())
}

func checkBookmarks(r *transcript) {
	r.must(http.MethodPost, "", r.app("a"))
	r.must(http.MethodPost, "", r.app("b"))
	now := r.must(http.MethodGet, "", nil).version()
	const list = "sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"
	for label, parameters := range map[string]string{
		"watch-list": list, "watch-list from the cache": list + "&resourceVersion=0", "watch-list from now": list + "&resourceVersion=" + now,
	} {
		w := r.watch("", parameters)
		r.note(label, strings.Join(sortedCopy([]string{tell([]event{w.next()}), tell([]event{w.next()})}), ", "))
		end := w.next()
		r.note(label+": the end", fmt.Sprintf("%s %v %v", end.Type, at(end.Object, "metadata", "annotations"), at(end.Object, "kind")))
		r.note(label+": its version", number(end.version()) >= number(now))
		r.must(http.MethodPatch, "/a", `{"metadata":{"labels":{"x":"`+fmt.Sprint(len(label))+`"}}}`, mergePatch)
		r.note(label+": what follows", w.told(1))
	}
	none := r.watch("", list+"&labelSelector=none%3Dof")
	r.note("watch-list of nothing", none.told(1))
	for label, parameters := range map[string]string{
		"without a match":        "sendInitialEvents=true&allowWatchBookmarks=true",
		"an exact match":         "sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=Exact&resourceVersion=" + now,
		"without bookmarks":      "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=2",
		"no initial events":      "sendInitialEvents=false&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=1&resourceVersion=" + now,
		"no initial events at 0": "sendInitialEvents=false&resourceVersionMatch=NotOlderThan&timeoutSeconds=1&resourceVersion=0",
	} {
		w := r.watch("", parameters)
		r.note(label, firstOf(w))
	}
	r.note("list with initial events", r.do(http.MethodGet, "?sendInitialEvents=true&resourceVersionMatch=NotOlderThan", nil))
	// A bookmark comes shortly before a watch ends, so that the next one begins where this one was.
	last := r.must(http.MethodPatch, "/b", `{"metadata":{"labels":{"last":"one"}}}`, mergePatch)
	// It is not promised: a server that is busy in these two seconds sends none.
	bookmark := event{Type: "END"}
	for try := 0; bookmark.Type == "END" && try < 5; try++ {
		bookmark = r.watch("", "allowWatchBookmarks=true&timeoutSeconds=4&resourceVersion="+last.version()).next()
	}
	r.note("a bookmark", fmt.Sprintf("%s %v %v", bookmark.Type, at(bookmark.Object, "kind"), at(bookmark.Object, "metadata", "annotations")))
	r.note("its version", number(bookmark.version()) >= number(last.version()))
	r.note("nothing is missed after it", r.watch("", "timeoutSeconds=1&resourceVersion="+bookmark.version()).told(1))
	silent := r.watch("", "timeoutSeconds=3&resourceVersion="+last.version())
	r.note("no bookmark unasked", silent.told(1))
}

// firstOf is what a watch says first; which object of several comes first is not said.
func firstOf(w *watching) string {
	e := w.next()
	if e.Type == "ERROR" || e.Type == "BOOKMARK" {
		return fmt.Sprintf("%s %v %v", e.Type, at(e.Object, "code"), at(e.Object, "message"))
	}
	return e.Type
}
