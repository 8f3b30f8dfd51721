//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/trellis-operator/trellis/test/wasm/sign"
)

// refusedWithin is longer than the right of a ServiceAccount is kept.
const refusedWithin = 30 * time.Second

// refusal is a question that is refused, made of one that is answered.
type refusal struct {
	// of names the application whose question it is. Default: own.
	of string
	// change makes it one that is refused.
	change func(q *question)
	others bool   // asked by the other group
	answer string // the beginning of it
	reason string // part of it, in the audit
	event  bool   // told to the users of the application
}

const (
	unauthorized     = `{"error":"Unauthorized"}`
	invalidEntityJWT = `{"error":{"InvalidEntityJWT":"`
	invalidHostJWT   = `{"error":{"InvalidHostJWT":"`
	policyError      = `{"error":{"PolicyError":"`
)

// refusals by what is wrong.
func refusalsOf(s *refusalScene) map[string]refusal {
	return map[string]refusal{
		"no right":        {of: "stranger", answer: unauthorized, reason: "may not get Secret", event: true},
		"wrong namespace": {of: "vault", answer: unauthorized, reason: "is in another namespace", event: true},
		"another namespace than deployed": {answer: unauthorized, reason: "names no such secret", change: func(q *question) {
			q.reference.Policy = `{"type":"properties.secret.wasmcloud.dev/v1alpha1","properties":{"namespace":"` + s.vault + `"}}`
		}},
		"another application's name": {answer: unauthorized, reason: "is not what is in the image", change: func(q *question) {
			q.component = signedBy("e2e neighbour", q.mark)
		}},
		"another application's secret": {answer: unauthorized, reason: "names no such secret", change: func(q *question) {
			q.application = s.nameOf("token")
		}},
		"a group that it is not placed on": {others: true, answer: unauthorized, reason: "has no place for the component on host",
			change: func(q *question) { q.host = s.others.host }},
		"a host of another group":             {others: true, answer: unauthorized, reason: "is none of group"},
		"a forged token":                      {answer: invalidEntityJWT, reason: "InvalidEntityJWT", change: tokens(forged)},
		"swapped tokens":                      {answer: invalidEntityJWT, reason: "InvalidEntityJWT", change: tokens(func(entity, host string) (string, string) { return host, entity })},
		"one token for both":                  {answer: invalidHostJWT, reason: "InvalidHostJWT", change: tokens(func(entity, _ string) (string, string) { return entity, entity })},
		"an expired token":                    {answer: invalidEntityJWT, reason: "InvalidEntityJWT", change: expired},
		"a renamed component":                 {answer: unauthorized, reason: "is not what is in the image", change: renamed},
		"an application of a foreign lattice": {of: "foreign", answer: unauthorized, reason: "is deployed in lattice default"},
		"the token of a ServiceAccount":       {of: "token", answer: unauthorized, reason: "holds the token of a ServiceAccount", event: true},
		"a key that is not granted":           {of: "key", answer: unauthorized, reason: "is in another namespace", event: true},
		"a policy with unknown properties":    {of: "typo", answer: policyError, reason: "namepsace", event: true},
	}
}

// tokens changes what is sent. The audit has nothing of a token that is refused, so that the key within the Secret is the
// mark.
func tokens(change func(entity, host string) (string, string)) func(*question) {
	return func(q *question) { q.reference.Field, q.tokens = &q.mark, change }
}

func expired(q *question) {
	q.reference.Field, q.component.Expires = &q.mark, time.Now().Add(-time.Minute)
}

// renamed is the same component under the same name, signed by somebody else.
func renamed(q *question) {
	q.component = signedBy("e2e impostor "+q.mark, "refusals")
	if key, err := sign.ModuleKey(q.component.Module); err == nil {
		q.mark = key
	}
}

// forged is a token whose signature belongs to another one.
func forged(entity, host string) (string, string) {
	claims := entity[:strings.LastIndex(entity, ".")]
	return claims + host[strings.LastIndex(host, "."):], host
}

// Whoever asks what he must not gets no value: he is told as little as the protocol allows, and the audit and the users of
// the application are told why. Each question differs in one thing from one that is answered.
func TestSecretsAreRefused(t *testing.T) {
	s := newRefusalScene(t)
	for _, name := range []string{"own", "account", "granted"} {
		t.Run("given: "+name, func(t *testing.T) { s.given(t, name) })
	}
	if t.Failed() {
		t.Fatal("what is refused below proves nothing")
	}
	for name, r := range refusalsOf(s) {
		t.Run(name, func(t *testing.T) { s.refuses(t, r) })
	}
	t.Run("a request sent again", s.refusesReplays)
	t.Run("the prefix of another group", s.refusesPrefix)
	t.Run("a foreign account", s.refusesAccount)
	t.Run("a right that was withdrawn", s.refusesWithdrawn)
	t.Run("the value is nowhere", func(t *testing.T) { nowhere(t, s.value) })
}

// given waits for the value, and the line that says so.
func (s *refusalScene) given(t *testing.T, name string) {
	t.Helper()
	eventually(t, time.Minute, "the value is given", func() error {
		q := s.ofTheApplication(t, name)
		got := s.hosts.ask(t, q)
		if !got.given || got.value != s.value {
			return fmt.Errorf("not given: %w", got.err)
		}
		return tells(t, q.mark, "given", "")
	})
}

// refuses asks until it is refused for the reason: the applications were written just now.
func (s *refusalScene) refuses(t *testing.T, r refusal) {
	t.Helper()
	if r.of == "" {
		r.of = "own"
	}
	by := s.hosts
	if r.others {
		by = s.others
	}
	eventually(t, refusedWithin, "it is refused", func() error {
		q := s.ofTheApplication(t, r.of)
		if r.change != nil {
			r.change(&q)
		}
		got := by.ask(t, q)
		if got.given {
			t.Fatal("it is given")
		}
		if err := got.refused(r.answer, s.value); err != nil {
			return err
		}
		return tells(t, q.mark, "refused", r.reason)
	})
	if r.event {
		s.awaitEvent(t, r.of, r.reason)
	}
}

// refused says whether an answer is that refusal, in clear and without a value.
func (a said) refused(answer, value string) error {
	if a.answer == nil {
		return fmt.Errorf("no answer: %w", a.err)
	}
	whole := fmt.Sprint(a.answer.Header, string(a.answer.Data))
	switch {
	case strings.Contains(whole, value):
		return errors.New("the answer holds the value")
	case len(a.answer.Header) > 0 || !strings.HasPrefix(string(a.answer.Data), answer):
		return fmt.Errorf("the answer is %s; want %s", whole, answer)
	}
	return nil
}

// tells says whether the audit has a request with that decision, and no other.
func tells(t *testing.T, mark, decision, reason string) error {
	t.Helper()
	return within(5*time.Second, func() error {
		lines, err := audited(t, mark)
		if err != nil {
			return err
		}
		if len(lines) != 1 || lines[0].Decision != decision || !strings.Contains(lines[0].Reason, reason) {
			return fmt.Errorf("the audit has %+v; want one line that it is %s: %s", lines, decision, reason)
		}
		return nil
	})
}

// awaitEvent waits until the users of an application are told.
func (s *refusalScene) awaitEvent(t *testing.T, application, reason string) {
	t.Helper()
	eventually(t, secretWithin, "an Event says why", func() error {
		out, err := try(t, "", "get", "events", "-n", s.namespace, "--field-selector=reason=SecretRefused,involvedObject.name="+s.nameOf(application),
			"-o", `jsonpath={range .items[*]}{.message}{"\n"}{end}`)
		if err == nil && !strings.Contains(out, reason) {
			err = fmt.Errorf("events: %q", out)
		}
		return err
	})
}

// refusesReplays sends a request that was answered to whoever takes it, until each replica has refused it.
func (s *refusalScene) refusesReplays(t *testing.T) {
	q := s.ofTheApplication(t, "own")
	got := s.hosts.ask(t, q)
	if !got.given {
		t.Fatal(got.err)
	}
	replicas := strings.Fields(kubectl(t, "get", "pods", "-n", system, "-l", "app.kubernetes.io/component=operator", "-o", "jsonpath={.items[*].metadata.name}"))
	if len(replicas) < 2 {
		t.Errorf("there is one replica; that the other refuses it was not seen")
	}
	eventually(t, refusedWithin, "each replica refuses it", func() error {
		again := &nats.Msg{Subject: got.asked.Subject, Header: got.asked.Header, Data: got.asked.Data}
		answer, err := s.hosts.conn.RequestMsg(again, 5*time.Second)
		if err != nil {
			return err
		}
		if err := (said{answer: answer}).refused(unauthorized, s.value); err != nil {
			t.Fatal(err)
		}
		lines, err := audited(t, q.mark)
		if err != nil {
			return err
		}
		return refusedByAll(lines, replicas)
	})
}

func refusedByAll(lines []auditLine, replicas []string) error {
	by, given := map[string]bool{}, 0
	for _, line := range lines {
		for _, replica := range replicas {
			by[replica] = by[replica] || strings.Contains(line.Pod, replica) && strings.Contains(line.Reason, "was sent before")
		}
		if line.Decision == "given" {
			given++
		}
	}
	for _, replica := range replicas {
		if !by[replica] || given != 1 {
			return fmt.Errorf("given %d times, refused by %v; want once, and all of %v", given, by, replicas)
		}
	}
	return nil
}

// refusesPrefix: NATS lets nobody ask below the prefix of another group, so that Trellis never hears it.
func (s *refusalScene) refusesPrefix(t *testing.T) {
	impostor := *s.others
	impostor.topic = s.hosts.topic
	s.unheard(t, &impostor)
}

// refusesAccount: another account of the same NATS, as another lattice is, has nobody who answers. It may publish whatever
// it wants.
func (s *refusalScene) refusesAccount(t *testing.T) {
	s.unheard(t, &asker{conn: connectAs(t, "TRELLIS"), topic: s.hosts.topic, host: s.hosts.host})
}

// unheard asks what would be answered, and demands that nobody hears it. What was asked afterwards was heard when it is
// looked for.
func (s *refusalScene) unheard(t *testing.T, by *asker) {
	t.Helper()
	q := s.ofTheApplication(t, "own")
	if got := by.ask(t, q); got.given || got.answer != nil && len(got.answer.Data) > 0 {
		t.Errorf("it is answered; given: %t", got.given)
	}
	s.given(t, "own")
	if lines, err := audited(t, q.mark); len(lines) > 0 || err != nil {
		t.Errorf("the audit has %+v, %v", lines, err)
	}
}

// refusesWithdrawn takes the right of the ServiceAccount away, which counts for 10 seconds more.
func (s *refusalScene) refusesWithdrawn(t *testing.T) {
	kubectl(t, "delete", "rolebinding", "app", "-n", s.namespace)
	eventually(t, refusedWithin, "it is refused", func() error {
		q := s.ofTheApplication(t, "account")
		if err := s.hosts.ask(t, q).refused(unauthorized, s.value); err != nil {
			return err
		}
		return tells(t, q.mark, "refused", "may not get Secret")
	})
	s.awaitEvent(t, "account", "may not get Secret")
}
