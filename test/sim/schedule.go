package sim

import (
	"container/heap"
	"sync"
	"time"
)

// schedule runs tasks when they are due, one after the other: by time, then by rank, then in the order they came.
type schedule struct {
	mu     sync.Mutex
	tasks  taskHeap
	next   uint64
	timer  *time.Timer
	wake   time.Time
	closed bool
	turn   func()
}

type task struct {
	due  time.Time
	rank uint64
	seq  uint64
	run  func()
}

func newSchedule(turn func()) *schedule { return &schedule{turn: turn} }

// add plans a task. The rank orders tasks of one instant that came from outside, where nothing else orders them.
func (s *schedule) add(due time.Time, rank uint64, run func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.next++
	heap.Push(&s.tasks, task{due: due, rank: rank, seq: s.next, run: run})
	s.arm()
}

// arm sets the timer to the first task. The caller holds s.mu.
func (s *schedule) arm() {
	if len(s.tasks) == 0 {
		return
	}
	first := s.tasks[0].due
	if s.timer == nil {
		s.wake = first
		s.timer = time.AfterFunc(time.Until(first), s.turn)
		return
	}
	if s.wake.IsZero() || first.Before(s.wake) {
		s.wake = first
		s.timer.Reset(time.Until(first))
	}
}

// pop takes the next task that is due; nil when there is none, and then the timer is set again.
func (s *schedule) pop() func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	if len(s.tasks) > 0 && !s.tasks[0].due.After(time.Now()) {
		return heap.Pop(&s.tasks).(task).run
	}
	s.wake = time.Time{}
	s.arm()
	return nil
}

func (s *schedule) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed, s.tasks = true, nil
	if s.timer != nil {
		s.timer.Stop()
	}
}

type taskHeap []task

func (h taskHeap) Len() int      { return len(h) }
func (h taskHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h taskHeap) Less(i, j int) bool {
	a, b := &h[i], &h[j]
	if !a.due.Equal(b.due) {
		return a.due.Before(b.due)
	}
	if a.rank != b.rank {
		return a.rank < b.rank
	}
	return a.seq < b.seq
}
func (h *taskHeap) Push(x any) { *h = append(*h, x.(task)) }
func (h *taskHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = task{} // what it holds on to may be large
	*h = old[:len(old)-1]
	return last
}
