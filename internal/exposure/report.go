package exposure

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func failed(app *Application, reason, message string) *metav1.Condition {
	return conditionOf(app, ConditionExposed, metav1.ConditionFalse, reason, message)
}

func conditionOf(app *Application, kind string, status metav1.ConditionStatus, reason, message string) *metav1.Condition {
	return &metav1.Condition{Type: kind, Status: status, Reason: reason, Message: shorten(message), ObservedGeneration: app.Generation}
}

// maxMessage keeps the foreign words of a condition from filling the status.
const maxMessage = 1024

func shorten(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	return strings.ToValidUTF8(message[:maxMessage], "") + "…"
}

// problemsOf says what is wrong in the policies: the first three, and how many more there are.
func problemsOf(app *Application) string {
	const most = 3
	var all []string
	for i, p := range app.Problems {
		if i == most {
			all = append(all, fmt.Sprintf("and %d more", len(app.Problems)-most))
			break
		}
		all = append(all, p.Error())
	}
	return strings.Join(all, "; ") + "."
}

// judge says how the Service fares.
func judge(app *Application, found filled) *metav1.Condition {
	ready := 0
	for _, p := range found.ports {
		for _, s := range p.by {
			if s.ready() {
				ready++
			}
		}
	}
	service := serviceName(app.Name)
	yes := func(reason, message string) *metav1.Condition {
		return conditionOf(app, ConditionExposed, metav1.ConditionTrue, reason, message)
	}
	switch {
	case len(found.clashes) > 0 && ready == 0:
		return failed(app, ReasonPortConflict, clashMessage(app, found.clashes))
	case len(found.clashes) > 0:
		return yes(ReasonPortConflict, clashMessage(app, found.clashes))
	case ready == 0:
		return failed(app, ReasonNoEndpoints, fmt.Sprintf("Service %s has no endpoint: no ready pod runs the provider and the component behind it.", service))
	case found.silent > 0:
		return yes(ReasonPortUnverified, fmt.Sprintf("Service %s has endpoints whose port does not answer the operator: a network policy, or a port that could not be opened.", service))
	}
	return yes(ReasonExposed, fmt.Sprintf("Service %s serves the application.", service))
}

// clashMessage names the port and both applications.
func clashMessage(app *Application, clashes []clash) string {
	first := clashes[0]
	others := map[string]bool{}
	for _, c := range clashes {
		for _, key := range c.others {
			others[key.String()] = true
		}
	}
	verdict := "this application came first and is served there"
	if first.lost {
		verdict = "the other came first, and this application is not served there"
	}
	return fmt.Sprintf("Applications %s and %s both listen on port %d of host %s, and only one of them can: %s (%d hosts are concerned). "+
		"Give one another port, or keep them on different hosts.", keyOf(app), strings.Join(slices.Sorted(maps.Keys(others)), ", "),
		first.number, first.host, verdict, len(clashes))
}

// endpointOf is the address within the cluster.
func endpointOf(app *Application, ports []served) string {
	return fmt.Sprintf("%s.%s.svc:%d", serviceName(app.Name), app.Namespace, ports[0].front)
}

// report writes into the application's status what differs from what was reported last.
func (r *Reconciler) report(ctx context.Context, app *Application, out outcome) error {
	if told(app, out) {
		return nil
	}
	r.stamp(app.Exposed, out.condition)
	r.stamp(app.Routed, out.routed)
	err := r.options.Applications.Report(ctx, keyOf(app), app.UID, Exposure{Condition: out.condition, Routed: out.routed, Endpoint: out.endpoint, Kept: out.kept})
	if err != nil {
		return fmt.Errorf("reporting the exposure: %w", err)
	}
	return nil
}

// told says whether the status says all that was found.
func told(app *Application, out outcome) bool {
	return app.Endpoint == out.endpoint && sameCondition(app.Exposed, out.condition) && sameCondition(app.Routed, out.routed) && app.Kept.equal(out.kept)
}

// stamp sets the time of the transition.
func (r *Reconciler) stamp(before, now *metav1.Condition) {
	if now == nil || now == before {
		return
	}
	now.LastTransitionTime = metav1.NewTime(r.options.Now())
	if before != nil && before.Status == now.Status {
		now.LastTransitionTime = before.LastTransitionTime
	}
}

func sameCondition(a, b *metav1.Condition) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Status == b.Status && a.Reason == b.Reason && a.Message == b.Message && a.ObservedGeneration == b.ObservedGeneration
}
