//go:build conformance && linux

package conformance

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trellis-operator/trellis/test/controlplane"
)

// forbidden is bound to the lattice, and wash has no rights there.
var forbidden = boundNamespaces[1]

// RBAC keeps wash out of a namespace, and the answer says what is missing; in the others wash goes on.
func TestWashIsForbidden(t *testing.T) {
	c := newClient(t, world.plane.Config)
	letWashIn(t, c, home)
	c.makeNamespace(t, forbidden)
	w := newWash(t)
	hidden := "/apis/core.oam.dev/v1beta1/namespaces/" + forbidden + "/applications"
	if a, err := c.send(t.Context(), http.MethodPost, hidden, application(ours, "out-of-reach")); err != nil || a.code != http.StatusCreated {
		t.Fatal(a, err)
	}
	eventually(t, "wash works where it may", func() string {
		if r := w.put("within-reach"); r.Result != "created" && r.Result != "newversion" {
			return r.Message
		}
		return ""
	})
	// What it may not see is not there for it; the name is taken all the same, and by whom is not told.
	for _, operation := range []string{"get.out-of-reach", "deploy.out-of-reach"} {
		if r := w.ask(operation, map[string]any{}); r.Result != "notfound" {
			t.Errorf("%s: %+v", operation, r)
		}
	}
	if r := w.ask("del.out-of-reach", map[string]any{}); r.Result != "noop" {
		t.Errorf("delete: %+v", r)
	}
	if r := w.put("out-of-reach"); r.Result != "error" || strings.Contains(r.Message, forbidden) {
		t.Errorf("put over it: %+v", r)
	}
	if a, err := c.send(t.Context(), http.MethodGet, hidden+"/out-of-reach", nil); err != nil || a.code != http.StatusOK {
		t.Errorf("it is not as it was: %v %v", a, err)
	}
	readOnly(t, c, w)
}

// readOnly takes from wash the right to write in its home, and gives it back.
func readOnly(t *testing.T, c *client, w *wash) {
	t.Helper()
	bindings := c.kube.RbacV1().RoleBindings(home)
	reader := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "wash-reads"},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "trellis-view"},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: washUser}}}
	if _, err := bindings.Create(t.Context(), reader, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := bindings.Delete(t.Context(), "trellis-wash-"+controlplane.Lattice, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { letWashIn(t, c, home) })
	// In this order: what was allowed is remembered for ten seconds, and a deletion must not succeed.
	for i, ask := range []struct {
		verb string
		by   func(try int) reply
	}{
		{"create", func(try int) reply { return w.put(fmt.Sprintf("new-%d", try)) }},
		{"update", func(int) reply { return w.ask("deploy.within-reach", map[string]any{}) }},
		{"delete", func(int) reply { return w.ask("del.within-reach", map[string]any{}) }},
	} {
		try := 0
		eventually(t, "wash may not "+ask.verb, func() string {
			try++
			r := ask.by(i*1000 + try)
			if want := "cannot " + ask.verb + ` resource "applications"`; r.Result != "error" || !strings.Contains(r.Message, want) || !strings.Contains(r.Message, home) {
				return r.Result + ": " + r.Message
			}
			return ""
		})
	}
}

// auditEvent is as much of an event of the audit log as is looked at.
type auditEvent struct {
	Level, Verb, Stage string
	User               struct{ Username string }
	ImpersonatedUser   struct{ Username string }
	ObjectRef          struct{ Resource, Subresource, Namespace, Name string }
	RequestObject      json.RawMessage
	ResponseObject     json.RawMessage
}

func auditLog(t *testing.T) []auditEvent {
	t.Helper()
	file, err := os.Open(filepath.Join(world.dir, controlplane.AuditLog))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var events []auditEvent
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var e auditEvent
		if err := json.Unmarshal(scanner.Bytes(), &e); err != nil {
			continue // the last line is being written
		}
		events = append(events, e)
	}
	return events
}

// The log of the chart's own policy says who wrote by which way, and nothing of what.
func TestAuditLog(t *testing.T) {
	c := newClient(t, world.plane.Config)
	letWashIn(t, c, home)
	w := newWash(t)
	eventually(t, "wash may write", func() string {
		if r := w.put("audited-wash"); r.Result != "created" && r.Result != "newversion" {
			return r.Message
		}
		return ""
	})
	alice := newClient(t, door{world.plane.Config.Host}.config(withCertificate(t, world.plane.Clients, "alice", time.Now(), "system:masters")))
	if a, err := alice.send(t.Context(), http.MethodPost, homePath(""), application(ours, "audited-kubectl")); err != nil || a.code != http.StatusCreated {
		t.Fatal(a, err)
	}
	wants := map[string]func(auditEvent) bool{
		"alice's": func(e auditEvent) bool { return e.User.Username == "alice" && e.ObjectRef.Name == "audited-kubectl" },
		"wash's": func(e auditEvent) bool {
			return e.ImpersonatedUser.Username == washUser && e.ObjectRef.Name == "audited-wash"
		},
	}
	for who, is := range wants {
		eventually(t, who+" write is in the audit log", func() string {
			if !slices.ContainsFunc(auditLog(t), func(e auditEvent) bool {
				return is(e) && e.Verb == "create" && e.ObjectRef.Resource == "applications" && e.ObjectRef.Namespace == home
			}) {
				return "it is not"
			}
			return ""
		})
	}
	for _, e := range auditLog(t) {
		if e.Level != "Metadata" || len(e.RequestObject)+len(e.ResponseObject) > 0 || e.ObjectRef.Subresource == "status" || slices.Contains([]string{"get", "list", "watch"}, e.Verb) {
			t.Fatalf("the log holds %+v", e)
		}
	}
}

// An overload is answered with 429 and when to come back, and health all the same: the kubelet must not end what is busy.
func TestOverload(t *testing.T) {
	const flood = 600
	c := newClient(t, door{"https://" + controlplane.API}.config(withCertificate(t, world.plane.FrontProxy, frontProxy, time.Now())))
	nobody := newClient(t, door{"https://" + controlplane.API}.config())
	ctx, cancel := context.WithTimeout(t.Context(), answerPatience)
	defer cancel()
	reader := []string{"X-Remote-User: system:trellis:orchestrator", "X-Remote-Group: system:authenticated"}
	// Each of these waits three seconds for a version of the future.
	refusedOnes, held := make(chan *answer, flood), sync.WaitGroup{}
	for range flood {
		held.Go(func() {
			a, err := c.send(ctx, http.MethodGet, applicationsPath+"?resourceVersion=99999999", nil, reader...)
			if err == nil && a.code == http.StatusTooManyRequests {
				refusedOnes <- a
			}
		})
	}
	select {
	case a := <-refusedOnes:
		if a.header.Get("Retry-After") == "" {
			t.Errorf("a refusal without Retry-After: %s %v", a, a.header)
		}
	case <-ctx.Done():
		t.Fatalf("of %d requests at once none was refused", flood)
	}
	for _, path := range health {
		began := time.Now()
		a, err := nobody.send(t.Context(), http.MethodGet, path, nil)
		if err != nil || a.code != http.StatusOK || time.Since(began) > 2*time.Second {
			t.Errorf("%s of a busy server after %s: %v %v", path, time.Since(began), a, err)
		}
	}
	held.Wait()
	if a, err := c.send(t.Context(), http.MethodGet, applicationsPath+"?limit=1", nil, reader...); err != nil || a.code != http.StatusOK {
		t.Errorf("after the flood: %v %v", a, err)
	}
}
