//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/trellis-operator/trellis/internal/secrets"
	"github.com/trellis-operator/trellis/internal/wasmhost/secret"
	"github.com/trellis-operator/trellis/internal/wasmhost/token"
	"github.com/trellis-operator/trellis/test/wasm/sign"
)

// asker asks for secrets as whoever has the credentials of a host group can: over a leaf of his own, with tokens of his
// choice.
type asker struct {
	conn  *nats.Conn
	topic string
	host  string // id
}

// newAsker takes the credentials of a host group, and the name of one of its hosts.
func newAsker(t *testing.T, namespace, group string) *asker {
	t.Helper()
	condition(t, namespace, "whc/"+group, "Ready", "True", "")
	encoded := kubectl(t, "get", "secret", group+"-nats", "-n", namespace, "-o", `jsonpath={.data.nats\.creds}`)
	credentials, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	a := &asker{conn: leaf(t, credentials), topic: secrets.GroupPrefix(secrets.DefaultPrefix, namespace, group)}
	eventually(t, time.Minute, "the group has a host", func() (err error) {
		if a.host, err = try(t, "", "get", "whc", group, "-n", namespace, "-o", "jsonpath={.status.hosts[0].id}"); err == nil && a.host == "" {
			err = fmt.Errorf("group %s has none", group)
		}
		return err
	})
	eventually(t, time.Minute, "the leaf reaches Trellis", func() error {
		answer, err := a.conn.Request(a.topic+".v1alpha1.kube.server_xkey", nil, time.Second)
		if err == nil && !strings.HasPrefix(string(answer.Data), "X") {
			err = fmt.Errorf("it answers %q", answer.Data)
		}
		return err
	})
	return a
}

// leaf runs a leaf of the hub with credentials, for as long as the test.
func leaf(t *testing.T, credentials []byte) *nats.Conn {
	t.Helper()
	file := filepath.Join(t.TempDir(), "nats.creds")
	if err := os.WriteFile(file, credentials, 0o600); err != nil {
		t.Fatal(err)
	}
	hub, err := url.Parse(natsURL(t, 7422))
	if err != nil {
		t.Fatal(err)
	}
	node, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
		LeafNode: server.LeafNodeOpts{Remotes: []*server.RemoteLeafOpts{{URLs: []*url.URL{hub}, Credentials: file}}}})
	if err != nil {
		t.Fatal(err)
	}
	go node.Start()
	t.Cleanup(func() { node.Shutdown(); node.WaitForShutdown() })
	if !node.ReadyForConnections(10 * time.Second) {
		t.Fatal("the leaf does not start")
	}
	conn, err := nats.Connect(node.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// question is what is asked for a secret. Its tokens are made from the options when it is asked.
type question struct {
	// mark finds the request in the audit: the name in its token, which counts for nothing, or what else stands there.
	mark        string
	application string
	reference   secret.Reference
	component   sign.Options
	host        string
	// tokens changes what is sent as entity and host.
	tokens func(entity, host string) (string, string)
}

// said is what came back.
type said struct {
	asked, answer *nats.Msg
	value         string
	given         bool
	err           error
}

// overheard keeps the last message of a client and its answer.
type overheard struct {
	conn *nats.Conn
	said
}

func (o *overheard) RequestMsgWithContext(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
	answer, err := o.conn.RequestMsgWithContext(ctx, m)
	o.asked, o.answer = m, answer
	return answer, err
}

// ask asks once.
func (a *asker) ask(t *testing.T, q question) said {
	t.Helper()
	entity := tokenOf(t, signedWith(t, q.component))
	host, err := token.ForHost(q.host, "refusals", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if q.tokens != nil {
		entity, host = q.tokens(entity, host)
	}
	wire := &overheard{conn: a.conn}
	value, err := secret.NewClient(wire, a.topic, 3*time.Second).Get(t.Context(), q.reference, secret.Identity{EntityJWT: entity, HostJWT: host, Application: &q.application})
	out := wire.said
	if out.err = err; err == nil {
		out.value, out.given = fmt.Sprint(value.Reveal()), true
	}
	return out
}

// signedWith is the component that has secrets, signed.
func signedWith(t *testing.T, o sign.Options) []byte {
	t.Helper()
	code, err := os.ReadFile(filepath.Join(root(t), secretFile))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := sign.Component(code, o)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// tokenOf is the token at the end of a component, whatever it says.
func tokenOf(t *testing.T, signed []byte) string {
	t.Helper()
	at := bytes.LastIndex(signed, []byte(token.SectionName))
	if at < 0 {
		t.Fatal("the component has no token")
	}
	return string(signed[at+len(token.SectionName):])
}

// auditLine is what Trellis wrote of a request.
type auditLine struct {
	Pod                                                    string `json:"-"`
	Msg, Decision, Kind, Reason, Field, Entity, EntityName string
}

// audited are the lines of a request.
func audited(t *testing.T, mark string) (found []auditLine, err error) {
	t.Helper()
	out, err := try(t, "", "logs", "-n", system, "-l", "app.kubernetes.io/component=operator", "--prefix", "--tail=-1", "--since=3m")
	if err != nil {
		return nil, err
	}
	for text := range strings.Lines(out) {
		prefix, text, _ := strings.Cut(text, " ")
		if !strings.Contains(text, mark) {
			continue
		}
		line := auditLine{Pod: prefix}
		if json.Unmarshal([]byte(text), &line) == nil && line.Msg == "Secret requested" &&
			(line.Field == mark || line.EntityName == mark || line.Entity == mark) {
			found = append(found, line)
		}
	}
	return found, nil
}
