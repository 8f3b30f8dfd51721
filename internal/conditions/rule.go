package conditions

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Reasons that Summarise writes itself.
const (
	// ReasonReady is the reason of Ready=True.
	ReasonReady = "Ready"
	// ReasonPending is used for a condition that nobody has set yet.
	ReasonPending = "Pending"
)

// Rule is the one rule for Ready: an object is ready when every condition of Order is true.
type Rule struct {
	// Order lists the conditions that must be true, the most basic first: the first that is not decides the reason.
	Order []string
	// Terminal says whether only a user can mend the condition; the object is then Stalled rather than Reconciling.
	// Nil means: never.
	Terminal func(metav1.Condition) bool
	// ReadyMessage is the message of Ready=True.
	ReadyMessage string
}

// Summarise writes Ready, Reconciling and Stalled from the other conditions of the list, and says whether anything
// changed.
func (r Rule) Summarise(list *[]metav1.Condition, generation int64, now time.Time) bool {
	ready := r.ready(*list, generation)
	changed := Set(list, ready.condition, now)
	changed = r.abnormal(list, Stalled, ready.stalled, ready.condition, now) || changed
	reconciling := ready.condition.Status != metav1.ConditionTrue && !ready.stalled
	return r.abnormal(list, Reconciling, reconciling, ready.condition, now) || changed
}

type verdict struct {
	condition metav1.Condition
	stalled   bool
}

func (r Rule) ready(list []metav1.Condition, generation int64) verdict {
	for _, name := range r.Order {
		c := Find(list, name)
		switch {
		case c == nil:
			return verdict{condition: metav1.Condition{Type: Ready, Status: metav1.ConditionUnknown,
				Reason: ReasonPending, Message: name + " has not been looked at yet.", ObservedGeneration: generation}}
		case c.Status != metav1.ConditionTrue:
			return verdict{
				condition: metav1.Condition{Type: Ready, Status: c.Status, Reason: c.Reason, Message: c.Message,
					ObservedGeneration: generation},
				stalled: r.Terminal != nil && r.Terminal(*c),
			}
		}
	}
	return verdict{condition: metav1.Condition{Type: Ready, Status: metav1.ConditionTrue, Reason: ReasonReady,
		Message: r.ReadyMessage, ObservedGeneration: generation}}
}

// abnormal keeps a condition that exists only while it is true.
func (r Rule) abnormal(list *[]metav1.Condition, name string, on bool, because metav1.Condition, now time.Time) bool {
	if !on {
		return Remove(list, name)
	}
	because.Type, because.Status = name, metav1.ConditionTrue
	return Set(list, because, now)
}
