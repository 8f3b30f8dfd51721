package wasi

import "github.com/trellis-operator/trellis/internal/wasmhost/cm"

// Outgoing requests can be built, because libraries do so before they ask, and are refused when sent: on a lattice they
// go through a capability provider, which this host does not offer.

// outgoingRequest keeps what the component set, so that reading it back gives the same.
type outgoingRequest struct {
	head *fields
	set  map[string]any
	body bool
}

func newOutgoingRequest(head *fields) *outgoingRequest {
	return &outgoingRequest{head: head, set: map[string]any{
		"method": cm.Variant{Case: "get"}, "path-with-query": cm.None(), "scheme": cm.None(), "authority": cm.None(),
	}}
}

// requestOptions keeps the timeouts that the component set.
type requestOptions struct{ set map[string]any }

func outgoingFunctions() map[string]Func {
	functions := map[string]Func{
		"[constructor]outgoing-request": func(in *Instance, args []any) (any, error) {
			head, err := take[*fields](in, args[0], KindFields)
			if err != nil {
				return nil, err
			}
			return in.owned(KindOutgoingRequest, newOutgoingRequest(head))
		},
		"[method]outgoing-request.headers": func(in *Instance, args []any) (any, error) {
			r, err := borrow[*outgoingRequest](in, args[0], KindOutgoingRequest)
			if err != nil {
				return nil, err
			}
			return in.owned(KindFields, r.head)
		},
		"[method]outgoing-request.body": func(in *Instance, args []any) (any, error) {
			r, err := borrow[*outgoingRequest](in, args[0], KindOutgoingRequest)
			if err != nil {
				return nil, err
			}
			if r.body {
				return cm.Err(nil), nil
			}
			r.body = true
			return in.okOwned(KindOutgoingBody, &outgoingBody{response: &outgoingResponse{}, sink: true})
		},
		"[constructor]request-options": func(in *Instance, _ []any) (any, error) {
			none := map[string]any{"connect-timeout": cm.None(), "first-byte-timeout": cm.None(), "between-bytes-timeout": cm.None()}
			return in.owned(KindRequestOptions, &requestOptions{set: none})
		},
	}
	property := func(resource, name string, find func(in *Instance, handle any) (map[string]any, error)) {
		functions["[method]"+resource+"."+name] = func(in *Instance, args []any) (any, error) {
			set, err := find(in, args[0])
			return set[name], err
		}
		functions["[method]"+resource+".set-"+name] = func(in *Instance, args []any) (any, error) {
			set, err := find(in, args[0])
			if err != nil {
				return nil, err
			}
			set[name] = args[1]
			return cm.OK(nil), nil
		}
	}
	for _, name := range []string{"method", "path-with-query", "scheme", "authority"} {
		property("outgoing-request", name, func(in *Instance, handle any) (map[string]any, error) {
			r, err := borrow[*outgoingRequest](in, handle, KindOutgoingRequest)
			if err != nil {
				return nil, err
			}
			return r.set, nil
		})
	}
	for _, name := range []string{"connect-timeout", "first-byte-timeout", "between-bytes-timeout"} {
		property("request-options", name, func(in *Instance, handle any) (map[string]any, error) {
			r, err := borrow[*requestOptions](in, handle, KindRequestOptions)
			if err != nil {
				return nil, err
			}
			return r.set, nil
		})
	}
	return functions
}

func refuseRequest(in *Instance, args []any) (any, error) {
	if _, err := take[*outgoingRequest](in, args[0], KindOutgoingRequest); err != nil {
		return nil, err
	}
	if option := args[1].(cm.Option); option.Some {
		if _, err := take[*requestOptions](in, option.Value, KindRequestOptions); err != nil {
			return nil, err
		}
	}
	return cm.Err(cm.Variant{Case: "HTTP-request-denied"}), nil
}

func httpInterfaces() map[string]Interface {
	types := Interface{
		Resources: map[string]Kind{
			"fields": KindFields, "incoming-request": KindIncomingRequest, "incoming-body": KindIncomingBody,
			"future-trailers": KindFutureTrailers, "response-outparam": KindOutparam,
			"outgoing-response": KindOutgoingResponse, "outgoing-body": KindOutgoingBody,
			"outgoing-request": KindOutgoingRequest, "request-options": KindRequestOptions,
			"future-incoming-response": KindFutureResponse, "incoming-response": KindIncomingResponse,
		},
		Functions: map[string]Func{"http-error-code": constant(cm.None())},
	}
	for _, part := range []map[string]Func{fieldFunctions(), incomingFunctions(), responseFunctions(), outgoingFunctions()} {
		for name, f := range part {
			types.Functions[name] = f
		}
	}
	return map[string]Interface{
		"wasi:http/types":            types,
		"wasi:http/outgoing-handler": {Functions: map[string]Func{"handle": refuseRequest}},
	}
}
