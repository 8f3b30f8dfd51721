package exposure

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/trellis-operator/trellis/internal/apply"
)

const defaultPatience = 10 * time.Second

// Reconciler keeps the Services of applications. A request names an application.
type Reconciler struct {
	options   Options
	admission *admission
	index     *index
	sockets   *sockets
	again     again
	// reporter is nil without a manager; looks report what they found themselves then.
	reporter *reporter
	written  written
	// indexed says that the cache finds slices by their Service.
	indexed bool
	routes  routes
}

var _ reconcile.Reconciler = (*Reconciler)(nil)

// New returns a reconciler.
func New(options Options) *Reconciler {
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Patience == 0 {
		options.Patience = defaultPatience
	}
	return &Reconciler{options: options, index: newIndex(), sockets: newSockets(),
		admission: &admission{dialer: options.Dialer, patience: options.Patience, now: options.Now, state: map[listener]*admitted{}}}
}

// Reconcile makes the Service of one application follow what runs.
func (r *Reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	key := request.NamespacedName
	app, err := r.options.Applications.Application(ctx, key)
	if err != nil {
		// Whatever is not known: what somebody deletes must not hang on us.
		return reconcile.Result{}, errors.Join(fmt.Errorf("looking up the application: %w", err), r.letGo(ctx, key))
	}
	if app == nil || !wanted(app) {
		r.forget(key)
		if err := r.withdraw(ctx, key); err != nil || app == nil {
			return reconcile.Result{}, err
		}
		return reconcile.Result{}, r.report(ctx, app, outcome{kept: app.Kept})
	}
	return r.expose(ctx, app)
}

// forget drops what is remembered of an application. Those that waited for its ports are looked at again.
func (r *Reconciler) forget(key types.NamespacedName) {
	r.index.forget(key)
	r.unsay(key)
	r.written.forget(key)
	r.tell(r.sockets.claim(key, nil, nil))
}

func (r *Reconciler) tell(keys []types.NamespacedName) {
	for _, key := range keys {
		r.again.add(key, now)
	}
}

// wanted says whether the application is to have a Service at all.
func wanted(app *Application) bool {
	if !app.Deployed || app.Disabled || app.Lattice == "" {
		return false
	}
	if p := app.Policy; len(app.Problems) > 0 || p != nil && (len(p.Ports) > 0 || len(p.Routes) > 0 || p.Ingress != nil) {
		return true
	}
	for _, p := range app.Providers {
		hidden := app.Policy != nil && app.Policy.Declared[p.Component]
		if p.ServesHTTP && isHTTPServer(p.Image) && !hidden {
			return true
		}
	}
	return false
}

func (r *Reconciler) expose(ctx context.Context, app *Application) (reconcile.Result, error) {
	out, err := r.serve(ctx, app)
	var foreign *apply.NotOwnedError
	var refused *apply.RefusedError
	switch {
	case errors.As(err, &foreign):
		out = outcome{condition: failed(app, ReasonForeignService, foreign.Error()+": rename the application or remove the "+foreign.Kind+"."), again: time.Minute, kept: app.Kept}
	case errors.As(err, &refused):
		out = outcome{condition: failed(app, ReasonRefused, refused.Error()+"."), again: time.Minute, kept: out.kept}
	case err != nil:
		return reconcile.Result{}, err
	}
	result := reconcile.Result{RequeueAfter: out.again}
	switch {
	case told(app, out):
		r.unsay(keyOf(app))
	case r.reporter == nil:
		return result, r.report(ctx, app, out)
	default:
		r.reporter.note(app, out)
	}
	return result, nil
}

// unsay drops what was found and not reported yet.
func (r *Reconciler) unsay(key types.NamespacedName) {
	if r.reporter != nil {
		r.reporter.forget(key)
	}
}

// outcome is what came of exposing an application.
type outcome struct {
	condition *metav1.Condition
	routed    *metav1.Condition
	endpoint  string
	kept      Kept
	again     time.Duration
}

// asBefore is the outcome of a look that found nothing new.
func asBefore(app *Application) outcome {
	return outcome{condition: app.Exposed, routed: app.Routed, endpoint: app.Endpoint, kept: app.Kept}
}

// serve makes Service, slices and routes.
func (r *Reconciler) serve(ctx context.Context, app *Application) (outcome, error) {
	out := asBefore(app)
	existing, err := r.service(ctx, app)
	if err != nil {
		return out, err
	}
	if existing != nil && owned(existing, app) {
		out.kept = keptOf(existing, app)
		if gone, err := r.renew(ctx, app, existing, out); gone || err != nil {
			return out, err
		}
	}
	if len(app.Problems) > 0 {
		out.condition = failed(app, ReasonInvalidPolicy, problemsOf(app)) // what is there stays, and follows its pods
		return out, r.refresh(ctx, app)
	}
	view, done, err := r.view(ctx, app)
	defer done()
	if err != nil {
		return out, r.refresh(ctx, app) // nothing is known, so nothing is added; the next view triggers
	}
	ports, err := allPorts(app, view)
	if err != nil {
		out.condition = failed(app, ReasonBadAddress, err.Error()+".")
		return out, r.refresh(ctx, app)
	}
	reachable, fronts, err := arrange(ports)
	if err != nil {
		out.condition = failed(app, ReasonInvalidPolicy, err.Error()+".")
		return out, r.refresh(ctx, app)
	}
	if len(fronts) == 0 {
		return r.without(ctx, app, existing, out, len(ports) > 0)
	}
	return r.present(ctx, app, view, existing, reachable, fronts, out)
}

// present makes the Service show what serves.
func (r *Reconciler) present(ctx context.Context, app *Application, view View, existing *corev1.Service, ports []port, fronts []served, out outcome) (outcome, error) {
	found, err := r.fill(ctx, app, view, ports, fronts)
	if err != nil {
		return out, err
	}
	live, err := r.applyService(ctx, app, existing, buildService(app, found.ports))
	if err != nil {
		return out, err
	}
	if err := r.applySlices(ctx, app, live.UID, found.ports); err != nil {
		return out, err
	}
	out.condition, out.endpoint, out.again, out.kept = judge(app, found), endpointOf(app, found.ports), found.again, keptOf(live, app)
	return r.route(ctx, app, live, found.ports, out)
}
