package helper

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

func probeTCP(ctx context.Context, address string) error {
	conn, err := dial(ctx, address)
	if err != nil {
		return err
	}
	return conn.Close()
}

func dial(ctx context.Context, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("nothing listens on %s: %w", address, err)
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			conn.Close()
			return nil, err
		}
	}
	return conn, nil
}

// probeHTTP closes the connection after the answer: the health endpoint of hosts serves one connection at a time.
func probeHTTP(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("%q is no URL: %w", url, err)
	}
	request.Close = true
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("%s does not answer: %w", url, err)
	}
	defer response.Body.Close()
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}
	return nil
}

// probeNATS asks no more than every NATS server tells everyone: its INFO line.
func probeNATS(ctx context.Context, address string) error {
	conn, _, err := greet(ctx, address)
	if err != nil {
		return err
	}
	return conn.Close()
}

func greet(ctx context.Context, address string) (net.Conn, *bufio.Reader, error) {
	conn, err := dial(ctx, address)
	if err != nil {
		return nil, nil, err
	}
	reader := bufio.NewReader(conn)
	line, err := reader.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "INFO ") {
		conn.Close()
		return nil, nil, fmt.Errorf("%s is not a NATS server: it says %q", address, line)
	}
	return conn, reader, nil
}

const connectCommand = "CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"trellis-helper\",\"version\":\"1\",\"protocol\":1,\"no_responders\":true,\"headers\":true}\r\n"

func newInbox() string { return fmt.Sprintf("_INBOX.trellis-helper.%d", time.Now().UnixNano()) }

// probeLeaf asks the hub, by way of the leaf, for a bucket of the lattice, as a host does when it starts. Any answer of
// JetStream will do: a bucket that is not there yet is made by the first host.
func probeLeaf(ctx context.Context, address, domain, lattice string) error {
	conn, reader, err := greet(ctx, address)
	if err != nil {
		return err
	}
	defer conn.Close()
	api := "$JS.API."
	if domain != "" {
		api = "$JS." + domain + ".API."
	}
	inbox := newInbox()
	commands := connectCommand + "SUB " + inbox + " 1\r\nPUB " + api + "STREAM.INFO.KV_LATTICEDATA_" + lattice + " " + inbox + " 0\r\n\r\n"
	if _, err := conn.Write([]byte(commands)); err != nil {
		return fmt.Errorf("the leaf at %s closed the connection: %w", address, err)
	}
	return awaitAnswer(conn, reader, domain)
}

func awaitAnswer(conn net.Conn, reader *bufio.Reader, domain string) error {
	for {
		line, err := reader.ReadString('\n')
		switch {
		case err != nil:
			return fmt.Errorf("the leaf runs, but JetStream domain %q of the hub does not answer: wrong address, credentials or domain, or the hub is away", domain)
		case strings.HasPrefix(line, "MSG "):
			return nil
		case strings.HasPrefix(line, "HMSG "): // headers only: no responders
			return fmt.Errorf("the leaf has no connection to a hub with JetStream domain %q: wrong address, credentials or domain, or the hub is away", domain)
		case strings.HasPrefix(line, "-ERR"):
			return fmt.Errorf("the leaf refuses: %s", strings.TrimSpace(line[len("-ERR"):]))
		case strings.HasPrefix(line, "PING"):
			if _, err := conn.Write([]byte("PONG\r\n")); err != nil {
				return fmt.Errorf("the leaf closed the connection: %w", err)
			}
		}
	}
}
