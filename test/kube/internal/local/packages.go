//go:build linux

package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// packages are the programs that are not built from modules, by the Debian
// package that has them: runc needs libseccomp, and kube-proxy and the
// portmap plug-in write their rules through nft.
var packages = map[string]string{"runc": "runc", "nft": "nftables"}

// EnsurePackages installs what is missing of them. They stay on the machine.
func (c *Cluster) EnsurePackages(ctx context.Context) error {
	var missing []string
	for program, name := range packages {
		if _, err := lookSystem(program); err != nil {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	advice := fmt.Sprintf("install the programs of the packages %s and try again", strings.Join(missing, ", "))
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("this machine has no apt-get; %s", advice)
	}
	return c.Report.Step("installed "+strings.Join(missing, ", "), func() error {
		// A source of packages that does not answer is no failure as long as the others have what is needed.
		updateErr := apt(ctx, "update")
		if err := apt(ctx, append([]string{"install", "--yes", "--no-install-recommends"}, missing...)...); err != nil {
			return fmt.Errorf("%s: %w", advice, errors.Join(updateErr, err))
		}
		return nil
	})
}

// lookSystem looks where nodes look, whatever the user's own path is.
func lookSystem(program string) (string, error) {
	for _, folder := range []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
		if info, err := os.Stat(folder + "/" + program); err == nil && !info.IsDir() {
			return folder + "/" + program, nil
		}
	}
	return "", exec.ErrNotFound
}

func apt(ctx context.Context, args ...string) error {
	command := exec.CommandContext(ctx, "apt-get", append([]string{"--quiet"}, args...)...)
	command.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if output, err := command.CombinedOutput(); err != nil {
		lines := strings.Split(strings.TrimSpace(string(output)), "\n")
		return fmt.Errorf("apt-get %s: %w: %s", args[0], err, lines[len(lines)-1])
	}
	return nil
}
