package wasi

import (
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/trellis-operator/trellis/internal/wasmhost/cm"
)

// incomingRequest is the request as the component sees it.
type incomingRequest struct {
	exchange *Exchange
	head     *fields
	consumed bool
}

// incomingBody is the body of a request; its stream can be had once.
type incomingBody struct {
	exchange *Exchange
	streamed bool
}

// bodyStream is the input stream of a body.
type bodyStream struct{ *bodyReader }

// futureTrailers answers once with the trailers of a request.
type futureTrailers struct {
	exchange *Exchange
	answered bool
}

// Begin puts a request into the instance and returns the two arguments of wasi:http/incoming-handler.handle.
func (in *Instance) Begin(x *Exchange) (request, outparam cm.Resource, err error) {
	in.exchange = x
	request, err = in.own(KindIncomingRequest, &incomingRequest{exchange: x, head: fieldsFrom(x.request.Header)})
	if err == nil {
		outparam, err = in.own(KindOutparam, x)
	}
	return request, outparam, err
}

// Readable tells whether everything of a request that reaches a component as a string is UTF-8. The rest of the head
// and the body are bytes.
func Readable(r *http.Request) bool {
	return utf8.ValidString(target(r)) && utf8.ValidString(r.Host) && utf8.ValidString(r.Method)
}

// target is the path with its query as the client sent it, without the scheme and host that a proxy request carries.
func target(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") || r.URL == nil {
		return r.RequestURI
	}
	return r.URL.RequestURI()
}

func methodVariant(method string) cm.Variant {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodConnect,
		http.MethodOptions, http.MethodTrace, http.MethodPatch:
		return cm.Variant{Case: strings.ToLower(method)}
	}
	return cm.Variant{Case: "other", Value: method}
}

func incomingFunctions() map[string]Func {
	request := func(read func(r *incomingRequest) any) Func {
		return func(in *Instance, args []any) (any, error) {
			r, err := borrow[*incomingRequest](in, args[0], KindIncomingRequest)
			if err != nil {
				return nil, err
			}
			return read(r), nil
		}
	}
	return map[string]Func{
		"[method]incoming-request.method": request(func(r *incomingRequest) any {
			return methodVariant(r.exchange.request.Method)
		}),
		"[method]incoming-request.path-with-query": request(func(r *incomingRequest) any {
			return cm.Some(target(r.exchange.request))
		}),
		"[method]incoming-request.scheme": request(func(r *incomingRequest) any {
			if r.exchange.request.TLS != nil {
				return cm.Some(cm.Variant{Case: "HTTPS"})
			}
			return cm.Some(cm.Variant{Case: "HTTP"})
		}),
		"[method]incoming-request.authority": request(func(r *incomingRequest) any {
			if r.exchange.request.Host == "" {
				return cm.None()
			}
			return cm.Some(r.exchange.request.Host)
		}),
		"[method]incoming-request.headers": func(in *Instance, args []any) (any, error) {
			r, err := borrow[*incomingRequest](in, args[0], KindIncomingRequest)
			if err != nil {
				return nil, err
			}
			return in.owned(KindFields, r.head)
		},
		"[method]incoming-request.consume": consumeRequest,
		"[method]incoming-body.stream":     streamBody,
		"[static]incoming-body.finish": func(in *Instance, args []any) (any, error) {
			b, err := take[*incomingBody](in, args[0], KindIncomingBody)
			if err != nil {
				return nil, err
			}
			return in.owned(KindFutureTrailers, &futureTrailers{exchange: b.exchange})
		},
		"[method]future-trailers.subscribe": subscribeReady[*futureTrailers](KindFutureTrailers),
		"[method]future-trailers.get":       getTrailers,
	}
}

func consumeRequest(in *Instance, args []any) (any, error) {
	r, err := borrow[*incomingRequest](in, args[0], KindIncomingRequest)
	if err != nil {
		return nil, err
	}
	if r.consumed {
		return cm.Err(nil), nil
	}
	r.consumed = true
	return in.okOwned(KindIncomingBody, &incomingBody{exchange: r.exchange})
}

func streamBody(in *Instance, args []any) (any, error) {
	b, err := borrow[*incomingBody](in, args[0], KindIncomingBody)
	if err != nil {
		return nil, err
	}
	if b.streamed {
		return cm.Err(nil), nil
	}
	b.streamed = true
	return in.okOwned(KindInputStream, bodyStream{b.exchange.body})
}

func getTrailers(in *Instance, args []any) (any, error) {
	t, err := borrow[*futureTrailers](in, args[0], KindFutureTrailers)
	if err != nil {
		return nil, err
	}
	if t.answered {
		return cm.Some(cm.Err(nil)), nil
	}
	t.answered = true
	answer := cm.None()
	if t.exchange.body.ended() && len(t.exchange.request.Trailer) > 0 {
		r, err := in.own(KindFields, fieldsFrom(t.exchange.request.Trailer))
		if err != nil {
			return nil, err
		}
		answer = cm.Some(r)
	}
	return cm.Some(cm.OK(cm.OK(answer))), nil
}

// subscribeReady is the subscribe of things that never make anybody wait.
func subscribeReady[T any](kind Kind) Func {
	return func(in *Instance, args []any) (any, error) {
		if _, err := borrow[T](in, args[0], kind); err != nil {
			return nil, err
		}
		return in.owned(KindPollable, readyNow)
	}
}
