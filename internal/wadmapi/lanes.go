package wadmapi

import "sync"

// lanes run requests side by side, but those of one application one after the other, in the order of their arrival: a
// client that puts and deploys without waiting for the first answer means them in this order.
type lanes struct {
	slots   chan struct{}
	running sync.WaitGroup

	mu sync.Mutex
	// waiting has an entry for each lane that is being worked off.
	waiting map[string][]func()
	// open is how many more requests are taken.
	open int
}

func newLanes(sideBySide, limit int) *lanes {
	return &lanes{slots: make(chan struct{}, sideBySide), waiting: map[string][]func(){}, open: limit}
}

// add runs handle as soon as a slot is free and all that came before in its lane is done; the empty lane has no order.
// It says false, and takes nothing, when too many requests wait.
func (l *lanes) add(lane string, handle func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == 0 {
		return false
	}
	l.open--
	if lane == "" {
		l.running.Go(func() { l.run(handle) })
		return true
	}
	queue, busy := l.waiting[lane]
	l.waiting[lane] = append(queue, handle)
	if !busy {
		l.running.Go(func() { l.workOff(lane) })
	}
	return true
}

func (l *lanes) workOff(lane string) {
	for {
		l.mu.Lock()
		queue := l.waiting[lane]
		if len(queue) == 0 {
			delete(l.waiting, lane)
			l.mu.Unlock()
			return
		}
		l.waiting[lane] = queue[1:]
		l.mu.Unlock()
		l.run(queue[0])
	}
}

func (l *lanes) run(handle func()) {
	l.slots <- struct{}{}
	handle()
	<-l.slots
	l.mu.Lock()
	l.open++
	l.mu.Unlock()
}

// wait returns when all that was added is done; nothing may be added any more.
func (l *lanes) wait() { l.running.Wait() }
