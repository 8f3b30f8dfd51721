package manifest

import "github.com/trellis-operator/trellis/api/oam/v1beta1"

// Deployment says which version of an application should run.
type Deployment struct {
	// Undeployed: nothing should run.
	Undeployed bool
	// Version to run; empty: the current spec, whatever its version is called.
	Version string
	// Pinned by a Kubernetes user; wash's deploy and undeploy are refused then.
	Pinned bool
}

// Deployed decides which version runs: what a Kubernetes user pinned, else what wash deployed, else the latest.
func Deployed(annotations map[string]string) Deployment {
	pinned := annotations[v1beta1.DeployedVersionAnnotation]
	version := pinned
	if version == "" {
		version = annotations[v1beta1.WashDeployedVersionAnnotation]
	}
	d := Deployment{Pinned: pinned != ""}
	switch version {
	case v1beta1.DeployedNone:
		d.Undeployed = true
	case LatestVersion:
	default:
		d.Version = version
	}
	return d
}
