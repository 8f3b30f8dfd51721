//go:build conformance && linux

package conformance

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trellis-operator/trellis/test/twin"
)

// transcript is what one kind answered in one check. Names that differ between the kinds for no reason are replaced.
type transcript struct {
	*client
	t    *testing.T
	kind kind
	// namespace is the check's own.
	namespace string

	lines []line
}

type line struct{ label, answer string }

var (
	uids   = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	times  = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)
	rvs    = regexp.MustCompile(`(resource version|resourceVersion|current|revision)(:? "?)\d+`)
	stored = regexp.MustCompile(`in record \(\d+\)`)
	rvPair = regexp.MustCompile(`RV \(\d+\)`)
)

// note writes an answer down. A label is written once.
func (r *transcript) note(label string, answer any) {
	r.t.Helper()
	if slices.ContainsFunc(r.lines, func(l line) bool { return l.label == label }) {
		r.t.Fatalf("two answers of a check are called %q", label)
	}
	r.lines = append(r.lines, line{label, r.normal(fmt.Sprint(answer))})
}

// normal replaces what must differ.
func (r *transcript) normal(s string) string {
	s = strings.NewReplacer(r.kind.group, "GROUP", r.namespace, "NAMESPACE", "\n", "⏎", "/registry/", "/").Replace(s)
	s = stored.ReplaceAllString(s, "in record (RV)")
	s = times.ReplaceAllString(uids.ReplaceAllString(s, "UID"), "TIME")
	return rvPair.ReplaceAllString(rvs.ReplaceAllString(s, "$1${2}RV"), "RV (RV)")
}

// path leads into the check's namespace: "" to the collection, "/name" to an object, "?…" adds parameters.
func (r *transcript) path(rest string) string {
	return "/apis/" + r.kind.group + "/" + version + "/namespaces/" + r.namespace + "/" + twin.Resource + rest
}

// do asks below the collection; the test ends if there is no answer at all.
func (r *transcript) do(method, rest string, body any, headers ...string) *answer {
	r.t.Helper()
	a, err := r.send(r.t.Context(), method, r.path(rest), body, headers...)
	if err != nil {
		r.t.Fatalf("%s: %s %s: %v", r.kind.name, method, rest, err)
	}
	return a
}

// ask is do, written down.
func (r *transcript) ask(label, method, rest string, body any, headers ...string) *answer {
	r.t.Helper()
	a := r.do(method, rest, body, headers...)
	r.note(label, a)
	return a
}

// must is do, which has to succeed: what is prepared, not tested.
func (r *transcript) must(method, rest string, body any, headers ...string) *answer {
	r.t.Helper()
	a := r.do(method, rest, body, headers...)
	if a.code/100 != 2 {
		r.t.Fatalf("%s: %s %s: %s", r.kind.name, method, rest, a)
	}
	return a
}

// app is application of the transcript's kind.
func (r *transcript) app(name string, change ...func(map[string]any)) map[string]any {
	return application(r.kind, name, change...)
}

const (
	jsonPatch      = "Content-Type: application/json-patch+json"
	mergePatch     = "Content-Type: application/merge-patch+json"
	strategicPatch = "Content-Type: application/strategic-merge-patch+json"
	applyPatch     = "Content-Type: application/apply-patch+yaml"
)

// check is a series of questions. It runs once for each kind, in namespaces of its own, at the same time.
type check struct {
	name string
	run  func(*transcript)
}

// compare runs checks for both kinds and compares what they say.
func compare(t *testing.T, checks []check) {
	if *update {
		t.Log("the answers of the CustomResourceDefinition are written to", answersFile)
	}
	c := newClient(t, world.plane.Config)
	book := openBook(t)
	t.Run("all", func(t *testing.T) {
		for _, check := range checks {
			t.Run(check.name, func(t *testing.T) {
				t.Parallel()
				var both [2][]line
				began := time.Now()
				t.Run("ask", func(t *testing.T) {
					for i, k := range []kind{ours, theirs} {
						t.Run(k.name, func(t *testing.T) {
							t.Parallel()
							r := &transcript{client: c, t: t, kind: k, namespace: "check-" + check.name + "-" + strings.ToLower(k.name)}
							c.makeNamespace(t, r.namespace)
							check.run(r)
							slices.SortFunc(r.lines, func(a, b line) int { return strings.Compare(a.label, b.label) })
							both[i] = r.lines
						})
					}
				})
				if t.Failed() {
					return
				}
				t.Logf("%d answers in %s", len(both[0]), time.Since(began).Round(10*time.Millisecond))
				compareLines(t, check.name, both[0], both[1])
				book.check(t, check.name, both[1])
			})
		}
	})
	book.close(t)
}

// compareLines demands the same answers, but for the differences that are listed, and those must be there.
func compareLines(t *testing.T, name string, ours, theirs []line) {
	t.Helper()
	if len(ours) == 0 || len(ours) != len(theirs) {
		t.Fatalf("%d answers of ours, %d of the CRD", len(ours), len(theirs))
	}
	for i, our := range ours {
		if our.label != theirs[i].label {
			t.Fatalf("ours answers %q where the CRD answers %q", our.label, theirs[i].label)
		}
		key := name + "/" + our.label
		reason, listed := differences[key]
		same := our.answer == theirs[i].answer
		switch {
		case same && listed:
			t.Errorf("%s does not differ any more; take it from the list of differences", key)
		case !same && !listed:
			t.Errorf("%s differs:\n  CRD:  %s\n  ours: %s", key, theirs[i].answer, our.answer)
		case !same && reason.ours != our.answer:
			t.Errorf("%s differs in another way than is listed:\n  CRD:    %s\n  listed: %s\n  ours:   %s", key, theirs[i].answer, reason.ours, our.answer)
		}
	}
	for key := range differences {
		if check, label, _ := strings.Cut(key, "/"); check == name && !slices.ContainsFunc(ours, func(l line) bool { return l.label == label }) {
			t.Errorf("%s is in the list of differences, but nothing asks it", key)
		}
	}
}

const (
	answersFile = "testdata/answers.txt"
	// becomes stands between question and answer.
	becomes = " => "
)

// book is what Kubernetes is known to answer: a question that both kinds refuse in the same wrong way shows here.
type book struct {
	mu      sync.Mutex
	known   map[string]string
	written []string
}

func openBook(t *testing.T) *book {
	t.Helper()
	b := &book{known: map[string]string{}}
	file, err := os.Open(answersFile)
	if os.IsNotExist(err) && *update {
		return b // the first time
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		if key, answer, ok := strings.Cut(scanner.Text(), becomes); ok {
			b.known[key] = answer
		}
	}
	if err := scanner.Err(); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *book) check(t *testing.T, name string, lines []line) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	left := map[string]bool{}
	for key := range b.known {
		left[key] = strings.HasPrefix(key, name+"/")
	}
	for _, l := range lines {
		key := name + "/" + l.label
		left[key] = false
		if *update {
			b.written = append(b.written, key+becomes+l.answer)
		} else if known, ok := b.known[key]; !ok || known != l.answer {
			t.Errorf("Kubernetes answers %s otherwise than %s says; -update writes it:\n  was: %s\n  is:  %s", key, answersFile, known, l.answer)
		}
	}
	for key, unasked := range left {
		if *update && strings.HasPrefix(key, name+"/") {
			delete(b.known, key)
		} else if unasked {
			t.Errorf("%s is in %s, but nothing asks it", key, answersFile)
		}
	}
}

// close writes what was answered; what other tests answered stays.
func (b *book) close(t *testing.T) {
	t.Helper()
	if !*update {
		return
	}
	for key, answer := range b.known {
		b.written = append(b.written, key+becomes+answer)
	}
	slices.Sort(b.written)
	if err := os.MkdirAll("testdata", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(answersFile, []byte(strings.Join(b.written, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}
