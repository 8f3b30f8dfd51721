package manifest

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
)

var errNoWeight = errors.New("all weights are 0; give at least one spread a weight")

func byWeight(spreads []spreadTrait) []spreadTrait {
	sorted := slices.Clone(spreads)
	slices.SortStableFunc(sorted, func(a, b spreadTrait) int { return cmp.Compare(b.weight(), a.weight()) })
	return sorted
}

// totalWeight also bounds each weight, so that products with instances stay within 64 bits.
func totalWeight(spreads []spreadTrait) (uint64, error) {
	var total uint64
	for _, sp := range spreads {
		if sp.weight() > math.MaxUint32 {
			return 0, fmt.Errorf("weight of spread %q is %d, at most %d is possible", sp.Name, sp.weight(), uint32(math.MaxUint32))
		}
		total += sp.weight()
	}
	if total == 0 {
		return 0, errNoWeight
	}
	return total, nil
}

func checkInstances(n uint64) error {
	if n > math.MaxUint32 {
		return fmt.Errorf("instances are %d, at most %d are possible", n, uint32(math.MaxUint32))
	}
	return nil
}
