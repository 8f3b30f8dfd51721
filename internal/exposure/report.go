package exposure

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func failed(app *Application, reason, message string) *metav1.Condition {
	return &metav1.Condition{Type: ConditionExposed, Status: metav1.ConditionFalse, Reason: reason, Message: message,
		ObservedGeneration: app.Generation}
}

// judge says how the Service fares.
func judge(app *Application, ports []served, silents int) *metav1.Condition {
	ready := 0
	for _, p := range ports {
		for _, s := range p.pods {
			if podCondition(s.pod) && s.pod.DeletionTimestamp == nil {
				ready++
			}
		}
	}
	service := serviceName(app.Name)
	switch {
	case ready == 0:
		return failed(app, ReasonNoEndpoints, fmt.Sprintf("Service %s has no endpoint: no ready pod runs the HTTP server and the component behind it.", service))
	case silents > 0:
		c := failed(app, ReasonPortUnverified, fmt.Sprintf("Service %s has endpoints whose port does not answer the operator: a network policy, or a port that could not be opened.", service))
		c.Status = metav1.ConditionTrue
		return c
	}
	return &metav1.Condition{Type: ConditionExposed, Status: metav1.ConditionTrue, Reason: ReasonExposed,
		Message: fmt.Sprintf("Service %s serves the application.", service), ObservedGeneration: app.Generation}
}

// endpointOf is the address within the cluster.
func endpointOf(app *Application, ports []served) string {
	return fmt.Sprintf("%s.%s.svc:%d", serviceName(app.Name), app.Namespace, ports[0].number)
}

// report writes into the application's status what differs from what was reported last.
func (r *Reconciler) report(ctx context.Context, app *Application, condition *metav1.Condition, endpoint string) error {
	if app.Endpoint == endpoint && sameCondition(app.Exposed, condition) {
		return nil
	}
	if condition != nil {
		condition.LastTransitionTime = metav1.NewTime(r.options.Now())
		if app.Exposed != nil && app.Exposed.Status == condition.Status {
			condition.LastTransitionTime = app.Exposed.LastTransitionTime
		}
	}
	if err := r.options.Applications.Report(ctx, keyOf(app), app.UID, Exposure{Condition: condition, Endpoint: endpoint}); err != nil {
		return fmt.Errorf("reporting the exposure: %w", err)
	}
	return nil
}

func sameCondition(a, b *metav1.Condition) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Status == b.Status && a.Reason == b.Reason && a.Message == b.Message && a.ObservedGeneration == b.ObservedGeneration
}
