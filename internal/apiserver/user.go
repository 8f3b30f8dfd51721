package apiserver

import (
	"context"
	"slices"
	"strings"

	"k8s.io/apiserver/pkg/endpoints/request"
)

const (
	// WashUserPrefix and a lattice make the user that wash's requests are impersonated as.
	WashUserPrefix = "system:trellis:wash:"
	// WashGroup is the group of all of them.
	WashGroup = "system:trellis:wash"
	// OrchestratorUser is the user of the orchestrator; it may read, and write applications/status.
	OrchestratorUser = "system:trellis:orchestrator"
)

// isWash says whether a request comes from wash, by way of wadm's API.
func isWash(ctx context.Context) bool {
	user, ok := request.UserFrom(ctx)
	return ok && strings.HasPrefix(user.GetName(), WashUserPrefix) && slices.Contains(user.GetGroups(), WashGroup)
}
