package orchestrator

import (
	"slices"
	"testing"
)

// shrink leaves out as many steps as it can, in large pieces first, while fails says that the rest still fails.
func shrink(h history, fails func(history) bool) history {
	for size := len(h.steps) / 2; size > 0; {
		smaller := false
		for from := 0; from < len(h.steps); {
			var rest []int
			for i := range h.steps {
				if i < from || i >= from+size {
					rest = append(rest, i)
				}
			}
			if candidate := h.only(rest); fails(candidate) {
				h, smaller = candidate, true
			} else {
				from += size
			}
		}
		if size == 1 && smaller {
			continue // one that is gone may have been what others were needed for
		}
		size /= 2
	}
	return h
}

func TestShrink(t *testing.T) {
	h := generate(1)
	runs := 0
	small := shrink(h, func(h history) bool {
		runs++
		// It takes the third, the twentieth, and one of two others.
		return slices.Contains(h.kept, 2) && slices.Contains(h.kept, 19) &&
			(slices.Contains(h.kept, 5) || slices.Contains(h.kept, 25))
	})
	if want := []int{2, 19, 25}; !slices.Equal(small.kept, want) {
		t.Errorf("kept %v, want %v", small.kept, want)
	}
	if runs > 120 {
		t.Errorf("%d runs for %d steps", runs, len(h.steps))
	}
	again, err := keeping(1, "2,19,25")
	if err != nil || !slices.Equal(again.steps, small.steps) {
		t.Errorf("read again: %v, %v", again.steps, err)
	}
	if _, err := keeping(1, "2,1000"); err == nil {
		t.Error("a step that there is not is kept")
	}
}

// TestGenerate holds histories to their size.
func TestGenerate(t *testing.T) {
	for seed := range uint64(500) {
		if h := generate(seed); len(h.steps) < leastSteps || h.faults() < leastFaults {
			t.Errorf("history %d has %d steps and %d faults", seed, len(h.steps), h.faults())
		}
	}
}
