package apiserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/warning"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// referencing is hello whose component references Secrets by a policy with these properties.
func referencing(name string, properties map[string]any, keys ...string) *unstructured.Unstructured {
	app := hello(name)
	policy := map[string]any{"name": "s", "type": "policy.secret.wasmcloud.dev/v1alpha1", "properties": map[string]any{"backend": "kube"}}
	for key, value := range properties {
		policy["properties"].(map[string]any)[key] = value
	}
	var list []any
	for _, key := range keys {
		list = append(list, map[string]any{"name": key, "properties": map[string]any{"policy": "s", "key": key, "field": "f"}})
	}
	components, _, _ := unstructured.NestedSlice(app.Object, "spec", "components")
	components[0].(map[string]any)["properties"].(map[string]any)["secrets"] = list
	_ = unstructured.SetNestedSlice(app.Object, components, "spec", "components")
	_ = unstructured.SetNestedSlice(app.Object, []any{policy}, "spec", "policies")
	return app
}

func inTeamA(t *testing.T, u *unstructured.Unstructured) *v1beta1.Application {
	t.Helper()
	app := typed(t, u)
	app.Namespace = "team-a"
	return app
}

// rights are `user verb resource namespace/name`; asked records what was asked.
type rights struct {
	allowed []string
	fails   error
	asked   []string
}

func (r *rights) authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	what := fmt.Sprintf("%s %s %s %s/%s", a.GetUser().GetName(), a.GetVerb(), a.GetResource(), a.GetNamespace(), a.GetName())
	r.asked = append(r.asked, what)
	switch {
	case r.fails != nil:
		return authorizer.DecisionNoOpinion, "", r.fails
	case slices.Contains(r.allowed, what):
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "", nil
}

type properties = map[string]any

// gateCase is a write: who writes what over what, and what is made of it.
type gateCase struct {
	old, app *unstructured.Unstructured
	by       string
	wash     bool
	rights   rights
	refused  func(error) bool
	says     string
	asked    []string
	warns    string
}

func (c gateCase) run(t *testing.T, backend string) {
	var got recorded
	who := &user.DefaultInfo{Name: c.by, Groups: []string{"system:authenticated"}}
	if c.wash {
		who = &user.DefaultInfo{Name: WashUserPrefix + "default", Groups: []string{WashGroup}}
	}
	ctx := request.WithUser(warning.WithWarningRecorder(t.Context(), &got), who)
	var old *v1beta1.Application
	if c.old != nil {
		old = inTeamA(t, c.old)
	}
	err := secretGate{backend: backend, authorizer: authorizer.AuthorizerFunc(c.rights.authorize)}.admit(ctx, old, inTeamA(t, c.app))
	if c.refused == nil && err != nil || c.refused != nil && (!c.refused(err) || !strings.Contains(err.Error(), c.says)) {
		t.Errorf("error %v, want one that says %q", err, c.says)
	}
	if !slices.Equal(c.rights.asked, c.asked) {
		t.Errorf("asked %q, want %q", c.rights.asked, c.asked)
	}
	warned := strings.Join(got, "\n")
	if (c.warns == "") != (warned == "") || !strings.Contains(warned, c.warns) {
		t.Errorf("warnings %q, want %q", warned, c.warns)
	}
}

func TestSecretGate_Errors(t *testing.T) {
	const path = "spec.components[0].properties.secrets[0]"
	for name, c := range map[string]gateCase{
		"no right": {app: referencing("shop", nil, "pg"), by: "bob", refused: apierrors.IsForbidden, asked: []string{"bob get secrets team-a/pg"},
			says: path + `: user "bob" may not get secrets "pg" in namespace "team-a"; bind it a Role with verb get on that Secret, or name a serviceAccount`},
		"the second of two": {app: referencing("shop", nil, "mine", "pg"), by: "bob", rights: rights{allowed: []string{"bob get secrets team-a/mine"}},
			refused: apierrors.IsForbidden, says: "secrets[1]", asked: []string{"bob get secrets team-a/mine", "bob get secrets team-a/pg"}},
		"another image for who may": {old: referencing("shop", nil, "pg"), app: changed(referencing("shop", nil, "pg")), by: "bob",
			refused: apierrors.IsForbidden, says: path, asked: []string{"bob get secrets team-a/pg"}},
		"own namespace by name": {app: referencing("shop", properties{"namespace": "team-a"}, "pg"), by: "bob", refused: apierrors.IsForbidden,
			says: path, asked: []string{"bob get secrets team-a/pg"}},
		"wash": {app: referencing("shop", nil, "pg"), wash: true, refused: apierrors.IsForbidden, says: WashUserPrefix + "default",
			asked: []string{WashUserPrefix + "default get secrets team-a/pg"}},
		"wash names an account": {app: referencing("shop", properties{"serviceAccount": "reader"}, "pg"), wash: true, refused: apierrors.IsForbidden,
			says: `may not use serviceaccounts "reader"`, asked: []string{WashUserPrefix + "default use serviceaccounts team-a/reader"}},
		"wash names an account for elsewhere": {app: referencing("shop", properties{"impersonate": "reader", "namespace": "vault"}, "pg"), wash: true,
			refused: apierrors.IsForbidden, says: "spec.policies[0].properties", asked: []string{WashUserPrefix + "default use serviceaccounts team-a/reader"}},
		"account of another namespace": {app: referencing("shop", properties{"serviceAccount": "system:serviceaccount:vault:reader"}, "pg"), by: "bob",
			refused: apierrors.IsInvalid, says: "spec.policies[0].properties[serviceAccount]"},
		"rights can't be asked": {app: referencing("shop", nil, "pg"), by: "bob", rights: rights{fails: errors.New("down")},
			refused: apierrors.IsServiceUnavailable, says: "down", asked: []string{"bob get secrets team-a/pg"}},
	} {
		t.Run(name, func(t *testing.T) { c.run(t, "kube") })
	}
}

func TestSecretGate_Takes(t *testing.T) {
	relabelled, moved := referencing("shop", nil, "pg"), referencing("shop", nil, "pg")
	relabelled.SetLabels(map[string]string{"a": "b"})
	moved.SetLabels(map[string]string{v1beta1.LatticeLabel: "edge"})
	for name, c := range map[string]gateCase{
		"the right is there": {app: referencing("shop", nil, "pg"), by: "bob", rights: rights{allowed: []string{"bob get secrets team-a/pg"}},
			asked: []string{"bob get secrets team-a/pg"}},
		"twice the same":       {app: referencing("shop", nil, "pg", "pg"), by: "bob", rights: rights{allowed: []string{"bob get secrets team-a/pg"}}, asked: []string{"bob get secrets team-a/pg"}},
		"nothing referenced":   {app: hello("shop"), by: "bob"},
		"no reference is left": {old: referencing("shop", nil, "pg"), app: hello("shop"), by: "bob"},
		"another backend":      {app: referencing("shop", properties{"backend": "vault", "role_name": "x"}, "pg"), by: "bob"},
		"the same spec":        {old: referencing("shop", nil, "pg"), app: relabelled, by: "bob"},
		"the same spec for the hosts of another lattice": {old: referencing("shop", nil, "pg"), app: moved, by: "bob",
			rights: rights{allowed: []string{"bob get secrets team-a/pg"}}, asked: []string{"bob get secrets team-a/pg"}},
		"an account": {app: referencing("shop", properties{"serviceAccount": "reader"}, "pg"), by: "bob"},
		"elsewhere": {app: referencing("shop", properties{"namespace": "vault"}, "pg"), by: "bob",
			warns: `secrets[0]: Secret "pg" is in namespace "vault": application "shop" can read it only if a SecretGrant there`},
		"elsewhere with an account": {app: referencing("shop", properties{"namespace": "vault", "serviceAccount": "reader"}, "pg"), by: "bob"},
		"unknown property": {app: referencing("shop", properties{"mount_path": "x"}, "pg"), by: "bob", rights: rights{allowed: []string{"bob get secrets team-a/pg"}},
			asked: []string{"bob get secrets team-a/pg"}, warns: `spec.policies[0].properties[mount_path]: there is no property "mount_path"`},
		"wash may use the account": {app: referencing("shop", properties{"serviceAccount": "reader"}, "pg"), wash: true,
			rights: rights{allowed: []string{WashUserPrefix + "default use serviceaccounts team-a/reader"}},
			asked:  []string{WashUserPrefix + "default use serviceaccounts team-a/reader"}},
	} {
		t.Run(name, func(t *testing.T) { c.run(t, "kube") })
	}
	t.Run("no backend is served", func(t *testing.T) { gateCase{app: referencing("shop", nil, "pg"), by: "bob"}.run(t, "") })
}

// changed gives the component another image.
func changed(app *unstructured.Unstructured) *unstructured.Unstructured {
	components, _, _ := unstructured.NestedSlice(app.Object, "spec", "components")
	components[0].(map[string]any)["properties"].(map[string]any)["image"] = "ghcr.io/mallory/hello:0.1.0"
	_ = unstructured.SetNestedSlice(app.Object, components, "spec", "components")
	return app
}

func reviewedFor(app *unstructured.Unstructured) string {
	return app.GetAnnotations()[v1beta1.SecretsReviewedAnnotation]
}

// Every way in which a spec gets into the server passes the gate; nothing else does.
func TestSecretGate_Served(t *testing.T) {
	w, as := delegated(t, false, func(c *Config) { c.SecretsBackend = "kube" })
	of := func(config *rest.Config) dynamic.ResourceInterface {
		return dynamic.NewForConfigOrDie(config).Resource(applicationsGVR).Namespace("team-a")
	}
	alice, carol, ctx := of(as("alice")), of(as("carol")), t.Context()
	refused := func(what string, want func(error) bool, err error) {
		t.Helper()
		if !want(err) {
			t.Errorf("%s: %v", what, err)
		}
	}

	mine := must(carol.Create(ctx, referencing("mine", nil, "mine"), metav1.CreateOptions{}))(t)
	if reviewedFor(mine) != "kube" {
		t.Errorf("annotations of what was reviewed: %v", mine.GetAnnotations())
	}
	_, err := carol.Create(ctx, referencing("theirs", nil, "theirs"), metav1.CreateOptions{})
	refused("create", apierrors.IsForbidden, err)
	_, err = carol.Create(ctx, referencing("theirs", nil, "theirs"), metav1.CreateOptions{DryRun: []string{"All"}})
	refused("dry run", apierrors.IsForbidden, err)
	_, err = carol.Apply(ctx, "theirs", referencing("theirs", nil, "theirs"), metav1.ApplyOptions{FieldManager: "carol"})
	refused("apply that creates", apierrors.IsForbidden, err)
	_, err = carol.Create(ctx, referencing("broken", nil, "broken"), metav1.CreateOptions{})
	refused("rights that can't be asked", apierrors.IsServiceUnavailable, err)
	_, err = w.wash("default").Resource(applicationsGVR).Namespace("team-a").Create(ctx, referencing("washed", nil, "mine"), metav1.CreateOptions{})
	refused("wash", apierrors.IsForbidden, err)
	_, err = carol.Patch(ctx, "mine", types.MergePatchType, specPatch(t, referencing("mine", nil, "theirs")), metav1.PatchOptions{})
	refused("patch", apierrors.IsForbidden, err)
	if list := must(alice.List(ctx, metav1.ListOptions{}))(t); len(list.Items) != 1 || list.Items[0].GetGeneration() != 1 || len(w.versions("team-a")) != 1 {
		t.Errorf("what was refused has left something: %d applications, versions %v", len(list.Items), w.versions("team-a"))
	}

	theirs := must(alice.Create(ctx, referencing("theirs", nil, "theirs"), metav1.CreateOptions{}))(t)
	_, err = carol.Update(ctx, changed(theirs.DeepCopy()), metav1.UpdateOptions{})
	refused("another image", apierrors.IsForbidden, err)
	theirs.SetLabels(map[string]string{"touched": "yes"})
	theirs = must(carol.Update(ctx, theirs, metav1.UpdateOptions{}))(t)
	_ = unstructured.SetNestedField(theirs.Object, "Deployed", "status", "phase")
	if theirs = must(carol.UpdateStatus(ctx, theirs, metav1.UpdateOptions{}))(t); reviewedFor(theirs) != "kube" {
		t.Errorf("annotations after writes that no review is for: %v", theirs.GetAnnotations())
	}
	if err := carol.Delete(ctx, "theirs", metav1.DeleteOptions{}); err != nil {
		t.Errorf("delete: %v", err)
	}
}

// What nobody was reviewed for does not say that somebody was, whoever writes the annotation.
func TestSecretGate_Unreviewed(t *testing.T) {
	w, as := delegated(t, false, func(c *Config) { c.SecretsBackend = "kube" })
	carol := dynamic.NewForConfigOrDie(as("carol")).Resource(applicationsGVR).Namespace("team-a")
	itself := dynamic.NewForConfigOrDie(w.server.LoopbackConfig()).Resource(applicationsGVR).Namespace("team-a")
	imported := referencing("old", nil, "mine")
	imported.SetAnnotations(map[string]string{v1beta1.WadmImportAnnotation: v1beta1.WadmImportDone, v1beta1.SecretsReviewedAnnotation: "kube"})
	app := must(itself.Create(t.Context(), imported, metav1.CreateOptions{}))(t)
	if reviewedFor(app) != "" {
		t.Errorf("annotations of what was taken over: %v", app.GetAnnotations())
	}
	annotations := app.GetAnnotations()
	annotations[v1beta1.SecretsReviewedAnnotation] = "kube"
	app.SetAnnotations(annotations)
	if app = must(carol.Update(t.Context(), app, metav1.UpdateOptions{}))(t); reviewedFor(app) != "" {
		t.Errorf("annotations after a write of them alone: %v", app.GetAnnotations())
	}
	if app = must(carol.Update(t.Context(), changed(app), metav1.UpdateOptions{}))(t); reviewedFor(app) != "kube" {
		t.Errorf("annotations after a change by somebody who may: %v", app.GetAnnotations())
	}
	bare := hello("bare")
	bare.SetAnnotations(map[string]string{v1beta1.SecretsReviewedAnnotation: "kube"})
	if app = must(carol.Create(t.Context(), bare, metav1.CreateOptions{}))(t); reviewedFor(app) != "" {
		t.Errorf("annotations without a reference: %v", app.GetAnnotations())
	}
}

// specPatch replaces the spec by that of an application.
func specPatch(t *testing.T, app *unstructured.Unstructured) []byte {
	t.Helper()
	text, err := json.Marshal(map[string]any{"spec": app.Object["spec"]})
	if err != nil {
		t.Fatal(err)
	}
	return text
}
