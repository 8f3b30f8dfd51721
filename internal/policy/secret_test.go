package policy_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trellis-operator/trellis/internal/policy"
)

func TestReadSecret(t *testing.T) {
	own := policy.SecretSource{Namespace: "team-a", Rotation: policy.RotationDeliver}
	account := own
	account.ServiceAccount = "reader"
	for name, tc := range map[string]struct {
		properties map[string]string
		want       policy.SecretSource
	}{
		"nothing":          {nil, own},
		"backend":          {map[string]string{"backend": "kube"}, own},
		"own namespace":    {map[string]string{"namespace": "team-a"}, own},
		"serviceAccount":   {map[string]string{"serviceAccount": "reader"}, account},
		"impersonate":      {map[string]string{"impersonate": "reader"}, account},
		"user of the own":  {map[string]string{"impersonate": "system:serviceaccount:team-a:reader"}, account},
		"both, and agreed": {map[string]string{"impersonate": "reader", "serviceAccount": "reader"}, account},
		"everything": {map[string]string{"namespace": "vault", "serviceAccount": "a.b", "encoding": "binary", "rotation": "manual"},
			policy.SecretSource{Namespace: "vault", ServiceAccount: "a.b", Encoding: policy.EncodingBinary, Rotation: policy.RotationManual}},
	} {
		t.Run(name, func(t *testing.T) {
			got, problems := policy.ReadSecret("team-a", tc.properties)
			if diff := cmp.Diff(tc.want, got); diff != "" || len(problems) > 0 {
				t.Errorf("problems %v, -want +got\n%s", problems, diff)
			}
		})
	}
}

func TestReadSecret_Errors(t *testing.T) {
	for name, tc := range map[string]struct {
		properties map[string]string
		property   string
		says       string
		foreign    bool
	}{
		"unknown property":       {map[string]string{"namespaces": "x"}, "namespaces", "there are backend, encoding, impersonate, namespace, rotation, serviceAccount", false},
		"case matters":           {map[string]string{"serviceaccount": "x"}, "serviceaccount", `no property "serviceaccount"`, false},
		"long name":              {map[string]string{strings.Repeat("x", 500): ""}, strings.Repeat("x", 500), "xxx…", false},
		"no namespace":           {map[string]string{"namespace": ""}, "namespace", "leave the property out", false},
		"path":                   {map[string]string{"namespace": "../kube-system"}, "namespace", "no name of a namespace", false},
		"account of another":     {map[string]string{"serviceAccount": "system:serviceaccount:team-b:x"}, "serviceAccount", "no ServiceAccount of namespace team-a", true},
		"account with namespace": {map[string]string{"serviceAccount": "team-b/x"}, "serviceAccount", "its name alone", true},
		"user":                   {map[string]string{"impersonate": "alice@example.com"}, "impersonate", "no ServiceAccount", true},
		"no account":             {map[string]string{"serviceAccount": ""}, "serviceAccount", "no ServiceAccount", true},
		"two accounts":           {map[string]string{"impersonate": "x", "serviceAccount": "y"}, "serviceAccount", "impersonate names another", false},
		"encoding":               {map[string]string{"encoding": "base64"}, "encoding", "text or binary", false},
		"rotation":               {map[string]string{"rotation": "never"}, "rotation", "deliver, restart or manual", false},
	} {
		t.Run(name, func(t *testing.T) {
			_, problems := policy.ReadSecret("team-a", tc.properties)
			if len(problems) != 1 {
				t.Fatalf("problems %v, want one", problems)
			}
			if p := problems[0]; p.Property != tc.property || p.Foreign != tc.foreign || !strings.Contains(p.Text, tc.says) || len(p.Text) > 300 {
				t.Errorf("problem %+v, want one of %s that says %q", p, tc.property, tc.says)
			}
		})
	}
}
