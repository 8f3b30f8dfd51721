package hostgroup

import (
	"encoding/json"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// TestRegistry: any docker configuration is mounted; one registry is handed to hosts that know one, by reference.
func TestRegistry(t *testing.T) {
	for name, tc := range map[string]struct {
		config string
		login  map[string]string // what hosts that know one registry get
	}{
		"kubectl create secret": {`{"auths":{"r.example.com":{"username":"u","password":"topsecret","auth":"dTp0b3BzZWNyZXQ="}}}`,
			map[string]string{"registry": "r.example.com", "username": "u", "password": "topsecret"}},
		"docker login": {`{"auths":{"https://index.docker.io/v1/":{"auth":"dTp0b3BzZWNyZXQ="}}}`,
			map[string]string{"registry": "docker.io", "username": "u", "password": "topsecret"}},
		"several": {`{"auths":{"a.example.com":{"auth":"dTp0b3BzZWNyZXQ="},"b.example.com":{"auth":"dTp0b3BzZWNyZXQ="}}}`, nil},
		"useless": {`{"auths":{"a.example.com":{"auth":"???"}}}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			group := loadGroup(t, minimalGroup)
			group.Spec.RegistryCredentialsSecret = "mine"
			w := newWorld(t, true, group, secretOf(map[string]string{corev1.DockerConfigJsonKey: tc.config}))
			w.reconcile()
			w.expect(map[string]string{"Credentials": "True/CredentialsReady"})
			deployment := get[appsv1.Deployment](w, "hosts")
			text, err := json.Marshal(deployment)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text), "topsecret") || strings.Contains(string(text), "dTp0b3BzZWNyZXQ=") {
				t.Error("the pod template holds the password")
			}
			env := map[string]corev1.EnvVar{}
			for _, v := range deployment.Spec.Template.Spec.Containers[0].Env {
				env[v.Name] = v
			}
			if env["DOCKER_CONFIG"].Value != registryDir {
				t.Error("the docker configuration is not mounted")
			}
			if _, has := env["WASMCLOUD_OCI_REGISTRY_PASSWORD"]; has != (tc.login != nil) {
				t.Errorf("hosts get one registry: %v", has)
			}
			if tc.login == nil {
				return
			}
			for variable, key := range map[string]string{"WASMCLOUD_OCI_REGISTRY": "registry",
				"WASMCLOUD_OCI_REGISTRY_USER": "username", "WASMCLOUD_OCI_REGISTRY_PASSWORD": "password"} {
				from := env[variable].ValueFrom.SecretKeyRef
				if got := string(get[corev1.Secret](w, from.Name).Data[from.Key]); got != tc.login[key] {
					t.Errorf("%s = %q, want %q", variable, got, tc.login[key])
				}
			}
			w.atRest()
		})
	}
}
