package orchestrator

import "github.com/trellis-operator/trellis/internal/control"

var _ Control = (*control.Client)(nil)
