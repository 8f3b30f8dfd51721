package helper

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// asker asks one question by way of the leaf, again and again.
type asker struct {
	address, subject, body string

	conn   net.Conn
	reader *bufio.Reader
	inbox  string
}

func (a *asker) ask(ctx context.Context, patience time.Duration) (left, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answer, err := a.once(ctx)
	if err != nil && err != errNobody { //nolint:errorlint // returned as it is
		a.close()
	}
	return answer, err
}

func (a *asker) once(ctx context.Context) (left, error) {
	if a.conn == nil {
		if err := a.open(ctx); err != nil {
			return left{}, err
		}
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := a.conn.SetDeadline(deadline); err != nil {
			return left{}, err
		}
	}
	if _, err := fmt.Fprintf(a.conn, "PUB %s %s %d\r\n%s\r\n", a.subject, a.inbox, len(a.body), a.body); err != nil {
		return left{}, fmt.Errorf("the leaf closed the connection: %w", err)
	}
	return a.receive()
}

func (a *asker) open(ctx context.Context) (err error) {
	if a.conn, a.reader, err = greet(ctx, a.address); err != nil {
		a.conn = nil
		return err
	}
	a.inbox = newInbox()
	if _, err := io.WriteString(a.conn, connectCommand+"SUB "+a.inbox+" 1\r\n"); err != nil {
		return fmt.Errorf("the leaf closed the connection: %w", err)
	}
	return nil
}

func (a *asker) close() {
	if a.conn != nil {
		_ = a.conn.Close() // it was read from only
		a.conn = nil
	}
}

// receive reads up to the next answer.
func (a *asker) receive() (answer left, err error) {
	for {
		line, err := a.reader.ReadString('\n')
		switch {
		case err != nil:
			return left{}, fmt.Errorf("the operator does not answer: %w", err)
		case strings.HasPrefix(line, "MSG "), strings.HasPrefix(line, "HMSG "):
			payload, err := readPayload(a.reader, line)
			switch {
			case err != nil:
				return left{}, err
			case strings.HasPrefix(line, "HMSG "): // headers only: no responders
				return left{}, errNobody
			case json.Unmarshal(payload, &answer) != nil:
				return left{}, fmt.Errorf("the operator answers %q, which is not understood", payload)
			}
			return answer, nil
		case strings.HasPrefix(line, "-ERR"):
			return left{}, fmt.Errorf("the leaf refuses: %s", strings.TrimSpace(line[len("-ERR"):]))
		case strings.HasPrefix(line, "PING"):
			if _, err := io.WriteString(a.conn, "PONG\r\n"); err != nil {
				return left{}, fmt.Errorf("the leaf closed the connection: %w", err)
			}
		}
	}
}

// longestPayload is more than any answer has.
const longestPayload = 1 << 16

// readPayload reads what follows a line like "MSG inbox 1 12": so many bytes as its last number says, and the end of a line.
func readPayload(reader *bufio.Reader, line string) ([]byte, error) {
	fields := strings.Fields(line)
	size, err := strconv.Atoi(fields[len(fields)-1])
	if err != nil || size < 0 || size > longestPayload {
		return nil, fmt.Errorf("the leaf says %q, which is not understood", strings.TrimSpace(line))
	}
	payload := make([]byte, size+len("\r\n"))
	if _, err := io.ReadFull(reader, payload); err != nil {
		return nil, fmt.Errorf("the leaf closed the connection: %w", err)
	}
	return payload[:size], nil
}
