// Package conditions sets, compares and summarises the conditions of an object's status. It holds the one rule for
// Ready, so that host groups and applications mean the same by it.
package conditions

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The three conditions that tools wait for (kstatus). Only Rule.Summarise writes them. Reconciling and Stalled exist
// only while they are true.
const (
	Ready       = "Ready"
	Reconciling = "Reconciling"
	Stalled     = "Stalled"
)

// Find returns the condition of that type, or nil. The result points into list.
func Find(list []metav1.Condition, conditionType string) *metav1.Condition {
	for i := range list {
		if list[i].Type == conditionType {
			return &list[i]
		}
	}
	return nil
}

// IsTrue says whether the condition exists and is true.
func IsTrue(list []metav1.Condition, conditionType string) bool {
	c := Find(list, conditionType)
	return c != nil && c.Status == metav1.ConditionTrue
}

// Set adds c or replaces the condition of its type, and says whether anything changed. The transition time moves only
// when the status does: a new message is not a transition.
func Set(list *[]metav1.Condition, c metav1.Condition, now time.Time) bool {
	old := Find(*list, c.Type)
	if old == nil {
		c.LastTransitionTime = metav1.NewTime(now)
		*list = append(*list, c)
		return true
	}
	c.LastTransitionTime = old.LastTransitionTime
	if old.Status != c.Status {
		c.LastTransitionTime = metav1.NewTime(now)
	}
	if *old == c {
		return false
	}
	*old = c
	return true
}

// Remove deletes the condition of that type and says whether there was one.
func Remove(list *[]metav1.Condition, conditionType string) bool {
	for i := range *list {
		if (*list)[i].Type == conditionType {
			*list = append((*list)[:i:i], (*list)[i+1:]...)
			return true
		}
	}
	return false
}

// Equal compares two lists regardless of order and of transition times.
func Equal(a, b []metav1.Condition) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		other := Find(b, a[i].Type)
		if other == nil {
			return false
		}
		x, y := a[i], *other
		x.LastTransitionTime, y.LastTransitionTime = metav1.Time{}, metav1.Time{}
		if x != y {
			return false
		}
	}
	return true
}
