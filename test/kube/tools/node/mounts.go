package main

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// layOut makes the node's view of the file system: the machine's, with its own
// /proc, an empty /run, and folders of its own where the kubelet and
// containerd keep things at fixed places.
func layOut(config Config) error {
	// First a slave, so that nothing done here reaches the machine; then
	// shared, because the kubelet passes mounts on to containers.
	if err := unix.Mount("", "/", "", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("the mounts cannot be parted from the machine's: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_SHARED|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("the mounts cannot be shared: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("/proc cannot be mounted: %w", err)
	}
	for _, bind := range config.Binds {
		if err := unix.Mount(bind.From, bind.To, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("%s cannot be put over %s: %w", bind.From, bind.To, err)
		}
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return fmt.Errorf("/run cannot be mounted: %w", err)
	}
	return copySysctls(config.Sysctls)
}

func copySysctls(names []string) error {
	const folder = "/run/trellis/sysctl"
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for _, name := range names {
		original := filepath.Join("/proc/sys", name)
		value, err := os.ReadFile(original)
		if err != nil {
			continue // this kernel does not have it; nobody will write it
		}
		standIn := filepath.Join(folder, filepath.Base(name))
		if err := os.WriteFile(standIn, value, 0o644); err != nil {
			return err
		}
		if err := unix.Mount(standIn, original, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("%s cannot be covered: %w", original, err)
		}
	}
	return nil
}
