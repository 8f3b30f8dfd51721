package wasi

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"sort"
	"time"

	"github.com/trellis-operator/trellis/internal/wasmhost/cm"
)

// maxRandom bounds one request for random bytes; the interface has no way to give fewer.
const maxRandom = 1 << 20

var (
	errTooMuchRandom = errors.New("the component asked for more than 1 MiB of random bytes at once")
	errExit          = errors.New("the component called exit")
)

// duration turns the component's nanoseconds into Go's, which end after 292 years.
func duration(ns uint64) time.Duration { return time.Duration(min(ns, math.MaxInt64)) }

func clockInterfaces() map[string]Interface {
	now := func(in *Instance) uint64 { return uint64(time.Since(in.started)) + 1 }
	datetime := func(t time.Time) cm.Record {
		return cm.Record{{Name: "seconds", Value: uint64(t.Unix())}, {Name: "nanoseconds", Value: uint32(t.Nanosecond())}}
	}
	return map[string]Interface{
		"wasi:clocks/monotonic-clock": {Functions: map[string]Func{
			"now":        value(func(in *Instance, _ []any) any { return now(in) }),
			"resolution": constant(uint64(1)),
			"subscribe-duration": func(in *Instance, args []any) (any, error) {
				return in.owned(KindPollable, timer(duration(args[0].(uint64))))
			},
			"subscribe-instant": func(in *Instance, args []any) (any, error) {
				at, from := args[0].(uint64), now(in)
				return in.owned(KindPollable, timer(duration(max(at, from)-from)))
			},
		}},
		"wasi:clocks/wall-clock": {Functions: map[string]Func{
			"now":        value(func(*Instance, []any) any { return datetime(time.Now()) }),
			"resolution": constant(cm.Record{{Name: "seconds", Value: uint64(0)}, {Name: "nanoseconds", Value: uint32(1)}}),
		}},
	}
}

func randomInterfaces() map[string]Interface {
	bytes := func(_ *Instance, args []any) (any, error) {
		n := args[0].(uint64)
		if n > maxRandom {
			return nil, errTooMuchRandom
		}
		p := make([]byte, n)
		_, err := rand.Read(p)
		return p, err
	}
	number := func() uint64 {
		var p [8]byte
		_, _ = rand.Read(p[:]) // never fails since Go 1.24: it would end the process instead
		return binary.LittleEndian.Uint64(p[:])
	}
	one := value(func(*Instance, []any) any { return number() })
	return map[string]Interface{
		"wasi:random/random":   {Functions: map[string]Func{"get-random-bytes": bytes, "get-random-u64": one}},
		"wasi:random/insecure": {Functions: map[string]Func{"get-insecure-random-bytes": bytes, "get-insecure-random-u64": one}},
		"wasi:random/insecure-seed": {Functions: map[string]Func{
			"insecure-seed": value(func(*Instance, []any) any { return cm.Tuple{number(), number()} }),
		}},
	}
}

func configInterfaces() map[string]Interface {
	store := Interface{Functions: map[string]Func{
		"get": value(func(in *Instance, args []any) any {
			if v, ok := in.host.Config()[args[0].(string)]; ok {
				return cm.OK(cm.Some(v))
			}
			return cm.OK(cm.None())
		}),
		"get-all": value(func(in *Instance, _ []any) any {
			list := cm.List{}
			config := in.host.Config()
			for _, key := range sortedKeys(config) {
				list = append(list, cm.Tuple{key, config[key]})
			}
			return cm.OK(list)
		}),
	}}
	return map[string]Interface{
		"wasi:config/runtime": store,
		"wasi:config/store":   store,
		"wasi:logging/logging": {Functions: map[string]Func{
			"log": value(func(in *Instance, args []any) any {
				in.host.Log(string(args[0].(cm.Enum)), args[1].(string), args[2].(string))
				return nil
			}),
		}},
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

func cliInterfaces() map[string]Interface {
	out := func(pick func(*Instance) *lineLog) Func {
		return func(in *Instance, _ []any) (any, error) { return in.owned(KindOutputStream, pick(in)) }
	}
	exit := func(*Instance, []any) (any, error) { return nil, errExit }
	terminal := func(direction string) Interface {
		return Interface{Functions: map[string]Func{"get-terminal-" + direction: constant(cm.None())}}
	}
	return map[string]Interface{
		"wasi:cli/environment": {Functions: map[string]Func{
			"get-environment": constant(cm.List{}),
			"get-arguments":   constant(cm.List{}),
			"initial-cwd":     constant(cm.None()),
		}},
		"wasi:cli/exit": {Functions: map[string]Func{"exit": exit, "exit-with-code": exit}},
		"wasi:cli/stdin": {Functions: map[string]Func{"get-stdin": func(in *Instance, _ []any) (any, error) {
			return in.owned(KindInputStream, emptyInput{})
		}}},
		"wasi:cli/stdout":          {Functions: map[string]Func{"get-stdout": out(func(in *Instance) *lineLog { return &in.stdout })}},
		"wasi:cli/stderr":          {Functions: map[string]Func{"get-stderr": out(func(in *Instance) *lineLog { return &in.stderr })}},
		"wasi:cli/terminal-input":  {Resources: map[string]Kind{"terminal-input": KindTerminal}},
		"wasi:cli/terminal-output": {Resources: map[string]Kind{"terminal-output": KindTerminal}},
		"wasi:cli/terminal-stdin":  terminal("stdin"),
		"wasi:cli/terminal-stdout": terminal("stdout"),
		"wasi:cli/terminal-stderr": terminal("stderr"),
	}
}

// emptyInput is a stream that has ended.
type emptyInput struct{}

func (emptyInput) take(int) ([]byte, error) { return nil, io.EOF }
func (emptyInput) ready() <-chan struct{}   { return nil }

// deniedInterfaces answer that there are no files and no network.
func deniedInterfaces() map[string]Interface {
	denied := constant(cm.Err(cm.Enum("access-denied")))
	return map[string]Interface{
		"wasi:filesystem/preopens": {Functions: map[string]Func{"get-directories": constant(cm.List{})}},
		"wasi:filesystem/types": {
			Resources: map[string]Kind{"descriptor": KindDescriptor, "directory-entry-stream": KindDescriptor},
			Functions: map[string]Func{"filesystem-error-code": constant(cm.None())},
		},
		"wasi:sockets/network": {
			Resources: map[string]Kind{"network": KindNetwork},
			Functions: map[string]Func{"network-error-code": constant(cm.None())},
		},
		"wasi:sockets/instance-network": {Functions: map[string]Func{
			"instance-network": func(in *Instance, _ []any) (any, error) { return in.owned(KindNetwork, struct{}{}) },
		}},
		"wasi:sockets/tcp-create-socket": {Functions: map[string]Func{"create-tcp-socket": denied}},
		"wasi:sockets/udp-create-socket": {Functions: map[string]Func{"create-udp-socket": denied}},
		"wasi:sockets/ip-name-lookup": {
			Resources: map[string]Kind{"resolve-address-stream": KindSocket},
			Functions: map[string]Func{"resolve-addresses": denied},
		},
		"wasi:sockets/tcp": {Resources: map[string]Kind{"tcp-socket": KindSocket}},
		"wasi:sockets/udp": {Resources: map[string]Kind{
			"udp-socket": KindSocket, "incoming-datagram-stream": KindSocket, "outgoing-datagram-stream": KindSocket,
		}},
	}
}
