package grants

import (
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/policy"
	"github.com/trellis-operator/trellis/internal/secrets"
)

// value takes the answer out of a Secret, unless nobody may have it.
func value(secret *corev1.Secret, q secrets.Question, source policy.SecretSource) (secrets.Secret, error) {
	name := secret.Namespace + "/" + secret.Name
	switch {
	case secret.Type == corev1.SecretTypeServiceAccountToken:
		return secrets.Secret{}, unauthorized("Secret %s holds the token of a ServiceAccount, which no lattice gets", name)
	case closed(secret):
		return secrets.Secret{}, unauthorized("Secret %s is closed by %s: %s", name, v1alpha1.SecretsKey, v1alpha1.SecretsDeny)
	case q.Version != nil && *q.Version != "" && *q.Version != secret.ResourceVersion:
		return secrets.Secret{}, notFound("Secret %s has another resourceVersion than %q; correct the version in the manifest, or leave it out", name, *q.Version)
	}
	data, ok := secret.Data[q.Field]
	if !ok {
		return secrets.Secret{}, notFound("Secret %s has no key %q", name, q.Field)
	}
	isText := utf8.Valid(data)
	if !isText && source.Encoding == policy.EncodingText {
		return secrets.Secret{}, policyError("encoding: the value is no UTF-8 text; use binary, or leave the property out")
	}
	return secrets.Secret{
		Version: secret.ResourceVersion, Value: data, Binary: !isText || source.Encoding == policy.EncodingBinary, Namespace: secret.Namespace,
	}, nil
}

// closed says whether whoever owns a Secret keeps it from every lattice.
func closed(secret *corev1.Secret) bool {
	return secret.Labels[v1alpha1.SecretsKey] == v1alpha1.SecretsDeny || secret.Annotations[v1alpha1.SecretsKey] == v1alpha1.SecretsDeny
}
