package scaler

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/manifest"
)

// Upstream's end-to-end tests of wadm, with its manifests, on its hosts: two in each of three regions.

// holds is what a lattice runs: instances of each id by image, in each region where asked, links with their configurations,
// and configurations with their values.
func (l *lab) holds(byRegion bool) (out []string) {
	counts := map[string]uint32{}
	count := func(h *Host, id string, i Instance) {
		key := id + " " + i.Image
		if byRegion {
			key += " " + h.Labels["region"]
		}
		counts[key] += i.Count
	}
	for _, h := range l.hosts {
		for id, i := range h.Components {
			count(h, id, i)
		}
		for id, i := range h.Providers {
			count(h, id, i)
		}
	}
	for key, n := range counts {
		out = append(out, fmt.Sprintf("%s: %d", key, n))
	}
	for source := range l.links {
		for _, k := range l.stored(source) {
			out = append(out, fmt.Sprintf("%s -%s-> %s %v %v", k.SourceID, k.Name, k.Target, k.SourceConfig, k.TargetConfig))
		}
	}
	for name := range l.configs {
		out = append(out, "config "+name)
	}
	slices.Sort(out)
	return out
}

func (l *lab) has(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// undeploy removes what an application runs, and leaves nothing of it.
func (l *lab) undeploy(t *testing.T, m *manifest.Model) {
	t.Helper()
	l.settle(t, Want{Model: &manifest.Model{Name: m.Name}, Retired: retired(m)})
}

// retired is what a version put into the lattice.
func retired(m *manifest.Model) (r Retired) {
	for _, k := range m.Links {
		r.Links = append(r.Links, wantedLink(k))
	}
	for _, c := range m.Configs {
		r.Configs = append(r.Configs, c.Name)
	}
	return r
}

func TestUpstream_NoRequirements(t *testing.T) {
	l, m := newLab(regions()...), fixture(t, "wadm/simple.yaml")
	l.settle(t, Want{Model: m})
	l.has(t, "simple.yaml", l.holds(false),
		"http_hello_world ghcr.io/wasmcloud/components/http-hello-world-rust:0.1.0: 4",
		"http_server ghcr.io/wasmcloud/http-server:0.23.0: 1",
		"http_server -default-> http_hello_world [hello_simple-httpaddr] []",
		"config hello_simple-httpaddr")
	l.undeploy(t, m)
	l.has(t, "after undeploy", l.holds(false))
}

func TestUpstream_SpreadAllHosts(t *testing.T) {
	l := newLab(regions()...)
	for _, id := range []string{"NX", "NY"} { // upstream has five hosts on the east coast
		l.SetHost(host(id, "region", "us-brooks-east"))
	}
	l.settle(t, Want{Model: fixture(t, "wadm/all_hosts.yaml")})
	const component, provider = "hello_all_hosts-hello ghcr.io/wasmcloud/components/http-hello-world-rust:0.1.0 ", "hello_all_hosts-httpserver ghcr.io/wasmcloud/http-server:0.23.0 "
	counts := slices.DeleteFunc(l.holds(true), func(line string) bool { return !strings.Contains(line, " ghcr.io/") })
	l.has(t, "all_hosts.yaml", counts,
		component+"us-brooks-east: 2", component+"us-taylor-west: 2", component+"moon: 1",
		provider+"us-brooks-east: 2", provider+"us-taylor-west: 2", provider+"moon: 1")
}

func TestUpstream_LottaComponents(t *testing.T) {
	l, m := newLab(regions()...), fixture(t, "wadm/lotta_components.yaml")
	l.settle(t, Want{Model: m})
	if n := total(l, "lotta_components-hello"); n != 9001 {
		t.Errorf("%d instances, want 9001", n)
	}
	if out := Plan(Want{Model: m}, l.Lattice); !out.Converged {
		t.Errorf("not converged: %+v", out.Components)
	}
}

func TestUpstream_ComplexApp(t *testing.T) {
	l, m := newLab(regions()...), fixture(t, "wadm/complex.yaml")
	l.SetConfig("blobby-default-configuration-values", lattice.Config{"littleblobby": "tables"}, l.now)
	l.settle(t, Want{Model: m})
	l.has(t, "complex.yaml", l.holds(true),
		"littleblobbytables ghcr.io/wasmcloud/components/blobby-rust:0.4.0 us-brooks-east: 3", "littleblobbytables ghcr.io/wasmcloud/components/blobby-rust:0.4.0 us-taylor-west: 2",
		"http_server ghcr.io/wasmcloud/http-server:0.23.0 us-taylor-west: 2", "http_server ghcr.io/wasmcloud/http-server:0.23.0 moon: 1",
		"fileserver ghcr.io/wasmcloud/blobstore-fs:0.6.0 moon: 1",
		"littleblobbytables -default-> fileserver [] [complex-rootfs]", "http_server -default-> littleblobbytables [complex-httpaddr] []",
		"config blobby-default-configuration-values", "config complex-defaultcode", "config complex-defaultfs", "config complex-httpaddr", "config complex-rootfs")
	l.undeploy(t, m)
	l.has(t, "after undeploy, what is somebody else's", l.holds(true), "config blobby-default-configuration-values")
}

func TestUpstream_StopHostRebalance(t *testing.T) {
	l, m := newLab(regions()...), fixture(t, "wadm/host_stop.yaml")
	l.settle(t, Want{Model: m})
	east := func() (most string, sum uint32) {
		for id, h := range l.hosts {
			n := h.Components["host_stop-hello"].Count
			if sum += n; h.Labels["region"] != "us-brooks-east" && n > 0 {
				t.Errorf("%d instances on the host %s, which is not in the east", n, id)
			}
			if most == "" || n > l.hosts[most].Components["host_stop-hello"].Count {
				most = id
			}
		}
		return most, sum
	}
	most, sum := east()
	if sum != 5 {
		t.Fatalf("%d instances, want 5", sum)
	}
	l.RemoveHost(most)
	l.settle(t, Want{Model: m})
	if _, sum = east(); sum != 5 {
		t.Errorf("%d instances after host %s stopped, want 5", sum, most)
	}
}

func TestUpstream_Upgrade(t *testing.T) {
	l := newLab(regions()...)
	const dog, hello, counter, echo = "updateapp-dog_fetcher ghcr.io/wasmcloud/components/dog-fetcher-rust:", "http_hello_world ghcr.io/wasmcloud/components/http-hello-world-rust:0.1.0: 3",
		"updateapp-kvcounter ghcr.io/wasmcloud/components/http-keyvalue-counter-rust:0.1.0: 3", "updateapp-echo_messaging ghcr.io/wasmcloud/components/echo-messaging-rust:0.1.0: 1"
	old := fixture(t, "wadm/outdatedapp.yaml")
	l.settle(t, Want{Model: old})
	server := old.Component("httpserver").ID
	if got := l.holds(false); !slices.Contains(got, dog+"0.1.0: 5") || !slices.Contains(got, hello) || !slices.Contains(got, counter) || !slices.Contains(got, server+" ghcr.io/wasmcloud/http-server:0.20.1: 1") {
		t.Fatalf("outdatedapp runs %q", got)
	}
	next := fixture(t, "wadm/upgradedapp.yaml")
	l.settle(t, Want{Model: next, Retired: retired(old)})
	l.has(t, "upgradedapp.yaml", l.holds(false),
		dog+"0.1.1: 5", hello, echo, server+" ghcr.io/wasmcloud/http-server:0.23.0: 1",
		server+" -hello-> http_hello_world [updateapp-hello_world_address] []", server+" -dog-> updateapp-dog_fetcher [updateapp-dog_fetcher_address] []",
		"config updateapp-hello_world_address", "config updateapp-dog_fetcher_address")
	if got := l.configs["updateapp-hello_world_address"]; !strings.Contains(fmt.Sprint(got), "8082") {
		t.Errorf("the address of the link is %v, want port 8082", got)
	}
	last := fixture(t, "wadm/upgradedapp2.yaml")
	l.settle(t, Want{Model: last, Retired: retired(next)})
	if out := Plan(Want{Model: last}, l.Lattice); !out.Converged {
		t.Errorf("upgradedapp2 is not deployed: %+v", out.Components)
	}
	l.undeploy(t, last)
	l.has(t, "after undeploy", l.holds(false))
}

// The owner of shared components runs them, each once, and the user links to them; none disturbs the other.
func TestUpstream_SharedProviders(t *testing.T) {
	l := newLab(regions()...)
	owner, user := fixture(t, "wadm/shared/shared_http.yaml"), fixture(t, "wadm/shared/shared_http_dev.yaml")
	if out := Plan(Want{Model: user}, l.Lattice); out.Converged || len(out.Components) == 0 {
		t.Error("the user is deployed without the owner")
	}
	for range 2 {
		l.settle(t, Want{Model: owner})
		l.settle(t, Want{Model: user})
	}
	got := l.holds(false)
	for _, id := range []string{"shared_http-httpserver", "shared_http-httpclient"} {
		if !slices.ContainsFunc(got, func(line string) bool { return strings.HasPrefix(line, id+" ") && strings.HasSuffix(line, ": 1") }) {
			t.Errorf("%s does not run once: %q", id, got)
		}
	}
	for _, link := range []string{"shared_http-httpserver -default-> shared_http_dev-hello [shared_http_dev-httpaddr]", "shared_http_dev-hello -default-> shared_http-httpclient"} {
		if !slices.ContainsFunc(got, func(line string) bool { return strings.HasPrefix(line, link) }) {
			t.Errorf("there is no link %s: %q", link, got)
		}
	}
	for _, m := range []*manifest.Model{owner, user} {
		if out := Plan(Want{Model: m}, l.Lattice); !out.Converged || len(out.Commands) > 0 {
			t.Errorf("%s is not deployed: %+v", m.Name, out)
		}
	}
}

func TestUpstream_SharedComponents(t *testing.T) {
	l := newLab(regions()...)
	owner, user := fixture(t, "wadm/shared/shared_component.yaml"), fixture(t, "wadm/shared/shared_component_dev.yaml")
	for range 2 {
		l.settle(t, Want{Model: owner})
		l.settle(t, Want{Model: user})
	}
	links := 0
	var counts []string
	for _, line := range l.holds(false) {
		switch {
		case strings.Contains(line, "->"):
			links++
		case !strings.HasPrefix(line, "config "):
			counts = append(counts, line[strings.LastIndex(line, " ")+1:])
		}
	}
	slices.Sort(counts)
	if links != 3 || !slices.Contains(counts, "12") || !slices.Contains(l.holds(false), "config shared_component_dev-someconfig") {
		t.Errorf("%d links, counts %v: %q", links, counts, l.holds(false))
	}
	for _, m := range []*manifest.Model{owner, user} {
		if out := Plan(Want{Model: m}, l.Lattice); !out.Converged || len(out.Commands) > 0 {
			t.Errorf("%s is not deployed: %+v", m.Name, out)
		}
	}
}
