package main

import (
	"os"
	"path/filepath"
	"testing"
)

const auditLines = `{"verb":"patch","user":{"username":"admin"},"impersonatedUser":{"username":"trellis"},"objectRef":{"resource":"services","apiVersion":"v1"}}
{"verb":"patch","user":{"username":"trellis"},"objectRef":{"resource":"endpointslices","apiGroup":"discovery.k8s.io"}}
{"verb":"update","user":{"username":"trellis"},"objectRef":{"resource":"leases","apiGroup":"coordination.k8s.io"}}
{"verb":"create","user":{"username":"trellis"},"objectRef":{"resource":"subjectaccessreviews","apiGroup":"authorization.k8s.io"}}
{"verb":"create","user":{"username":"admin"},"objectRef":{"resource":"services"}}
{"verb":"patch","user":{"username":"trellis"},"objectRef":{"resource":"pods","subresource":"status"}}
{"verb":"get","requestURI":"/api/v1/namespaces/a/secrets/b","user":{"username":"trellis"},"objectRef":{"resource":"secrets"}}
{"verb":"get","requestURI":"/api/v1/namespaces/a/secrets/b?resourceVersion=0","user":{"username":"trellis"},"objectRef":{"resource":"secrets"}}
{"verb":"patch","us`

func TestAudit(t *testing.T) {
	a := &audit{file: filepath.Join(t.TempDir(), "audit.log"), user: "trellis"}
	if err := os.WriteFile(a.file, []byte(auditLines), 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := a.since()
	if err != nil {
		t.Fatal(err)
	}
	want := "1 get secrets, 1 look-at secrets, 1 patch endpointslices, 1 patch pods/status, 1 patch services, 1 of leases, 1 reviews"
	if found.String() != want || found.sum() != 5 || found.sum("services", "endpointslices") != 2 {
		t.Errorf("counted %s, %d in all; want %s", found, found.sum(), want)
	}
	rest := `er":{"username":"trellis"},"objectRef":{"resource":"services"}}` + "\n"
	if err := os.WriteFile(a.file, []byte(auditLines+rest), 0o600); err != nil {
		t.Fatal(err)
	}
	if found, err = a.since(); err != nil || found.String() != "1 patch services, 0 of leases, 0 reviews" {
		t.Errorf("counted %s after the half line was whole: %v", found, err)
	}
}
