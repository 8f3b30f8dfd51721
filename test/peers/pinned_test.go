//go:build peers && linux

package peers

import (
	"fmt"
	"slices"
	"testing"
)

const (
	pinAnnotation     = "k8s.wasmcloud.dev/deployed-version"
	versionAnnotation = "version"
	commits           = 10
)

// pinned makes commits that change the spec and keep the pin, by way of sync, which returns when the tool has applied its
// commit; none may deploy anything. Then it moves the pin, which must: otherwise the record of deployments is blind.
func pinned(t *testing.T, l *lab, namespace string, sync func(manifest)) {
	t.Helper()
	m := manifest{namespace: namespace, name: namespace + "-app"}
	commit := func(version int, pin string) {
		m.instances = version
		m.annotations = map[string]string{versionAnnotation: fmt.Sprint("v", version), pinAnnotation: pin}
		sync(m)
		if got := text(l.ready(t, namespace, m.name), "status", "version"); got != m.annotations[versionAnnotation] {
			t.Errorf("after the commit of v%d: version %s", version, got)
		}
	}
	commit(1, "v1")
	d := l.follow(t, namespace, m.name)
	for version := 2; version <= commits+1; version++ {
		commit(version, "v1")
	}
	versions, commands := d.seen(t, l, namespace, m.name)
	if !slices.Equal(versions, []string{"v1"}) || len(commands) > 0 {
		t.Errorf("%d commits with the pin v1 in Git deployed %v, commands %v; want none", commits, versions, commands)
	}
	commit(commits+2, "v5")
	versions, commands = d.seen(t, l, namespace, m.name)
	if !slices.Equal(versions, []string{"v1", "v5"}) {
		t.Errorf("after the commit with the pin v5: deployed %v", versions)
	}
	if l.plane != nil && len(commands) == 0 {
		t.Error("after the commit with the pin v5 no command was seen: the record of commands is blind")
	}
	running := text(l.mustApplication(t, namespace, m.name), "status", "deployedVersion")
	t.Logf("%d commits with a pin: 0 deployments; the commit that moved the pin: %s, %d commands", commits, running, len(commands))
}
