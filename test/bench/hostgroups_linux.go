package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

const (
	bigGroup = "hosts"
	// afterStart is longer than the minute after which the store compacts for the first time, which is noted in a ConfigMap.
	afterStart = 65 * time.Second
)

// measureGroups lets host groups be: many without pods, and one of many hosts.
func measureGroups(ctx context.Context, b *planeBench) error {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	if err := errors.Join(b.namespace(ctx, podNamespace), b.makeNodes(ctx)); err != nil {
		return err
	}
	for i := range b.size.groups {
		if err := b.makeGroup(ctx, fmt.Sprintf("group-%03d", i), 1); err != nil {
			return err
		}
	}
	if err := b.judged(ctx, b.size.groups); err != nil {
		return err
	}
	if err := b.rest(ctx, fmt.Sprintf("%d groups without pods", b.size.groups), afterStart, b.size.rest); err != nil {
		return err
	}
	if err := b.makeGroup(ctx, bigGroup, b.size.inGroup); err != nil {
		return err
	}
	if err := b.judged(ctx, b.size.groups+1); err != nil {
		return err
	}
	if _, err := b.startHosts(ctx, bigGroup, b.size.inGroup); err != nil {
		return err
	}
	if err := b.settle(ctx); err != nil {
		return err
	}
	return b.rest(ctx, fmt.Sprintf("%d hosts of one group, beside %d groups,", b.size.inGroup, b.size.groups), 5*time.Second, b.size.restOfHosts)
}

func (b *planeBench) groupsOf() (dynamic.ResourceInterface, error) {
	client, err := dynamic.NewForConfig(b.plane.Config)
	if err != nil {
		return nil, fmt.Errorf("make a client of kube-apiserver: %w", err)
	}
	return client.Resource(v1alpha1.SchemeGroupVersion.WithResource("wasmcloudhostconfigs")).Namespace(podNamespace), nil
}

func (b *planeBench) makeGroup(ctx context.Context, name string, hosts int) error {
	groups, err := b.groupsOf()
	if err != nil {
		return err
	}
	group := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.SchemeGroupVersion.String(), "kind": v1alpha1.Kind, "metadata": map[string]any{"name": name},
		"spec": map[string]any{"lattice": "default", "version": "1.9.2", "hostReplicas": int64(hosts)},
	}}
	if _, err := groups.Create(ctx, group, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("make host group %s: %w", name, err)
	}
	return nil
}

// judged waits until so many groups have a status.
func (b *planeBench) judged(ctx context.Context, count int) error {
	return b.groupsAre(ctx, fmt.Sprintf("%d host groups have a status", count), func(items []unstructured.Unstructured) bool {
		judged := 0
		for _, group := range items {
			if conditions, found, _ := unstructured.NestedSlice(group.Object, "status", "conditions"); found && len(conditions) > 0 {
				judged++
			}
		}
		return judged == count
	})
}

// settle says of the Deployment of the big group what its controller would, and waits until the group counts its hosts.
func (b *planeBench) settle(ctx context.Context) error {
	n := b.size.inGroup
	live, err := b.kube.AppsV1().Deployments(podNamespace).Get(ctx, bigGroup, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("read the Deployment of the group: %w", err)
	}
	status := fmt.Sprintf(`{"status":{"observedGeneration":%d,"replicas":%d,"updatedReplicas":%d,"readyReplicas":%d,"availableReplicas":%d}}`, live.Generation, n, n, n, n)
	_, err = b.kube.AppsV1().Deployments(podNamespace).Patch(ctx, bigGroup, types.MergePatchType, []byte(status), metav1.PatchOptions{}, "status")
	if err != nil {
		return fmt.Errorf("say that the Deployment of the group is ready: %w", err)
	}
	return b.groupsAre(ctx, fmt.Sprintf("the group is ready with %d hosts", n), func(items []unstructured.Unstructured) bool {
		for _, group := range items {
			hosts, _, _ := unstructured.NestedInt64(group.Object, "status", "hostCount")
			ready, _, _ := unstructured.NestedString(group.Object, "status", "ready")
			if group.GetName() == bigGroup && hosts == int64(n) && ready == fmt.Sprintf("%d/%d", n, n) {
				return true
			}
		}
		return false
	})
}

func (b *planeBench) groupsAre(ctx context.Context, what string, ok func([]unstructured.Unstructured) bool) error {
	groups, err := b.groupsOf()
	if err != nil {
		return err
	}
	for {
		list, err := groups.List(ctx, metav1.ListOptions{ResourceVersion: "0"})
		if err != nil {
			return fmt.Errorf("list host groups: %w", err)
		}
		if ok(list.Items) {
			return nil
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, ctx.Err())
		}
	}
}
