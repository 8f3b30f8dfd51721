package policy

import (
	"maps"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

func (r *reader) serviceType(value string) {
	if r.word(value, string(corev1.ServiceTypeClusterIP), string(corev1.ServiceTypeNodePort), string(corev1.ServiceTypeLoadBalancer)) {
		r.settings.Service.Type = corev1.ServiceType(value)
	}
	r.withHeadless()
}

func (r *reader) headless(value string) {
	if r.word(value, "true", "false") {
		r.settings.Service.Headless = value == "true"
	}
	r.withHeadless()
}

// withHeadless: what has no address can't have one outside either.
func (r *reader) withHeadless() {
	if s := r.settings.Service; s.Headless && s.Type != "" && s.Type != corev1.ServiceTypeClusterIP {
		r.problem("", "a headless Service has no address, and one of type %s needs one; leave out headless or type", s.Type)
	}
}

func (r *reader) sessionAffinity(value string) {
	if r.word(value, string(corev1.ServiceAffinityNone), string(corev1.ServiceAffinityClientIP)) {
		r.settings.Service.SessionAffinity = corev1.ServiceAffinity(value)
	}
}

func (r *reader) sessionTimeout(value string) {
	const day = 86400
	n, err := strconv.ParseInt(value, 10, 32)
	switch {
	case err != nil || n < 1 || n > day:
		r.problem("", "%q is no number of seconds from 1 to %d; correct it", shorten(value), day)
	case r.current.Properties["sessionAffinity"] != string(corev1.ServiceAffinityClientIP):
		r.problem("", "it counts with session affinity only; set sessionAffinity to ClientIP in the same policy")
	case r.once(value):
		r.settings.Service.SessionTimeout = int32(n)
	}
}

func (r *reader) externalTraffic(value string) {
	if r.word(value, string(corev1.ServiceExternalTrafficPolicyCluster), string(corev1.ServiceExternalTrafficPolicyLocal)) {
		r.settings.Service.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicy(value)
	}
	if t := r.current.Properties["type"]; t != string(corev1.ServiceTypeNodePort) && t != string(corev1.ServiceTypeLoadBalancer) {
		r.problem("", "it counts for what comes from outside; set type to NodePort or LoadBalancer in the same policy")
	}
}

func (r *reader) internalTraffic(value string) {
	if r.word(value, string(corev1.ServiceInternalTrafficPolicyCluster), string(corev1.ServiceInternalTrafficPolicyLocal)) {
		r.settings.Service.InternalTrafficPolicy = corev1.ServiceInternalTrafficPolicy(value)
	}
}

func (r *reader) loadBalancerClass(value string) {
	if errs := validation.IsQualifiedName(value); len(errs) > 0 {
		r.problem("", "%q is no class; use a name with a domain, as example.com/internal", shorten(value))
		return
	}
	if r.current.Properties["type"] != string(corev1.ServiceTypeLoadBalancer) {
		r.problem("", "it counts for load balancers only; set type to LoadBalancer in the same policy")
		return
	}
	if r.once(value) {
		r.settings.Service.LoadBalancerClass = value
	}
}

func (r *reader) hostAddressLabel(value string) {
	if value == "" || len(value) > validation.LabelValueMaxLength {
		r.problem("", "%q is no label of hosts; write the name of the label that holds the address", shorten(value))
		return
	}
	if r.once(value) {
		r.settings.Service.HostAddressLabel = value
	}
}

func (r *reader) annotations(text string) {
	r.settings.Service.Annotations = r.keyed(text, r.settings.Service.Annotations, nil)
}

func (r *reader) labels(text string) {
	r.settings.Service.Labels = r.keyed(text, r.settings.Service.Labels, func(field, value string) {
		if len(validation.IsValidLabelValue(value)) > 0 {
			r.problem(field, "%q is no value of a label; use up to 63 letters, digits, -, _ and .", shorten(value))
		}
	})
}

// keyed reads a map of labels or annotations and adds it to what other policies say.
func (r *reader) keyed(text string, all map[string]string, check func(field, value string)) map[string]string {
	var written map[string]string
	if !r.decode(text, &written) {
		return all
	}
	return r.keys("", written, all, check)
}

func (r *reader) keys(at string, written, all map[string]string, check func(field, value string)) map[string]string {
	if all == nil {
		all = map[string]string{}
	}
	for _, key := range slices.Sorted(maps.Keys(written)) {
		field, value := at+"["+shorten(key)+"]", written[key]
		before, set := all[key]
		switch {
		case len(validation.IsQualifiedName(key)) > 0:
			r.problem(field, "this is no key of labels and annotations; use name or domain/name")
		case reserved(key):
			r.problem(field, "Trellis and Kubernetes set this key themselves; remove it")
		case set && before != value:
			r.problem(field, "another policy of the application sets it to %q; set it in one policy", shorten(before))
		case check != nil:
			check(field, value)
		}
		all[key] = value
	}
	return all
}
