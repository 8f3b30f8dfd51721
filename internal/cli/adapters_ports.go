package cli

import (
	"sync/atomic"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/apiserver"
	"github.com/trellis-operator/trellis/internal/applications"
)

var _ apiserver.Ports = (*portsForAPI)(nil)

// portsForAPI asks the cache of applications, which is fed by the very server that asks: until it is there nobody is known.
type portsForAPI struct {
	cache atomic.Pointer[applications.Cache]
}

func (p *portsForAPI) Listening(lattice string, port uint16) []*oam.Application {
	if cache := p.cache.Load(); cache != nil {
		return cache.Listening(lattice, port)
	}
	return nil
}
