package apiserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// refuseDuplicates answers an apply patch with two components of one name. k8s.io/apiserver finds them too, before any
// validation of ours, and answers 500 as if the server were broken; everybody else's duplicates reach the validation.
func refuseDuplicates(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPatch || !isApply(r.Header.Get("Content-Type")) {
			next.ServeHTTP(w, r)
			return
		}
		// One byte more than is allowed, so that what is too large is still refused by those who count.
		body, err := io.ReadAll(io.LimitReader(r.Body, maxPatchBytes+1))
		if err != nil {
			writeStatus(w, apierrors.NewBadRequest("the body of the patch could not be read: "+err.Error()))
			return
		}
		if refusal := duplicateComponents(body); refusal != nil {
			writeStatus(w, refusal)
			return
		}
		r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), r.Body))
		next.ServeHTTP(w, r)
	})
}

// maxPatchBytes is what k8s.io/apiserver accepts as a body.
const maxPatchBytes = 3 << 20

func isApply(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && strings.HasPrefix(media, strings.TrimSuffix(string(types.ApplyYAMLPatchType), "+yaml"))
}

// duplicateComponents returns the refusal of a body, or nil; a body that cannot be read is somebody else's to refuse.
func duplicateComponents(body []byte) *apierrors.StatusError {
	var app struct {
		Metadata struct {
			Name string `json:"name"`
		} `json:"metadata"`
		Spec struct {
			Components []struct {
				Name string `json:"name"`
			} `json:"components"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(body, &app); err != nil {
		return nil
	}
	var faults field.ErrorList
	seen := map[string]bool{}
	for i, c := range app.Spec.Components {
		if seen[c.Name] {
			faults = append(faults, field.Duplicate(field.NewPath("spec", "components").Index(i).Child("name"), c.Name))
		}
		seen[c.Name] = true
	}
	if len(faults) == 0 {
		return nil
	}
	return apierrors.NewInvalid(v1beta1.SchemeGroupVersion.WithKind("Application").GroupKind(), app.Metadata.Name, faults)
}

func writeStatus(w http.ResponseWriter, refusal *apierrors.StatusError) {
	status := refusal.Status()
	status.Kind, status.APIVersion = "Status", "v1"
	body, err := json.Marshal(status)
	if err != nil {
		http.Error(w, errors.Join(refusal, err).Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(int(status.Code))
	_, _ = w.Write(body) // a client that is gone needs no answer
}
