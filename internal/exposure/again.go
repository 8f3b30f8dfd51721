package exposure

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/handler"
)

// urgency orders looks: something happened to the application, or perhaps nothing did.
type urgency int

const (
	perhaps urgency = handler.LowPriority
	now     urgency = 0
)

// again asks for another look at applications, once the controller's queue is there. Before, nothing is missed: the
// controller begins with a look at all of them.
type again struct {
	mu    sync.Mutex
	queue func(types.NamespacedName, urgency)
}

func (a *again) to(queue func(types.NamespacedName, urgency)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.queue = queue
}

func (a *again) add(key types.NamespacedName, when urgency) {
	a.mu.Lock()
	queue := a.queue
	a.mu.Unlock()
	if queue != nil {
		queue(key, when)
	}
}
