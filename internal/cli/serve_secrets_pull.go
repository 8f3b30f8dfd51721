package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/trellis-operator/trellis/internal/config"
	"github.com/trellis-operator/trellis/internal/ociwasm"
)

// maxImage is what hosts accept unless they are told otherwise.
const maxImage = 50 << 20

// pullAs returns a pull from the registries that hosts pull from by default. It has no logins.
func pullAs(hosts config.Hosts) (func(context.Context, string) ([]byte, error), error) {
	var list, insecure []string
	for _, m := range hosts.Mirrors {
		list = append(list, m.Prefix+"="+m.Target)
		if registry, _, _ := strings.Cut(m.Target, "/"); m.Insecure {
			insecure = append(insecure, registry)
		}
	}
	mirrors, err := ociwasm.ParseMirrors(strings.Join(list, ","))
	if err != nil {
		return nil, fmt.Errorf("read hosts.mirrors: %w", err)
	}
	options := ociwasm.Options{Mirrors: mirrors, Insecure: insecure, AllowLatest: true, MaxBytes: maxImage}
	return func(ctx context.Context, image string) ([]byte, error) { return ociwasm.Pull(ctx, image, options) }, nil
}
