package lattice

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// EventKind is the last token of an event's subject and of its CloudEvents type.
type EventKind string

// Kinds of events that hosts publish.
const (
	KindHostStarted          EventKind = "host_started"
	KindHostHeartbeat        EventKind = "host_heartbeat"
	KindHostStopped          EventKind = "host_stopped"
	KindLabelsChanged        EventKind = "labels_changed"
	KindComponentScaled      EventKind = "component_scaled"
	KindComponentScaleFailed EventKind = "component_scale_failed"
	KindProviderStarted      EventKind = "provider_started"
	KindProviderStartFailed  EventKind = "provider_start_failed"
	KindProviderStopped      EventKind = "provider_stopped"
	KindHealthCheckPassed    EventKind = "health_check_passed"
	KindHealthCheckFailed    EventKind = "health_check_failed"
	KindHealthCheckStatus    EventKind = "health_check_status"
	KindLinkSet              EventKind = "linkdef_set"
	KindLinkSetFailed        EventKind = "linkdef_set_failed"
	KindLinkDeleted          EventKind = "linkdef_deleted"
	KindConfigSet            EventKind = "config_set"
	KindConfigDeleted        EventKind = "config_deleted"
)

const (
	eventSubjectPrefix = "wasmbus.evt"
	eventTypePrefix    = "com.wasmcloud.lattice."
	cloudEventsVersion = "1.0"
	jsonContentType    = "application/json"
	// hosts write nine digits, also when the last ones are zero.
	eventTimeFormat = "2006-01-02T15:04:05.000000000Z"
)

// Event is something that a host reports. Events are plain NATS messages: they may be missed or come twice.
type Event struct {
	ID string
	// Host is the public key of the host: the source of the CloudEvent, the only place where it is always right.
	Host string
	Time time.Time
	Data EventData
}

// Kind of the event.
func (e Event) Kind() EventKind {
	if e.Data == nil {
		return ""
	}
	return e.Data.eventKind()
}

// EventData is the typed body of an event: one of the types of event_data.go, as a value.
type EventData interface{ eventKind() EventKind }

type cloudEvent struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Type            string          `json:"type"`
	Source          string          `json:"source"`
	DataContentType string          `json:"datacontenttype,omitempty"`
	Time            string          `json:"time,omitempty"`
	Data            json.RawMessage `json:"data,omitempty"`
	DataBase64      string          `json:"data_base64,omitempty"`
}

func (c *cloudEvent) check() error {
	if !strings.HasPrefix(c.SpecVersion, "1.") && c.SpecVersion != "1" {
		return fmt.Errorf("CloudEvents version %q is not 1", c.SpecVersion)
	}
	return firstError(require("type", c.Type), require("source", c.Source))
}

// DecodeEvent reads an event. A kind that this package does not know gives UnknownEvent, not an error.
func DecodeEvent(data []byte) (Event, error) {
	c, err := Decode[cloudEvent](data)
	if err != nil {
		return Event{}, err
	}
	kind, ok := strings.CutPrefix(c.Type, eventTypePrefix)
	if !ok || kind == "" {
		return Event{}, fmt.Errorf("%w: %q is no type of a lattice event", ErrMalformed, c.Type)
	}
	if len(c.Data) == 0 && c.DataBase64 != "" {
		if c.Data, err = base64.StdEncoding.DecodeString(c.DataBase64); err != nil {
			return Event{}, fmt.Errorf("%w: data_base64: %w", ErrMalformed, err)
		}
	}
	body, err := decodeEventData(EventKind(kind), c.Data)
	if err != nil {
		return Event{}, fmt.Errorf("decode the data of %s: %w", kind, err)
	}
	e := Event{ID: c.ID, Host: c.Source, Data: body}
	// A time that cannot be read is left zero: nothing here depends on it, and losing the event would be worse.
	if t, err := time.Parse(time.RFC3339Nano, c.Time); err == nil {
		e.Time = t.UTC()
	}
	return e, nil
}

// EncodeEvent writes an event as a 1.9 host does.
func EncodeEvent(e Event) ([]byte, error) {
	if e.Data == nil {
		return nil, fmt.Errorf("%w: an event needs data", ErrMalformed)
	}
	body, err := Encode(e.Data)
	if err != nil {
		return nil, err
	}
	c := cloudEvent{
		SpecVersion: cloudEventsVersion, ID: e.ID, Type: eventTypePrefix + string(e.Kind()), Source: e.Host,
		DataContentType: jsonContentType, Data: body,
	}
	if !e.Time.IsZero() {
		c.Time = e.Time.UTC().Format(eventTimeFormat)
	}
	return Encode(c)
}

// EventID writes a ULID in the form of a UUID, as hosts do: 48 bits of milliseconds, 80 bits of entropy.
func EventID(t time.Time, entropy [10]byte) string {
	ms := t.UnixMilli()
	return fmt.Sprintf("%08x-%04x-%x-%x-%x", ms>>16, ms&0xffff, entropy[:2], entropy[2:4], entropy[4:])
}

// EventSubject is where hosts of a lattice publish events of a kind.
func EventSubject(lattice string, kind EventKind) (string, error) {
	if err := ValidateName(lattice); err != nil {
		return "", err
	}
	if err := validate("event kind", string(kind), MaxIdentifier, ""); err != nil {
		return "", err
	}
	return eventSubjectPrefix + "." + lattice + "." + string(kind), nil
}

// EventsSubject matches all events of a lattice.
func EventsSubject(lattice string) (string, error) {
	if err := ValidateName(lattice); err != nil {
		return "", err
	}
	return eventSubjectPrefix + "." + lattice + ".>", nil
}
