package manifest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// The names that wadm's tests allow and refuse; and those that wadm lets through its check and then fails to store.
func TestManifestNames(t *testing.T) {
	for name, valid := range map[string]bool{
		"mymanifest": true, "my-manifest": true, "my_manifest": true, "mymanifest-v2-v3-final": true, "A1": true,
		"my.manifest": false, "my manifest": false, "": false, "größe": false, "名": false, "a/b": false, "a\n": false,
	} {
		app := &v1beta1.Application{}
		app.Name = name
		refused := false
		for _, f := range WadmFindings(app) {
			refused = refused || strings.HasPrefix(f.Text, "manifest name [") && !f.Warning
		}
		if refused == valid {
			t.Errorf("%q: refused %t", name, refused)
		}
	}
}

// The ids of scalers change with what wadm puts into them, and with nothing else: an adopted scaler would lose what it runs.
func TestScalerIDs_Configs(t *testing.T) {
	const (
		plain  = "{name: c, type: %s, properties: {image: i%s}, traits: [{type: %s, properties: {instances: %d}}%s]}, {name: t, type: capability, properties: {image: j}}"
		config = ", config: [{name: %s, properties: {a: %s}}]"
		link   = ", {type: link, properties: {namespace: n, package: p, interfaces: [%s], target: {name: t, config: [{name: %s, properties: {a: b}}]}}}"
	)
	ids := func(kind, config, scaler string, instances int, link string) (own, linked string) {
		t.Helper()
		app, err := DecodeWadm("application/yaml", fmt.Appendf(nil,
			"{apiVersion: v, kind: k, metadata: {name: app}, spec: {components: ["+plain+"]}}", kind, config, scaler, instances, link))
		if err != nil {
			t.Fatal(err)
		}
		m := Parse(app.Name, &app.Spec)
		if len(m.Links) > 0 {
			linked = m.Links[0].ScalerID
		}
		return m.Component("c").Scaler.ID, linked
	}
	one, two := fmt.Sprintf(config, "one", "x"), fmt.Sprintf(config, "two", "x")
	for _, kind := range []string{"component", "capability"} {
		for _, scaler := range []string{"spreadscaler", "daemonscaler"} {
			id, _ := ids(kind, one, scaler, 1, "")
			for what, other := range map[string]string{
				"another value": fmt.Sprintf(config, "one", "y"), "the same": one,
			} {
				if got, _ := ids(kind, other, scaler, 7, ""); got != id {
					t.Errorf("%s %s: %s of a configuration, and another number, change the id", kind, scaler, what)
				}
			}
			for _, other := range []string{"", two, one + "\n"} {
				if got, _ := ids(kind, other, scaler, 1, ""); (got == id) != (other == one+"\n") {
					t.Errorf("%s %s: configurations %q: the id is the same: %t", kind, scaler, other, got == id)
				}
			}
		}
	}
	_, id := ids("component", "", "spreadscaler", 1, fmt.Sprintf(link, "i", "one"))
	for _, other := range []string{fmt.Sprintf(link, "i", "two"), fmt.Sprintf(link, "other", "one")} {
		if _, got := ids("component", "", "spreadscaler", 1, other); got == id {
			t.Errorf("the id of the link is the same with %s", other)
		}
	}
}
