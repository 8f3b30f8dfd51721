package natskeys

import (
	"cmp"
	"slices"

	"github.com/nats-io/jwt/v2"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/lattice"
)

// Names are how the subjects of an installation begin.
type Names struct {
	// Domain is that of JetStream in the hub.
	Domain string
	// SecretsPrefix begins the subjects on which hosts ask for secrets, of SecretsBackend.
	SecretsPrefix, SecretsBackend string
	// GroupPrefix is the prefix of one host group below SecretsPrefix.
	GroupPrefix func(prefix, namespace, group string) string
}

// HostPermissions returns what the leaves of a host group may send to the hub, and what they may receive: what hosts need in
// their lattice, and what the group's spec asks for. The error is a *SpecError where that is kept from host groups.
//
// There is no way to make a stream here, nor to change one: who can, makes JetStream send anything to any subject. Buckets of
// lattices are made by the operator. Nor is there a list of what is denied to receive: a leaf does not send either what it is
// denied to receive, so that no group could ask for secrets.
func HostPermissions(group *v1alpha1.WasmCloudHostConfig, names Names) (jwt.Permissions, error) {
	var out jwt.Permissions
	send, err := sentByHosts(group, names)
	if err != nil {
		return out, err
	}
	asked, err := sentBySpec(group, names)
	if err != nil {
		return out, err
	}
	hear, err := heardBySpec(group, names)
	if err != nil {
		return out, err
	}
	commands := subjectsOfCommands(&group.Spec)
	if err := mayBeHeard(commands, group, names); err != nil {
		return out, err
	}
	out.Pub.Allow = sorted(append(send, asked...))
	out.Sub.Allow = sorted(append(append(hear, calls(group.Spec.Lattice)...), commands, "_INBOX.>"))
	if group.Spec.SecretsTopicPrefix == names.SecretsPrefix {
		// What follows may also be a namespace of that name.
		out.Pub.Deny = jwt.StringList{names.SecretsPrefix + ".v1alpha1.*.v1alpha1.>"}
	}
	return out, nil
}

// calls are the subjects on which hosts and providers of a lattice call each other. The version of wRPC keeps them apart from
// subjects of secrets, whatever the name of the lattice is.
func calls(lattice string) []string {
	return []string{"wasmbus.rpc." + lattice + ".>", lattice + ".*.wrpc.0.0.1.>"}
}

// sentByHosts are the subjects on which hosts of every group send.
func sentByHosts(group *v1alpha1.WasmCloudHostConfig, names Names) ([]string, error) {
	name := group.Spec.Lattice
	drain, err := lattice.DrainSubject(name)
	if err != nil {
		return nil, err
	}
	out := append(calls(name), drain, "wasmbus.evt."+name+".>", "$JS."+names.Domain+".API.INFO",
		"_INBOX.>", "_R_.>") // answers, also to those who ask by way of another account
	for _, bucket := range []func(string) (string, error){lattice.DataBucket, lattice.ConfigBucket} {
		called, err := bucket(name)
		if err != nil {
			return nil, err
		}
		out = append(out, subjectsOfBucket(names.Domain, called)...)
	}
	// One by one: NATS tells a leaf of those who listen on a pattern only if what the leaf may send lies within it, or around it.
	asks := names.GroupPrefix(names.SecretsPrefix, group.Namespace, group.Name) + ".v1alpha1." + names.SecretsBackend
	return append(out, asks+".get", asks+".server_xkey"), nil
}

// subjectsOfCommands are those on which hosts of the group are commanded.
func subjectsOfCommands(s *v1alpha1.WasmCloudHostConfigSpec) string {
	return cmp.Or(s.ControlTopicPrefix, lattice.DefaultControlPrefix) + ".v1." + s.Lattice + ".>"
}

// subjectsOfBucket read, write and watch a KV bucket that exists.
func subjectsOfBucket(domain, bucket string) []string {
	api, stream := "$JS."+domain+".API.", "KV_"+bucket
	return []string{
		api + "STREAM.INFO." + stream,
		api + "STREAM.MSG.GET." + stream,
		api + "DIRECT.GET." + stream,
		api + "DIRECT.GET." + stream + ".>",
		api + "CONSUMER.CREATE." + stream,
		api + "CONSUMER.CREATE." + stream + ".>",
		api + "CONSUMER.INFO." + stream + ".*",
		api + "CONSUMER.DELETE." + stream + ".*",
		api + "$KV." + bucket + ".>",
		"$JS.FC." + stream + ".>", // answers to the flow control of a watch
	}
}

// subjectsOfBackends are around all that backends of secrets listen on below a prefix, whatever they are called.
func subjectsOfBackends(prefix string) string { return prefix + ".v1alpha1.*.>" }

// sentBySpec are the subjects that the group asks to send on.
func sentBySpec(group *v1alpha1.WasmCloudHostConfig, names Names) ([]string, error) {
	s := &group.Spec
	var out []string
	if s.ConfigServiceEnabled {
		out = append(out, "wasmbus.cfg."+s.Lattice+".req")
	}
	if p := s.PolicyService; p != nil && p.Topic != "" {
		if err := mayBeGiven("spec.policyService.topic", p.Topic, group, names); err != nil {
			return nil, err
		}
		out = append(out, p.Topic)
	}
	if s.SecretsTopicPrefix != "" {
		if err := mayAsk(s.SecretsTopicPrefix, group, names); err != nil {
			return nil, err
		}
		out = append(out, subjectsOfBackends(s.SecretsTopicPrefix))
	}
	if s.NATS == nil {
		return out, nil
	}
	for _, subject := range s.NATS.Publish {
		if err := mayBeGiven("spec.nats.publish", subject, group, names); err != nil {
			return nil, err
		}
		out = append(out, subject)
	}
	for _, bucket := range s.NATS.Buckets {
		if err := mayUse(bucket); err != nil {
			return nil, err
		}
		out = append(out, subjectsOfBucket(names.Domain, bucket)...)
	}
	return out, nil
}

// heardBySpec are the subjects that the group asks to listen on.
func heardBySpec(group *v1alpha1.WasmCloudHostConfig, names Names) ([]string, error) {
	s := &group.Spec
	var out []string
	if p := s.PolicyService; p != nil && p.ChangesTopic != "" {
		if err := mayBeGiven("spec.policyService.changesTopic", p.ChangesTopic, group, names); err != nil {
			return nil, err
		}
		out = append(out, p.ChangesTopic)
	}
	if s.NATS == nil {
		return out, nil
	}
	for _, subject := range s.NATS.Subscribe {
		if err := mayBeGiven("spec.nats.subscribe", subject, group, names); err != nil {
			return nil, err
		}
		out = append(out, subject)
	}
	return out, nil
}

func sorted(list []string) jwt.StringList {
	slices.Sort(list)
	return slices.Compact(list)
}
