package apiserver

import (
	"errors"
	"fmt"

	"k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/options"
)

// Audit says what is written down about requests. Those that came through kube-apiserver stand in its log, too; those of
// wash never pass it and stand in no other.
type Audit struct {
	// LogPath is a file, or "-" for the standard output. Empty: no log.
	LogPath string
	// PolicyFile is a Policy of audit.k8s.io/v1. Required with LogPath.
	PolicyFile string
}

const (
	// auditMegabytes and auditFiles bound what a log in files takes.
	auditMegabytes = 100
	auditFiles     = 3
)

func (a Audit) validate() error {
	if a.LogPath != "" && a.PolicyFile == "" {
		return errors.New("the audit log needs a policy that says what is written: name a file with a Policy of audit.k8s.io/v1")
	}
	return nil
}

// applyTo makes a server write the log.
func (a Audit) applyTo(config *server.Config) error {
	if a.LogPath == "" {
		return nil
	}
	o := options.NewAuditOptions()
	o.PolicyFile, o.LogOptions.Path = a.PolicyFile, a.LogPath
	o.LogOptions.MaxSize, o.LogOptions.MaxBackups = auditMegabytes, auditFiles
	if err := errors.Join(o.Validate()...); err != nil {
		return fmt.Errorf("set the audit log up: %w", err)
	}
	if err := o.ApplyTo(config); err != nil {
		return fmt.Errorf("set the audit log up: %w", err)
	}
	return nil
}
