package apiserver

import (
	apiversion "k8s.io/apimachinery/pkg/version"
	"k8s.io/apiserver/pkg/util/compatibility"
	basecompatibility "k8s.io/component-base/compatibility"
)

// level is the version of Kubernetes whose API machinery this is, as /version tells it. A library knows no build, and its
// default is a placeholder that kubectl refuses to read.
type level struct {
	basecompatibility.EffectiveVersion
}

func apiLevel() level { return level{compatibility.DefaultBuildEffectiveVersion()} }

// Info implements compatibility.EffectiveVersion.
func (l level) Info() *apiversion.Info {
	info := l.EffectiveVersion.Info()
	if info == nil {
		return nil
	}
	info.GitVersion = "v" + l.BinaryVersion().String() + "+trellis"
	info.GitCommit, info.GitTreeState = "", ""
	return info
}
