package hostgroup

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

// Access is what the operator needs to reach the hub that a group names.
type Access struct {
	// URLs of the hub for clients.
	URLs  []string
	Login Login
	// TLS demands encryption. CA, Cert and Key are PEM, each empty where the group names none.
	TLS           bool
	CA, Cert, Key []byte
}

// ReadAccess reads the Secrets and ConfigMaps of the group anew. The error says which of them is missing or wrong.
func ReadAccess(ctx context.Context, reader client.Reader, group *v1alpha1.WasmCloudHostConfig) (Access, error) {
	s := &group.Spec
	port := s.NatsClientPort
	if port == 0 {
		port = 4222
	}
	access := Access{URLs: withPort(hubAddresses(s), port)}
	if s.SecretName != "" {
		secret, err := readSecret(ctx, reader, group.Namespace, s.SecretName, "spec.secretName")
		if err != nil {
			return access, err
		}
		login, p := loginOf(secret)
		if p != nil {
			return access, p
		}
		access.Login = login
	}
	if s.NATS == nil || s.NATS.TLS == nil {
		return access, nil
	}
	access.TLS = true
	return access, readTLS(ctx, reader, group.Namespace, s.NATS.TLS, &access)
}

func readTLS(ctx context.Context, reader client.Reader, namespace string, tls *v1alpha1.NATSTLS, access *Access) error {
	if ca := tls.CertificateAuthority; ca != nil {
		const field = "spec.nats.tls.certificateAuthority"
		key := orDefault(ca.Key, hubAuthorityKey)
		kind, name := "ConfigMap", ca.ConfigMapName
		read := readConfigMap
		if ca.SecretName != "" {
			kind, name, read = "Secret", ca.SecretName, readFiles
		}
		files, err := read(ctx, reader, namespace, name, field)
		if err != nil {
			return err
		}
		if access.CA = []byte(files[key]); len(access.CA) == 0 {
			return incomplete("%s %s of %s has no key %s: put the certificates there, or name their key in %s.key.", kind, name, field, key, field)
		}
	}
	if tls.CertificateSecret == "" {
		return nil
	}
	const field = "spec.nats.tls.certificateSecret"
	secret, err := readSecret(ctx, reader, namespace, tls.CertificateSecret, field)
	if err != nil {
		return err
	}
	access.Cert, access.Key = secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey]
	if len(access.Cert) == 0 || len(access.Key) == 0 {
		return incomplete("Secret %s of %s lacks %s or %s: make it with kubectl create secret tls.", tls.CertificateSecret, field, corev1.TLSCertKey, corev1.TLSPrivateKeyKey)
	}
	return nil
}

// readSecret reads a Secret that the user named.
func readSecret(ctx context.Context, reader client.Reader, namespace, name, field string) (*corev1.Secret, error) {
	var secret corev1.Secret
	err := reader.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, &secret)
	if apierrors.IsNotFound(err) {
		return nil, missing(v1alpha1.ReasonSecretNotFound, "Secret %s of %s does not exist: create it in namespace %s.", name, field, namespace)
	} else if err != nil {
		return nil, fmt.Errorf("reading Secret %s: %w", name, err)
	}
	return &secret, nil
}

// readFiles returns the content of a Secret that the user named.
func readFiles(ctx context.Context, reader client.Reader, namespace, name, field string) (map[string]string, error) {
	secret, err := readSecret(ctx, reader, namespace, name, field)
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for key, value := range secret.Data {
		files[key] = string(value)
	}
	return files, nil
}

// readConfigMap returns the content of a ConfigMap that the user named.
func readConfigMap(ctx context.Context, reader client.Reader, namespace, name, field string) (map[string]string, error) {
	var configMap corev1.ConfigMap
	err := reader.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, &configMap)
	if apierrors.IsNotFound(err) {
		return nil, missing(v1alpha1.ReasonSecretNotFound, "ConfigMap %s of %s does not exist: create it in namespace %s.", name, field, namespace)
	} else if err != nil {
		return nil, fmt.Errorf("reading ConfigMap %s: %w", name, err)
	}
	files := map[string]string{}
	for key, value := range configMap.BinaryData {
		files[key] = string(value)
	}
	maps.Copy(files, configMap.Data)
	return files, nil
}
