// Package retryhttp provides an HTTP transport that retries failed requests.
//
//	client := &http.Client{Transport: &retryhttp.Transport{}}
//
// Use the client like any other. It retries as package [example.com/retry] does: by
// default, it makes up to 5 attempts, with exponential backoff and jitter between them,
// and it does not retry sooner than the server asked for in a Retry-After header. If the
// server asked for more than 1 minute, the response is returned immediately, unless
// [retry.WithMaxRetryAfter] permits the delay. [Transport] describes which requests and
// which failures are retried.
//
// # Responses
//
// If the last attempt failed with a response, the caller normally gets this response and
// a nil error, as from a client that does not retry. For example, a 503 is returned with
// its header and body. A loop around the client, or a second Transport around the first,
// should not retry the same statuses, because that would multiply the attempts.
//
// # Requests that are safe to repeat
//
// A request may have taken effect even if no response arrived. Therefore, a request is
// normally retried only if HTTP defines its method as idempotent: GET, HEAD, OPTIONS,
// TRACE, PUT, and DELETE. If the response to a DELETE is lost, the response to the
// retry may be 404.
//
// A POST or PATCH is retried if it has an Idempotency-Key (or X-Idempotency-Key) header,
// which lets the server recognize a repeated request:
//
//	req.Header.Set("Idempotency-Key", orderID)
//
// If the request is safe to repeat without such a header, for example a search, set the
// header to an empty slice. The Transport and net/http then treat the request as
// idempotent, and no header is sent:
//
//	req.Header["Idempotency-Key"] = []string{}
//
// If the connection could not be established, a request with any method is retried,
// because no part of it was sent.
//
// To send a body again, the Transport calls [http.Request].GetBody, which
// [http.NewRequest] sets for a [bytes.Buffer], [bytes.Reader], or [strings.Reader]. For
// any other body, such as a file, the caller must set GetBody. Otherwise, the request is
// sent only once. The Transport does not buffer bodies.
//
// # Timeouts
//
// [retry.WithAttemptTimeout] limits how long each attempt waits for the response header.
// If an attempt times out, the Transport does not know whether the request was sent, so
// it does not retry a POST without a key. The attempt timeout does not limit the time to
// read the body of the response, so it is safe to use with large bodies.
// [http.Client].Timeout, or a deadline of the request's context, limits the total time of
// all attempts, the waits between them, and the reading of the body.
//
// # Services that call services
//
// If each of three services makes 4 attempts to call the next, one request at the top
// causes 64 at the bottom. Within a process, package retry recognizes the error of a
// nested call that gave up. Across processes, a service that gave up can report this in a
// header of its response, and its clients can check the header in [Transport].Retry. Then
// one request at the top causes 4 at the bottom. See the example "Services" of Transport.
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
// and the request is safe to repeat. The zero value is ready to use. A Transport is
// safe for concurrent use if Base, Retry, and the functions and values in Policy are.
//
// An attempt fails if Base returns an error or if Retry returns true for its response.
// All errors of Base are retried, except if a certificate is invalid, if the server does
// not speak TLS, or if [http.Transport] refuses to send the request because it is
// malformed. A request is safe to repeat if it has no body or GetBody is set, and if one
// of these conditions is true:
//
//   - its method is GET, HEAD, OPTIONS, TRACE, PUT, or DELETE, in upper case
//   - its Header has the key Idempotency-Key or X-Idempotency-Key, even if the slice of
//     values is empty, in which case no header is sent
//   - the connection could not be established: the error is a [*net.OpError] whose Op is
//     "dial" or "proxyconnect"
//
// No option, hook, predicate, error map, or override makes a Transport repeat any other
// request.
//
// The hooks, predicates, and error maps of Policy receive a failed response as a
// [*StatusError]. Before each wait, the Transport closes the response body of the failed
// attempt. It first reads up to 64 KiB of the body for up to 100 milliseconds, so that
// the connection can be reused.
//
// By default, a Transport does not log. It does not set header fields, and it does not
// close idle connections unless CloseIdleConnections is called.
type Transport struct {
	// Base makes the attempts. If it is nil, http.DefaultTransport makes them.
	Base http.RoundTripper

	// Policy configures the retries. If it is nil, the defaults of package retry
	// apply. Use retry.Policy to combine several options.
	Policy retry.Option

	// Retry reports whether a response is a failure. The Transport calls Retry once
	// for each response, with Response.Request set to the request that was passed to
	// RoundTrip. Retry must not read the body. If Retry is nil, the failures are 408
	// Request Timeout, 429 Too Many Requests, and every 5xx status except 501 Not
	// Implemented.
	Retry func(*http.Response) bool
}

// RoundTrip sends req until an attempt succeeds or there is a reason to stop. If the last
// attempt got a response, RoundTrip normally returns it, whatever its status. RoundTrip
// does not modify req, except that it reads and closes the body.
//
// RoundTrip returns an error if no attempt was made, if the last attempt failed without a
// response, if the wait after a response did not finish, or if the error maps returned an
// error that does not wrap the StatusError of the response. The error is a
// [*retry.Error], with one exception: if the only reason to stop after the first attempt
// is that req is not safe to repeat, or that Base would return the same error again,
// RoundTrip returns the error of Base, as changed by the error maps.
//
// Attempts, waits, and reads of the returned body stop when the context of req is done.
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
		// Without the wrapper, type assertions in net/http and in loops around the client
		// still work. Reason is compared with ==, because the cause of a canceled context
		// may also match ErrNotRetryable.
		return nil, e.Err
	}
	return nil, e
}

// CloseIdleConnections calls the CloseIdleConnections method of Base, if it has one.
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

// A StatusError is the error of an attempt whose response is a failure according to
// [Transport].Retry. Hooks, predicates, and error maps can find it with [errors.As].
// RoundTrip normally returns the response instead of the StatusError.
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
// response, or 0 if it did not ask for a delay. If the header has a date, the delay is
// counted from the Date of the response, so that the clocks of client and server need not
// agree. If the response has no valid Date, the delay is counted from the current time.
func (e *StatusError) RetryAfter() time.Duration {
	now, err := http.ParseTime(e.Response.Header.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	d, _ := retry.ParseRetryAfter(e.Response.Header.Get("Retry-After"), now)
	return d
}

// An exchange is the state of one call to RoundTrip.
type exchange struct {
	transport *Transport
	req       *http.Request // the caller's
	sent      bool          // whether Base was given the caller's body

	// These fields describe the last attempt.
	resp   *http.Response // nil if there is none that RoundTrip may return
	body   io.ReadCloser  // of resp, even if an error map replaced Response.Body
	end    func()         // cancels the context of the attempt
	status *StatusError   // of resp, if it is a failure
	final  bool           // whether no other attempt may follow
	marked bool           // whether the error was marked Permanent because final is true
	err    error          // what the error maps returned, if the wait for another attempt began
}

// attempt is the function that DoValue calls.
func (x *exchange) attempt(ctx context.Context) (*http.Response, error) {
	if x.final {
		return nil, retry.Permanent(x.err) // an error map removed the marker or failed a success
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

// send calls Base. It returns either a response or an error, or neither if Base returned
// neither.
func (x *exchange) send(ctx context.Context, body io.ReadCloser) (*http.Response, error) {
	// With an attempt timeout, Do cancels ctx when attempt returns, before the body is
	// read.
	own, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	defer func() {
		stop() // if Base panics
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

// keep makes resp the response of the attempt. From then on, the context of the attempt
// is canceled with the caller's context, or, unless the body is an io.Writer, when the
// body is read to the end or closed.
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
		// Reading more than this may cost more than opening a new connection.
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

// release closes what RoundTrip does not return, even after a panic.
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

// refused reports whether Base would return err again in another attempt.
func refused(err error) bool {
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, record := errors.AsType[tls.RecordHeaderError](err)
	if certificate || record {
		return true
	}
	// These errors of http.Transport can be recognized only by their texts.
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

// An attemptContext reports the deadline of the attempt. After Base returns, the deadline
// no longer cancels it, because the deadline does not apply to the body.
type attemptContext struct {
	context.Context
	attempt context.Context
}

func (c attemptContext) Deadline() (time.Time, bool) { return c.attempt.Deadline() }

// A responseBody cancels the context of its attempt when the body is read to the end or
// closed.
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
