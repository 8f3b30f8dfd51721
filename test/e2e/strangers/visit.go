// Package strangers is what somebody without credentials tries: it connects, asks and says hello, and reports what came
// back. A test runs it in a pod.
package strangers

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	scanners    = 256
	scanTimeout = time.Second
	timeout     = 10 * time.Second
	// bodyLimit is how much of an answer is reported.
	bodyLimit = 4 << 10
)

// Visit is what to try.
type Visit struct {
	// Scan are hosts of which every port is tried.
	Scan []string `json:"scan,omitempty"`
	// Get are addresses to ask over HTTP.
	Get []string `json:"get,omitempty"`
	// CA and ServerName are for https addresses.
	CA         string `json:"ca,omitempty"`
	ServerName string `json:"serverName,omitempty"`
	// NATS are addresses to speak to as each of the clients.
	NATS    []string `json:"nats,omitempty"`
	Clients []string `json:"clients,omitempty"`
}

// Report is what came back.
type Report struct {
	Open    map[string][]int  `json:"open,omitempty"`
	Answers map[string]Answer `json:"answers,omitempty"`
	Said    []Said            `json:"said,omitempty"`
}

// Answer is one of HTTP.
type Answer struct {
	Status int    `json:"status"`
	Body   string `json:"body"`
	Error  string `json:"error,omitempty"`
}

// Said is what a NATS server said to a client until it refused it, let it in, or closed.
type Said struct {
	Address string `json:"address"`
	Client  string `json:"client"`
	Refused bool   `json:"refused"`
	Words   string `json:"words"`
}

// Do tries everything, one after the other.
func (v Visit) Do(ctx context.Context) Report {
	report := Report{Open: map[string][]int{}, Answers: map[string]Answer{}}
	for _, host := range v.Scan {
		report.Open[host] = scan(ctx, host)
	}
	for _, url := range v.Get {
		report.Answers[url] = v.get(ctx, url)
	}
	for _, address := range v.NATS {
		for _, client := range v.Clients {
			report.Said = append(report.Said, greet(ctx, address, client))
		}
	}
	return report
}

// get asks once, over a connection of its own and without any proxy.
func (v Visit) get(ctx context.Context, url string) Answer {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(v.CA))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: v.ServerName}, DisableKeepAlives: true}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return Answer{Error: err.Error()}
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return Answer{Error: err.Error()}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, bodyLimit))
	answer := Answer{Status: response.StatusCode, Body: string(body)}
	if err != nil {
		answer.Error = err.Error()
	}
	return answer
}

// greet speaks the first lines of the NATS protocol. A leaf's port speaks them too.
func greet(ctx context.Context, address, client string) Said {
	said := Said{Address: address, Client: client}
	dialer := net.Dialer{Timeout: timeout}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		said.Words = err.Error()
		return said
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		said.Words = err.Error()
		return said
	}
	fmt.Fprintf(conn, "CONNECT %s\r\nPING\r\n", client)
	for lines := bufio.NewScanner(conn); lines.Scan() && !said.Refused; {
		line := lines.Text()
		said.Refused = strings.HasPrefix(strings.ToLower(line), "-err 'authorization violation")
		said.Words += line[:min(len(line), 600)] + "\n"
		if strings.HasPrefix(line, "PONG") {
			break
		}
	}
	return said
}

// scan lists the ports that take a connection.
func scan(ctx context.Context, host string) (open []int) {
	var lock sync.Mutex
	var group sync.WaitGroup
	for scanner := range scanners {
		group.Go(func() {
			for port := scanner + 1; port < 1<<16; port += scanners {
				dialer := net.Dialer{Timeout: scanTimeout}
				conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(host, fmt.Sprint(port)))
				if err != nil {
					continue
				}
				conn.Close()
				lock.Lock()
				open = append(open, port)
				lock.Unlock()
			}
		})
	}
	group.Wait()
	slices.Sort(open)
	return open
}
