package rotation

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/policy"
	"github.com/trellis-operator/trellis/internal/secrets"
)

const (
	// refusalCounts is how long a refusal of a host that does not run the component counts: it tries again more often.
	refusalCounts  = 10 * time.Minute
	hostsShown     = 20
	longestMessage = 512
)

// sight is a Secret when it was last looked at.
type sight struct {
	Version
	// at is when the look began.
	at time.Time
	// failed: it could not be looked at.
	failed bool
}

// facts are all that is known of one wanted secret.
type facts struct {
	wanted Wanted
	// running are the hosts that run the component, outcomes what came of the requests of hosts.
	running  []string
	outcomes map[string]known
	// sight is nil for a Secret that was not looked at yet.
	sight *sight
	now   time.Time
}

// place is how a secret stands on one host.
type place struct {
	oam.SecretHost
	message string
	// change: the host was given another value than the Secret has, or it is not known which.
	change  change
	running bool
}

// change of a Secret, as far as a host is concerned.
type change int

const (
	unchanged change = iota
	// unknown: nothing tells what the host was given.
	unknown
	changed
)

// severity orders states; the last is shown.
var severity = []oam.SecretState{oam.SecretResolved, oam.SecretStale, oam.SecretPending, oam.SecretMissing, oam.SecretDenied}

// judge says how a wanted secret stands on each host that has to do with it, those first where something is wrong.
func judge(f facts) []place {
	var places []place
	hosts := map[string]bool{}
	for _, host := range f.running {
		hosts[host] = true
		places = append(places, f.runs(host, f.outcomes[host]))
	}
	for host, k := range f.outcomes {
		if !hosts[host] && k.denied() && f.now.Sub(k.refused.Time) < refusalCounts {
			places = append(places, f.refused(place{SecretHost: oam.SecretHost{HostID: host}}, k.refused))
		}
	}
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(slices.Index(severity, b.State)-slices.Index(severity, a.State), strings.Compare(a.HostID, b.HostID))
	})
	return places
}

// runs judges a host that runs the component.
func (f facts) runs(host string, k known) place {
	p := place{SecretHost: oam.SecretHost{HostID: host}, running: true}
	if k.given == nil {
		p.change = unknown
	} else {
		p.Version = k.given.Version
		p.change = f.compare(k.given)
		if k.denied() && p.change == unchanged {
			p.change = unknown // whether it would be given now
		}
	}
	switch {
	case k.denied():
		return f.refused(p, k.refused)
	case p.change == unknown:
		p.State, p.message = oam.SecretPending, "A host runs it, and what that was given is not known."
		if !f.wanted.Provider {
			p.message += " It is asked to fetch it again, where it can."
		}
	case p.change == changed && f.sight.ResourceVersion == "":
		p.State, p.message = oam.SecretMissing, fmt.Sprintf("There is no Secret %s any more; what runs keeps the value that it was given. Create it.", f.wanted.Secret)
	case p.change == changed:
		p.State, p.message = oam.SecretStale, f.stale()
	default:
		p.State = oam.SecretResolved
		if f.sight != nil && f.sight.failed {
			p.message = fmt.Sprintf("Whether Secret %s has changed since can't be seen; the operator's log says why.", f.wanted.Secret)
		}
	}
	return p
}

// compare says whether the Secret has changed since a host was given its value. What was seen before is no judge of what was
// given after.
func (f facts) compare(given *noted) change {
	if f.sight == nil || f.sight.failed || f.sight.ResourceVersion == given.Version || !f.sight.at.After(given.arrived) {
		return unchanged
	}
	return changed
}

// overtaken says whether a host was given another value than was last seen, after that: it is time to look again.
func (f facts) overtaken() bool {
	for _, k := range f.outcomes {
		if k.given != nil && f.sight != nil && f.sight.ResourceVersion != k.given.Version && !f.sight.at.After(k.given.arrived) {
			return true
		}
	}
	return false
}

func (f facts) refused(p place, n *noted) place {
	p.message = n.Reason
	switch n.Kind {
	case secrets.SecretNotFound:
		p.State = oam.SecretMissing
	case secrets.UpstreamError, secrets.EncryptionError:
		p.State = oam.SecretPending
	default:
		p.State = oam.SecretDenied
	}
	return p
}

// stale says what becomes of a value that is older than the Secret.
func (f facts) stale() string {
	w := f.wanted
	text := fmt.Sprintf("Secret %s has changed since a host was given its value", w.Secret)
	switch {
	case w.Reference.Version != "":
		return fmt.Sprintf("%s, and the manifest names its resourceVersion %s. Write the new one, or leave version out.", text, w.Reference.Version)
	case w.Rotation == policy.RotationManual:
		return text + ", and rotation is manual. Undeploy and deploy the application, or roll the hosts."
	case !w.follows():
		return text + ". Capability providers get a new one when they start: undeploy and deploy the application, or set rotation to restart."
	}
	return text + ". The new value is on its way."
}

// follows says whether new values are brought to what runs. To a provider they come only when it is stopped and started,
// which is done where somebody asks for it.
func (w Wanted) follows() bool {
	if w.Provider && w.Rotation != policy.RotationRestart {
		return false
	}
	return w.Reference.Version == "" && w.Rotation != policy.RotationManual
}

// tell makes the status of a wanted secret.
func (f facts) tell(places []place) oam.SecretStatus {
	st := oam.SecretStatus{Component: f.wanted.Component, Name: f.wanted.Name, State: oam.SecretPending, HostCount: int32(min(len(places), 1<<30))}
	if f.sight != nil && f.shown(places) {
		st.Version = f.sight.ResourceVersion
	}
	if len(places) == 0 {
		st.Message = "No host has asked for it yet."
		return st
	}
	st.State, st.Message = places[0].State, shorten(places[0].message)
	for _, p := range places[:min(len(places), hostsShown)] {
		st.Hosts = append(st.Hosts, p.SecretHost)
	}
	return st
}

// shown says whether the version that was seen is told: that of a Secret which nobody may have is nobody's business.
func (f facts) shown(places []place) bool {
	return slices.ContainsFunc(places, func(p place) bool { return p.running && p.Version != "" }) && !f.overtaken()
}

func shorten(s string) string {
	if len(s) <= longestMessage {
		return s
	}
	return strings.ToValidUTF8(s[:longestMessage], "") + "…"
}
