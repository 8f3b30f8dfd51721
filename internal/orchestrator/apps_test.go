package orchestrator

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

var appNames = []string{"app0", "app1", "app2", "app3"}

func randomApplication(r *rand.Rand) *v1beta1.Application {
	return randomApp(r, appNames[r.IntN(len(appNames))])
}

// randomApp makes an application: a component that is spread or runs on all hosts of a zone, and a provider with a link
// to it, both with configurations. The third has an id of its own, secrets, and a configuration that somebody else
// brings; the fourth uses the component of the first.
func randomApp(r *rand.Rand, name string) *v1beta1.Application {
	spread := ""
	daemon := r.IntN(3) == 0
	if daemon || r.IntN(2) == 0 {
		spread = `, "spread": [{"name": "a", "requirements": {"zone": "a"}, "weight": 2}, {"name": "b", "requirements": {"zone": "b"}, "weight": 1}]`
	}
	kind := "spreadscaler"
	if daemon {
		kind = "daemonscaler"
	}
	properties := fmt.Sprintf(`"image": "i:%d"`, r.IntN(3))
	if r.IntN(3) == 0 {
		properties += fmt.Sprintf(`, "config": [{"name": "own%d", "properties": {"v": "%d"}}]`, r.IntN(2), r.IntN(2))
	}
	if name == "app2" {
		properties += `, "id": "app2-id"`
		if r.IntN(2) == 0 {
			properties += fmt.Sprintf(`, "secrets": [{"name": "pass", "properties": {"policy": "vault", "key": "k%d"}}]`, r.IntN(2))
		}
	}
	component := fmt.Sprintf(`{"name": "c", "type": "component", "properties": {%s}, "traits": [{"type": %q, "properties": {"instances": %d%s}}]}`,
		properties, kind, r.IntN(6)+1, spread)
	if name == "app3" && r.IntN(2) == 0 {
		component = `{"name": "c", "type": "component", "properties": {"application": {"name": "app0", "component": "c"}}}`
	}
	text := fmt.Sprintf(`{"metadata": {"name": %q, "namespace": "ns", "annotations": {}}, "spec": {
		"policies": [{"name": "vault", "type": "policy.secret.wasmcloud.dev/v1alpha1", "properties": {"backend": "kube"}}],
		"components": [%s, %s]}}`, name, component, randomProvider(r, name))
	app := &v1beta1.Application{}
	if err := json.Unmarshal([]byte(text), app); err != nil {
		panic(err)
	}
	switch r.IntN(16) {
	case 0:
		app.Annotations[v1beta1.DeployedVersionAnnotation] = v1beta1.DeployedNone
	case 1:
		app.Annotations[v1beta1.WashDeployedVersionAnnotation] = v1beta1.DeployedNone
	}
	return app
}

func randomProvider(r *rand.Rand, name string) string {
	config := fmt.Sprintf(`{"name": "base%d", "properties": {"k": "%d"}}`, r.IntN(2), r.IntN(3))
	if name == "app2" && r.IntN(2) == 0 {
		config += `, {"name": "common"}`
	}
	return fmt.Sprintf(`{"name": %q, "type": "capability", "properties": {"image": "i:%d", "config": [%s]}, "traits": [
		{"type": "spreadscaler", "properties": {"instances": %d}},
		{"type": "link", "properties": {"namespace": "wasi", "package": "http", "interfaces": ["incoming-handler"], "target": {"name": "c"},
			"source": {"config": [{"name": "addr%d", "properties": {"port": "%d"}}]}}}]}`,
		[]string{"p", "q"}[r.IntN(2)], r.IntN(3), config, r.IntN(2)+1, r.IntN(2), r.IntN(3))
}
