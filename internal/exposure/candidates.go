package exposure

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// candidate is a host that should serve a port.
type candidate struct {
	listener
	// name of the port of the Service.
	name string
	// pod is nil if it is not there; it hides the uid in listener.
	pod *corev1.Pod
	// address of a host outside of the cluster.
	address string
}

// candidates joins the hosts behind each port with their pods.
func (r *Reconciler) candidates(ctx context.Context, app *Application, view View, ports []port) ([]candidate, error) {
	join := joining{r: r, app: app, pods: map[string]*corev1.Pod{}}
	for _, p := range ports {
		nameless := false
		for _, h := range hostsOf(p, view) {
			byTemplate, err := join.host(ctx, p, h)
			if err != nil {
				return nil, err
			}
			nameless = nameless || byTemplate
		}
		if !nameless {
			continue
		}
		if err := join.template(ctx, p); err != nil {
			return nil, err
		}
	}
	return join.out, nil
}

// joining is one look at the pods behind an application.
type joining struct {
	r   *Reconciler
	app *Application
	// pods by uid, nil for those that are not there.
	pods map[string]*corev1.Pod
	// unlabelled are looked up once, if need be.
	unlabelled []*corev1.Pod
	looked     bool
	out        []candidate
}

func (j *joining) add(p port, uid, host string, pod *corev1.Pod, address string) {
	j.out = append(j.out, candidate{listener{uid, host, p.number, p.protocol == corev1.ProtocolUDP}, p.name, pod, address})
}

// host adds a host, or says that it runs in a pod of wasmCloud's template and does not say in which.
func (j *joining) host(ctx context.Context, p port, h Host) (byTemplate bool, err error) {
	namespace, name, uid := podOf(h)
	if uid == "" && h.Labels["kubernetes"] == "true" {
		return true, nil
	}
	if uid == "" { // outside of any cluster
		if policy := j.app.Policy; policy != nil {
			if address := outsideAddress(h, policy.Service.HostAddressLabel); address != "" {
				j.add(p, "", h.ID, nil, address)
			}
		}
		return false, nil
	}
	pod, known := j.pods[uid]
	if !known {
		if pod, err = j.r.podByName(ctx, types.NamespacedName{Namespace: namespace, Name: name}, types.UID(uid)); err != nil {
			return false, err
		}
		j.pods[uid] = pod
	}
	j.add(p, uid, h.ID, pod, "")
	return false, nil
}

// template adds the pods that keep wasmCloud's template.
func (j *joining) template(ctx context.Context, p port) (err error) {
	if !j.looked {
		if j.unlabelled, err = j.r.unlabelled(ctx, j.app.Lattice); err != nil {
			return err
		}
		j.looked = true
	}
	for _, pod := range j.unlabelled {
		j.add(p, string(pod.UID), "", pod, "")
	}
	return nil
}
