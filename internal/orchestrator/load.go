package orchestrator

import "github.com/trellis-operator/trellis/internal/scaler"

// load is, by host, how much was commanded to run there and does not show yet. To a plan it is as good as running: without
// it, all that is planned at once would go to the one host that is emptiest.
type load struct {
	of map[string]int
	by map[scaler.Item]bool
}

func newLoad() load { return load{of: map[string]int{}, by: map[scaler.Item]bool{}} }

// weigh is to be called when a command about an item begins, ends or is given up.
func (s *session) weigh(key scaler.Item) {
	it := s.items[key]
	counts := it != nil && key.Kind == "instance" && it.awaits() && it.command.Up() && !s.shown(it.command)
	switch l := s.load; {
	case counts == l.by[key]:
	case counts:
		l.by[key] = true
		l.of[key.Host]++
	default:
		delete(l.by, key)
		if l.of[key.Host]--; l.of[key.Host] == 0 {
			delete(l.of, key.Host)
		}
	}
}
