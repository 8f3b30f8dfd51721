package apiserver

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestRefuseDuplicates(t *testing.T) {
	const twice = "metadata:\n  name: app\nspec:\n  components:\n  - name: a\n  - name: a\n"
	for _, test := range []struct {
		name, method, contentType, body string
		code                            int
		says                            string
	}{
		{"two of one name", http.MethodPatch, "application/apply-patch+yaml", twice, http.StatusUnprocessableEntity, "spec.components[1].name"},
		{"different names", http.MethodPatch, "application/apply-patch+yaml", strings.Replace(twice, "- name: a\n", "- name: b\n", 1), http.StatusOK, "- name: b"},
		{"another kind of patch", http.MethodPatch, "application/merge-patch+json", twice, http.StatusOK, "- name: a"},
		{"not a patch", http.MethodPost, "application/yaml", twice, http.StatusOK, "- name: a"},
		{"not YAML", http.MethodPatch, "application/apply-patch+yaml", "{", http.StatusOK, "{"},
	} {
		t.Run(test.name, func(t *testing.T) {
			echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
			request := httptest.NewRequest(test.method, "/", strings.NewReader(test.body))
			request.Header.Set("Content-Type", test.contentType)
			response := httptest.NewRecorder()
			refuseDuplicates(echo).ServeHTTP(response, request)
			if response.Code != test.code || !strings.Contains(response.Body.String(), test.says) {
				t.Errorf("%d %s; want %d and %q", response.Code, response.Body, test.code, test.says)
			}
		})
	}
}
