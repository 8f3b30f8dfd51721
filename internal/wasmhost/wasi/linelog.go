package wasi

import "bytes"

const (
	maxLine = 8 << 10
	maxTail = 2 << 10
)

// lineLog is an output stream whose lines go to the host's log. The component's goroutine is its only user.
type lineLog struct {
	emit func(line string)
	line []byte
	last []byte
}

func (l *lineLog) room() int    { return chunk }
func (l *lineLog) flush() error { return nil }

func (l *lineLog) write(p []byte) error {
	l.remember(p)
	for len(p) > 0 {
		n := bytes.IndexByte(p, '\n')
		if n < 0 {
			n = len(p)
		}
		part := p[:n]
		if len(l.line)+len(part) > maxLine {
			part = part[:maxLine-len(l.line)]
		}
		l.line = append(l.line, part...)
		if n == len(p) {
			return nil
		}
		l.flushLine()
		p = p[n+1:]
	}
	return nil
}

func (l *lineLog) flushLine() {
	if len(l.line) > 0 {
		l.emit(string(bytes.ToValidUTF8(l.line, []byte("?"))))
		l.line = l.line[:0]
	}
}

func (l *lineLog) remember(p []byte) {
	if len(p) >= maxTail {
		l.last = append(l.last[:0], p[len(p)-maxTail:]...)
		return
	}
	if over := len(l.last) + len(p) - maxTail; over > 0 {
		l.last = append(l.last[:0], l.last[over:]...)
	}
	l.last = append(l.last, p...)
}

func (l *lineLog) tail() string {
	return string(bytes.ToValidUTF8(bytes.TrimSpace(l.last), []byte("?")))
}
