package wadmapi

import (
	"encoding/json"
	"fmt"
	"io"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
)

const (
	eventSource      = "wadm"
	eventTypePrefix  = "com.wadm."
	eventPublished   = "manifest_published"
	eventUnpublished = "manifest_unpublished"
	eventTimeFormat  = "2006-01-02T15:04:05.000000000Z"
)

// wadmEvent is a CloudEvent as wadm publishes it.
type wadmEvent struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Type            string          `json:"type"`
	Source          string          `json:"source"`
	DataContentType string          `json:"datacontenttype"`
	Time            string          `json:"time"`
	Data            json.RawMessage `json:"data"`
}

// published tells whoever listens that a version was deployed.
func (s *Server) published(r *oam.ApplicationRevision) error {
	return s.publishEvent(eventPublished, newDocument(r))
}

// unpublished tells whoever listens that an application was undeployed or deleted.
func (s *Server) unpublished(name string) error {
	return s.publishEvent(eventUnpublished, struct {
		Name string `json:"name"`
	}{name})
}

func (s *Server) publishEvent(kind string, data any) error {
	body, err := encode(data)
	if err != nil {
		return err
	}
	id, err := newUUID(s.config.Random)
	if err != nil {
		return err
	}
	event, err := encode(wadmEvent{
		SpecVersion: "1.0", ID: id, Type: eventTypePrefix + kind, Source: eventSource, DataContentType: "application/json",
		Time: s.config.Now().UTC().Format(eventTimeFormat), Data: body,
	})
	if err != nil {
		return err
	}
	return s.config.Conn.Publish(fmt.Sprintf(eventSubjectFormat, s.config.Lattice, kind), event)
}

// newUUID makes a random UUID (version 4).
func newUUID(random io.Reader) (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("make an id: %w", err)
	}
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), nil
}
