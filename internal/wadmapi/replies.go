package wadmapi

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// encode writes compact JSON as wadm does: no HTML escapes, no newline at the end.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encode an answer: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Results, as spelled on the wire.
const (
	resultError        = "error"
	resultSuccess      = "success"
	resultNotFound     = "notfound"
	resultCreated      = "created"
	resultNewVersion   = "newversion"
	resultDeleted      = "deleted"
	resultNoop         = "noop"
	resultAcknowledged = "acknowledged"
	resultOK           = "ok"
)

// errorReply is what every operation may answer. versions is there because wadm's client cannot read an error of
// `versions` without it.
type errorReply struct {
	Message  string          `json:"message"`
	Result   string          `json:"result"`
	Versions json.RawMessage `json:"versions,omitempty"`
}

type putReply struct {
	Result         string `json:"result"`
	TotalVersions  int    `json:"total_versions"`
	CurrentVersion string `json:"current_version"`
	Message        string `json:"message"`
	Name           string `json:"name"`
}

type getReply struct {
	Result   string    `json:"result"`
	Message  string    `json:"message"`
	Manifest *document `json:"manifest,omitempty"`
}

type listReply struct {
	Result  string    `json:"result"`
	Message string    `json:"message"`
	Models  []summary `json:"models"`
}

type summary struct {
	Name            string  `json:"name"`
	Version         string  `json:"version"`
	Description     *string `json:"description"`
	DeployedVersion *string `json:"deployed_version"`
	DetailedStatus  Status  `json:"detailed_status"`
	// Status and StatusMessage are deprecated and required by clients.
	Status        string `json:"status"`
	StatusMessage string `json:"status_message"`
}

type versionsReply struct {
	Result   string        `json:"result"`
	Message  string        `json:"message"`
	Versions []versionInfo `json:"versions"`
}

type versionInfo struct {
	Version  string `json:"version"`
	Deployed bool   `json:"deployed"`
}

type statusReply struct {
	Result  string `json:"result"`
	Message string `json:"message"`
	Status  Status `json:"status"`
}

type deleteReply struct {
	Result   string `json:"result"`
	Message  string `json:"message"`
	Undeploy bool   `json:"undeploy"`
}

// deployReply is the answer of deploy and undeploy.
type deployReply struct {
	Result  string  `json:"result"`
	Message string  `json:"message"`
	Name    string  `json:"name"`
	Version *string `json:"version"`
}

// versionRequest is the body of get, del and deploy.
type versionRequest struct {
	Version *string `json:"version"`
}
