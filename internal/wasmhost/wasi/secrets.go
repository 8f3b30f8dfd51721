package wasi

import (
	"fmt"

	"github.com/trellis-operator/trellis/internal/wasmhost/cm"
)

// SecretsVersion is the version of wasmcloud:secrets that hosts of wasmCloud 1 offer.
const SecretsVersion = "0.1.0-draft"

// heldSecret is what a handle stands for. The value is that of the time when the component asked for it.
type heldSecret struct{ value any }

func secretInterfaces() map[string]Interface {
	return map[string]Interface{
		"wasmcloud:secrets/store": {
			Resources: map[string]Kind{"secret": KindSecret},
			Functions: map[string]Func{"get": getSecret},
		},
		"wasmcloud:secrets/reveal": {Functions: map[string]Func{"reveal": revealSecret}},
	}
}

func getSecret(in *Instance, args []any) (any, error) {
	value, ok := in.host.Secret(args[0].(string))
	if !ok {
		return cm.Err(cm.Variant{Case: "not-found"}), nil
	}
	return in.okOwned(KindSecret, heldSecret{value})
}

func revealSecret(in *Instance, args []any) (any, error) {
	held, err := borrow[heldSecret](in, args[0], KindSecret)
	if err != nil {
		return nil, err
	}
	switch v := held.value.(type) {
	case string:
		return cm.Variant{Case: "string", Value: v}, nil
	case []byte:
		return cm.Variant{Case: "bytes", Value: v}, nil
	}
	return nil, fmt.Errorf("a secret of the component is a %T, which the interface does not know", held.value)
}
