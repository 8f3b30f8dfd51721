//go:build cgo

package wt_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trellis-operator/trellis/internal/wasmhost/cm"
	"github.com/trellis-operator/trellis/internal/wasmhost/wt"
)

// relay is a component that hands what "give" returns to "take". The value travels in a tuple so wide that it is passed
// in memory both ways, whatever its type is.
const relay = `(component
  (import "t:t/host@1.0.0" (instance $h
    (type $kind %s)
    (export "kind" (type $named (eq $kind)))
    (type $wide (tuple $named u8 u8 u8 u8 u8 u8 u8 u8 u8 u8 u8 u8 u8 u8 u8 u8 u8))
    (export "give" (func (result $wide)))
    (export "take" (func (param "v" $wide)))))
  (core module $memory
    (global $free (mut i32) (i32.const 1024))
    (memory (export "memory") 8)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $free) (i32.const 15)) (i32.const -16)))
      (global.set $free (i32.add (local.get $at) (local.get 3)))
      (local.get $at)))
  (core instance $memory (instantiate $memory))
  (alias export $h "give" (func $give))
  (alias export $h "take" (func $take))
  (core func $give (canon lower (func $give) (memory $memory "memory") (realloc (func $memory "realloc"))))
  (core func $take (canon lower (func $take) (memory $memory "memory") (realloc (func $memory "realloc"))))
  (core module $main
    (import "h" "give" (func $give (param i32)))
    (import "h" "take" (func $take (param i32)))
    (func (export "run") (call $give (i32.const 16)) (call $take (i32.const 16))))
  (core instance $main (instantiate $main (with "h" (instance (export "give" (func $give)) (export "take" (func $take))))))
  (func $run (canon lift (core func $main "run")))
  (instance $out (export "run" (func $run)))
  (export "t:t/out@1.0.0" (instance $out)))`

func newEngine(t testing.TB) *wt.Engine {
	t.Helper()
	e, err := wt.NewEngine()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// run instantiates a component with two host functions and calls its only export.
func run(t testing.TB, e *wt.Engine, text string, o wt.Options, functions map[string]wt.HostFunc) error {
	t.Helper()
	c, err := e.Compile([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	l := e.NewLinker()
	defer l.Close()
	for _, i := range c.Imports() {
		if err := l.Define(wt.Definition{Name: i.Name, Functions: functions}); err != nil {
			t.Fatal(err)
		}
	}
	s := e.NewStore(o)
	defer s.Close()
	instance, err := l.Instantiate(s, c)
	if err != nil {
		return err
	}
	x, ok := c.Export("t:t/out@1.0.0", "run")
	if !ok {
		t.Fatal("no export")
	}
	defer x.Close()
	return instance.Call(x)
}

func carry(t testing.TB, e *wt.Engine, kind string, v any) (any, error) {
	t.Helper()
	wide := cm.Tuple{v}
	for range 17 {
		wide = append(wide, uint8(0))
	}
	var got any
	err := run(t, e, fmt.Sprintf(relay, kind), wt.Options{}, map[string]wt.HostFunc{
		"give": func(any, []any) (any, error) { return wide, nil },
		"take": func(_ any, args []any) (any, error) { got = args[0].(cm.Tuple)[0]; return nil, nil },
	})
	return got, err
}

// TestValues: every kind of value arrives in a component as it left, and comes back.
func TestValues(t *testing.T) {
	e := newEngine(t)
	variant := `(variant (case "none") (case "text" string) (case "list" (list u8)))`
	record := `(record (field "name" string) (field "size" u64))`
	for kind, values := range map[string][]any{
		"bool":   {true, false},
		"s8":     {int8(math.MinInt8)},
		"u8":     {uint8(math.MaxUint8)},
		"s16":    {int16(math.MinInt16)},
		"u16":    {uint16(math.MaxUint16)},
		"s32":    {int32(math.MinInt32)},
		"u32":    {uint32(math.MaxUint32)},
		"s64":    {int64(math.MinInt64)},
		"u64":    {uint64(math.MaxUint64)},
		"f32":    {float32(1.5)},
		"f64":    {math.Pi},
		"char":   {cm.Char('ä'), cm.Char(0x10ffff)},
		"string": {"", "text", "ä€😀", strings.Repeat("x", 70000)},

		"(list u8)":                         {[]byte("bytes"), []byte{0, 255}},
		"(list string)":                     {cm.List{"a", ""}, cm.List{}},
		"(tuple u8 string)":                 {cm.Tuple{uint8(1), "x"}},
		"(option string)":                   {cm.Some("x"), cm.None()},
		"(option (option u8))":              {cm.Some(cm.None()), cm.Some(cm.Some(uint8(1)))},
		"(result string (error u16))":       {cm.OK("x"), cm.Err(uint16(7))},
		"(result)":                          {cm.OK(nil), cm.Err(nil)},
		`(flags "a" "b" "c")`:               {cm.Flags{"a", "c"}, cm.Flags{}},
		`(enum "one" "two")`:                {cm.Enum("two")},
		variant:                             {cm.Variant{Case: "none"}, cm.Variant{Case: "text", Value: "x"}, cm.Variant{Case: "list", Value: []byte("b")}},
		record:                              {cm.Record{{Name: "name", Value: "n"}, {Name: "size", Value: uint64(9)}}},
		"(list (tuple string (list u8)))":   {cm.List{cm.Tuple{"k", []byte("v")}}},
		"(result (list u8) (error string))": {cm.OK([]byte("data"))},
	} {
		for _, v := range values {
			got, err := carry(t, e, kind, v)
			if err != nil || !cmp.Equal(v, got) {
				t.Errorf("%s: %.80v came back as %.80v, %v", kind, v, got, err)
			}
		}
	}
}

// TestValues_Errors: what would abort the process, and what no component can take, ends the component only.
func TestValues_Errors(t *testing.T) {
	e := newEngine(t)
	for what, c := range map[string]struct {
		kind string
		v    any
		want string
	}{
		"not UTF-8":         {"string", "a\xff", "not UTF-8"},
		"half a rune":       {"string", "\xe2\x82", "not UTF-8"},
		"surrogate":         {"string", "\xed\xa0\x80", "not UTF-8"},
		"no character":      {"char", cm.Char(0xd800), "no character"},
		"negative":          {"char", cm.Char(-1), "no character"},
		"another kind":      {"string", uint8(1), ""},
		"no kind at all":    {"string", struct{}{}, "no component can take"},
		"nothing":           {"string", nil, "no component can take"},
		"enum not UTF-8":    {"string", cm.Enum("\xff"), "not UTF-8"},
		"case not UTF-8":    {"string", cm.Variant{Case: "\xff"}, "not UTF-8"},
		"payload not UTF-8": {"string", cm.Variant{Case: "x", Value: "\xff"}, "not UTF-8"},
		"flag not UTF-8":    {"string", cm.Flags{"a", "\xff"}, "not UTF-8"},
		"field not UTF-8":   {"string", cm.Record{{Name: "\xff", Value: "x"}}, "not UTF-8"},
		"within a list":     {"string", cm.List{"a", "\xff"}, "not UTF-8"},
		"within an option":  {"string", cm.Some("\xff"), "not UTF-8"},
		"within a result":   {"string", cm.OK("\xff"), "not UTF-8"},
	} {
		if _, err := carry(t, e, c.kind, c.v); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", what, err, c.want)
		}
	}
}

// TestHostFunction_Errors: an error or a panic of a host function is what the caller of the component gets.
func TestHostFunction_Errors(t *testing.T) {
	e := newEngine(t)
	reason := errors.New("not today")
	text := fmt.Sprintf(relay, "u8")
	give := func(f wt.HostFunc) error {
		return run(t, e, text, wt.Options{}, map[string]wt.HostFunc{"give": f, "take": func(any, []any) (any, error) { return nil, nil }})
	}
	if err := give(func(any, []any) (any, error) { return nil, reason }); !errors.Is(err, reason) {
		t.Errorf("error: %v", err)
	}
	if err := give(func(any, []any) (any, error) { panic("oops") }); err == nil || !strings.Contains(err.Error(), "oops") {
		t.Errorf("panic: %v", err)
	}
}

// looping has a core function as its only export.
func looping(body string) string {
	return `(component (core module $m (memory 1) (func (export "run") ` + body + `))
  (core instance $m (instantiate $m)) (func $run (canon lift (core func $m "run")))
  (instance $out (export "run" (func $run))) (export "t:t/out@1.0.0" (instance $out)))`
}

func TestLimits(t *testing.T) {
	e := newEngine(t)
	over := errors.New("time is up")
	began := time.Now()
	err := run(t, e, looping("(loop $l (br $l))"), wt.Options{InterruptEvery: 20 * time.Millisecond, Interrupt: func() error {
		if time.Since(began) > 100*time.Millisecond {
			return over
		}
		return nil
	}}, nil)
	if !errors.Is(err, over) || time.Since(began) > 5*time.Second {
		t.Errorf("loop: %v after %s", err, time.Since(began))
	}
	grow := looping("(if (i32.ne (memory.grow (i32.const 100)) (i32.const -1)) (then unreachable))")
	if err := run(t, e, grow, wt.Options{Limits: wt.Limits{MemoryBytes: 1 << 20}}, nil); err != nil {
		t.Errorf("growing beyond the limit must be refused: %v", err)
	}
	if err := run(t, e, grow, wt.Options{Limits: wt.Limits{MemoryBytes: 100 << 20}}, nil); err == nil {
		t.Error("growing within the limit must be allowed")
	}
	if err := run(t, e, looping("unreachable"), wt.Options{Limits: wt.Limits{MemoryBytes: 1}}, nil); err == nil || !strings.Contains(err.Error(), "memory") {
		t.Errorf("a component that starts with more memory than it may have: %v", err)
	}
	table := strings.Replace(looping("(if (i32.ne (table.grow (ref.null func) (i32.const 1000000)) (i32.const -1)) (then unreachable))"),
		"(memory 1)", "(table 1 funcref)", 1)
	if err := run(t, e, table, wt.Options{Limits: wt.Limits{TableElements: 1000}}, nil); err != nil {
		t.Errorf("a table growing beyond the limit must be refused: %v", err)
	}
	deep := `(call $f)`
	err = run(t, e, strings.Replace(looping(deep), `(func (export "run")`, `(func $f (call $f)) (func (export "run")`, 1), wt.Options{}, nil)
	if err == nil || len(err.Error()) > 5000 {
		t.Errorf("a stack overflow: an error of %d bytes", len(fmt.Sprint(err)))
	}
}
