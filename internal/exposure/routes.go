package exposure

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/apply"
	"github.com/trellis-operator/trellis/internal/policy"
)

// gatewayGroup is the API group of the Gateway API.
const gatewayGroup = "gateway.networking.k8s.io"

// routeClient reads what is cached of routes and writes as everything else does.
type routeClient struct {
	client.Client
	reader client.Reader
}

// Get implements client.Reader.
func (c routeClient) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	return c.reader.Get(ctx, key, obj, opts...)
}

func (r *Reconciler) routeApplier() apply.Applier {
	return apply.Applier{Client: routeClient{r.options.Client, r.routes.reader}, Live: r.options.Live, Manager: v1alpha1.FieldManager}
}

// route makes the routes and the Ingress that policies ask for, removes those that they do not ask for any more, and adds
// to the outcome how they fare.
func (r *Reconciler) route(ctx context.Context, app *Application, service *corev1.Service, ports []served, out outcome) (outcome, error) {
	out.routed = nil
	var wanted []policy.Route
	var ingress *policy.Ingress
	if app.Policy != nil {
		wanted, ingress = app.Policy.Routes, app.Policy.Ingress
	}
	if len(wanted) == 0 && ingress == nil && app.Routed == nil {
		return out, nil // nothing was made either
	}
	findings, made, err := r.makeRoutes(ctx, app, service, ports, wanted)
	if err != nil {
		return out, err
	}
	if err := r.pruneRoutes(ctx, app, made); err != nil {
		return out, err
	}
	finding, err := r.makeIngress(ctx, app, service, ports, ingress, findings)
	if err != nil {
		return out, err
	}
	findings = append(findings, finding...)
	out.routed = summary(app, findings)
	if out.routed != nil && out.routed.Status != metav1.ConditionTrue && (out.again == 0 || out.again > lookAgain) {
		out.again = lookAgain // a grant or a Service of somebody else tells nobody
	}
	return out, nil
}

// makeRoutes applies the routes; made are the objects that are wanted.
func (r *Reconciler) makeRoutes(ctx context.Context, app *Application, service *corev1.Service, ports []served, wanted []policy.Route) ([]finding, map[string]bool, error) {
	near, err := r.neighbours(ctx, app, wanted)
	if err != nil {
		return nil, nil, err
	}
	made := map[string]bool{}
	var findings []finding
	for _, w := range wanted {
		name := routeName(app, w)
		version, served, err := r.routes.known(ctx, w.Kind)
		if err != nil {
			return nil, nil, err
		}
		if !served {
			findings = append(findings, finding{kind: w.Kind, name: name, reason: ReasonNoGatewayAPI, text: "the cluster does not know the kind; install the Gateway API with it"})
			continue
		}
		made[w.Kind+"/"+name] = true
		route, err := buildRoute(app, service, ports, near, w)
		if err != nil {
			return nil, nil, err
		}
		route.SetGroupVersionKind(version)
		found, err := r.makeRoute(ctx, app, route, w)
		if err != nil {
			return nil, nil, err
		}
		findings = append(findings, found)
	}
	return findings, made, nil
}

// makeRoute applies one route and looks at what Gateways say of it.
func (r *Reconciler) makeRoute(ctx context.Context, app *Application, route *unstructured.Unstructured, w policy.Route) (finding, error) {
	denied, err := r.ungranted(ctx, app.Namespace, w)
	if err != nil {
		return finding{}, err
	}
	at := finding{kind: w.Kind, name: route.GetName()}
	applier := r.routeApplier()
	if err := applier.Apply(ctx, route, func(live client.Object) bool { return belongs(live, app) }); err != nil {
		return at.of(err)
	}
	live, err := applier.Find(ctx, route)
	if err != nil {
		return at, err
	}
	if live != nil {
		at = judgeRoute(at, live.(*unstructured.Unstructured), w.ParentRefs)
	}
	if denied != "" && at.reason != ReasonNotAccepted {
		at.reason, at.text = ReasonRefNotPermitted, denied
	}
	return at, nil
}

// belongs says whether an object was made for an application of this name.
func belongs(live client.Object, app *Application) bool {
	labels := live.GetLabels()
	return managedByUs(labels) && labels[ApplicationUIDLabel] != "" && live.GetAnnotations()[ApplicationLabel] == app.Name
}

// pruneRoutes removes the routes of the application that are not wanted any more.
func (r *Reconciler) pruneRoutes(ctx context.Context, app *Application, made map[string]bool) error {
	for _, kind := range policy.RouteKinds() {
		version, served, err := r.routes.known(ctx, kind)
		if err != nil {
			return err
		}
		if !served {
			continue
		}
		var list unstructured.UnstructuredList
		list.SetGroupVersionKind(version.GroupVersion().WithKind(kind + "List"))
		err = r.routes.reader.List(ctx, &list, client.InNamespace(app.Namespace), client.MatchingLabels{ApplicationLabel: labelValue(app.Name)})
		if err != nil {
			return fmt.Errorf("listing routes of kind %s: %w", kind, err)
		}
		for i := range list.Items {
			route := &list.Items[i]
			if made[kind+"/"+route.GetName()] || !belongs(route, app) {
				continue
			}
			if err := r.options.Client.Delete(ctx, route); client.IgnoreNotFound(err) != nil {
				return fmt.Errorf("removing %s %s: %w", kind, route.GetName(), err)
			}
		}
	}
	return nil
}
