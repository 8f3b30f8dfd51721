package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/secrets"
	"github.com/trellis-operator/trellis/internal/wasmhost/secret"
	"github.com/trellis-operator/trellis/internal/wasmhost/token"
	"github.com/trellis-operator/trellis/test/wasm/sign"
)

const (
	// vault is the namespace of the Secrets.
	vault      = "vault"
	secretFile = "test/fixtures/components/secret.wasm"
)

// makeHosts makes host groups, the pods of each, and the connections by which they ask.
func (s *secretsBench) makeHosts(ctx context.Context) error {
	if err := errors.Join(s.namespace(ctx, latticeNamespace), s.namespace(ctx, podNamespace), s.namespace(ctx, vault), s.makeNodes(ctx)); err != nil {
		return err
	}
	for i := range s.size.groups {
		name := fmt.Sprintf("group-%d", i)
		if err := s.makeGroup(ctx, name, s.size.hosts); err != nil {
			return err
		}
		pods, err := s.startHosts(ctx, name, s.size.hosts)
		if err != nil {
			return err
		}
		a := asker{}
		for _, pod := range pods {
			jwt, err := token.ForHost(s.ids[pod.Name], pod.Name, time.Now())
			if err != nil {
				return err
			}
			a.hosts = append(a.hosts, jwt)
		}
		if a.conn, err = nats.Connect(s.plane.NATS); err != nil {
			return fmt.Errorf("ask as host group %s: %w", name, err)
		}
		a.client = secret.NewClient(a.conn, secrets.GroupPrefix(secrets.DefaultPrefix, podNamespace, name), secret.DefaultTimeout)
		s.askers = append(s.askers, a)
	}
	return nil
}

// makeApps makes a Secret, a signed component and an application for each, and lets the applications have their Secrets:
// by a ServiceAccount, whose right is reviewed, and by a grant.
func (s *secretsBench) makeApps(ctx context.Context) error {
	code, err := os.ReadFile(secretFile)
	if err != nil {
		return fmt.Errorf("read the component: %w", err)
	}
	for n := range s.size.apps {
		v := vaulted{name: vaultedName(n), value: rand.Text()}
		if v.token, err = s.push(ctx, v.name, code); err != nil {
			return err
		}
		object := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: v.name}, StringData: map[string]string{"password": v.value}}
		if _, err := s.kube.CoreV1().Secrets(vault).Create(ctx, object, metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("make Secret %s: %w", v.name, err)
		}
		s.secrets = append(s.secrets, v)
	}
	if err := errors.Join(s.letAccounts(ctx), s.grant(ctx)); err != nil {
		return err
	}
	apps, err := newApplicants(ctx, s.plane.Config)
	if err != nil {
		return err
	}
	if err := apps.applyAll(ctx, series{vaultedName, vaultedApp}, 0, s.size.apps); err != nil {
		return err
	}
	return s.readReferences(ctx)
}

func vaultedName(n int) string { return fmt.Sprintf("vaulted%03d", n) }

func imageOf(name string) string { return "ghcr.io/trellis-operator/" + name + ":1" }

// push signs a component with a key of its own, puts it into the registry and returns its token.
func (s *secretsBench) push(ctx context.Context, name string, code []byte) (string, error) {
	account, module := sign.Seeds(name)
	signed, err := sign.Component(code, sign.Options{Account: account, Module: module, Name: name, IssuedAt: time.Unix(1, 0)})
	if err != nil {
		return "", err
	}
	read, err := token.Read(signed, time.Now())
	if err != nil {
		return "", err
	}
	return read.JWT, s.plane.Push(ctx, imageOf(name), signed)
}

func vaultedApp(n int) string {
	return fmt.Sprintf(`{"apiVersion":"core.oam.dev/v1beta1","kind":"Application","metadata":{"namespace":%q,"name":%q},"spec":{
"policies":[{"name":"vault","type":"policy.secret.wasmcloud.dev/v1alpha1","properties":{"backend":"kube","namespace":%[3]q,"serviceAccount":%[2]q}}],
"components":[{"name":"main","type":"component","properties":{"image":%[4]q,"secrets":[{"name":"password",
 "properties":{"policy":"vault","key":%[2]q,"field":"password"}}]},"traits":[{"type":"spreadscaler","properties":{"instances":1}}]}]}}`,
		latticeNamespace, vaultedName(n), vault, imageOf(vaultedName(n)))
}

// letAccounts gives the ServiceAccounts of the applications' namespace the right to read the Secrets.
func (s *secretsBench) letAccounts(ctx context.Context) error {
	meta := metav1.ObjectMeta{Name: "readers"}
	role := &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get"}}}}
	if _, err := s.kube.RbacV1().Roles(vault).Create(ctx, role, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("make a Role: %w", err)
	}
	binding := &rbacv1.RoleBinding{ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "system:serviceaccounts:" + latticeNamespace}}}
	if _, err := s.kube.RbacV1().RoleBindings(vault).Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("bind it: %w", err)
	}
	return nil
}

// grant lets in host groups that are not known, as those of a NATS without logins are.
func (s *secretsBench) grant(ctx context.Context) error {
	client, err := dynamic.NewForConfig(s.plane.Config)
	if err != nil {
		return fmt.Errorf("make a client of kube-apiserver: %w", err)
	}
	var granted []any
	for _, v := range s.secrets {
		granted = append(granted, map[string]any{"name": v.name})
	}
	grant := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.SchemeGroupVersion.String(), "kind": "SecretGrant", "metadata": map[string]any{"name": "all"},
		"spec": map[string]any{"unauthenticated": true, "secrets": granted, "from": []any{map[string]any{
			"namespaces": []any{latticeNamespace}, "lattices": []any{"*"}, "applications": []any{"*"}, "components": []any{"main"}}}},
	}}
	resource := client.Resource(v1alpha1.SchemeGroupVersion.WithResource("secretgrants")).Namespace(vault)
	if _, err := resource.Create(ctx, grant, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("make a SecretGrant: %w", err)
	}
	return nil
}

// readReferences reads what trellis tells hosts of the secrets.
func (s *secretsBench) readReferences(ctx context.Context) error {
	js, err := jetstream.New(s.askers[0].conn)
	if err != nil {
		return err
	}
	bucket, err := lattice.ConfigBucket(lattice.DefaultLattice)
	if err != nil {
		return err
	}
	kv, err := js.KeyValue(ctx, bucket)
	if err != nil {
		return fmt.Errorf("open bucket %s: %w", bucket, err)
	}
	for i, v := range s.secrets {
		entry, err := kv.Get(ctx, "SECRET_"+v.name+"-password")
		if err != nil {
			return fmt.Errorf("read the reference of %s: %w", v.name, err)
		}
		if s.secrets[i].reference, err = secret.ParseReference(entry.Value()); err != nil {
			return err
		}
	}
	return nil
}

// refusedToList asks as a user for all Secrets, and fails unless kube-apiserver refuses it.
func refusedToList(ctx context.Context, config *rest.Config, user string) error {
	config = rest.CopyConfig(config)
	config.Impersonate.UserName = user
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make a client of kube-apiserver: %w", err)
	}
	_, listed := kube.CoreV1().Secrets("").List(ctx, metav1.ListOptions{})
	_, watched := kube.CoreV1().Secrets("").Watch(ctx, metav1.ListOptions{})
	if !apierrors.IsForbidden(listed) || !apierrors.IsForbidden(watched) {
		return fmt.Errorf("%s may list or watch all Secrets of the cluster: %v, %v", user, listed, watched)
	}
	return nil
}
