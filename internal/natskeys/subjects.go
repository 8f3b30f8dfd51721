package natskeys

import (
	"regexp"
	"strings"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/lattice"
)

var (
	// subjectForm is that of the schema: tokens of printable ASCII, of which the first is no wildcard.
	subjectForm = regexp.MustCompile(`^[!-)+,/-=?-~-]+([.]([!-)+,/-=?-~-]+|[*]))*([.]>)?$`)
	prefixForm  = regexp.MustCompile(`^([A-Za-z0-9_-]+[.])*[A-Za-z0-9_-]+$`)
	bucketForm  = regexp.MustCompile(`^[A-Za-z0-9_-]{1,200}$`)
	bucketsKept = regexp.MustCompile(`^(LATTICEDATA_|CONFIGDATA_|TRELLIS|wadm_)`)
)

// mayBeGiven says whether a group may be given a subject.
func mayBeGiven(field, subject string, group *v1alpha1.WasmCloudHostConfig, names Names) error {
	if !subjectForm.MatchString(subject) || strings.HasPrefix(subject, "$") {
		return &SpecError{field, subject, "is no subject that can be given: it begins with a word, and subjects of NATS itself ($) are not given"}
	}
	for _, reserved := range reservedFor(group, names) {
		if overlap(subject, reserved) {
			return &SpecError{field, subject, "reaches " + reserved + ", which is kept from host groups"}
		}
	}
	return nil
}

// reservedFor are the subjects that give orders or ask in the name of others.
func reservedFor(group *v1alpha1.WasmCloudHostConfig, names Names) []string {
	out := []string{names.SecretsPrefix + ".>", lattice.DefaultControlPrefix + ".>", "wadm.>"}
	if own := group.Spec.ControlTopicPrefix; own != "" && own != lattice.DefaultControlPrefix {
		out = append(out, own+".>")
	}
	return out
}

// mayBeHeard says whether a group may be commanded on these subjects: it would hear what is asked there of others, and could
// answer in their place.
func mayBeHeard(commands string, group *v1alpha1.WasmCloudHostConfig, names Names) error {
	for _, reserved := range []string{names.SecretsPrefix + ".>", "wadm.>"} {
		if overlap(commands, reserved) {
			return &SpecError{"spec.controlTopicPrefix", group.Spec.ControlTopicPrefix, "reaches " + reserved + ", which is kept from host groups"}
		}
	}
	return nil
}

// mayAsk says whether the hosts of a group may ask for secrets below a prefix. That of Trellis itself is nobody's: a request
// there comes from an unknown group. Below it every prefix is that of one group.
func mayAsk(prefix string, group *v1alpha1.WasmCloudHostConfig, names Names) error {
	const field = "spec.secretsTopicPrefix"
	own := names.GroupPrefix(names.SecretsPrefix, group.Namespace, group.Name)
	switch {
	case prefix == own, prefix == names.SecretsPrefix:
		return nil
	case !prefixForm.MatchString(prefix):
		return &SpecError{field, prefix, "is not a NATS subject without wildcards"}
	case strings.HasPrefix(prefix, names.SecretsPrefix+"."):
		return &SpecError{field, prefix, "is not that of this group, which is " + own}
	}
	return mayBeGiven(field, subjectsOfBackends(prefix), group, names)
}

// mayUse says whether a group may be given a bucket.
func mayUse(bucket string) error {
	const field = "spec.nats.buckets"
	if !bucketForm.MatchString(bucket) {
		return &SpecError{field, bucket, "is no name of a bucket: it has letters, digits, '-' and '_' only"}
	}
	if bucketsKept.MatchString(bucket) {
		return &SpecError{field, bucket, "belongs to the lattice or to Trellis"}
	}
	return nil
}

// overlap says whether there is a subject that both patterns match.
func overlap(a, b string) bool {
	left, right := strings.Split(a, "."), strings.Split(b, ".")
	for i := 0; i < len(left) && i < len(right); i++ {
		switch {
		case left[i] == ">" || right[i] == ">":
			return true
		case left[i] != "*" && right[i] != "*" && left[i] != right[i]:
			return false
		}
	}
	return len(left) == len(right)
}
