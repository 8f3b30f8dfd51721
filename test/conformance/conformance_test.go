//go:build conformance && linux

package conformance

import (
	"net/http"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/trellis-operator/trellis/test/twin"
)

// checks are all questions; those that wait for controllers come first, because they wait in the meantime.
var checks = []check{
	{"garbage", checkGarbage}, {"quota", checkQuota}, {"namespaces", checkNamespaces},
	{"bookmarks", checkBookmarks}, {"versions", checkVersions},
	{"create", checkCreate}, {"generatename", checkGenerateName}, {"names", checkNames}, {"verbs", checkVerbs},
	{"get", checkGet}, {"update", checkUpdate}, {"patch", checkPatch}, {"apply", checkApply}, {"fieldvalidation", checkFieldValidation},
	{"status", checkStatus}, {"delete", checkDelete}, {"finalizers", checkFinalizers}, {"deletecollection", checkDeleteCollection},
	{"dryrun", checkDryRun}, {"list", checkList}, {"pages", checkPages}, {"watch", checkWatch}, {"watchselectors", checkWatchSelectors},
	{"informer", checkInformer}, {"forms", checkForms}, {"discovery", checkDiscovery},
}

// afterwards are questions whose preparation disturbs others.
var afterwards = []check{{"compaction", checkCompaction}}

func TestConformance(t *testing.T) {
	if err := twin.Define(t.Context(), world.plane.Config); err != nil {
		t.Fatal(err)
	}
	c := newClient(t, world.plane.Config)
	eventually(t, "the CustomResourceDefinition is served", func() string {
		a, err := c.send(t.Context(), "GET", "/apis/"+theirs.group+"/"+version+"/applications", nil)
		if err != nil {
			return err.Error()
		}
		if a.code != 200 {
			return a.String()
		}
		return ""
	})
	compare(t, checks)
	compare(t, afterwards)
}

func uidOf(a *answer) types.UID { return types.UID(text(a.object, "metadata", "uid")) }

// A watch cache may know more than the store keeps. Revisions have none: what is given up is said to be too old. It runs
// after the check above.
func TestWatchOfWhatWasGivenUp(t *testing.T) {
	c := newClient(t, world.plane.Config)
	a, err := c.send(t.Context(), http.MethodGet, "/apis/core.oam.dev/v1beta1/applicationrevisions?watch=true&resourceVersion=1&timeoutSeconds=5", nil)
	if err != nil {
		t.Fatal(err)
	}
	if said := string(a.body); !strings.Contains(said, `"code":410`) || !strings.Contains(said, `"reason":"Expired"`) {
		t.Errorf("a watch from the beginning: %d %s", a.code, shorten(said))
	}
}
