package lattice

// drainSubject is a subject of Trellis' own: hosts of wasmCloud know nothing of it.
const drainSubject = "trellis.drain."

// LabelPodUID is the label by which a host in a pod is known: the uid of the pod.
const LabelPodUID = "kubernetes_pod_uid"

// DrainSubject is where is asked what must happen before a host of the lattice may end.
func DrainSubject(lattice string) (string, error) {
	if err := ValidateName(lattice); err != nil {
		return "", err
	}
	return drainSubject + lattice, nil
}

// DrainRequest says that a host is about to end, and asks what is left to do before.
type DrainRequest struct {
	// PodUID is the uid of the host's pod, which the host has as a label.
	PodUID string `json:"podUID"`
}

func (r *DrainRequest) check() error { return require("podUID", r.PodUID) }

// DrainAnswer says what is left to do. The host may end when it is known and nothing is left.
type DrainAnswer struct {
	// Known: the host is in the lattice, and is drained.
	Known bool `json:"known"`
	// Components and Providers of applications that run on the host still.
	Components int `json:"components"`
	Providers  int `json:"providers"`
}
