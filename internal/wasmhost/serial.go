package wasmhost

import "sync"

// serial runs functions of one key in the order they came, those of different keys at the same time. Commands for one
// component must not overtake each other while an image is fetched.
type serial struct {
	mu     sync.Mutex
	queues map[string][]func()
	idle   sync.WaitGroup
}

func newSerial() *serial { return &serial{queues: map[string][]func(){}} }

func (s *serial) run(key string, f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle.Add(1)
	waiting, running := s.queues[key]
	s.queues[key] = append(waiting, f)
	if !running {
		go s.drain(key)
	}
}

func (s *serial) drain(key string) {
	for {
		s.mu.Lock()
		queue := s.queues[key]
		if len(queue) == 0 {
			delete(s.queues, key)
			s.mu.Unlock()
			return
		}
		f := queue[0]
		s.queues[key] = queue[1:]
		s.mu.Unlock()
		f()
		s.idle.Done()
	}
}

func (s *serial) wait() { s.idle.Wait() }
