package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

// fromMemory is the verb of a get that kube-apiserver may answer from memory, as that of a Secret which may have changed.
const fromMemory = "look-at"

// audit reads how somebody writes from kube-apiserver's audit log.
type audit struct {
	file, user string
	offset     int64
}

// writes counts requests that changed something, or tried to, and the reads that the log has.
type writes struct {
	// of objects, by "verb resource/subresource".
	of map[string]int
	// leases are those of leader election; asked are reviews of who may do what, which store nothing.
	leases, asked int
}

// since reads what was added to the log since the last call.
func (a *audit) since() (writes, error) {
	file, err := os.Open(a.file)
	if err != nil {
		return writes{}, fmt.Errorf("read the audit log: %w", err)
	}
	defer func() { _ = file.Close() }()
	if _, err := file.Seek(a.offset, io.SeekStart); err != nil {
		return writes{}, fmt.Errorf("read the audit log: %w", err)
	}
	found := writes{of: map[string]int{}}
	for lines := bufio.NewReader(file); ; {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return found, nil // a line that is being written is read the next time
		}
		if err != nil {
			return found, fmt.Errorf("read the audit log: %w", err)
		}
		a.offset += int64(len(line))
		if err := found.note(line, a.user); err != nil {
			return found, err
		}
	}
}

// note counts a line if it is about that user, who may be impersonated.
func (w *writes) note(line []byte, user string) error {
	type named struct {
		Username string `json:"username"`
	}
	var event struct {
		Verb         string `json:"verb"`
		URI          string `json:"requestURI"`
		User         named  `json:"user"`
		Impersonated named  `json:"impersonatedUser"`
		Object       struct {
			Group       string `json:"apiGroup"`
			Resource    string `json:"resource"`
			Subresource string `json:"subresource"`
		} `json:"objectRef"`
	}
	if err := json.Unmarshal(line, &event); err != nil {
		return fmt.Errorf("read a line of the audit log: %w", err)
	}
	if event.User.Username != user && event.Impersonated.Username != user {
		return nil
	}
	switch event.Object.Group {
	case "coordination.k8s.io":
		w.leases++
	case "authorization.k8s.io", "authentication.k8s.io":
		w.asked++
	default:
		what := event.Object.Resource
		if event.Object.Subresource != "" {
			what += "/" + event.Object.Subresource
		}
		if event.Verb == "get" && strings.Contains(event.URI, "resourceVersion=0") {
			event.Verb = fromMemory
		}
		w.of[event.Verb+" "+what]++
	}
	return nil
}

// sum is how many there were of resources, or of all if none is named.
func (w writes) sum(resources ...string) int {
	sum := 0
	for what, n := range w.of {
		_, resource, _ := strings.Cut(what, " ")
		if len(resources) == 0 || slices.Contains(resources, resource) {
			sum += n
		}
	}
	return sum
}

// join adds others.
func (w *writes) join(others writes) {
	for what, n := range others.of {
		w.of[what] += n
	}
	w.leases, w.asked = w.leases+others.leases, w.asked+others.asked
}

// copy is as it is now.
func (w writes) copy() writes {
	w.of = maps.Clone(w.of)
	return w
}

func (w writes) String() string {
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(w.of)) {
		parts = append(parts, fmt.Sprintf("%d %s", w.of[what], what))
	}
	return strings.Join(append(parts, fmt.Sprintf("%d of leases", w.leases), fmt.Sprintf("%d reviews", w.asked)), ", ")
}
