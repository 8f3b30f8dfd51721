package apiserver

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// TestAskAtOnce: the orchestrator's right is asked for once for all applications, others' for what they do; who lacks the
// wide right is not refused for it.
func TestAskAtOnce(t *testing.T) {
	t.Parallel()
	var asked []authorizer.AttributesRecord
	kubernetes := authorizer.AuthorizerFunc(func(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
		asked = append(asked, a.(authorizer.AttributesRecord))
		if a.GetSubresource() == "status" {
			return authorizer.DecisionAllow, "bound", nil
		}
		return authorizer.DecisionNoOpinion, "not bound", nil
	})
	orchestrator, bob := &user.DefaultInfo{Name: OrchestratorUser}, &user.DefaultInfo{Name: "bob"}
	about := func(who user.Info, verb, namespace, name, subresource string) authorizer.AttributesRecord {
		return authorizer.AttributesRecord{User: who, Verb: verb, Namespace: namespace, Name: name, APIGroup: "core.oam.dev",
			APIVersion: "v1beta1", Resource: "applications", Subresource: subresource, ResourceRequest: true}
	}
	for name, tc := range map[string]struct {
		does authorizer.Attributes
		want authorizer.Decision
		asks []authorizer.AttributesRecord
	}{
		"a status": {about(orchestrator, "patch", "team-a", "shop", "status"), authorizer.DecisionAllow,
			[]authorizer.AttributesRecord{about(orchestrator, "patch", "", "", "status")}},
		"what it may not do": {about(orchestrator, "delete", "team-a", "shop", ""), authorizer.DecisionNoOpinion,
			[]authorizer.AttributesRecord{about(orchestrator, "delete", "", "", "")}},
		"somebody else": {about(bob, "patch", "team-a", "shop", "status"), authorizer.DecisionNoOpinion, nil},
		"nobody":        {about(nil, "patch", "team-a", "shop", "status"), authorizer.DecisionNoOpinion, nil},
		"a path":        {authorizer.AttributesRecord{User: orchestrator, Verb: "get", Path: "/metrics"}, authorizer.DecisionNoOpinion, nil},
	} {
		asked = nil
		if got, _, err := askAtOnce(kubernetes).Authorize(t.Context(), tc.does); got != tc.want || err != nil {
			t.Errorf("%s: decision %v, %v; want %v", name, got, err, tc.want)
		}
		if diff := cmp.Diff(tc.asks, asked); diff != "" {
			t.Errorf("%s: asked (-want +got):\n%s", name, diff)
		}
	}
}
