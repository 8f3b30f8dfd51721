// Package binding knows which namespaces belong to which lattice. Bindings come from a static list (all of them in dev,
// an option in a cluster) and from the WasmCloudHostConfigs of the cluster; a Set holds both.
package binding

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Binding says that applications of some namespaces run in a lattice.
type Binding struct {
	// Lattice is the name of the lattice, one NATS token.
	Lattice string `json:"lattice"`
	// Namespaces that belong to the lattice; empty means every namespace.
	Namespaces []string `json:"namespaces,omitempty"`
	// Home is the namespace in which wash makes new applications. Default: the first of Namespaces, else `default`.
	Home string `json:"home,omitempty"`
}

func (b Binding) covers(namespace string) bool {
	return len(b.Namespaces) == 0 || slices.Contains(b.Namespaces, namespace)
}

func (b Binding) home() string {
	switch {
	case b.Home != "":
		return b.Home
	case len(b.Namespaces) > 0:
		return b.Namespaces[0]
	}
	return "default"
}

// HostGroup is what a WasmCloudHostConfig contributes: its namespace belongs to its lattice.
type HostGroup struct {
	Namespace, Name, Lattice string
	Created                  time.Time
}

// Reason says why a lattice was found or not; the values are condition reasons.
type Reason string

const (
	// Bound: the namespace belongs to the lattice.
	Bound Reason = "Bound"
	// NotBound: the application names a lattice that its namespace does not belong to.
	NotBound Reason = "NotBound"
	// NoLattice: the application names none, and its namespace belongs to none.
	NoLattice Reason = "NoLattice"
	// Ambiguous: the application names none, and its namespace belongs to several.
	Ambiguous Reason = "Ambiguous"
)

// Resolution is the answer to "which lattice".
type Resolution struct {
	// Lattice is empty unless Reason is Bound.
	Lattice string
	Reason  Reason
	// Message is a sentence with the next step.
	Message string
}

// Set holds all bindings of a process. It is safe for concurrent use.
type Set struct {
	mu      sync.RWMutex
	static  []Binding
	groups  []HostGroup
	changed chan struct{}
}

// NewSet returns a set of static bindings.
func NewSet(static []Binding) *Set {
	return &Set{static: slices.Clone(static), changed: make(chan struct{})}
}

// SetHostGroups replaces what the cluster's WasmCloudHostConfigs contribute.
func (s *Set) SetHostGroups(groups []HostGroup) {
	groups = slices.Clone(groups)
	slices.SortFunc(groups, func(a, b HostGroup) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Equal(groups, s.groups) {
		return
	}
	s.groups = groups
	close(s.changed)
	s.changed = make(chan struct{})
}

// Changed is closed at the next change of the set; ask again for the one after.
func (s *Set) Changed() <-chan struct{} {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.changed
}

// Lattices lists every bound lattice, sorted.
func (s *Set) Lattices() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var names []string
	for _, b := range s.static {
		names = append(names, b.Lattice)
	}
	for _, g := range s.groups {
		names = append(names, g.Lattice)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Homes are the namespaces in which wash may make new applications of a lattice, the best first: those of static bindings,
// then those of host groups, the oldest first. There is none when the lattice is not bound.
func (s *Set) Homes(lattice string) []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var names []string
	add := func(namespace string) {
		if !slices.Contains(names, namespace) {
			names = append(names, namespace)
		}
	}
	for _, b := range s.static {
		if b.Lattice == lattice {
			add(b.home())
			for _, namespace := range b.Namespaces {
				add(namespace)
			}
		}
	}
	for _, g := range s.groups {
		if g.Lattice == lattice {
			add(g.Namespace)
		}
	}
	return names
}

// Namespaces lists the namespaces that belong to a lattice, sorted; every is true when all of them do.
func (s *Set) Namespaces(lattice string) (names []string, every bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, b := range s.static {
		if b.Lattice != lattice {
			continue
		}
		if len(b.Namespaces) == 0 {
			return nil, true
		}
		names = append(names, b.Namespaces...)
	}
	for _, g := range s.groups {
		if g.Lattice == lattice {
			names = append(names, g.Namespace)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), false
}

// Resolve says which lattice an application of a namespace belongs to; named is the lattice that the application asks
// for, or empty.
func (s *Set) Resolve(namespace, named string) Resolution {
	bound := s.of(namespace)
	switch {
	case named != "" && slices.Contains(bound, named):
		return Resolution{Lattice: named, Reason: Bound, Message: "The namespace belongs to the lattice that the application names."}
	case named != "":
		return Resolution{Reason: NotBound, Message: fmt.Sprintf(
			"Namespace %q does not belong to lattice %q; create a WasmCloudHostConfig with this lattice in the namespace, or change the label.", namespace, named)}
	case len(bound) == 1:
		return Resolution{Lattice: bound[0], Reason: Bound, Message: "The namespace belongs to one lattice only."}
	case len(bound) == 0:
		return Resolution{Reason: NoLattice, Message: fmt.Sprintf(
			"Namespace %q belongs to no lattice; create a WasmCloudHostConfig in it.", namespace)}
	}
	return Resolution{Reason: Ambiguous, Message: fmt.Sprintf(
		"Namespace %q belongs to the lattices %s; choose one with the label k8s.wasmcloud.dev/lattice.", namespace, strings.Join(bound, ", "))}
}

func (s *Set) of(namespace string) []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var names []string
	for _, b := range s.static {
		if b.covers(namespace) {
			names = append(names, b.Lattice)
		}
	}
	for _, g := range s.groups {
		if g.Namespace == namespace {
			names = append(names, g.Lattice)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
