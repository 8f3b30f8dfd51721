package hostgroup

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/apply"
)

// gather reads what the group refers to. Secrets that Trellis makes for it are made here. A *problem says what is
// missing; any other error is one of the API.
func (r *Reconciler) gather(ctx context.Context, group *v1alpha1.WasmCloudHostConfig) (Inputs, error) {
	in := Inputs{Images: r.options.Images}
	var err error
	choice, p := chooseHub(group, r.options.Hub)
	if p != nil {
		return in, p
	}
	in.LeafURLs = choice.leafURLs
	if r.options.SecretsTopic != nil {
		in.SecretsTopic = r.options.SecretsTopic(group.Namespace, group.Name)
	}
	var parts []string
	note := func(part ...string) { parts = append(parts, part...) }
	for _, step := range []func() error{
		func() error { return r.gatherCredentials(ctx, group, choice, &in, note) },
		func() error { return r.gatherAuthorities(ctx, group, &in, note) },
		func() error { return r.gatherRegistry(ctx, group, &in, note) },
	} {
		if err := step(); err != nil {
			return in, err
		}
	}
	if in.Autoscaled, err = r.autoscaledReplicas(ctx, group); err != nil {
		return in, err
	}
	if len(parts) > 0 {
		in.Digest = apply.Digest(parts...)
	}
	return in, nil
}

// gatherCredentials puts what the leaf logs in with where its pod can mount it.
func (r *Reconciler) gatherCredentials(ctx context.Context, group *v1alpha1.WasmCloudHostConfig, choice hubChoice, in *Inputs, note func(...string)) error {
	access, err := ReadAccess(ctx, r.options.Live, group)
	if err != nil {
		return err
	}
	if access.TLS {
		note("tls", string(access.CA), string(access.Cert), string(access.Key))
	}
	if choice.issue {
		in.CredentialsSecret = group.Name + "-nats"
		creds, err := r.issue(ctx, group, in.CredentialsSecret)
		note("credentials", string(creds))
		return err
	}
	if group.Spec.SecretName == "" {
		return nil
	}
	login := access.Login
	note("credentials", string(login.Creds), string(login.Seed), login.User, login.Password)
	return r.mountLogin(ctx, group, login, in)
}

// mountLogin makes a Secret of the group from logins that no file of the user's Secret holds as NATS reads them.
func (r *Reconciler) mountLogin(ctx context.Context, group *v1alpha1.WasmCloudHostConfig, login Login, in *Inputs) error {
	name := group.Name + "-nats-login"
	if len(login.Creds) > 0 {
		in.CredentialsSecret = name
		if !login.derived {
			in.CredentialsSecret = group.Spec.SecretName
			return nil
		}
		return r.apply(ctx, group, credentialsSecret(group, name, map[string][]byte{v1alpha1.CredentialsKey: login.Creds}))
	}
	config, err := remoteConfig(in.LeafURLs, login)
	if err != nil {
		return invalid(v1alpha1.ReasonInvalidSpec, "%v: correct spec.natsAddress.", err)
	}
	in.RemoteSecret = name
	return r.apply(ctx, group, credentialsSecret(group, name, map[string][]byte{remoteKey: []byte(config)}))
}

// issue returns the credentials that Trellis made for the group, and makes them where there are none, or where their key
// or their rights are no longer what they should be.
func (r *Reconciler) issue(ctx context.Context, group *v1alpha1.WasmCloudHostConfig, name string) ([]byte, error) {
	var live corev1.Secret
	err := r.options.Live.Get(ctx, types.NamespacedName{Namespace: group.Namespace, Name: name}, &live)
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("reading Secret %s: %w", name, err)
	}
	credentials := r.options.Hub.Credentials
	if err == nil {
		if !metav1.IsControlledBy(&live, group) {
			return nil, nameTaken("Secret", name)
		}
		if old := live.Data[v1alpha1.CredentialsKey]; len(old) > 0 && credentials != nil && credentials.Valid(group, old) {
			return old, nil
		}
	}
	if credentials == nil {
		return nil, &problem{condition: v1alpha1.ConditionCredentials, reason: v1alpha1.ReasonNoIssuer, retry: retryIssuer,
			message: "The operator has no keys of its NATS: run the chart's init Job again (helm upgrade), or set spec.secretName."}
	}
	creds, err := credentials.Issue(group)
	var fault interface{ Field() string }
	if errors.As(err, &fault) {
		return nil, invalid(v1alpha1.ReasonInvalidSpec, "%v.", err)
	}
	if err != nil {
		return nil, &problem{condition: v1alpha1.ConditionCredentials, reason: v1alpha1.ReasonNoIssuer, retry: retryIssuer,
			message: fmt.Sprintf("No credentials for lattice %s could be made: %v.", group.Spec.Lattice, err)}
	}
	return creds, r.apply(ctx, group, credentialsSecret(group, name, map[string][]byte{v1alpha1.CredentialsKey: creds}))
}

func credentialsSecret(group *v1alpha1.WasmCloudHostConfig, name string, data map[string][]byte) *corev1.Secret {
	return &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: objectMeta(group, name),
		Type:       corev1.SecretTypeOpaque,
		Data:       data,
	}
}

func (r *Reconciler) gatherAuthorities(ctx context.Context, group *v1alpha1.WasmCloudHostConfig, in *Inputs, note func(...string)) error {
	if group.Spec.Certificates == nil {
		return nil
	}
	for _, a := range group.Spec.Certificates.Authorities {
		files, err := r.authorityFiles(ctx, group.Namespace, a)
		if err != nil {
			return err
		}
		found := Authority{CertificateAuthority: a}
		for _, key := range slices.Sorted(maps.Keys(files)) {
			if strings.HasSuffix(key, ".crt") {
				found.Keys = append(found.Keys, key)
				note("authority", a.Name, key, files[key])
			}
		}
		if len(found.Keys) == 0 {
			return incomplete("certificates.authorities[%s] has no key that ends in .crt: put a certificate there or remove the entry.", a.Name)
		}
		in.Authorities = append(in.Authorities, found)
	}
	return nil
}

func (r *Reconciler) authorityFiles(ctx context.Context, namespace string, a v1alpha1.CertificateAuthority) (map[string]string, error) {
	field := fmt.Sprintf("spec.certificates.authorities[%s]", a.Name)
	if a.Secret != nil {
		return readFiles(ctx, r.options.Live, namespace, a.Secret.SecretName, field)
	}
	return readConfigMap(ctx, r.options.Live, namespace, a.ConfigMap.Name, field)
}

func incomplete(format string, args ...any) *problem {
	return missing(v1alpha1.ReasonSecretIncomplete, format, args...)
}

func nameTaken(kind, name string) *problem {
	p := invalid(v1alpha1.ReasonNameTaken,
		"%s %s exists and does not belong to this host group: remove it, or create the group under another name.", kind, name)
	p.retry = lookAgain
	return p
}

// asProblem returns the problem within err, or nil.
func asProblem(err error) *problem {
	var p *problem
	if errors.As(err, &p) {
		return p
	}
	return nil
}
