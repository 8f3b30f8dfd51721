package exposure

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// silentAgain is how soon a port that never answered is asked again.
const silentAgain = 5 * time.Second

// filled is the Service's ports with what serves them.
type filled struct {
	ports []served
	// again is when to look again, zero for never; silent counts endpoints whose port does not answer.
	again  time.Duration
	silent int
	// clashes are ports of hosts that other applications want as well.
	clashes []clash
}

// fill finds what is behind each port. Ports that do not answer yet are left out, and looked at again soon; those that
// have been silent for long enough are counted.
func (r *Reconciler) fill(ctx context.Context, app *Application, view View, ports []port, fronts []served) (filled, error) {
	candidates, err := r.candidates(ctx, app, view, ports)
	if err != nil {
		return filled{}, err
	}
	if err := r.remember(ctx, app, candidates, socketsOf(ports, view)); err != nil {
		return filled{}, err
	}
	out := filled{ports: fronts, clashes: r.sockets.clashes(keyOf(app))}
	lost := lostTo(out.clashes)
	verdicts := r.verify(ctx, candidates)
	for i := range fronts {
		at := &out.ports[i]
		for j, c := range candidates {
			if c.name != at.name || c.pod == nil && c.address == "" || lost[socket{c.host, c.number, c.udp}] {
				continue
			}
			switch verdicts[j] {
			case wait:
				out.again = dialAgain
				continue
			case silent:
				out.silent++
				if out.again == 0 {
					out.again = silentAgain
				}
			}
			at.by = append(at.by, server{c.pod, r.zone(ctx, c.pod), c.address})
		}
		at.by = sortServers(at.by)
	}
	return out, nil
}

// zone is that of the pod's node; empty if it has none or is not known.
func (r *Reconciler) zone(ctx context.Context, pod *corev1.Pod) string {
	if pod == nil || pod.Spec.NodeName == "" {
		return ""
	}
	node := nodeMetadata()
	if err := r.options.Client.Get(ctx, types.NamespacedName{Name: pod.Spec.NodeName}, node); err != nil {
		return ""
	}
	return node.Labels[corev1.LabelTopologyZone]
}

// nodeMetadata is a node of which only the metadata is looked at.
func nodeMetadata() *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Node"}}
}

// remember keeps what the application's endpoints come from. At the first look after a start, what is an endpoint
// already needs no answer, and keeps its port against other applications.
func (r *Reconciler) remember(ctx context.Context, app *Application, candidates []candidate, wanted map[socket]string) error {
	key := keyOf(app)
	before, known := r.index.listeners(key)
	trusted := map[socket]bool{}
	if !known {
		slices, err := r.slices(ctx, app)
		if err != nil {
			return err
		}
		endpoints := listenersIn(slices)
		for _, c := range candidates {
			if endpoints[listener{pod: c.listener.pod, number: c.number, udp: c.udp}] {
				r.admission.trust(c.listener)
				trusted[socket{c.host, c.number, c.udp}] = true
			}
		}
	}
	keep := map[listener]bool{}
	for _, c := range candidates {
		keep[c.listener] = true
	}
	r.admission.forget(before, keep)
	r.index.set(key, keep)
	r.tell(r.sockets.claim(key, wanted, trusted))
	return nil
}

// verify asks all ports at once. A pod that is not ready or ends is no reason to ask: it is no target of traffic.
func (r *Reconciler) verify(ctx context.Context, candidates []candidate) []verdict {
	out := make([]verdict, len(candidates))
	var group sync.WaitGroup
	for i, c := range candidates {
		address := c.address
		if c.pod != nil {
			address = c.pod.Status.PodIPs[0].IP
		}
		if c.udp || address == "" || c.pod != nil && (c.pod.DeletionTimestamp != nil || !podCondition(c.pod)) {
			out[i] = answers // UDP has no answer to wait for
			continue
		}
		group.Go(func() { out[i] = r.admission.ask(ctx, c.listener, address) })
	}
	group.Wait()
	return out
}

// podByName returns the pod if it still is the one of that uid and has an address, else nil.
func (r *Reconciler) podByName(ctx context.Context, key types.NamespacedName, uid types.UID) (*corev1.Pod, error) {
	var pod corev1.Pod
	if err := r.options.Client.Get(ctx, key, &pod); err != nil {
		if client.IgnoreNotFound(err) == nil {
			return nil, nil
		}
		return nil, fmt.Errorf("reading pod %s: %w", key, err)
	}
	if pod.UID != uid || !alive(&pod) {
		return nil, nil
	}
	return &pod, nil
}
