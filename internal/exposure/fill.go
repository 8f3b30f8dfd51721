package exposure

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// silentAgain is how soon a port that never answered is asked again.
const silentAgain = 5 * time.Second

// fill finds the pods behind each port. Ports that do not answer yet are left out, and looked at again soon; those that
// have been silent for long enough are counted.
func (r *Reconciler) fill(ctx context.Context, app *Application, view View, ports []port, named []served) (filled []served, again time.Duration, silents int, err error) {
	candidates, err := r.candidates(ctx, app.Lattice, view, ports)
	if err != nil {
		return nil, 0, 0, err
	}
	if err := r.remember(ctx, app, candidates); err != nil {
		return nil, 0, 0, err
	}
	verdicts := r.verify(ctx, candidates)
	for i := range named {
		for j, c := range candidates {
			if c.number != named[i].number || c.pod == nil {
				continue
			}
			switch verdicts[j] {
			case wait:
				again = dialAgain
				continue
			case silent:
				silents++
				if again == 0 {
					again = silentAgain
				}
			}
			named[i].pods = append(named[i].pods, servingPod{c.pod, c.host})
		}
		named[i].pods = sortPods(named[i].pods)
	}
	return named, again, silents, nil
}

// candidates joins the hosts behind each port with their pods.
func (r *Reconciler) candidates(ctx context.Context, lattice string, view View, ports []port) ([]candidate, error) {
	pods := map[string]*corev1.Pod{}
	var unlabelled []*corev1.Pod
	var out []candidate
	for _, p := range ports {
		if p.loopback {
			continue
		}
		nameless := false
		for _, h := range hostsOf(p, view) {
			namespace, name, uid := podOf(h)
			if uid == "" {
				nameless = nameless || h.Labels["kubernetes"] == "true" // others run outside of any cluster
				continue
			}
			if _, looked := pods[uid]; !looked {
				pod, err := r.podByName(ctx, types.NamespacedName{Namespace: namespace, Name: name}, types.UID(uid))
				if err != nil {
					return nil, err
				}
				pods[uid] = pod
			}
			out = append(out, candidate{listener{uid, h.ID, p.number}, pods[uid]})
		}
		if nameless && unlabelled == nil {
			var err error
			if unlabelled, err = r.unlabelled(ctx, lattice); err != nil {
				return nil, err
			}
		}
		for _, pod := range unlabelled {
			if nameless {
				out = append(out, candidate{listener{pod: string(pod.UID), number: p.number}, pod})
			}
		}
	}
	return out, nil
}

// remember keeps what the application's endpoints come from. At the first look after a start, what is an endpoint
// already needs no answer.
func (r *Reconciler) remember(ctx context.Context, app *Application, candidates []candidate) error {
	key := keyOf(app)
	before, known := r.index.listeners(key)
	if !known {
		slices, err := r.slices(ctx, app)
		if err != nil {
			return err
		}
		trusted := listenersIn(slices)
		for _, c := range candidates {
			if trusted[listener{pod: c.listener.pod, number: c.number}] {
				r.admission.trust(c.listener)
			}
		}
	}
	keep := map[listener]bool{}
	for _, c := range candidates {
		keep[c.listener] = true
	}
	r.admission.forget(before, keep)
	r.index.set(key, keep)
	return nil
}

// candidate is a pod that should serve a port.
type candidate struct {
	listener
	pod *corev1.Pod // nil if it is not there; hides the uid in listener
}

// verify asks all ports at once. A pod that is not ready or ends is no reason to ask: it is no target of traffic.
func (r *Reconciler) verify(ctx context.Context, candidates []candidate) []verdict {
	out := make([]verdict, len(candidates))
	var group sync.WaitGroup
	for i, c := range candidates {
		if c.pod == nil || c.pod.DeletionTimestamp != nil || !podCondition(c.pod) {
			out[i] = answers
			continue
		}
		group.Go(func() { out[i] = r.admission.ask(ctx, c.listener, c.pod.Status.PodIPs[0].IP) })
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
