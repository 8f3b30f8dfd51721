package grants

import (
	"errors"

	"github.com/trellis-operator/trellis/internal/secrets"
)

// record takes down what came of a request for what the manifest names, on a host that there is. All else is left out:
// anybody can ask for it, under as many names as he likes.
func (k *Keeper) record(f facts, given secrets.Secret, err error) {
	if k.options.Recorder == nil || f.application == nil || f.host == nil {
		return
	}
	q := f.question
	version := ""
	if q.Version != nil {
		version = *q.Version
	}
	for _, c := range f.receivers {
		o := secrets.Outcome{
			Lattice: q.Asker.Lattice, Namespace: f.application.Namespace, Application: f.application.Name, Component: c.Name, Host: q.HostID,
			Reference: secrets.NewReference(q.Key, q.Field, version, q.Policy.Properties), Version: given.Version,
		}
		if err != nil {
			o.Kind, o.Reason = refusal(err)
		}
		k.options.Recorder.Record(o)
	}
}

// refusal takes an error apart. What failed beneath it stays in the log: it may be long.
func refusal(err error) (secrets.Kind, string) {
	var meant *secrets.Error
	if !errors.As(err, &meant) {
		return secrets.UpstreamError, "the Secret could not be read; the operator's log says why"
	}
	return meant.Kind, meant.Text
}
