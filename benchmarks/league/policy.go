// Package league runs the real code of several retry libraries against simulated
// services and counts what the services and the callers notice. The clock is the fake
// one of testing/synctest, so everything runs in tests. RESULTS.md has the tables.
package league

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A policy is what every library is configured to do in its expert form. The
// waits are uniform in [0, ceiling).
type policy struct {
	attempts  int
	base, max time.Duration
	noJitter  bool          // wait exactly the ceiling
	limit     time.Duration // of one attempt; 0 means none
}

// many is an attempt limit that no call reaches. Not all libraries have a limit
// that can be switched off.
const many = 1000

// ceiling returns the longest wait after failed attempt n, from 1.
func (p policy) ceiling(n int) time.Duration {
	d := p.base
	for ; n > 1 && d < p.max; n-- {
		d *= 2
	}
	return min(d, p.max)
}

// pause is the wait after failed attempt n, for libraries that take a function.
func (p policy) pause(n int, err error) time.Duration {
	if p.noJitter {
		return retryAfter(err) + p.ceiling(n)
	}
	return retryAfter(err) + rand.N(p.ceiling(n))
}

// A call runs fn until it succeeds or the library gives up.
type call func(ctx context.Context, fn func(context.Context) error) error

// within bounds each attempt for libraries that cannot do it themselves.
func (p policy) within(fn func(context.Context) error) func(context.Context) error {
	if p.limit == 0 {
		return fn
	}
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, p.limit)
		defer cancel()
		return fn(ctx)
	}
}

// A fault is the temporary error of a simulated service. It has the methods by which some
// libraries recognize a temporary error.
type fault struct {
	text  string
	code  codes.Code
	after time.Duration // what the server asks for; 0 if nothing
}

func (f *fault) Error() string             { return f.text }
func (f *fault) RetryAfter() time.Duration { return f.after }
func (f *fault) GRPCStatus() *status.Status { // for gax
	return status.New(f.code, f.text)
}
func (f *fault) RetryableError() bool { return true } // for aws
func (f *fault) ErrorCode() string { // for aws
	if f.after > 0 {
		return "ThrottlingException"
	}
	return ""
}

var (
	errDown     = &fault{text: "connection refused", code: codes.Unavailable}
	errTimeout  = &fault{text: "no answer", code: codes.Unavailable}
	errConflict = &fault{text: "version conflict", code: codes.Aborted}
)

// known reports whether a caller would list err as temporary.
func known(err error) bool {
	var f *fault
	return errors.As(err, &f)
}

func retryAfter(err error) time.Duration {
	var f *fault
	if errors.As(err, &f) {
		return f.after
	}
	return 0
}
