package hostgroup

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

var (
	latticeName   = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)
	domainName    = regexp.MustCompile(`^[A-Za-z0-9_-]*$`)
	subjectPrefix = regexp.MustCompile(`^([A-Za-z0-9_-]+\.)*[A-Za-z0-9_-]+$`)
	urlPort       = regexp.MustCompile(`[^/:]:[0-9]+/?$`)
)

// validate looks at what the schema refuses today but objects stored under an older schema may hold.
func validate(group *v1alpha1.WasmCloudHostConfig) *problem {
	s := &group.Spec
	if !latticeName.MatchString(s.Lattice) {
		return invalid(v1alpha1.ReasonInvalidLattice,
			"The lattice name %q is not one NATS token: set spec.lattice to letters, digits, '-' and '_' only.", s.Lattice)
	}
	if errs := validation.IsDNS1123Label(group.Name); len(errs) > 0 {
		return invalid(v1alpha1.ReasonInvalidSpec,
			"The name %q can't be a label of pods: create the group again under a name of lower-case letters, digits and '-', 63 at most.", group.Name)
	}
	if strings.ContainsFunc(s.NatsAddress, unquotable) || urlPort.MatchString(s.NatsAddress) {
		return invalid(v1alpha1.ReasonInvalidSpec,
			"spec.natsAddress %q is not a URL without port: write nats://HOST and put ports into natsClientPort and natsLeafnodePort.", s.NatsAddress)
	}
	for _, domain := range []struct{ field, value string }{{"leafNodeDomain", s.LeafNodeDomain}, {"jetstreamDomain", s.JetstreamDomain}} {
		if !domainName.MatchString(domain.value) {
			return invalid(v1alpha1.ReasonInvalidSpec, "spec.%s %q is not a JetStream domain: use letters, digits, '-' and '_' only.", domain.field, domain.value)
		}
	}
	if p := validateSubjects(s); p != nil {
		return p
	}
	return validateParts(s)
}

func unquotable(r rune) bool { return r <= ' ' || r == '"' || r == 0x7f }

func validateSubjects(s *v1alpha1.WasmCloudHostConfigSpec) *problem {
	for _, topic := range []struct{ field, value string }{{"controlTopicPrefix", s.ControlTopicPrefix}, {"secretsTopicPrefix", s.SecretsTopicPrefix}} {
		if topic.value != "" && !subjectPrefix.MatchString(topic.value) {
			return invalid(v1alpha1.ReasonInvalidSpec, "spec.%s %q is not a NATS subject without wildcards: correct or remove it.", topic.field, topic.value)
		}
	}
	if p := s.PolicyService; p != nil && p.Topic == "" && (p.ChangesTopic != "" || p.TimeoutMs != nil) {
		return invalid(v1alpha1.ReasonInvalidSpec, "spec.policyService has no topic, and hosts refuse changesTopic and timeoutMs without one: set topic or remove them.")
	}
	return nil
}

func validateParts(s *v1alpha1.WasmCloudHostConfigSpec) *problem {
	for _, key := range slices.Sorted(maps.Keys(s.HostLabels)) { // in order, so that the message stays the same
		value := s.HostLabels[key]
		if key == "" || strings.ContainsAny(key, "= ,") || strings.ContainsFunc(key, unquotable) {
			return invalid(v1alpha1.ReasonInvalidSpec, "spec.hostLabels has the key %q, which no host takes: remove spaces, commas and '='.", key)
		}
		if !isEnvName(key) && strings.Contains(value, "=") {
			return invalid(v1alpha1.ReasonInvalidSpec, "spec.hostLabels[%s] has a '=' in its value, which hosts take only under keys of letters, digits, '.', '-' and '_'.", key)
		}
	}
	if p := validateAdded(s); p != nil {
		return p
	}
	if s.Certificates == nil {
		return nil
	}
	var names []string
	for _, a := range s.Certificates.Authorities {
		if (a.Secret == nil) == (a.ConfigMap == nil) {
			return invalid(v1alpha1.ReasonInvalidSpec, "spec.certificates.authorities[%s] needs exactly one of secret and configMap.", a.Name)
		}
		if slices.Contains(names, a.Name) {
			return invalid(v1alpha1.ReasonInvalidSpec, "spec.certificates.authorities has two entries of the name %s: rename one.", a.Name)
		}
		names = append(names, a.Name)
	}
	return nil
}

// validateAdded looks at what the schema can't tell.
func validateAdded(s *v1alpha1.WasmCloudHostConfigSpec) *problem {
	if s.SchedulingOptions != nil {
		for _, key := range slices.Sorted(maps.Keys(s.SchedulingOptions.PodLabels)) {
			if value := s.SchedulingOptions.PodLabels[key]; len(validation.IsQualifiedName(key)) > 0 || len(validation.IsValidLabelValue(value)) > 0 {
				return invalid(v1alpha1.ReasonInvalidSpec, "spec.schedulingOptions.podLabels[%s] is no label of Kubernetes: correct its key or value.", key)
			}
		}
	}
	if s.NATS == nil || s.NATS.LeafStorage == nil {
		return nil
	}
	for _, limit := range []struct {
		field string
		*resource.Quantity
	}{{"sizeLimit", s.NATS.LeafStorage.SizeLimit}, {"maxMemoryStore", s.NATS.LeafStorage.MaxMemoryStore}, {"maxFileStore", s.NATS.LeafStorage.MaxFileStore}} {
		if limit.Quantity != nil && limit.Sign() <= 0 {
			return invalid(v1alpha1.ReasonInvalidSpec, "spec.nats.leafStorage.%s is not above zero: correct or remove it.", limit.field)
		}
	}
	return nil
}

// isEnvName says whether every supported Kubernetes takes WASMCLOUD_LABEL_<key> as the name of a variable.
func isEnvName(key string) bool { return len(validation.IsEnvVarName("X"+key)) == 0 }
