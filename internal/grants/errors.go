package grants

import (
	"fmt"

	"github.com/trellis-operator/trellis/internal/secrets"
)

// Texts never hold a value. Those of Unauthorized and SecretNotFound are for the operator's log alone, since neither kind
// has a text on the wire: whoever is denied does not learn whether there is such a Secret. The others reach the host.

func unauthorized(format string, args ...any) error {
	return &secrets.Error{Kind: secrets.Unauthorized, Text: fmt.Sprintf(format, args...)}
}

func notFound(format string, args ...any) error {
	return &secrets.Error{Kind: secrets.SecretNotFound, Text: fmt.Sprintf(format, args...)}
}

func policyError(format string, args ...any) error {
	return &secrets.Error{Kind: secrets.PolicyError, Text: fmt.Sprintf(format, args...)}
}

func other(format string, args ...any) error {
	return &secrets.Error{Kind: secrets.Other, Text: fmt.Sprintf(format, args...)}
}

// upstream tells the host what could not be learned, and whoever reads the log why.
func upstream(what string, cause error) error {
	return fmt.Errorf("%w: %w", &secrets.Error{Kind: secrets.UpstreamError, Text: what + "; ask again"}, cause)
}
