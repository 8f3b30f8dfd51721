package binding

import (
	"slices"
	"testing"
	"time"
)

func TestResolve(t *testing.T) {
	set := NewSet([]Binding{{Lattice: "shared", Namespaces: []string{"both"}}})
	set.SetHostGroups([]HostGroup{
		{Namespace: "both", Name: "a", Lattice: "east", Created: time.Unix(2, 0)},
		{Namespace: "one", Name: "b", Lattice: "east", Created: time.Unix(1, 0)},
	})
	for _, test := range []struct {
		name, namespace, named string
		lattice                string
		reason                 Reason
	}{
		{"the only one", "one", "", "east", Bound},
		{"named and bound", "both", "shared", "shared", Bound},
		{"several and none named", "both", "", "", Ambiguous},
		{"none", "empty", "", "", NoLattice},
		{"named but not bound", "one", "shared", "", NotBound},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := set.Resolve(test.namespace, test.named)
			if got.Lattice != test.lattice || got.Reason != test.reason || got.Message == "" {
				t.Errorf("Resolve(%q, %q) = %+v; want lattice %q, reason %s and a message", test.namespace, test.named, got, test.lattice, test.reason)
			}
		})
	}
}

func TestHomes(t *testing.T) {
	set := NewSet([]Binding{
		{Lattice: "everywhere"}, {Lattice: "static", Namespaces: []string{"first", "second"}},
		{Lattice: "said", Namespaces: []string{"first", "second"}, Home: "second"},
	})
	set.SetHostGroups([]HostGroup{
		{Namespace: "young", Name: "a", Lattice: "east", Created: time.Unix(2, 0)},
		{Namespace: "old", Name: "b", Lattice: "east", Created: time.Unix(1, 0)},
		{Namespace: "old", Name: "c", Lattice: "east", Created: time.Unix(3, 0)},
		{Namespace: "group", Name: "d", Lattice: "static", Created: time.Unix(1, 0)},
	})
	for lattice, want := range map[string][]string{
		"everywhere": {"default"}, "static": {"first", "second", "group"}, "said": {"second", "first"}, "east": {"old", "young"}, "unknown": nil,
	} {
		if got := set.Homes(lattice); !slices.Equal(got, want) {
			t.Errorf("Homes(%q) = %q; want %q", lattice, got, want)
		}
	}
}

func TestChangedFiresOnlyOnChange(t *testing.T) {
	set := NewSet(nil)
	groups := []HostGroup{{Namespace: "n", Name: "a", Lattice: "l"}}
	first := set.Changed()
	set.SetHostGroups(groups)
	select {
	case <-first:
	default:
		t.Fatal("a new host group did not close the channel")
	}
	second := set.Changed()
	set.SetHostGroups(groups)
	select {
	case <-second:
		t.Fatal("the same host groups closed the channel")
	default:
	}
}

func TestNamespaces(t *testing.T) {
	set := NewSet([]Binding{{Lattice: "everywhere"}, {Lattice: "east", Namespaces: []string{"static"}}})
	set.SetHostGroups([]HostGroup{
		{Namespace: "one", Name: "a", Lattice: "east"}, {Namespace: "one", Name: "b", Lattice: "east"},
	})
	if names, every := set.Namespaces("east"); every || !slices.Equal(names, []string{"one", "static"}) {
		t.Errorf("Namespaces(east) = %v, %v; want each once", names, every)
	}
	if _, every := set.Namespaces("everywhere"); !every {
		t.Error("Namespaces(everywhere) does not say that all belong to it")
	}
}
