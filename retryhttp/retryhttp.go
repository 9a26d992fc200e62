// Package retryhttp sends HTTP requests again if they fail.
//
//	client := &http.Client{Transport: &retryhttp.Transport{}}
//
// The client is used like any other. Its requests are retried as package
// [example.com/retry] retries: by default up to 5 attempts, with exponential backoff
// and jitter between them, and no sooner than the server asked for in a Retry-After
// header. See [Transport] for which requests and which failures are retried.
//
// # Responses
//
// If all attempts fail, the caller gets the response of the last attempt and a nil
// error, as from a client that does not retry: a 503 is returned as a 503, with its
// header and its body. A loop around the client, or another Transport, should therefore
// not retry the statuses that the Transport has retried already, because it would
// multiply the attempts.
//
// # Requests that are safe to repeat
//
// A request that was sent may have had its effect even though no response arrived.
// Therefore only the methods that HTTP defines as idempotent are retried: GET, HEAD,
// OPTIONS, TRACE, PUT and DELETE. A DELETE whose first response was lost may be
// answered by 404 the second time.
//
// A POST or PATCH is retried if it has an Idempotency-Key (or X-Idempotency-Key)
// header, by which the server recognizes the repetition:
//
//	req.Header.Set("Idempotency-Key", orderID)
//
// If the request is safe to repeat without the help of the server, such as a search,
// an empty slice says so to the Transport (and to net/http), and no header is sent:
//
//	req.Header["Idempotency-Key"] = []string{}
//
// If the connection could not be established, a request with any method is retried,
// because nothing of it was sent.
//
// A body is sent again by means of [http.Request].GetBody, which [http.NewRequest] sets for
// a [bytes.Buffer], [bytes.Reader] or [strings.Reader]. For any other body, such as a file,
// the caller must set GetBody; without it, the request is sent once. The Transport does
// not buffer bodies.
//
// # Timeouts
//
// [retry.WithAttemptTimeout] limits the time that each attempt has to deliver the
// header of its response. If an attempt exceeds it, even while it connects, the request may
// have been sent, and a POST without a key is not retried. The attempt timeout does not
// limit the time to read the body of the response, and so it is safe to use with large
// bodies. [http.Client].Timeout, or a deadline of the request's context, limits all attempts,
// the waits between them, and the reading of the body together.
//
// # Services that call services
//
// If each of three services makes 4 attempts to call the next, one request at the top
// causes 64 at the bottom. Within a process, package retry recognizes the error of a nested
// call that gave up. Across processes, let a service that gave up say so in a header of its
// response, and let its clients read the header in [Transport].Retry. Then one request
// causes 4. The example "Services" of Transport shows how.
package retryhttp

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"example.com/retry"
)

// A Transport is an [http.RoundTripper] that sends a request again if the attempt failed
// and the request is safe to repeat. The zero value is ready to use. A Transport is safe
// for concurrent use if its Base is.
//
// An attempt failed if Base returned an error or if Retry reports true for its response.
// All errors of Base are retried, except an invalid certificate, a server that does not
// speak TLS, and a request that [http.Transport] refuses to send because it is
// malformed. A request is safe to repeat if it has no body or GetBody is set, and if one
// of these conditions is true:
//
//   - its method is GET, HEAD, OPTIONS, TRACE, PUT or DELETE, in upper case
//   - its Header has the key Idempotency-Key or X-Idempotency-Key, even if the slice of
//     values is empty, in which case no header is sent
//   - the connection could not be established: the error is a [*net.OpError] whose Op is
//     "dial" or "proxyconnect"
//
// No option, hook, filter, error map or override makes a Transport repeat any other
// request.
//
// The hooks, filters and error maps of Policy see a failed response as a [*StatusError].
// The response of an attempt that is followed by another is closed before the wait. Up to
// 64 KiB of its body are read for up to 100 milliseconds so that the connection can be
// reused.
//
// A Transport does not log, does not set header fields, and does not close idle
// connections unless CloseIdleConnections is called.
type Transport struct {
	// Base makes the attempts. If it is nil, http.DefaultTransport makes them.
	Base http.RoundTripper

	// Policy says how often, when and for how long to retry. If it is nil, the defaults of
	// package retry apply. Use retry.Policy to combine several options.
	Policy retry.Option

	// Retry reports whether a response is a failure. It is called once for each response,
	// with Response.Request set to the request that RoundTrip was given, and it must not
	// read the body. If Retry is nil, the failures are 408 Request Timeout, 429 Too Many
	// Requests, and every 5xx status except 501 Not Implemented.
	Retry func(*http.Response) bool
}

// RoundTrip sends req until an attempt succeeds or the policy gives up. It returns the
// response of the last attempt, if there was one, whatever its status. It does not modify
// req, except that it closes the body.
//
// The error is a [*retry.Error] if no attempt was made, if the last attempt failed without
// a response, if the context of req ended during the wait after a response, or if an error
// map replaced the StatusError of the response. There is one exception: if the first
// attempt fails and must not be followed by another, because req is not safe to repeat or
// Base would return the same error again, RoundTrip returns the error of Base.
//
// The context of req ends the attempts, the waits and the reading of the returned body.
// An attempt timeout does not apply to the returned body.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	x := &exchange{transport: t, req: req}
	defer x.release()
	resp, err := retry.DoValue(req.Context(), x.attempt, t.Policy, retry.WithOnRetry(x.discard))
	e, _ := err.(*retry.Error)
	switch {
	case e == nil, x.status != nil && errors.Is(e.Err, x.status):
		x.resp = nil // so that release does not close it
		return resp, nil
	case x.marked && e.Attempts == 1 && e.Reason == retry.ErrNotRetryable:
		// Type assertions in net/http and in loops around the client go on working. The
		// cause of a canceled context may also match ErrNotRetryable.
		return nil, e.Err
	}
	return nil, e
}

// CloseIdleConnections calls the method of that name of Base, if it has one.
func (t *Transport) CloseIdleConnections() {
	if base, ok := t.base().(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}

func (t *Transport) base() http.RoundTripper { return cmp.Or(t.Base, http.DefaultTransport) }

func (t *Transport) failed(resp *http.Response) bool {
	if t.Retry != nil {
		return t.Retry(resp)
	}
	code := resp.StatusCode
	return code == http.StatusRequestTimeout || code == http.StatusTooManyRequests ||
		code/100 == 5 && code != http.StatusNotImplemented
}

// A StatusError is the error of an attempt whose response [Transport].Retry reported as a
// failure. Hooks, filters and error maps find it with [errors.As]. RoundTrip returns the
// response itself.
type StatusError struct {
	Response *http.Response // its body belongs to the Transport and must not be read or closed
}

// Error returns the status of the response, such as "503 Service Unavailable". It does not
// include the URL, which may contain a password.
func (e *StatusError) Error() string {
	code := e.Response.StatusCode
	status := cmp.Or(e.Response.Status, strconv.Itoa(code)+" "+http.StatusText(code))
	return strings.TrimSpace(status) // over HTTP/2, the Status of a 529 is "529 "
}

// RetryAfter returns the delay that the server asked for in the Retry-After header of the
// response, or 0 if it asked for none. A date is taken relative to the Date of the
// response, so that the clocks of client and server need not agree, or to the current
// time if there is no valid Date.
func (e *StatusError) RetryAfter() time.Duration {
	now, err := http.ParseTime(e.Response.Header.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	d, _ := retry.ParseRetryAfter(e.Response.Header.Get("Retry-After"), now)
	return d
}

// An exchange is one call of RoundTrip.
type exchange struct {
	transport *Transport
	req       *http.Request // the caller's
	sent      bool          // whether Base was given the caller's body

	// The last attempt:
	resp   *http.Response // nil if there is none that RoundTrip may return
	body   io.ReadCloser  // of resp, even if an error map replaced Response.Body
	end    func()         // ends the context that resp was read with
	status *StatusError   // of resp, if Retry reported true
	final  bool           // whether no other attempt may follow
	marked bool           // whether the error was marked Permanent because of that
	err    error          // as the error maps left it, if the wait for another attempt began
}

// attempt is the function that Do calls.
func (x *exchange) attempt(ctx context.Context) (*http.Response, error) {
	if x.final {
		return nil, retry.Permanent(x.err) // an error map dropped the mark
	}
	body := x.req.Body
	if x.sent && !isEmpty(body) {
		var err error
		if body, err = x.req.GetBody(); err != nil {
			return nil, retry.Permanent(err)
		}
	}
	resp, err := x.send(ctx, body)
	x.final = !x.repeatable(err) || refused(err)
	if resp != nil && x.transport.failed(resp) {
		x.status = &StatusError{resp}
		err = x.status
	}
	x.marked = x.final && err != nil
	if x.marked {
		err = retry.Permanent(err)
	}
	return resp, err
}

// send calls Base. It returns either a response or an error, or neither if Base did.
func (x *exchange) send(ctx context.Context, body io.ReadCloser) (*http.Response, error) {
	// A context derived from ctx would end with the attempt timeout, in mid-body.
	own, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	defer func() {
		stop() // for a Base that panics
		if x.resp == nil {
			cancel(nil)
		}
	}()
	req := x.req.WithContext(attemptContext{own, ctx})
	req.Header = x.req.Header.Clone()
	req.Body = body
	x.sent = true
	resp, err := x.transport.base().RoundTrip(req)
	stop()
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if err != nil {
		if resp != nil && resp.Body != nil {
			resp.Body.Close()
		}
		return nil, err
	}
	if resp != nil {
		x.keep(resp, cancel)
	}
	return resp, nil
}

// keep makes resp the response of the attempt. From now on, the attempt's context ends with
// the caller's or with the body.
func (x *exchange) keep(resp *http.Response, cancel context.CancelCauseFunc) {
	resp.Request = x.req
	x.resp = resp
	caller := x.req.Context()
	stop := context.AfterFunc(caller, func() { cancel(context.Cause(caller)) })
	x.end = func() { stop(); cancel(nil) }
	if isEmpty(resp.Body) {
		resp.Body = http.NoBody
		x.end()
	} else if _, ok := resp.Body.(io.Writer); !ok {
		resp.Body = &responseBody{resp.Body, caller, x.end}
	}
	x.body = resp.Body
}

// discard is an OnRetry hook. It closes the response, because another attempt follows.
func (x *exchange) discard(_ context.Context, ev retry.Event) {
	x.err = ev.Err
	if body, ok := x.body.(*responseBody); ok && x.resp != nil {
		// Reading more than this costs more than the new connection that it saves.
		timer := time.AfterFunc(100*time.Millisecond, x.end)
		io.CopyN(io.Discard, body, 64<<10)
		timer.Stop()
	}
	x.close()
}

// close closes the response of the last attempt, if there is one.
func (x *exchange) close() {
	if x.resp != nil {
		x.body.Close()
		x.end()
	}
	x.resp, x.status = nil, nil
}

// release closes what RoundTrip does not return, also after a panic.
func (x *exchange) release() {
	x.close()
	if !x.sent && x.req.Body != nil {
		x.req.Body.Close()
	}
}

// repeatable reports whether the request may be sent again after an attempt for which Base
// returned err.
func (x *exchange) repeatable(err error) bool {
	if !isEmpty(x.req.Body) && x.req.GetBody == nil {
		return false
	}
	switch x.req.Method {
	case "", "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return true
	}
	_, key := x.req.Header["Idempotency-Key"]
	_, xkey := x.req.Header["X-Idempotency-Key"]
	e, ok := errors.AsType[*net.OpError](err)
	return key || xkey || ok && (e.Op == "dial" || e.Op == "proxyconnect")
}

// refused reports whether err, an error of Base, would be the same after another attempt.
func refused(err error) bool {
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, record := errors.AsType[tls.RecordHeaderError](err)
	if certificate || record {
		return true
	}
	// For these errors, http.Transport has neither values nor types.
	for ; err != nil; err = errors.Unwrap(err) {
		for _, prefix := range []string{"unsupported protocol scheme", "net/http: invalid ",
			"http: no Host in request URL", "http: nil Request."} {
			if strings.HasPrefix(err.Error(), prefix) {
				return true
			}
		}
	}
	return false
}

func isEmpty(body io.ReadCloser) bool { return body == nil || body == http.NoBody }

// An attemptContext is the context of an attempt, with the deadline of the attempt that
// the package context does not know of, because it does not end the body.
type attemptContext struct {
	context.Context
	attempt context.Context
}

func (c attemptContext) Deadline() (time.Time, bool) { return c.attempt.Deadline() }

// A responseBody ends the context of its attempt when it is read to the end or closed.
type responseBody struct {
	io.ReadCloser
	caller context.Context
	end    func()
}

func (b *responseBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.end()
	} else if err != nil && context.Cause(b.caller) != nil {
		err = context.Cause(b.caller)
	}
	return n, err
}

func (b *responseBody) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}
