package apiserver

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

func (w *world) versions(namespace string) []string {
	w.t.Helper()
	var out []string
	for _, r := range w.revisions(namespace) {
		out = append(out, str(&r, "version"))
	}
	slices.Sort(out)
	return out
}

func TestGeneratedVersions(t *testing.T) {
	w := start(t)
	client := w.apps("team-a")
	app := must(client.Create(t.Context(), hello("hello"), metav1.CreateOptions{}))(t)
	first := str(app, "status", "version")
	if len(first) != 26 || app.GetAnnotations()["version"] != "" {
		t.Fatalf("version %q, annotations %v", first, app.GetAnnotations())
	}
	app = must(client.Patch(t.Context(), "hello", types.MergePatchType, []byte(`{"metadata":{"annotations":{"description":"x"}}}`), metav1.PatchOptions{}))(t)
	if got := str(app, "status", "version"); got != first {
		t.Errorf("version %q after a change of metadata, was %q", got, first)
	}
	setImage(app, "ghcr.io/acme/hello:2")
	app = must(client.Update(t.Context(), app, metav1.UpdateOptions{}))(t)
	second := str(app, "status", "version")
	if second <= first {
		t.Errorf("version %q does not follow %q", second, first)
	}
	if got := w.versions("team-a"); !slices.Equal(got, []string{first, second}) {
		t.Errorf("revisions %v", got)
	}
	rev := must(w.dynamic().Resource(revisionsGVR).Namespace("team-a").Get(t.Context(), "hello."+first, metav1.GetOptions{}))(t)
	if image(rev) != "ghcr.io/acme/hello:0.1.0" || str(rev, "application") != "hello" || len(str(rev, "digest")) != 64 {
		t.Errorf("revision %v", rev.Object)
	}
	selected := must(w.dynamic().Resource(revisionsGVR).Namespace("team-a").List(t.Context(),
		metav1.ListOptions{FieldSelector: "application=hello,version=" + second}))(t)
	if len(selected.Items) != 1 {
		t.Errorf("%d revisions by field selector", len(selected.Items))
	}
}

func TestExplicitVersions(t *testing.T) {
	w := start(t)
	client, warnings := w.warned()
	manifest := hello("hello")
	manifest.SetAnnotations(map[string]string{"version": "v1.0+build 1"})
	app := must(client.Create(t.Context(), manifest, metav1.CreateOptions{}))(t)
	if got := str(app, "status", "version"); got != "v1.0+build 1" {
		t.Errorf("version %q", got)
	}
	must(w.dynamic().Resource(revisionsGVR).Namespace("team-a").Get(t.Context(), "hello.v1.0=2Bbuild=201", metav1.GetOptions{}))(t)

	*warnings = nil
	setImage(app, "ghcr.io/acme/hello:2")
	app = must(client.Update(t.Context(), app, metav1.UpdateOptions{}))(t)
	derived := str(app, "status", "version")
	if !strings.HasPrefix(derived, "v1.0+build 1-") || len(derived) != len("v1.0+build 1-")+hashLength {
		t.Errorf("version %q", derived)
	}
	if !slices.ContainsFunc(*warnings, func(s string) bool { return strings.Contains(s, derived) }) {
		t.Errorf("warnings %v", *warnings)
	}
	if app.GetAnnotations()["version"] != "v1.0+build 1" {
		t.Errorf("annotation %q", app.GetAnnotations()["version"])
	}

	// Another name for the same content is another version; going back to the first content finds the first version.
	app.SetAnnotations(map[string]string{"version": "v2"})
	app = must(client.Update(t.Context(), app, metav1.UpdateOptions{}))(t)
	if got := str(app, "status", "version"); got != "v2" || app.GetGeneration() != 3 {
		t.Errorf("version %q, generation %d", got, app.GetGeneration())
	}
	app.SetAnnotations(map[string]string{"version": "v1.0+build 1"})
	setImage(app, "ghcr.io/acme/hello:0.1.0")
	app = must(client.Update(t.Context(), app, metav1.UpdateOptions{}))(t)
	if got := str(app, "status", "version"); got != "v1.0+build 1" || len(w.revisions("team-a")) != 3 {
		t.Errorf("version %q, revisions %v", got, w.versions("team-a"))
	}
}

func TestWashVersions(t *testing.T) {
	w := start(t)
	client := w.wash("default").Resource(applicationsGVR).Namespace("team-a")
	manifest := hello("hello")
	manifest.SetAnnotations(map[string]string{"version": "v1", v1beta1.WashDeployedVersionAnnotation: "none"})
	app := must(client.Create(t.Context(), manifest, metav1.CreateOptions{}))(t)
	if fields := app.GetManagedFields(); len(fields) != 1 {
		t.Errorf("managedFields %v", fields)
	}

	setImage(app, "ghcr.io/acme/hello:2")
	_, err := client.Update(t.Context(), app, metav1.UpdateOptions{})
	if !apierrors.IsAlreadyExists(err) || !strings.Contains(err.Error(), "Manifest version v1 already exists") {
		t.Errorf("put of an existing version: %v", err)
	}
	app.SetAnnotations(map[string]string{"version": "v2", v1beta1.WashDeployedVersionAnnotation: "none"})
	app = must(client.Update(t.Context(), app, metav1.UpdateOptions{}))(t)
	if app.GetAnnotations()[v1beta1.WashDeployedVersionAnnotation] != "none" {
		t.Error("wash's own put drops what wash deployed")
	}
	app.SetAnnotations(map[string]string{"version": "v2", v1beta1.WashDeployedVersionAnnotation: "v1"})
	app = must(client.Update(t.Context(), app, metav1.UpdateOptions{}))(t)
	if app.GetGeneration() != 3 || str(app, "status", "version") != "v2" {
		t.Errorf("deploy of v1: generation %d, version %s", app.GetGeneration(), str(app, "status", "version"))
	}
	// wash deletes v1, which is deployed no more, and puts another v1.
	app.SetAnnotations(map[string]string{"version": "v2", v1beta1.WashDeletedVersionsAnnotation: "v1"})
	app = must(client.Update(t.Context(), app, metav1.UpdateOptions{}))(t)
	setImage(app, "ghcr.io/acme/hello:1b")
	app.SetAnnotations(map[string]string{"version": "v1", v1beta1.WashUndeployedAnnotation: "true"})
	app = must(client.Update(t.Context(), app, metav1.UpdateOptions{}))(t)
	if version := str(app, "status", "version"); version != "v1" {
		t.Errorf("put of a version that wash deleted: version %s", version)
	}
	// Now somebody changes the spec from Kubernetes.
	setImage(app, "ghcr.io/acme/hello:3")
	app = must(w.apps("team-a").Update(t.Context(), app, metav1.UpdateOptions{}))(t)
	if value, ok := app.GetAnnotations()[v1beta1.WashDeployedVersionAnnotation]; ok {
		t.Errorf("a change of the spec from Kubernetes keeps what wash deployed: %q", value)
	}
	if value, ok := app.GetAnnotations()[v1beta1.WashUndeployedAnnotation]; ok {
		t.Errorf("a change of the spec from Kubernetes keeps what wash undeployed: %q", value)
	}
}

func TestHistory(t *testing.T) {
	w := start(t)
	client := w.apps("team-a")
	app := hello("hello")
	app.SetAnnotations(map[string]string{"version": "pinned", v1beta1.DeployedVersionAnnotation: "pinned"})
	app = must(client.Create(t.Context(), app, metav1.CreateOptions{}))(t)
	must(client.Create(t.Context(), hello("hello2"), metav1.CreateOptions{}))(t)
	for i := range 15 {
		setImage(app, fmt.Sprintf("ghcr.io/acme/hello:%d", i))
		annotations := app.GetAnnotations()
		annotations["version"] = fmt.Sprintf("v%02d", i)
		app.SetAnnotations(annotations)
		app = must(client.Update(t.Context(), app, metav1.UpdateOptions{}))(t)
	}
	got := w.versions("team-a")
	own := slices.DeleteFunc(slices.Clone(got), func(v string) bool { return len(v) == 26 })
	if len(own) != 10 || !slices.Contains(own, "pinned") || !slices.Contains(own, "v14") || slices.Contains(own, "v05") {
		t.Errorf("history %v", own)
	}
	if err := client.Delete(t.Context(), "hello", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if left := w.versions("team-a"); len(left) != 1 {
		t.Errorf("revisions %v after the application was deleted", left)
	}
	// A namesake made right after begins its own history, also with a version that there was.
	again := hello("hello")
	again.SetAnnotations(map[string]string{"version": "v14"})
	if app := must(client.Create(t.Context(), again, metav1.CreateOptions{}))(t); str(app, "status", "version") != "v14" {
		t.Errorf("version %q of a namesake", str(app, "status", "version"))
	}
}

func TestRevisionsAreReadOnly(t *testing.T) {
	w := start(t)
	must(w.apps("team-a").Create(t.Context(), hello("hello"), metav1.CreateOptions{}))(t)
	client := w.dynamic().Resource(revisionsGVR).Namespace("team-a")
	rev := w.revisions("team-a")[0]
	refused := map[string]error{
		"delete":           client.Delete(t.Context(), rev.GetName(), metav1.DeleteOptions{}),
		"deletecollection": client.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}),
	}
	_, refused["create"] = client.Create(t.Context(), &rev, metav1.CreateOptions{})
	_, refused["update"] = client.Update(t.Context(), &rev, metav1.UpdateOptions{})
	_, refused["patch"] = client.Patch(t.Context(), rev.GetName(), types.MergePatchType, []byte(`{}`), metav1.PatchOptions{})
	for verb, err := range refused {
		if !apierrors.IsMethodNotSupported(err) {
			t.Errorf("%s: %v", verb, err)
		}
	}
	for _, name := range []string{"nobody", "hello.", "hello.v9", ".x", "a.b.c"} {
		if _, err := client.Get(t.Context(), name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("get %q: %v", name, err)
		}
	}
	events := must(client.Watch(t.Context(), metav1.ListOptions{ResourceVersion: "0"}))(t)
	defer events.Stop()
	if event := <-events.ResultChan(); event.Object.(*unstructured.Unstructured).GetName() != rev.GetName() {
		t.Errorf("watch of revisions: %v", event)
	}
}

func TestEncodeVersion(t *testing.T) {
	seen := map[string]string{}
	for _, version := range []string{
		"v1", "V1", "", ".", "..", "a.b", "=2E", "=", "a/b", "a%2Fb", "ü", "latest ", strings.Repeat("x", 101), strings.Repeat("x", 102),
		"=sha256-" + strings.Repeat("0", 64), "\x00", "a b",
	} {
		name := encodeVersion(version)
		if before, ok := seen[name]; ok {
			t.Errorf("%q and %q are both %q", before, version, name)
		}
		seen[name] = version
		if strings.ContainsAny(name, "/% ") || name == "." || name == ".." {
			t.Errorf("%q becomes %q", version, name)
		}
		if version != "" {
			if key, ok := keyOfName("ns", revisionName("app", version)); !ok || key != revisionKey("ns", "app", version) {
				t.Errorf("the name of %q leads to key %q", version, key)
			}
		}
	}
}

// The history of one application is read alone, in pages too, and by other selectors besides.
func TestRevisionsOfOneApplication(t *testing.T) {
	w := start(t)
	for _, namespace := range []string{"team-a", "team-b"} {
		for _, name := range []string{"shop", "shop-b"} {
			for _, version := range []string{"v1", "v2", "v3"} {
				app := hello(name)
				if namespace == "team-b" {
					setLattice(app, "other")
				}
				setImage(app, "ghcr.io/acme/hello:"+version)
				app.SetAnnotations(map[string]string{"version": version})
				must(w.apps(namespace).Apply(t.Context(), name, app, metav1.ApplyOptions{FieldManager: "test", Force: true}))(t)
			}
		}
	}
	for _, c := range []struct {
		namespace, selector string
		limit               int64
		want                []string
	}{
		{"team-a", "application=shop", 0, []string{"shop.v1", "shop.v2", "shop.v3"}},
		{"team-a", "application=shop", 2, []string{"shop.v1", "shop.v2", "shop.v3"}},
		{"team-a", "application=shop,version=v2", 0, []string{"shop.v2"}},
		{"team-a", "application=sho", 0, nil}, {"team-a", "application=shop/v1", 0, nil}, {"team-c", "application=shop", 0, nil},
		{"", "application=shop", 4, []string{"shop.v1", "shop.v1", "shop.v2", "shop.v2", "shop.v3", "shop.v3"}},
	} {
		var got []string
		for options := (metav1.ListOptions{FieldSelector: c.selector, Limit: c.limit}); ; {
			list, err := w.dynamic().Resource(revisionsGVR).Namespace(c.namespace).List(t.Context(), options)
			if err != nil {
				t.Fatal(err)
			}
			if c.limit > 0 && int64(len(list.Items)) > c.limit {
				t.Errorf("a page of %d has %d", c.limit, len(list.Items))
			}
			for _, item := range list.Items {
				got = append(got, item.GetName())
			}
			if options.Continue = list.GetContinue(); options.Continue == "" {
				break
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s in %q: %q, want %q", c.selector, c.namespace, got, c.want)
		}
	}
}
