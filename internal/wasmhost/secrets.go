package wasmhost

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/wasmhost/secret"
	"github.com/trellis-operator/trellis/internal/wasmhost/token"
)

// splitNames divides named configurations from references to secrets, which are stored beside them and must never be
// read as configuration.
func splitNames(names []string) (config, secrets []string) {
	for _, name := range names {
		if lattice.IsSecret(name) {
			secrets = append(secrets, name)
		} else {
			config = append(config, name)
		}
	}
	return config, secrets
}

// secret is one of the component's secrets, by the component's own name for it.
func (c *component) secret(name string) (any, bool) {
	v, ok := c.secrets[name]
	return v.Reveal(), ok
}

// refreshComponent answers at once, and fetches the secrets of a running component again. Requests that begin afterwards get
// the new values; those under way keep theirs, and nothing restarts. When it fails, the old values stay.
func (h *Host) refreshComponent(ctx context.Context, _ string, body []byte) (lattice.Reply, bool) {
	command, err := lattice.Decode[lattice.RefreshComponent](body)
	if err != nil {
		return refused(lattice.MessageBadComponentRefresh)
	}
	id := command.ComponentID
	if h.component(id) == nil {
		return refused(lattice.MessageComponentAbsent(id))
	}
	h.tasks.run(id, func() {
		if err := h.refresh(ctx, id); err != nil && ctx.Err() == nil {
			h.log.Error(err, "The secrets of a component could not be fetched again; it keeps those it has", "component", id)
		}
	})
	return accepted(lattice.MessageRefreshing)
}

func (h *Host) refresh(ctx context.Context, id string) error {
	running := h.component(id)
	if running == nil {
		return errNotRunning
	}
	next := *running
	if err := h.provide(ctx, &next); err != nil {
		return err
	}
	h.put(id, &next)
	return nil
}

// provide fetches the secrets of a component that is about to replace the one that runs. The token is that of its code.
func (h *Host) provide(ctx context.Context, c *component) (err error) {
	c.secrets, err = h.fetchSecrets(ctx, c.secretNames, c.code.token, c.annotations)
	return err
}

// fetchSecrets fetches one after the other, as upstream does. A later reference of the same name wins.
func (h *Host) fetchSecrets(ctx context.Context, names []string, entity *token.Token, annotations map[string]string) (map[string]secret.Value, error) {
	if len(names) == 0 {
		return nil, nil
	}
	const step = lattice.ReasonFailedSecrets
	if h.secrets == nil {
		return nil, wrap(step, errNoSecrets)
	}
	if entity == nil {
		return nil, wrap(step, errUnsigned)
	}
	who := secret.Identity{EntityJWT: entity.JWT, HostJWT: h.identity}
	if name, ok := annotations[lattice.AnnotationAppSpec]; ok {
		who.Application = &name
	}
	values := map[string]secret.Value{}
	for _, name := range names {
		reference, err := h.reference(ctx, name)
		if err != nil {
			return nil, wrap(step, err)
		}
		if values[reference.Name], err = h.secrets.Get(ctx, reference, who); err != nil {
			return nil, wrap(step, err)
		}
	}
	h.log.V(1).Info("Secrets were fetched", "references", names, "subject", entity.Claims.Subject)
	return values, nil
}

func (h *Host) reference(ctx context.Context, name string) (secret.Reference, error) {
	ctx, cancel := context.WithTimeout(ctx, kvTimeout)
	defer cancel()
	entry, err := h.data.config(ctx, name)
	if errors.Is(err, jetstream.ErrKeyNotFound) || errors.Is(err, jetstream.ErrInvalidKey) {
		//lint:ignore ST1005 upstream's text
		return secret.Reference{}, fmt.Errorf("Secret config %s not found in config store, could not create secret request", name)
	}
	if err != nil {
		return secret.Reference{}, fmt.Errorf("read the secret reference %s: %w", name, err)
	}
	r, err := secret.ParseReference(entry.Value())
	if err != nil {
		return r, fmt.Errorf("failed to deserialize secret reference from config store, ensure %s is a secret reference and not configuration: %w", name, err)
	}
	return r, nil
}
