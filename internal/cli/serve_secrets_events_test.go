package cli

import (
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/flowcontrol"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/secrets"
)

// toldEvents keeps the Events on the one application that there is, shop.
type toldEvents struct {
	mu    sync.Mutex
	notes []string
}

func (e *toldEvents) find(lattice, name string) *oam.Application {
	if lattice != "default" || name != "shop" {
		return nil
	}
	return &oam.Application{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "shop"}}
}

func (e *toldEvents) Event(app *oam.Application, eventType, reason, message string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.notes = append(e.notes, app.Namespace+"/"+app.Name+" "+eventType+" "+reason+" "+message)
}

func (e *toldEvents) all() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.notes
}

func refusedSecret(change func(*secrets.Decision)) secrets.Decision {
	d := secrets.Decision{Kind: secrets.Unauthorized, Reason: "Unauthorized: no grant", Question: secrets.Question{
		Asker: secrets.Asker{Lattice: "default"}, Application: "shop", Key: "app", Field: "password", HostID: "NHOST",
		Entity: secrets.Entity{Kind: secrets.Component, Subject: "MAPI", Name: "api"},
	}}
	if change != nil {
		change(&d)
	}
	return d
}

// TestEventAuditor_Silent: what nobody can act on, and what names no application, is left to the log.
func TestEventAuditor_Silent(t *testing.T) {
	for name, change := range map[string]func(*secrets.Decision){
		"given":               func(d *secrets.Decision) { d.Kind = "" },
		"flood":               func(d *secrets.Decision) { d.Flood = true },
		"failed":              func(d *secrets.Decision) { d.Kind = secrets.UpstreamError },
		"not even readable":   func(d *secrets.Decision) { d.Kind = secrets.DecryptionError },
		"no such application": func(d *secrets.Decision) { d.Question.Application = "other" },
		"another lattice":     func(d *secrets.Decision) { d.Question.Asker.Lattice = "edge" },
	} {
		told := &toldEvents{}
		newEventAuditor(told.find, told).Decided(refusedSecret(change))
		if len(told.notes) > 0 {
			t.Errorf("%s: %v", name, told.notes)
		}
	}
}

func TestEventAuditor(t *testing.T) {
	told := &toldEvents{}
	auditor := newEventAuditor(told.find, told)
	now := time.Unix(1000, 0)
	auditor.now = func() time.Time { return now }
	for range 3 {
		auditor.Decided(refusedSecret(nil))
	}
	const want = `team-a/shop Warning SecretRefused Secret "app", key "password", was refused to component "api" on host NHOST: Unauthorized: no grant`
	if len(told.notes) != 1 || told.notes[0] != want {
		t.Fatalf("events %q, want one: %s", told.notes, want)
	}
	now = now.Add(refusalPause)
	auditor.Decided(refusedSecret(nil))
	auditor.Decided(refusedSecret(func(d *secrets.Decision) { d.Kind = secrets.SecretNotFound }))
	if len(told.notes) != 3 {
		t.Errorf("%d events, want one more of the same and one of another kind", len(told.notes))
	}
	auditor.Decided(refusedSecret(func(d *secrets.Decision) { d.Question.Key = strings.Repeat("ä", 1000) }))
	if last := told.notes[len(told.notes)-1]; !utf8.ValidString(last) || len(last) > 1024 {
		t.Errorf("an event of %d bytes", len(last))
	}
}

// TestEventAuditor_Budget: whoever invents Secrets does not fill the cluster with Events, nor the process.
func TestEventAuditor_Budget(t *testing.T) {
	told := &toldEvents{}
	auditor := newEventAuditor(told.find, told)
	auditor.budget = flowcontrol.NewTokenBucketPassiveRateLimiter(0.0001, refusalBurst)
	for i := range 3 * maxRefusals {
		auditor.Decided(refusedSecret(func(d *secrets.Decision) { d.Question.Key = strings.Repeat("a", i%97) + string(rune('a'+i%26)) }))
	}
	if len(told.notes) != refusalBurst {
		t.Errorf("%d events, want %d", len(told.notes), refusalBurst)
	}
	auditor.budget = flowcontrol.NewFakeAlwaysRateLimiter()
	for i := range 3 * maxRefusals {
		auditor.Decided(refusedSecret(func(d *secrets.Decision) { d.Question.Key = string(rune('A' + i)) }))
	}
	if len(auditor.told) > maxRefusals {
		t.Errorf("it remembers %d", len(auditor.told))
	}
}
