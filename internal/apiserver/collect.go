package apiserver

import (
	"context"
	"errors"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// collector frees claims that nobody needs any more: those of applications that are gone or have moved away, and ids that
// no version which may run asks for. Every replica collects; a claim is freed by whoever is first.
//
// A write takes its claims before it is stored, and a look may fall between the two. So a claim goes only when two looks
// with a pause between them both found that nobody needs it, and nobody has taken it in between: taking writes it anew,
// and freeing compares.
type collector struct {
	held      HeldClaims
	list      func(context.Context) (*v1beta1.ApplicationList, error)
	revisions *revisions
	// store is the identity of the store that is served; empty while it must not be gone by.
	store func() string
	clock clock.WithTicker

	// suspects are the claims that nobody needed at the last look, and since when.
	suspects map[suspect]time.Time
	// looked is the store that the suspects were found by.
	looked string
}

const (
	collectEvery = 5 * time.Minute
	// collectTimeout of one look: without NATS it ends, and the next one begins anew.
	collectTimeout = time.Minute
	// collectPause is between the two looks: longer than any write takes from its claims to the store.
	collectPause = 10 * time.Minute
)

// suspect is a claim as it was read.
type suspect struct {
	lattice  string
	claim    Claim
	owner    Owner
	revision uint64
	since    int64
}

func (c *collector) run(ctx context.Context) {
	ticker := c.clock.NewTicker(collectEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C():
			c.lookOnce(ctx)
		}
	}
}

func (c *collector) lookOnce(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, collectTimeout)
	defer cancel()
	c.look(ctx)
}

// look looks once at every lattice. What can't be read is not looked at, and begins anew.
func (c *collector) look(ctx context.Context) {
	store := c.store()
	if store == "" || store != c.looked {
		c.suspects, c.looked = nil, store
	}
	if store == "" {
		return
	}
	suspects, unneeded := map[suspect]time.Time{}, c.unneeded(ctx)
	if c.store() != store {
		c.suspects = nil // some of it may have been read from another one
		return
	}
	for lattice, claims := range unneeded {
		for _, h := range claims {
			s := suspect{lattice, h.Claim, h.Owner, h.Revision, h.Since.UnixNano()}
			first, known := c.suspects[s]
			switch {
			case !known:
				suspects[s] = c.clock.Now()
			case c.clock.Since(first) < collectPause:
				suspects[s] = first
			default:
				c.free(ctx, lattice, h)
			}
		}
	}
	c.suspects = suspects
}

func (c *collector) free(ctx context.Context, lattice string, h HeldClaim) {
	log := klog.FromContext(ctx).WithValues("lattice", lattice, "kind", h.Kind, "claim", h.Claim.Name,
		"namespace", h.Owner.Namespace, "name", h.Owner.Name)
	switch err := c.held.FreeClaim(ctx, lattice, h); {
	case err == nil:
		log.Info("A name of a lattice is free again")
	case errors.Is(err, ErrClaimChanged):
	default:
		log.V(2).Info("A name of a lattice was not freed; it will be looked at again", "err", err)
	}
}

// unneeded returns the claims of each lattice that nobody needs. The order of reading matters: claims, then applications,
// which are written after their claims; then teardown records, which are written before their applications go.
func (c *collector) unneeded(ctx context.Context) map[string][]HeldClaim {
	log, held := klog.FromContext(ctx), map[string][]HeldClaim{}
	for _, lattice := range c.held.Lattices() {
		claims, err := c.held.HeldClaims(ctx, lattice)
		if err != nil {
			log.V(2).Info("The claims of a lattice were not looked at", "lattice", lattice, "err", err)
			continue
		}
		held[lattice] = claims
	}
	list, err := c.list(ctx)
	if err != nil {
		log.V(2).Info("The claims of no lattice were looked at", "err", err)
		return nil
	}
	apps := make(map[types.NamespacedName]*v1beta1.Application, len(list.Items))
	for i := range list.Items {
		apps[types.NamespacedName{Namespace: list.Items[i].Namespace, Name: list.Items[i].Name}] = &list.Items[i]
	}
	for lattice, claims := range held {
		torn, err := c.held.OpenTeardowns(ctx, lattice)
		if err != nil {
			log.V(2).Info("The claims of a lattice were not looked at", "lattice", lattice, "err", err)
			delete(held, lattice)
			continue
		}
		held[lattice] = slices.DeleteFunc(claims, func(h HeldClaim) bool {
			owner := types.NamespacedName{Namespace: h.Owner.Namespace, Name: h.Owner.Name}
			return slices.Contains(torn, owner) || c.needs(ctx, apps[owner], lattice, h.Claim)
		})
	}
	return held
}

// needs says whether an application, nil when there is none, needs a claim in a lattice.
func (c *collector) needs(ctx context.Context, app *v1beta1.Application, lattice string, claim Claim) bool {
	if app == nil || app.Status.Lattice != lattice {
		return false
	}
	if asks(claimsOf(app), claim) || !atRest(app) {
		return true
	}
	for _, version := range mayRun(app) {
		revision, err := c.revisions.get(ctx, app, version)
		switch {
		case errors.Is(err, errNoRevision):
		case err != nil:
			return true // next time
		case asks(claimsOf(&v1beta1.Application{Spec: revision.Spec}), claim):
			return true
		}
	}
	return false
}

func asks(list []claimed, claim Claim) bool {
	return slices.ContainsFunc(list, func(c claimed) bool { return c.Claim == claim })
}

// atRest says whether what an application no longer wants is gone from its hosts: until then it keeps its ids.
func atRest(app *v1beta1.Application) bool {
	return app.Status.ObservedGeneration == app.Generation &&
		(app.Status.Phase == v1beta1.PhaseDeployed || app.Status.Phase == v1beta1.PhaseUndeployed)
}

// mayRun are the versions besides the one in spec that run, or would run after a change of annotations.
func mayRun(app *v1beta1.Application) []string {
	var out []string
	for _, version := range []string{
		app.Status.DeployedVersion, app.Annotations[v1beta1.DeployedVersionAnnotation], app.Annotations[v1beta1.WashDeployedVersionAnnotation],
	} {
		if version != "" && version != app.Status.Version {
			out = add(out, version)
		}
	}
	return out
}
