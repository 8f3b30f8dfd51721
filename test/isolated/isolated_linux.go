// Package isolated runs tests, and programs that measure, in network and process namespaces of their own: whatever they start listens where nobody else
// is, and ends with them.
package isolated

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// inside marks the process that runs in the namespaces.
const inside = "TRELLIS_TEST_ISOLATED"

// Tests are a *testing.M, or one with something around it.
type Tests interface{ Run() int }

// Run runs tests in namespaces of their own, and returns their exit code.
func Run(m Tests) int {
	if Inside() {
		if err := raiseLoopback(); err != nil {
			fmt.Fprintln(os.Stderr, "the loopback device of the tests:", err)
			return 1
		}
		return m.Run()
	}
	cmd, err := again(context.Background(), os.Args[1:]...)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = cmd.Run()
	var ended *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &ended):
		return max(1, ended.ExitCode())
	}
	fmt.Fprintf(os.Stderr, "a network namespace for the tests: %v; run as root, or allow users namespaces of their own (sysctl kernel.unprivileged_userns_clone=1), or name a cluster with KUBECONFIG\n", err)
	return 1
}

// Inside says whether this process was started by Run or Again.
func Inside() bool { return os.Getenv(inside) != "" }

// Again is a command that runs this program anew with other arguments, in namespaces of its own. There it calls Enter
// first. The end of ctx ends it, with all that it started.
func Again(ctx context.Context, args ...string) (*exec.Cmd, error) {
	cmd, err := again(ctx, args...)
	if err == nil {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWNS
	}
	return cmd, err
}

// Enter brings up loopback and makes /proc tell of this process namespace, so that what was started can be looked at.
func Enter() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts to this process: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := raiseLoopback(); err != nil {
		return fmt.Errorf("bring up loopback: %w", err)
	}
	return nil
}

func again(ctx context.Context, args ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = attributes()
	return cmd, nil
}

// attributes make the child the first process of its namespace: the kernel ends all others with it. Who is not root
// becomes root of a user namespace.
func attributes() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		a.Cloneflags |= unix.CLONE_NEWUSER
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	return a
}

// OwnAddresses makes every address of 10.0.0.0/8 one of this machine: that is what the kernel does with the network of an
// address of loopback.
func OwnAddresses() error {
	return onSocket(func(socket int) error {
		request, err := unix.NewIfreq("lo:1")
		if err != nil {
			return err
		}
		if err := request.SetInet4Addr([]byte{10, 0, 0, 1}); err != nil {
			return err
		}
		return unix.IoctlIfreq(socket, unix.SIOCSIFADDR, request)
	})
}

// raiseLoopback brings up lo, which is down in a new network namespace.
func raiseLoopback() error {
	return onSocket(func(socket int) error {
		request, err := unix.NewIfreq("lo")
		if err != nil {
			return err
		}
		if err := unix.IoctlIfreq(socket, unix.SIOCGIFFLAGS, request); err != nil {
			return err
		}
		request.SetUint16(request.Uint16() | unix.IFF_UP)
		return unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, request)
	})
}

// onSocket does something with a socket, by which the kernel is asked about network devices.
func onSocket(do func(socket int) error) error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(socket) }()
	return do(socket)
}
