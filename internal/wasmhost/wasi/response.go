package wasi

import (
	"fmt"

	"github.com/trellis-operator/trellis/internal/wasmhost/cm"
)

// outgoingResponse is the response that the component builds.
type outgoingResponse struct {
	status   uint16
	head     *fields
	hasBody  bool
	finished bool
}

// outgoingBody is the body of the response; its stream can be had once.
type outgoingBody struct {
	exchange *Exchange
	response *outgoingResponse
	streamed bool
	sink     bool // of an outgoing request, which goes nowhere
}

func (b *outgoingBody) drop() {
	if !b.response.finished && !b.sink {
		b.exchange.abandon()
	}
}

// responseStream is the output stream of the response's body. Every write is flushed: what a component writes is
// what a client sees, at once.
type responseStream struct{ body *outgoingBody }

func (s responseStream) room() int { return chunk }

func (s responseStream) write(p []byte) error {
	if s.body.response.finished {
		return errOver
	}
	if s.body.sink {
		return nil
	}
	if err := s.body.exchange.write(p); err != nil {
		return err
	}
	return s.body.exchange.flush()
}

func (s responseStream) flush() error {
	if s.body.sink {
		return nil
	}
	return s.body.exchange.flush()
}

func responseFunctions() map[string]Func {
	on := func(use func(in *Instance, r *outgoingResponse, args []any) (any, error)) Func {
		return func(in *Instance, args []any) (any, error) {
			r, err := borrow[*outgoingResponse](in, args[0], KindOutgoingResponse)
			if err != nil {
				return nil, err
			}
			return use(in, r, args)
		}
	}
	return map[string]Func{
		"[constructor]outgoing-response": func(in *Instance, args []any) (any, error) {
			head, err := take[*fields](in, args[0], KindFields)
			if err != nil {
				return nil, err
			}
			head.immutable = true // its handle is gone: nobody can change it any more
			return in.owned(KindOutgoingResponse, &outgoingResponse{status: 200, head: head})
		},
		"[method]outgoing-response.status-code": on(func(_ *Instance, r *outgoingResponse, _ []any) (any, error) {
			return r.status, nil
		}),
		"[method]outgoing-response.set-status-code": on(func(_ *Instance, r *outgoingResponse, args []any) (any, error) {
			status := args[1].(uint16)
			if status < 200 || status > 999 { // 1xx is no end of an exchange
				return cm.Err(nil), nil
			}
			r.status = status
			return cm.OK(nil), nil
		}),
		"[method]outgoing-response.headers": on(func(in *Instance, r *outgoingResponse, _ []any) (any, error) {
			return in.owned(KindFields, r.head)
		}),
		"[method]outgoing-response.body": on(func(in *Instance, r *outgoingResponse, _ []any) (any, error) {
			if r.hasBody {
				return cm.Err(nil), nil
			}
			r.hasBody = true
			return in.okOwned(KindOutgoingBody, &outgoingBody{exchange: in.exchange, response: r})
		}),
		"[method]outgoing-body.write":                  writeBody,
		"[static]outgoing-body.finish":                 finishBody,
		"[static]response-outparam.set":                setResponse,
		"[method]response-outparam.send-informational": constant(cm.Err(internalError("informational responses are not offered"))),
	}
}

func internalError(text string) cm.Variant {
	return cm.Variant{Case: "internal-error", Value: cm.Some(text)}
}

func writeBody(in *Instance, args []any) (any, error) {
	b, err := borrow[*outgoingBody](in, args[0], KindOutgoingBody)
	if err != nil {
		return nil, err
	}
	if b.streamed {
		return cm.Err(nil), nil
	}
	b.streamed = true
	return in.okOwned(KindOutputStream, responseStream{b})
}

func finishBody(in *Instance, args []any) (any, error) {
	b, err := take[*outgoingBody](in, args[0], KindOutgoingBody)
	if err != nil {
		return nil, err
	}
	var trailers *fields
	if option := args[1].(cm.Option); option.Some {
		if trailers, err = take[*fields](in, option.Value, KindFields); err != nil {
			return nil, err
		}
	}
	b.response.finished = true
	if !b.sink {
		b.exchange.finishBody(trailers)
	}
	return cm.OK(nil), nil
}

// setResponse sends the head. A body that was finished before ends the exchange here; one that nobody asked for too.
func setResponse(in *Instance, args []any) (any, error) {
	x, err := take[*Exchange](in, args[0], KindOutparam)
	if err != nil {
		return nil, err
	}
	result := args[1].(cm.Result)
	if result.Failed {
		x.refuse(fmt.Errorf("%w: %s", ErrRefused, describe(result.Value)))
		return nil, nil
	}
	r, err := take[*outgoingResponse](in, result.Value, KindOutgoingResponse)
	if err != nil {
		return nil, err
	}
	if err := x.start(int(r.status), r.head); err != nil {
		return nil, err
	}
	if r.finished || !r.hasBody {
		x.finishBody(x.trailers)
	}
	return nil, nil
}

// describe puts an error-code into words.
func describe(v any) string {
	code, ok := v.(cm.Variant)
	if !ok {
		return fmt.Sprint(v)
	}
	if option, ok := code.Value.(cm.Option); ok && option.Some {
		return fmt.Sprintf("%s: %v", code.Case, option.Value)
	}
	return code.Case
}
