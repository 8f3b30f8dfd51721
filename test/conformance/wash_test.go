//go:build conformance && linux

package conformance

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trellis-operator/trellis/test/controlplane"
)

// washUser is who wash is in the Application API.
const washUser = "system:trellis:wash:" + controlplane.Lattice

// wash asks as `wash app` does.
type wash struct {
	t    *testing.T
	conn *nats.Conn
}

func newWash(t *testing.T) *wash {
	t.Helper()
	conn, err := nats.Connect(world.plane.NATS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return &wash{t, conn}
}

// reply is what wadm's API answers; which members there are depends on the question.
type reply struct {
	Result  string
	Message string
	Name    string
}

func (w *wash) ask(operation string, body any) reply {
	w.t.Helper()
	var r reply
	text, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	message := nats.NewMsg("wadm.api." + controlplane.Lattice + ".model." + operation)
	message.Data = text
	message.Header.Set("Content-Type", "application/json")
	answer, err := w.conn.RequestMsg(message, 15*time.Second)
	if err != nil {
		w.t.Fatalf("wash %s: %v", operation, err)
	}
	if err := json.Unmarshal(answer.Data, &r); err != nil {
		w.t.Fatalf("wash %s: %v: %s", operation, err, answer.Data)
	}
	return r
}

// put is `wash app put`.
func (w *wash) put(name string, change ...func(map[string]any)) reply {
	w.t.Helper()
	return w.ask("put", application(ours, name, change...))
}

// letWashIn gives wash its role in namespaces, as the chart's user does for static bindings, and waits until it has it.
func letWashIn(t *testing.T, c *client, namespaces ...string) {
	t.Helper()
	for _, namespace := range namespaces {
		c.makeNamespace(t, namespace)
		binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "trellis-wash-" + controlplane.Lattice},
			RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "trellis-wash"},
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: washUser}}}
		// Also at the end of a test.
		ctx := context.WithoutCancel(t.Context())
		if _, err := c.kube.RbacV1().RoleBindings(namespace).Create(ctx, binding, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
	}
}
