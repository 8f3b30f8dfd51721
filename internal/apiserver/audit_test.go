package apiserver

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/server"
)

const auditPolicyText = `
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata, verbs: [create]}, {level: None}]
`

// auditEvent is as much of an event as is looked at.
type auditEvent struct {
	Verb             string
	User             struct{ Username string }
	ImpersonatedUser struct{ Username string }
	ObjectRef        struct{ Name, Namespace, Resource string }
	RequestObject    json.RawMessage
	ResponseStatus   struct{ Code int }
}

// Who made an application by wash is said nowhere else: the request never passes kube-apiserver.
func TestAudit(t *testing.T) {
	dir := t.TempDir()
	a := Audit{LogPath: filepath.Join(dir, "audit.log"), PolicyFile: filepath.Join(dir, "policy.yaml")}
	if err := os.WriteFile(a.PolicyFile, []byte(auditPolicyText), 0o600); err != nil {
		t.Fatal(err)
	}
	w := prepare(t)
	w.serve(func(c *Config) {
		w.byCertificate(c)
		c.Audit = a
	})
	must(w.apps("team-a").Create(t.Context(), hello("by-alice"), metav1.CreateOptions{}))(t)
	must(w.wash("edge").Resource(applicationsGVR).Namespace("team-a").Create(t.Context(), hello("by-wash"), metav1.CreateOptions{}))(t)
	if _, err := w.apps("team-a").Create(t.Context(), hello("by-alice"), metav1.CreateOptions{}); err == nil {
		t.Fatal("the name was free")
	}
	w.stop()
	<-w.ended
	var events []auditEvent
	file := must(os.Open(a.LogPath))(t)
	defer file.Close()
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		var e auditEvent
		if err := json.Unmarshal(scanner.Bytes(), &e); err != nil {
			t.Fatalf("%v: %s", err, scanner.Text())
		}
		events = append(events, e)
	}
	var told []string
	for _, e := range events {
		if len(e.RequestObject) > 0 {
			t.Errorf("the log holds a body: %s", e.RequestObject)
		}
		if who := strings.TrimPrefix(e.User.Username+"/"+e.ImpersonatedUser.Username, "system:apiserver/"); e.Verb == "create" && e.ObjectRef.Resource == applications {
			told = append(told, who+" "+e.ObjectRef.Namespace+"/"+e.ObjectRef.Name)
			if e.ResponseStatus.Code != 201 && e.ResponseStatus.Code != 409 {
				t.Errorf("%+v", e)
			}
		}
	}
	want := "alice/ team-a/by-alice, system:trellis:wash:edge team-a/by-wash, alice/ team-a/by-alice"
	if got := strings.Join(told, ", "); got != want {
		t.Errorf("the log tells %s; want %s", got, want)
	}
}

func TestAudit_Errors(t *testing.T) {
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(policy, []byte("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		audit Audit
		says  string
	}{
		"no policy":      {Audit{LogPath: "-"}, "needs a policy"},
		"missing policy": {Audit{LogPath: "-", PolicyFile: policy + "x"}, "audit log"},
		"empty policy":   {Audit{LogPath: "-", PolicyFile: policy}, "audit log"},
	} {
		t.Run(name, func(t *testing.T) {
			err := tc.audit.validate()
			if err == nil {
				err = tc.audit.applyTo(server.NewConfig(must(newCodecs())(t).factory))
			}
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error = %v", err)
			}
		})
	}
}
