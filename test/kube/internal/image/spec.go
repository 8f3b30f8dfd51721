// Package image builds container images from programs, in process and without
// a container engine, and moves them to where the cluster finds them.
package image

import (
	"path"
	"path/filepath"

	"github.com/trellis-operator/trellis/test/kube/internal/tools"
)

// Names of the images that the harness builds.
const (
	prefix   = "ghcr.io/trellis-operator/"
	Pause    = prefix + "pause:3"
	CoreDNS  = prefix + "coredns:1"
	Registry = prefix + "registry:3"
	NATS     = prefix + "nats:2.15.2"
	Trellis  = prefix + "trellis"      // without tag
	Host     = prefix + "trellis-host" // without tag
)

// user is whom the images run as: nobody who exists on a machine. A number,
// because that is what Kubernetes can check.
const user = "65532:65532"

// Spec says what an image consists of.
type Spec struct {
	Ref string
	// Programs are files of the machine by their path in the image. What a
	// dynamically linked one needs comes along.
	Programs map[string]string
	// Files are further files by their path.
	Files map[string]string
	// Links are other names of files.
	Links      map[string]string
	Entrypoint []string
	Cmd        []string
}

// System are the images of the cluster itself; folder gives a tool's folder.
func System(folder func(tool string) string) []Spec {
	registry := single(Registry, folder(tools.Registry), "registry", "/bin/registry", "serve", registryConfigPath)
	registry.Files = map[string]string{registryConfigPath: registryConfig}
	return []Spec{
		single(Pause, folder(tools.Pause), "pause", "/pause"),
		single(CoreDNS, folder(tools.CoreDNS), "coredns", "/coredns"),
		registry,
		NATSSpec(folder(tools.NATS)),
	}
}

// NATSSpec plays the public NATS image: arguments go to nats-server, which
// lies in the path, and there is a default configuration.
func NATSSpec(folder string) Spec {
	spec := single(NATS, folder, "nats-server", "/usr/local/bin/nats-server", "--config", "/etc/nats/nats-server.conf")
	spec.Files = map[string]string{"/etc/nats/nats-server.conf": "host: 0.0.0.0\nport: 4222\n"}
	return spec
}

func single(ref, folder, program, at string, cmd ...string) Spec {
	return Spec{Ref: ref, Programs: map[string]string{at: filepath.Join(folder, program)}, Entrypoint: []string{at}, Cmd: cmd}
}

const registryConfigPath = "/etc/distribution/config.yml"

const registryConfig = `version: 0.1
log: {level: warn}
storage:
  filesystem: {rootdirectory: /var/lib/registry}
  delete: {enabled: true}
http: {addr: ":5000"}
`

// Project are the images of the project: its programs by path, each given
// path that is not empty. Programs of the operator's image lie side by side.
func Project(tag, trellis, helper, host string) []Spec {
	var specs []Spec
	if trellis != "" {
		spec := Spec{Ref: Trellis + ":" + tag, Programs: map[string]string{}, Entrypoint: []string{"/usr/local/bin/trellis"}}
		for _, file := range []struct{ name, path string }{{"trellis", trellis}, {"trellis-helper", helper}} {
			if file.path != "" {
				spec.Programs[path.Join("/usr/local/bin", file.name)] = file.path
			}
		}
		specs = append(specs, spec)
	}
	if host != "" {
		const at = "/usr/local/bin/trellis-host"
		specs = append(specs, Spec{Ref: Host + ":" + tag, Programs: map[string]string{at: host}, Entrypoint: []string{at},
			// Pods that wasmCloud's operator made call it so.
			Links: map[string]string{"/usr/local/bin/wasmcloud": at}})
	}
	return specs
}

// Program is the image of one program, by any name.
func Program(ref, file string) Spec {
	return single(ref, filepath.Dir(file), filepath.Base(file), "/usr/local/bin/"+filepath.Base(file))
}
