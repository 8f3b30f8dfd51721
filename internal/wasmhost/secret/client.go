package secret

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// DefaultTimeout is how long a backend may take for an answer.
const DefaultTimeout = 10 * time.Second

// Connection is what a client needs of NATS.
type Connection interface {
	RequestMsgWithContext(ctx context.Context, m *nats.Msg) (*nats.Msg, error)
}

var _ Connection = (*nats.Conn)(nil)

// Identity is in whose name a secret is asked for.
type Identity struct {
	// EntityJWT is the token of the workload, HostJWT that of the host.
	EntityJWT, HostJWT string
	// Application is what the annotations of the command said, nil if nothing.
	Application *string
}

// Client asks the backends of one topic.
type Client struct {
	conn    Connection
	topic   string
	timeout time.Duration

	mu   sync.Mutex
	keys map[string]string // public keys of backends
}

var subjects = regexp.MustCompile(`^(?:[A-Za-z0-9_-]+\.)*[A-Za-z0-9_-]+$`)

// ValidateTopic checks a prefix of subjects.
func ValidateTopic(topic string) error {
	if !subjects.MatchString(topic) {
		return fmt.Errorf("%w: %q is not", ErrTopic, topic)
	}
	return nil
}

// NewClient returns a client of the backends below a topic.
func NewClient(conn Connection, topic string, timeout time.Duration) *Client {
	return &Client{conn: conn, topic: topic, timeout: timeout, keys: map[string]string{}}
}

// Get fetches a secret. A backend that cannot read the request has another key than before, as after its restart with a
// new one: it is asked for that once.
func (c *Client) Get(ctx context.Context, r Reference, who Identity) (Value, error) {
	key, known, err := c.backendKey(ctx, r.Backend)
	if err != nil {
		return Value{}, err
	}
	value, err := c.ask(ctx, key, r, who)
	if !known || !errors.Is(err, errDecryption) {
		return value, err
	}
	c.forget(r.Backend, key)
	if key, _, err = c.backendKey(ctx, r.Backend); err != nil {
		return Value{}, err
	}
	return c.ask(ctx, key, r, who)
}

// backendKey returns the public key of a backend, and whether it was known before.
func (c *Client) backendKey(ctx context.Context, backend string) (key string, known bool, err error) {
	c.mu.Lock()
	key, known = c.keys[backend]
	c.mu.Unlock()
	if known {
		return key, true, nil
	}
	if !subjects.MatchString(backend) {
		return "", false, errBackend
	}
	answer, err := c.request(ctx, nats.NewMsg(c.subject(backend, "server_xkey")))
	if err != nil {
		return "", false, fmt.Errorf("failed to create secrets client: failed to fetch server xkey: %w", err)
	}
	key = string(answer.Data)
	if !utf8.ValidString(key) {
		return "", false, errors.New("failed to create secrets client: failed to convert server xkey: the reply is not UTF-8")
	}
	if !nkeys.IsValidPublicCurveKey(key) {
		return "", false, errors.New("failed to create secrets client: failed to parse server xkey: the reply is no public curve key")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keys[backend] = key
	return key, false, nil
}

// forget lets go of a key, unless there is a newer one already.
func (c *Client) forget(backend, key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys[backend] == key {
		delete(c.keys, backend)
	}
}

func (c *Client) subject(backend, operation string) string {
	return c.topic + "." + apiVersion + "." + backend + "." + operation
}

func (c *Client) request(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	answer, err := c.conn.RequestMsgWithContext(ctx, m)
	return answer, requestError(err)
}

// ask makes one request, sealed with a pair of keys that is used for nothing else.
func (c *Client) ask(ctx context.Context, backendKey string, r Reference, who Identity) (Value, error) {
	pair, err := nkeys.CreateCurveKeys()
	if err != nil {
		return Value{}, err
	}
	defer pair.Wipe()
	m, err := c.sealed(pair, backendKey, r, who)
	if err != nil {
		return Value{}, fmt.Errorf("failed to seal secret request: %w", err)
	}
	answer, err := c.request(ctx, m)
	if err != nil {
		return Value{}, fmt.Errorf("failed to send secret request: %w", err)
	}
	secret, err := openReply(pair, answer)
	if err != nil {
		return Value{}, err
	}
	if secret == nil {
		return Value{}, fmt.Errorf("missing secret: no secret found with name [%s]", r.Key)
	}
	value, ok := secret.value()
	if !ok {
		return Value{}, fmt.Errorf("secret %s did not contain a value", r.Name)
	}
	return value, nil
}

func (c *Client) sealed(pair nkeys.KeyPair, backendKey string, r Reference, who Identity) (*nats.Msg, error) {
	body, err := lattice.Encode(request{Key: r.Key, Field: r.Field, Version: r.Version, Context: requestContext{
		EntityJWT: who.EntityJWT, HostJWT: who.HostJWT, Application: application{Name: who.Application, Policy: r.Policy}}})
	if err != nil {
		return nil, err
	}
	public, err := pair.PublicKey()
	if err != nil {
		return nil, err
	}
	m := nats.NewMsg(c.subject(r.Backend, "get"))
	m.Header.Set(headerRequestKey, public)
	m.Data, err = pair.Seal(body, backendKey)
	return m, err
}

// openReply returns the secret of a reply, nil if it has none. The header alone decides how the body is read.
func openReply(pair nkeys.KeyPair, answer *nats.Msg) (*stored, error) {
	sender := answer.Header.Get(headerReplyKey)
	if sender == "" {
		r, err := parseReply(answer.Data)
		if err != nil {
			return nil, err
		}
		return nil, r.err()
	}
	if !nkeys.IsValidPublicCurveKey(sender) {
		return nil, errors.New("failed to parse xkey from server response: the header holds no public curve key")
	}
	body, err := pair.Open(answer.Data, sender)
	if err != nil {
		return nil, fmt.Errorf("failed to open secret response: %w", err)
	}
	r, err := parseReply(body)
	return r.Secret, err
}
