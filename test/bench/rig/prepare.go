package rig

import (
	"context"
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/trellis-operator/trellis/internal/apiserver"
	"github.com/trellis-operator/trellis/test/twin"
)

// Prepare makes the namespaces, the peer, and the way from kube-apiserver to trellis, which need not run yet.
func Prepare(ctx context.Context, kube *Kube, trellis *Trellis, namespaces []string) error {
	all := append([]string{Namespace, apiNamespace, BoundNamespace}, namespaces...)
	for _, step := range []func(context.Context, *rest.Config) error{
		func(ctx context.Context, c *rest.Config) error { return makeNamespaces(ctx, c, all) },
		allowOrchestrator, twin.Define,
		func(ctx context.Context, c *rest.Config) error { return aggregate(ctx, c, trellis.Port) },
	} {
		if err := step(ctx, kube.Config); err != nil {
			return err
		}
	}
	return nil
}

// allowOrchestrator lets trellis's own client read the applications, as the chart does: what it keeps of them in memory
// is measured, too.
func allowOrchestrator(ctx context.Context, config *rest.Config) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make a client of kube-apiserver: %w", err)
	}
	const rbac = "rbac.authorization.k8s.io"
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "trellis-orchestrator"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbac, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbac, Kind: rbacv1.UserKind, Name: apiserver.OrchestratorUser}},
	}
	if _, err := client.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("let the orchestrator read applications: %w", err)
	}
	return nil
}
