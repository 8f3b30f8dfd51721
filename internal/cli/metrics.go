package cli

import (
	"fmt"
	"sync"

	"k8s.io/component-base/metrics/legacyregistry"

	"github.com/trellis-operator/trellis/internal/orchestrator"
)

// metrics are those of the process: the API server shows the registry of the process, which has room for one of each name.
var metrics = sync.OnceValues(func() (*orchestrator.Metrics, error) {
	m, err := orchestrator.RegisterMetrics(legacyregistry.Registerer())
	if err != nil {
		return nil, fmt.Errorf("register the metrics: %w", err)
	}
	return m, nil
})
