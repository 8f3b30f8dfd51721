package apiserver

import (
	"context"
	"slices"
	"strings"

	"k8s.io/apiserver/pkg/authentication/user"
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
	who, ok := request.UserFrom(ctx)
	return ok && strings.HasPrefix(who.GetName(), WashUserPrefix) && slices.Contains(who.GetGroups(), WashGroup)
}

// isItself says whether a request comes from this process in its own name, by the loopback.
func isItself(ctx context.Context) bool {
	who, ok := request.UserFrom(ctx)
	return ok && who.GetName() == user.APIServerUser && slices.Contains(who.GetGroups(), user.SystemPrivilegedGroup)
}
