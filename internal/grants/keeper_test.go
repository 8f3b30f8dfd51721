package grants_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/grants"
	"github.com/trellis-operator/trellis/internal/secrets"
)

// refusal is a question in a world, and why it is refused.
type refusal struct {
	change func(*world)
	q      secrets.Question
	kind   secrets.Kind
	says   string
	// reads: the Secret was looked at first.
	reads bool
}

func (r refusal) run(t *testing.T) {
	w := newWorld(t)
	if r.change != nil {
		r.change(w)
	}
	got, err := w.ask(t, r.q)
	var refused *secrets.Error
	if !errors.As(err, &refused) || refused.Kind != r.kind || !strings.Contains(err.Error(), r.says) {
		t.Fatalf("error %v, want %s that says %q", err, r.kind, r.says)
	}
	if got.Value != nil || strings.Contains(err.Error(), canary) {
		t.Errorf("the refusal brings the value: %v, %v", got, err)
	}
	if (w.reads > 0) != r.reads {
		t.Errorf("%d Secrets were read", w.reads)
	}
}

func vault() secrets.Question { return withPolicy(question("pg", "password"), "namespace", "vault") }

func both() secrets.Question {
	return withPolicy(question("pg", "password"), "namespace", "vault", "serviceAccount", "reader")
}

func account() secrets.Question {
	return withPolicy(question("app", "password"), "serviceAccount", "reader")
}

func with(q secrets.Question, change func(*secrets.Question)) secrets.Question {
	change(&q)
	return q
}

// Who asks, in whose name, from where.
func TestKeeper_Errors_Caller(t *testing.T) {
	q := question("app", "password")
	const refused = secrets.Unauthorized
	for name, r := range map[string]refusal{
		"no application":      {q: with(q, func(q *secrets.Question) { q.Application = "" }), kind: refused, says: `no application "" is deployed`},
		"unknown application": {q: with(q, func(q *secrets.Question) { q.Application = "sho" }), kind: refused, says: "no application"},
		"another application": {q: with(q, func(q *secrets.Question) { q.Application = "other" }), kind: refused, says: "team-a/other names no such secret"},
		"foreign lattice":     {q: with(q, func(q *secrets.Question) { q.Asker.Lattice = "staging" }), kind: refused, says: "is deployed in lattice staging"},
		"undeployed":          {change: func(w *world) { delete(w.apps, "production/shop") }, q: q, kind: refused, says: "no application"},
		"another group":       {q: with(q, func(q *secrets.Question) { q.Asker.Group = "core" }), kind: refused, says: `none of group "core"`},
		"no host":             {q: with(q, func(q *secrets.Question) { q.HostID = "" }), kind: refused, says: `host "" is none`},
		"host of nobody":      {q: with(q, func(q *secrets.Question) { q.HostID = "NFORGED" }), kind: refused, says: "NFORGED"},
		"not placed there":    {q: with(q, func(q *secrets.Question) { q.HostID = "NOTHER" }), kind: refused, says: "has no place for the component on host NOTHER"},
		"scaled to none":      {change: scaledToNone, q: q, kind: refused, says: "has no place"},
		"another runs it":     {change: shared, q: q, kind: refused, says: "names no such secret"},
		"unknown group":       {q: with(q, func(q *secrets.Question) { q.Asker = secrets.Asker{Lattice: "production"} }), kind: refused, says: "it asks below the prefix that is nobody's"},
		"doubtful group": {q: with(q, func(q *secrets.Question) {
			q.Asker = secrets.Asker{Lattice: "production", Doubt: "NATS is too old"}
		}), kind: refused, says: "is unknown, and no SecretGrant with unauthenticated: true lets application team-a/shop have it: NATS is too old"},
		"another component":      {q: with(q, func(q *secrets.Question) { q.Entity.Subject = "MOTHER" }), kind: refused, says: "not what is in the image of component api"},
		"another signer":         {q: with(q, func(q *secrets.Question) { q.Entity.Issuer = "AMALLORY" }), kind: refused, says: "not what is in the image"},
		"another build":          {q: with(q, func(q *secrets.Question) { q.Entity.Hash = "0000" }), kind: refused, says: "not what is in the image"},
		"no subject":             {change: func(w *world) { w.images[apiImage].Subject = "" }, q: with(q, func(q *secrets.Question) { q.Entity.Subject = "" }), kind: refused, says: "not what is in the image"},
		"no hash":                {change: func(w *world) { w.images[apiImage].Hash = "" }, q: with(q, func(q *secrets.Question) { q.Entity.Hash = "" }), kind: refused, says: "not what is in the image"},
		"provider for component": {q: with(q, func(q *secrets.Question) { q.Entity = db }), kind: refused, says: "names no such secret"},
		"component for provider": {q: question("link", "password"), kind: refused, says: "names no such secret"},
		"another image is there": {change: func(w *world) {
			w.images[apiImage] = &secrets.Entity{Kind: secrets.Component, Subject: "MNEW", Issuer: "ADEV", Hash: "1"}
		}, q: q, kind: refused, says: "not what is in the image"},
		"unsigned":               {q: question("unsigned", "password"), kind: refused, says: "component plain of application team-a/shop has no embedded token; sign it"},
		"nobody was reviewed":    {change: func(w *world) { w.apps["production/shop"].Reviewed = "" }, q: q, kind: refused, says: "change its spec"},
		"reviewed for another":   {change: func(w *world) { w.apps["production/shop"].Reviewed = "vault" }, q: q, kind: refused, says: "change its spec"},
		"kind that nobody knows": {q: with(q, func(q *secrets.Question) { q.Entity.Kind = "" }), kind: refused, says: "names no such secret"},
	} {
		t.Run(name, r.run)
	}
}

// What is asked for, and by which right.
func TestKeeper_Errors_Secret(t *testing.T) {
	q := question("app", "password")
	seven, six := "7", "6"
	const refused = secrets.Unauthorized
	mayRead := func(w *world) { w.rights["team-a/reader vault/pg"] = true }
	granted := func(change func(*v1alpha1.SecretGrantSpec)) func(*world) {
		return func(w *world) {
			spec := shopGrant()
			change(&spec)
			w.grants["vault"] = []*v1alpha1.SecretGrant{grantOf(spec)}
		}
	}
	for name, r := range map[string]refusal{
		"not referenced":                       {q: question("pg", "password"), kind: refused, says: "names no such secret"},
		"another field":                        {q: question("app", "token"), kind: refused, says: "names no such secret"},
		"another version":                      {q: with(q, func(q *secrets.Question) { q.Version = new("8") }), kind: refused, says: "names no such secret"},
		"another namespace":                    {q: withPolicy(q, "namespace", "vault"), kind: refused, says: "names no such secret"},
		"property that it has not":             {q: withPolicy(q, "impersonate", "reader"), kind: refused, says: "names no such secret"},
		"of another backend":                   {q: question("others", "password"), kind: refused, says: "names no such secret"},
		"of this one, called so":               {change: func(w *world) { w.backend = "hashicorp" }, q: q, kind: refused, says: "names no such secret"},
		"cluster-admin deployed it":            {q: vault(), kind: refused, says: "in another namespace than application team-a/shop; name a serviceAccount"},
		"account without right":                {q: both(), kind: refused, says: "ServiceAccount team-a/reader may not get Secret vault/pg"},
		"account without right, own namespace": {q: account(), kind: refused, says: "ServiceAccount team-a/reader may not get Secret team-a/app"},
		"account of another namespace":         {change: func(w *world) { w.rights["vault/reader vault/pg"] = true }, q: both(), kind: refused, says: "may not get"},
		"right on another Secret":              {change: func(w *world) { w.rights["team-a/reader vault/other"] = true }, q: both(), kind: refused, says: "may not get"},
		"account of an unknown group": {change: func(w *world) { mayRead(w) }, q: with(both(), func(q *secrets.Question) { q.Asker.Group = "" }),
			kind: refused, says: "is unknown"},
		"grant of another namespace":   {change: func(w *world) { w.grants["team-a"] = []*v1alpha1.SecretGrant{grantOf(shopGrant())} }, q: vault(), kind: refused, says: "another namespace"},
		"key that is not granted":      {change: granted(func(s *v1alpha1.SecretGrantSpec) { s.Secrets[0].Keys = []string{"username"} }), q: vault(), kind: refused, says: "another namespace"},
		"no key is granted":            {change: granted(func(s *v1alpha1.SecretGrantSpec) { s.Secrets[0].Keys = []string{} }), q: vault(), kind: refused, says: "another namespace"},
		"Secret that is not granted":   {change: granted(func(s *v1alpha1.SecretGrantSpec) { s.Secrets[0].Name = "pg2" }), q: vault(), kind: refused, says: "another namespace"},
		"no pattern of Secrets":        {change: granted(func(s *v1alpha1.SecretGrantSpec) { s.Secrets[0].Name = "*" }), q: vault(), kind: refused, says: "another namespace"},
		"nothing is granted":           {change: granted(func(s *v1alpha1.SecretGrantSpec) { s.Secrets = nil }), q: vault(), kind: refused, says: "another namespace"},
		"granted to nobody":            {change: granted(func(s *v1alpha1.SecretGrantSpec) { s.From = nil }), q: vault(), kind: refused, says: "another namespace"},
		"granted to another namespace": {change: granted(func(s *v1alpha1.SecretGrantSpec) { s.From[0].Namespaces = []string{"team-b"} }), q: vault(), kind: refused, says: "another namespace"},
		"granted to another lattice":   {change: granted(func(s *v1alpha1.SecretGrantSpec) { s.From[0].Lattices = []string{"staging"} }), q: vault(), kind: refused, says: "another namespace"},
		"granted to another":           {change: granted(func(s *v1alpha1.SecretGrantSpec) { s.From[0].Applications = []string{"shop2"} }), q: vault(), kind: refused, says: "another namespace"},
		"granted to the old name":      {change: granted(func(s *v1alpha1.SecretGrantSpec) { s.From[0].Components = []string{"backend"} }), q: vault(), kind: refused, says: "another namespace"},
		"granted to no component":      {change: granted(func(s *v1alpha1.SecretGrantSpec) { s.From[0].Components = nil }), q: vault(), kind: refused, says: "another namespace"},
		"no patterns":                  {change: granted(func(s *v1alpha1.SecretGrantSpec) { s.From[0].Applications = []string{"sh*"} }), q: vault(), kind: refused, says: "another namespace"},
		"granted half by each of two":  {change: granted(halves), q: vault(), kind: refused, says: "another namespace"},
		"granted to known groups":      {change: granted(func(*v1alpha1.SecretGrantSpec) {}), q: with(vault(), func(q *secrets.Question) { q.Asker.Group = "" }), kind: refused, says: "is unknown"},
		"granted to one of two alike":  {change: twins, q: vault(), kind: refused, says: "another namespace"},
		"unknown property":             {q: withPolicy(q, "mount_path", "x"), kind: secrets.PolicyError, says: `no property "mount_path"; there are backend, encoding`},
		"no field":                     {q: question("app", ""), kind: secrets.Other, says: "properties.field"},
		"no name of a Secret":          {q: question("../app", "password"), kind: secrets.SecretNotFound, says: "no name of a Secret"},
		"no Secret":                    {q: question("missing", "password"), kind: secrets.SecretNotFound, says: "there is no Secret missing", reads: true},
		"no key":                       {q: question("app", "missing"), kind: secrets.SecretNotFound, says: `has no key "missing"`, reads: true},
		"an older version":             {q: with(q, func(q *secrets.Question) { q.Version = &six }), kind: secrets.SecretNotFound, says: "another resourceVersion", reads: true},
		"a version that was":           {change: func(w *world) { w.stored[own("app")].ResourceVersion = "8" }, q: with(q, func(q *secrets.Question) { q.Version = &seven }), kind: secrets.SecretNotFound, says: "another resourceVersion", reads: true},
		"token of a ServiceAccount":    {q: question("token", "token"), kind: refused, says: "holds the token of a ServiceAccount", reads: true},
		"closed by a label":            {q: question("closed", "password"), kind: refused, says: "closed by k8s.wasmcloud.dev/secrets: deny", reads: true},
		"closed by an annotation": {change: func(w *world) {
			w.stored[own("app")].Annotations = map[string]string{v1alpha1.SecretsKey: v1alpha1.SecretsDeny}
		}, q: q, kind: refused, says: "closed", reads: true},
		"closed in spite of a grant": {change: func(w *world) {
			granted(func(*v1alpha1.SecretGrantSpec) {})(w)
			w.stored[types.NamespacedName{Namespace: "vault", Name: "pg"}].Labels = map[string]string{v1alpha1.SecretsKey: v1alpha1.SecretsDeny}
		}, q: vault(), kind: refused, says: "closed", reads: true},
		"bytes as text": {q: withPolicy(question("app", "binary"), "encoding", "text"), kind: secrets.PolicyError, says: "no UTF-8 text", reads: true},
	} {
		t.Run(name, r.run)
	}
}

// scaledToNone leaves the component its spread without instances.
func scaledToNone(w *world) {
	scaler := &w.apps["production/shop"].Spec.Components[0].Traits[0]
	scaler.Properties.Raw = bytes.Replace(scaler.Properties.Raw, []byte(`"instances":2`), []byte(`"instances":0`), 1)
}

// shared makes the component one that another application runs.
func shared(w *world) {
	properties := &w.apps["production/shop"].Spec.Components[0].Properties
	properties.Image, properties.Application = "", &oam.SharedComponent{Name: "platform", Component: "api"}
	w.images[""] = w.images[apiImage]
}

func own(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: "team-a", Name: name}
}

// halves has two entries that each lack what the other has.
func halves(s *v1alpha1.SecretGrantSpec) {
	second := s.From[0]
	s.From[0].Lattices, second.Applications = []string{"staging"}, []string{"other"}
	s.From = append(s.From, second)
}

// twins adds a component with the same image and reference, which the grant does not name.
func twins(w *world) {
	app := w.apps["production/shop"]
	twin := app.Spec.Components[0]
	twin.Name = "twin"
	app.Spec.Components = append(app.Spec.Components, twin)
	w.grants["vault"] = []*v1alpha1.SecretGrant{grantOf(shopGrant())}
}

// What can't be learned is never taken for a yes, and its cause is for the log alone.
func TestKeeper_Errors_Upstream(t *testing.T) {
	cause := errors.New("etcd says no")
	for method, q := range map[string]secrets.Question{
		"Deployed": question("app", "password"), "Host": question("app", "password"), "Claims": question("app", "password"),
		"Secret": question("app", "password"), "MayGet": both(), "Grants": vault(),
	} {
		t.Run(method, func(t *testing.T) {
			w := newWorld(t)
			w.fails[method] = cause
			_, err := w.ask(t, q)
			var refused *secrets.Error
			if !errors.As(err, &refused) || refused.Kind != secrets.UpstreamError || strings.Contains(refused.Text, "etcd") || !strings.HasSuffix(refused.Text, "; ask again") {
				t.Errorf("the host gets %+v", refused)
			}
			if !errors.Is(err, cause) {
				t.Errorf("the log does not get the cause: %v", err)
			}
		})
	}
	forbidden := refusal{q: question("app", "password"), kind: secrets.Unauthorized, says: "Trellis itself may not read", reads: true,
		change: func(w *world) {
			w.fails["Secret"] = apierrors.NewForbidden(corev1.Resource("secrets"), "app", errors.New("rbac"))
		}}
	t.Run("the operator may not", forbidden.run)
	late := newWorld(t)
	late.fails["Secret"] = context.DeadlineExceeded
	if _, err := late.ask(t, question("app", "password")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("too late: %v", err)
	}
}

func TestKeeper(t *testing.T) {
	granted := func(change func(*v1alpha1.SecretGrantSpec)) func(*world) {
		return func(w *world) {
			spec := shopGrant()
			change(&spec)
			w.grants["vault"] = []*v1alpha1.SecretGrant{grantOf(v1alpha1.SecretGrantSpec{}), grantOf(spec)}
		}
	}
	seven, empty := "7", ""
	text := secrets.Secret{Version: "7", Value: []byte(canary), Namespace: "team-a"}
	fromVault := text
	fromVault.Namespace = "vault"
	all := []string{v1alpha1.GrantAll}
	for name, tc := range map[string]struct {
		change func(*world)
		q      secrets.Question
		want   secrets.Secret
	}{
		"own namespace":        {q: question("app", "password"), want: text},
		"backend is repeated":  {q: withPolicy(question("app", "password"), "backend", "kube"), want: text},
		"version":              {q: with(question("app", "password"), func(q *secrets.Question) { q.Version = &seven }), want: text},
		"empty version":        {q: with(question("app", "password"), func(q *secrets.Question) { q.Version = &empty }), want: text},
		"it runs there":        {q: with(question("app", "password"), func(q *secrets.Question) { q.HostID = "NRUNS" }), want: text},
		"provider of a link":   {q: with(question("link", "password"), func(q *secrets.Question) { q.Entity = db }), want: text},
		"forced bytes":         {q: withPolicy(question("app", "password"), "encoding", "binary"), want: secrets.Secret{Version: "7", Value: []byte(canary), Binary: true, Namespace: "team-a"}},
		"bytes":                {q: question("app", "binary"), want: secrets.Secret{Version: "7", Value: []byte("\xff" + canary), Binary: true, Namespace: "team-a"}},
		"empty value":          {q: question("app", "empty"), want: secrets.Secret{Version: "7", Value: []byte{}, Namespace: "team-a"}},
		"account":              {change: func(w *world) { w.rights["team-a/reader vault/pg"] = true }, q: both(), want: fromVault},
		"account, own":         {change: func(w *world) { w.rights["team-a/reader team-a/app"] = true; w.apps["production/shop"].Reviewed = "" }, q: account(), want: text},
		"grant":                {change: granted(func(*v1alpha1.SecretGrantSpec) {}), q: vault(), want: fromVault},
		"grant beside account": {change: granted(func(*v1alpha1.SecretGrantSpec) {}), q: both(), want: fromVault},
		"grant of all keys":    {change: granted(func(s *v1alpha1.SecretGrantSpec) { s.Secrets[0].Keys = nil }), q: vault(), want: fromVault},
		"grant to all": {change: granted(func(s *v1alpha1.SecretGrantSpec) {
			s.From[0] = v1alpha1.SecretGrantFrom{Namespaces: all, Lattices: all, Applications: all, Components: all}
		}), q: vault(), want: fromVault},
		"grant to unknown groups": {change: granted(func(s *v1alpha1.SecretGrantSpec) { s.Unauthenticated = true }),
			q: with(vault(), func(q *secrets.Question) { q.Asker = secrets.Asker{Lattice: "production"} }), want: fromVault},
		"grant in the own namespace": {change: func(w *world) {
			spec := shopGrant()
			spec.Secrets[0].Name = "app"
			w.grants["team-a"], w.apps["production/shop"].Reviewed = []*v1alpha1.SecretGrant{grantOf(spec)}, ""
		}, q: question("app", "password"), want: text},
		"another name of the backend": {change: func(w *world) { w.backend = "hashicorp"; w.apps["production/shop"].Reviewed = "hashicorp" },
			q: question("others", "password"), want: text},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if tc.change != nil {
				tc.change(w)
			}
			got, err := w.ask(t, tc.q)
			if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
				t.Errorf("error %v, -want +got\n%s", err, diff)
			}
		})
	}
}

// A right, a grant or a place that is withdrawn stops the next question.
func TestKeeper_Withdrawn(t *testing.T) {
	w := newWorld(t)
	w.grants["vault"] = []*v1alpha1.SecretGrant{grantOf(shopGrant())}
	w.rights["team-a/reader vault/pg"] = true
	keeper, err := grants.New(grants.Options{Applications: w, Hosts: w, Images: w, Reader: w, Reviewer: w, Lister: w})
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []secrets.Question{question("app", "password"), vault(), both()} {
		if _, err := keeper.Secret(t.Context(), q); err != nil {
			t.Fatalf("before: %v", err)
		}
	}
	w.grants["vault"], w.rights = nil, nil
	delete(w.hosts, "edge/"+hostID)
	for _, q := range []secrets.Question{question("app", "password"), vault(), both()} {
		var refused *secrets.Error
		if _, err := keeper.Secret(t.Context(), q); !errors.As(err, &refused) || refused.Kind != secrets.Unauthorized {
			t.Errorf("after: %v", err)
		}
	}
}

// Images are looked at with the login of whoever asks, and not before a host of that group was found: a group that is only
// named gets no use of it.
func TestKeeper_PullsAs(t *testing.T) {
	for name, tc := range map[string]struct {
		q    secrets.Question
		want []secrets.Asker
	}{
		"a group":          {question("app", "password"), []secrets.Asker{{Lattice: "production", Namespace: "hosts", Group: "edge"}}},
		"nobody knows who": {with(vault(), func(q *secrets.Question) { q.Asker = secrets.Asker{Lattice: "production"} }), []secrets.Asker{{Lattice: "production"}}},
		"no host of it":    {with(question("app", "password"), func(q *secrets.Question) { q.Asker.Group = "others" }), nil},
		"no host":          {with(question("app", "password"), func(q *secrets.Question) { q.HostID = "NGONE" }), nil},
		"not referenced":   {question("pg", "password"), nil},
	} {
		w := newWorld(t)
		_, _ = w.ask(t, tc.q) // what is decided is tested above
		if diff := cmp.Diff(tc.want, w.pulled); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
}

// A component that is renamed is another one to whoever granted.
func TestKeeper_Renamed(t *testing.T) {
	w := newWorld(t)
	w.grants["vault"] = []*v1alpha1.SecretGrant{grantOf(shopGrant())}
	if _, err := w.ask(t, vault()); err != nil {
		t.Fatalf("before: %v", err)
	}
	w.apps["production/shop"].Spec.Components[0].Name = "backend"
	var refused *secrets.Error
	if _, err := w.ask(t, vault()); !errors.As(err, &refused) || refused.Kind != secrets.Unauthorized {
		t.Errorf("after: %v", err)
	}
	// What runs under the old id is not what the revision has.
	runs := with(question("app", "password"), func(q *secrets.Question) { q.HostID = "NRUNS" })
	if _, err := w.ask(t, runs); !errors.As(err, &refused) || refused.Kind != secrets.Unauthorized {
		t.Errorf("the old one: %v", err)
	}
}

func TestNew_Errors(t *testing.T) {
	w := newWorld(t)
	if _, err := grants.New(grants.Options{Applications: w, Hosts: w, Images: w, Reader: w, Reviewer: w}); err == nil {
		t.Error("a keeper without grants was made")
	}
}
