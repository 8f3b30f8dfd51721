package image

import (
	"debug/elf"
	"fmt"
	"os/exec"
	"strings"
)

// libraries lists the shared libraries that a program needs on this machine,
// the loader included; none for a static program.
func libraries(program string) ([]string, error) {
	binary, err := elf.Open(program)
	if err != nil {
		return nil, fmt.Errorf("%s is not a Linux program; build it for Linux first: %w", program, err)
	}
	defer binary.Close()
	for _, segment := range binary.Progs {
		if segment.Type != elf.PT_INTERP {
			continue
		}
		output, err := exec.Command("ldd", program).Output()
		if err != nil {
			return nil, fmt.Errorf("ldd does not tell what %s needs: %w", program, err)
		}
		return parseLdd(string(output))
	}
	return nil, nil
}

// parseLdd reads ldd's lines: "name => path (address)", "path (address)" for
// the loader, and "linux-vdso.so.1 (address)", which is no file.
func parseLdd(output string) ([]string, error) {
	var paths []string
	for _, line := range strings.Split(strings.TrimSpace(output), "\n") {
		name, target, arrow := strings.Cut(strings.TrimSpace(line), " => ")
		if !arrow {
			target = name
		}
		path, _, _ := strings.Cut(target, " (")
		if path == "not found" {
			return nil, fmt.Errorf("the library %s is not installed", name)
		}
		if strings.HasPrefix(path, "/") {
			paths = append(paths, path)
		}
	}
	return paths, nil
}
