package conditions

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var (
	t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	t1 = t0.Add(time.Minute)
)

func cond(name string, status metav1.ConditionStatus, reason string) metav1.Condition {
	return metav1.Condition{Type: name, Status: status, Reason: reason, Message: reason + "."}
}

func TestSet_TransitionTimeMovesWithStatusOnly(t *testing.T) {
	var list []metav1.Condition
	if !Set(&list, cond("A", metav1.ConditionTrue, "Fine"), t0) {
		t.Fatal("a new condition is a change")
	}
	if Set(&list, cond("A", metav1.ConditionTrue, "Fine"), t1) {
		t.Error("the same condition again is no change")
	}
	if !Set(&list, cond("A", metav1.ConditionTrue, "Better"), t1) {
		t.Error("another reason is a change")
	}
	if got := Find(list, "A").LastTransitionTime.Time; !got.Equal(t0) {
		t.Errorf("transition time moved with the reason: %v", got)
	}
	Set(&list, cond("A", metav1.ConditionFalse, "Broken"), t1)
	if got := Find(list, "A").LastTransitionTime.Time; !got.Equal(t1) {
		t.Errorf("transition time did not move with the status: %v", got)
	}
}

func TestRemove_LeavesTheCallersOtherSliceAlone(t *testing.T) {
	list := []metav1.Condition{cond("A", metav1.ConditionTrue, "x"), cond("B", metav1.ConditionTrue, "x"), cond("C", metav1.ConditionTrue, "x")}
	kept := list
	if !Remove(&list, "A") || Remove(&list, "A") {
		t.Error("Remove must report the first removal only")
	}
	if kept[0].Type != "A" || kept[1].Type != "B" {
		t.Errorf("Remove wrote into the shared array: %v", kept)
	}
}

func TestEqual(t *testing.T) {
	a := []metav1.Condition{cond("A", metav1.ConditionTrue, "x"), cond("B", metav1.ConditionFalse, "y")}
	b := []metav1.Condition{cond("B", metav1.ConditionFalse, "y"), cond("A", metav1.ConditionTrue, "x")}
	b[0].LastTransitionTime = metav1.NewTime(t1)
	if !Equal(a, b) {
		t.Error("order and transition time must not matter")
	}
	b[0].Message = "other"
	if Equal(a, b) {
		t.Error("a message matters")
	}
	if Equal(a, a[:1]) {
		t.Error("a missing condition matters")
	}
}

func TestSummarise(t *testing.T) {
	rule := Rule{Order: []string{"Valid", "Running"}, ReadyMessage: "All is well.",
		Terminal: func(c metav1.Condition) bool { return c.Reason == "BadInput" }}
	tests := map[string]struct {
		list []metav1.Condition
		want map[string]string // type: status/reason
	}{
		"nothing looked at": {nil, map[string]string{Ready: "Unknown/Pending", Reconciling: "True/Pending"}},
		"all true": {
			[]metav1.Condition{cond("Valid", metav1.ConditionTrue, "x"), cond("Running", metav1.ConditionTrue, "x"), cond(Stalled, metav1.ConditionTrue, "old")},
			map[string]string{Ready: "True/Ready", "Valid": "True/x", "Running": "True/x"}},
		"first in order decides": {
			[]metav1.Condition{cond("Running", metav1.ConditionFalse, "Later"), cond("Valid", metav1.ConditionFalse, "First")},
			map[string]string{Ready: "False/First", Reconciling: "True/First", "Valid": "False/First", "Running": "False/Later"}},
		"terminal": {
			[]metav1.Condition{cond("Valid", metav1.ConditionFalse, "BadInput"), cond(Reconciling, metav1.ConditionTrue, "old")},
			map[string]string{Ready: "False/BadInput", Stalled: "True/BadInput", "Valid": "False/BadInput"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			list := tc.list
			rule.Summarise(&list, 7, t0)
			got := map[string]string{}
			for _, c := range list {
				got[c.Type] = string(c.Status) + "/" + c.Reason
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("conditions (-want +got):\n%s", diff)
			}
			if rule.Summarise(&list, 7, t1) {
				t.Error("a second summary of the same facts changed something")
			}
		})
	}
}
