;; Hello world as a wasmCloud component, written by hand so that it needs no compiler and fits into a few kilobytes.
;;
;; It answers every request with the value of the configuration key "greeting", or with "Hello from Wasm!", and a line
;; feed. The names of imports and the layout of arguments are those of the canonical ABI; README.md says how the
;; component is made of this module and the WIT files.
(module
  (import "wasi:config/runtime@0.2.0-draft" "get" (func $config_get (param i32 i32 i32)))
  (import "wasi:http/types@0.2.0" "[resource-drop]incoming-request" (func $drop_request (param i32)))
  (import "wasi:http/types@0.2.0" "[constructor]fields" (func $new_fields (result i32)))
  (import "wasi:http/types@0.2.0" "[method]fields.append" (func $append_field (param i32 i32 i32 i32 i32 i32)))
  (import "wasi:http/types@0.2.0" "[constructor]outgoing-response" (func $new_response (param i32) (result i32)))
  (import "wasi:http/types@0.2.0" "[method]outgoing-response.body" (func $response_body (param i32 i32)))
  (import "wasi:http/types@0.2.0" "[static]response-outparam.set"
    (func $set_response (param i32 i32 i32 i32 i64 i32 i32 i32 i32)))
  (import "wasi:http/types@0.2.0" "[method]outgoing-body.write" (func $body_write (param i32 i32)))
  (import "wasi:http/types@0.2.0" "[static]outgoing-body.finish" (func $body_finish (param i32 i32 i32 i32)))
  (import "wasi:io/streams@0.2.0" "[method]output-stream.blocking-write-and-flush" (func $write (param i32 i32 i32 i32)))
  (import "wasi:io/streams@0.2.0" "[resource-drop]output-stream" (func $drop_stream (param i32)))

  (memory (export "memory") 2)
  (data (i32.const 0) "greeting")
  (data (i32.const 16) "Hello from Wasm!")
  (data (i32.const 32) "content-type")
  (data (i32.const 48) "text/plain; charset=utf-8")

  (global $result i32 (i32.const 256))        ;; where calls put what they return
  (global $free (mut i32) (i32.const 1024))   ;; everything from here on is free

  ;; Memory for what the host passes in. An instance serves one request, so nothing is ever given back.
  (func $alloc (export "cabi_realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
    (local $start i32)
    (local.set $start
      (i32.and (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
               (i32.sub (i32.const 0) (local.get $align))))
    (global.set $free (i32.add (local.get $start) (local.get $size)))
    (if (i32.gt_u (global.get $free) (i32.mul (memory.size) (i32.const 65536)))
      (then
        (if (i32.eq (memory.grow (i32.add (i32.div_u (local.get $size) (i32.const 65536)) (i32.const 1))) (i32.const -1))
          (then unreachable))))
    (if (local.get $old)
      (then (memory.copy (local.get $start) (local.get $old) (local.get $old_size))))
    (local.get $start))

  ;; What a call returned beside its discriminant; an error ends the component.
  (func $ok (result i32)
    (if (i32.load8_u (global.get $result)) (then unreachable))
    (i32.load offset=4 (global.get $result)))

  ;; Writes in pieces: one call takes 4096 bytes at most.
  (func $write_all (param $stream i32) (param $text i32) (param $size i32)
    (local $piece i32)
    (loop $next
      (local.set $piece (select (local.get $size) (i32.const 4096) (i32.lt_u (local.get $size) (i32.const 4096))))
      (call $write (local.get $stream) (local.get $text) (local.get $piece) (global.get $result))
      (if (i32.load8_u (global.get $result)) (then unreachable))
      (local.set $text (i32.add (local.get $text) (local.get $piece)))
      (local.set $size (i32.sub (local.get $size) (local.get $piece)))
      (br_if $next (local.get $size))))

  (func (export "wasi:http/incoming-handler@0.2.0#handle") (param $request i32) (param $out i32)
    (local $text i32) (local $size i32) (local $line i32)
    (local $head i32) (local $response i32) (local $body i32) (local $stream i32)
    (call $drop_request (local.get $request))

    ;; result<option<string>, config-error>: an error counts as "not set"
    (local.set $text (i32.const 16))
    (local.set $size (i32.const 16))
    (call $config_get (i32.const 0) (i32.const 8) (global.get $result))
    (if (i32.and (i32.eqz (i32.load8_u (global.get $result))) (i32.load8_u offset=4 (global.get $result)))
      (then
        (local.set $text (i32.load offset=8 (global.get $result)))
        (local.set $size (i32.load offset=12 (global.get $result)))))

    ;; the text with a line feed
    (local.set $line
      (call $alloc (i32.const 0) (i32.const 0) (i32.const 1) (i32.add (local.get $size) (i32.const 1))))
    (memory.copy (local.get $line) (local.get $text) (local.get $size))
    (i32.store8 (i32.add (local.get $line) (local.get $size)) (i32.const 10))

    (local.set $head (call $new_fields))
    (call $append_field (local.get $head) (i32.const 32) (i32.const 12) (i32.const 48) (i32.const 25) (global.get $result))
    (local.set $response (call $new_response (local.get $head)))
    (call $response_body (local.get $response) (global.get $result))
    (local.set $body (call $ok))
    (call $set_response (local.get $out) (i32.const 0) (local.get $response)
      (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
    (call $body_write (local.get $body) (global.get $result))
    (local.set $stream (call $ok))
    (call $write_all (local.get $stream) (local.get $line) (i32.add (local.get $size) (i32.const 1)))
    (call $drop_stream (local.get $stream))
    (call $body_finish (local.get $body) (i32.const 0) (i32.const 0) (global.get $result))))
