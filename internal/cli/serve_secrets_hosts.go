package cli

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/census"
	"github.com/trellis-operator/trellis/internal/grants"
	"github.com/trellis-operator/trellis/internal/secrets"
)

var _ grants.Hosts = secretHosts{}

// secretHosts joins the hosts of lattices with the pods of host groups.
type secretHosts struct {
	// hosts are those of a lattice that are alive.
	hosts func(lattice string) ([]census.Host, error)
	// reader is the manager's cache.
	reader client.Reader
}

// Host is that of grants.Hosts.
func (s secretHosts) Host(ctx context.Context, asker secrets.Asker, id string) (*grants.Host, error) {
	hosts, err := s.hosts(asker.Lattice)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(hosts, func(h census.Host) bool { return h.ID == id })
	if i < 0 {
		return nil, nil
	}
	inventory := hosts[i].Inventory
	if asker.Group != "" {
		if is, err := s.inGroup(ctx, inventory.Labels, asker); !is || err != nil {
			return nil, err
		}
	}
	host := &grants.Host{Labels: inventory.Labels}
	for _, c := range inventory.Components {
		host.Running = append(host.Running, c.ID)
	}
	for _, p := range inventory.Providers {
		host.Running = append(host.Running, p.ID)
	}
	return host, nil
}

// inGroup says whether a host with these labels is in the asker's group. Labels are what the host says; the pod is what
// Kubernetes knows.
func (s secretHosts) inGroup(ctx context.Context, labels map[string]string, asker secrets.Asker) (bool, error) {
	if labels[v1alpha1.HostLabelNamespace] != asker.Namespace {
		return false, nil
	}
	var pod corev1.Pod
	name := types.NamespacedName{Namespace: asker.Namespace, Name: labels[v1alpha1.HostLabelPodName]}
	if found, err := s.get(ctx, name, &pod); !found || err != nil {
		return false, err
	}
	if string(pod.UID) != labels[v1alpha1.HostLabelPodUID] || pod.Labels[v1alpha1.InstanceLabel] != asker.Group {
		return false, nil
	}
	var group v1alpha1.WasmCloudHostConfig
	name.Name = asker.Group
	found, err := s.get(ctx, name, &group)
	return found && group.Spec.Lattice == asker.Lattice, err
}

func (s secretHosts) get(ctx context.Context, name types.NamespacedName, into client.Object) (bool, error) {
	err := s.reader.Get(ctx, name, into)
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("look at %T %s: %w", into, name, err)
	}
	return err == nil, nil
}
