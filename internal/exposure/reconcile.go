package exposure

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/apply"
)

const defaultPatience = 10 * time.Second

// Reconciler keeps the Services of applications. A request names an application.
type Reconciler struct {
	options   Options
	admission *admission
	index     *index
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
	return &Reconciler{options: options, index: newIndex(),
		admission: &admission{dialer: options.Dialer, patience: options.Patience, now: options.Now, state: map[listener]*admitted{}}}
}

// Reconcile makes the Service of one application follow what runs.
func (r *Reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	key := request.NamespacedName
	app, err := r.options.Applications.Application(ctx, key)
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("looking up the application: %w", err)
	}
	if app == nil {
		r.index.forget(key)
		return reconcile.Result{}, r.withdraw(ctx, key)
	}
	if !wanted(app) {
		r.index.forget(key)
		if err := r.withdraw(ctx, key); err != nil {
			return reconcile.Result{}, err
		}
		return reconcile.Result{}, r.report(ctx, app, nil, "")
	}
	return r.expose(ctx, app)
}

// wanted says whether the application is to have a Service at all.
func wanted(app *Application) bool {
	if !app.Deployed || app.Disabled || app.Lattice == "" {
		return false
	}
	for _, p := range app.Providers {
		if p.ServesHTTP && isHTTPServer(p.Image) {
			return true
		}
	}
	return false
}

func (r *Reconciler) expose(ctx context.Context, app *Application) (reconcile.Result, error) {
	view, err := r.options.Lattices.View(ctx, app.Lattice)
	if err != nil {
		return reconcile.Result{}, r.refresh(ctx, app) // nothing is known, so nothing is added; the next view triggers
	}
	ports, err := allPorts(app, view)
	if err != nil {
		return reconcile.Result{}, r.report(ctx, app, failed(app, ReasonBadAddress, err.Error()+"."), app.Endpoint)
	}
	outcome, err := r.serve(ctx, app, view, ports)
	var foreign *apply.NotOwnedError
	var refused *apply.RefusedError
	switch {
	case errors.As(err, &foreign):
		return reconcile.Result{RequeueAfter: time.Minute}, r.report(ctx, app, failed(app, ReasonForeignService,
			foreign.Error()+": rename the application or remove the "+foreign.Kind+"."), "")
	case errors.As(err, &refused):
		return reconcile.Result{RequeueAfter: time.Minute}, r.report(ctx, app, failed(app, ReasonRefused, refused.Error()+"."), "")
	case err != nil:
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: outcome.again}, r.report(ctx, app, outcome.condition, outcome.endpoint)
}

// allPorts returns the ports of all HTTP servers of the application, in the order of the manifest. Several providers on
// one port are one port.
func allPorts(app *Application, view View) ([]port, error) {
	var out []port
	for _, p := range app.Providers {
		if !isHTTPServer(p.Image) {
			continue
		}
		found, err := portsOf(p, view)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// outcome is what came of exposing an application.
type outcome struct {
	condition *metav1.Condition
	endpoint  string
	again     time.Duration
}

// serve applies Service and slices.
func (r *Reconciler) serve(ctx context.Context, app *Application, view View, ports []port) (outcome, error) {
	named := namePorts(distinct(ports))
	existing, err := r.service(ctx, app)
	if err != nil {
		return outcome{}, err
	}
	if len(named) == 0 {
		// A link that is being replaced is away for a moment: the Service stays, without endpoints.
		r.index.set(keyOf(app), nil)
		if existing != nil {
			if err := r.applySlices(ctx, app, existing.UID, nil); err != nil {
				return outcome{}, err
			}
		}
		if len(ports) > 0 {
			return outcome{condition: failed(app, ReasonLoopback,
				"The HTTP server listens on a loopback address: set address to 0.0.0.0:PORT in the source config of the link.")}, nil
		}
		return outcome{condition: failed(app, ReasonPending, "No link of the HTTP server is in the lattice yet."), endpoint: app.Endpoint}, nil
	}
	filled, again, silent, err := r.fill(ctx, app, view, ports, named)
	if err != nil {
		return outcome{}, err
	}
	service := buildService(app, filled)
	if err := r.applier(v1alpha1.ServiceFieldManager).Apply(ctx, service, func(live client.Object) bool { return owned(live, app) }); err != nil {
		return outcome{}, err
	}
	if existing == nil {
		if existing, err = r.service(ctx, app); err != nil {
			return outcome{}, err
		}
		if existing == nil { // the cache lags; the Service's own event comes
			return outcome{condition: failed(app, ReasonPending, "The Service is being made."), again: time.Second}, nil
		}
	}
	if err := r.applySlices(ctx, app, existing.UID, filled); err != nil {
		return outcome{}, err
	}
	return outcome{condition: judge(app, filled, silent), endpoint: endpointOf(app, filled), again: again}, nil
}

// service returns the Service of the application's name, or nil.
func (r *Reconciler) service(ctx context.Context, app *Application) (*corev1.Service, error) {
	found, err := r.applier(v1alpha1.ServiceFieldManager).Find(ctx, &corev1.Service{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"}, ObjectMeta: metav1.ObjectMeta{Namespace: app.Namespace, Name: serviceName(app.Name)}})
	if err != nil || found == nil {
		return nil, err
	}
	return found.(*corev1.Service), nil
}

func (r *Reconciler) applier(manager string) apply.Applier {
	return apply.Applier{Client: r.options.Client, Live: r.options.Live, Manager: manager}
}

func keyOf(app *Application) types.NamespacedName {
	return types.NamespacedName{Namespace: app.Namespace, Name: app.Name}
}

// distinct merges ports of one number (several providers may serve one port on different hosts) and leaves out those
// that only the pod itself reaches.
func distinct(ports []port) []port {
	seen := map[uint16]bool{}
	var out []port
	for _, p := range ports {
		if !seen[p.number] && !p.loopback {
			seen[p.number] = true
			out = append(out, p)
		}
	}
	return out
}
