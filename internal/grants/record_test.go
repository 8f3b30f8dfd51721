package grants_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trellis-operator/trellis/internal/grants"
	"github.com/trellis-operator/trellis/internal/secrets"
)

type recorded []secrets.Outcome

func (r *recorded) Record(o secrets.Outcome) { *r = append(*r, o) }

// TestRecord: what came of a request is told for the components that it can be, and nothing where anybody could make up
// names without end.
func TestRecord(t *testing.T) {
	stranger := question("app", "password")
	stranger.HostID = "NSTRANGER"
	foreign := question("app", "password")
	foreign.Entity.Subject = "MOTHER"
	invented := question("invented", "password")
	absent := question("missing", "password")
	withProperty := withPolicy(question("pg", "password"), "namespace", "vault")
	for name, tc := range map[string]struct {
		q      secrets.Question
		fails  string
		kind   secrets.Kind
		says   string
		silent bool
	}{
		"given":                {q: question("app", "password")},
		"denied":               {q: withProperty, kind: secrets.Unauthorized, says: "SecretGrant"},
		"missing":              {q: absent, kind: secrets.SecretNotFound, says: "create it"},
		"another token":        {q: foreign, kind: secrets.Unauthorized, says: "is not what is in the image"},
		"an image is away":     {q: question("app", "password"), fails: "Claims", kind: secrets.UpstreamError, says: "could not be read"},
		"Kubernetes is away":   {q: question("app", "password"), fails: "Secret", kind: secrets.UpstreamError, says: "could not be read"},
		"names no such secret": {q: invented, silent: true},
		"host of nobody":       {q: stranger, silent: true},
		"no hosts are known":   {q: question("app", "password"), fails: "Host", silent: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if tc.fails != "" {
				w.fails[tc.fails] = errors.New("away: " + canary)
			}
			var got recorded
			keeper, err := grants.New(grants.Options{Applications: w, Hosts: w, Images: w, Reader: w, Reviewer: w, Lister: w, Recorder: &got})
			if err != nil {
				t.Fatal(err)
			}
			answer, _ := keeper.Secret(t.Context(), tc.q)
			if tc.silent {
				if len(got) > 0 {
					t.Errorf("told %v", got)
				}
				return
			}
			want := secrets.Outcome{
				Lattice: "production", Namespace: "team-a", Application: "shop", Component: "api", Host: tc.q.HostID, Version: answer.Version, Kind: tc.kind,
				Reference: secrets.NewReference(tc.q.Key, tc.q.Field, "", tc.q.Policy.Properties),
			}
			if len(got) != 1 || !strings.Contains(got[0].Reason, tc.says) || strings.Contains(got[0].Reason, canary) || tc.kind == "" && got[0].Version != "7" {
				t.Fatalf("told %+v", got)
			}
			want.Reason = got[0].Reason
			if diff := cmp.Diff(want, got[0]); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}
