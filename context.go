package retry

import "context"

// Override returns a context that is derived from ctx and carries opts. Every call to
// [Do], [DoValue], or a wrapped function that gets this context, or a context derived
// from it, applies opts after its own options, so that opts take precedence. The hooks
// and loggers in opts run after the hooks and loggers of the call. The error maps in opts
// run before the error maps of the call. Override is for code that does not accept
// options:
//
//	// A test makes the code under test retry without waiting.
//	ctx = retry.Override(ctx, retry.WithClock(clock), retry.WithSource(source))
//
//	// Code that gets this context does not retry, so that only its caller does.
//	ctx = retry.Override(ctx, retry.WithMaxAttempts(1))
//
// If overrides are nested, they apply from the outermost to the innermost, so that the
// innermost takes precedence. If an option in opts is invalid, every call that the
// override affects returns [ErrInvalid]. If ctx is nil, Override returns nil.
//
// Override affects every call whose context derives from the result, including the calls
// of background loops. In production, use Override only where one layer decides for the
// layers below it, as in the second example. Start background loops with a context that
// is not derived from the result. A hook or error map in opts must not call Do with the
// context that it receives, because that call would run the hook or error map again.
func Override(ctx context.Context, opts ...Option) context.Context {
	if ctx == nil {
		return nil
	}
	outer := scopeOf(ctx)
	if outer.override != nil {
		opts = append([]Option{outer.override}, opts...)
	}
	return &scope{ctx, outer.previous, Policy(opts...).(*policy)}
}

// PreviousAttempts returns the number of attempts before the current one: 0 in the first
// attempt, 1 in the first retry. Pass it the context that fn receives, or a context
// derived from that context. For any other context, or if ctx is nil, PreviousAttempts
// returns 0. If calls are nested, it returns the number for the innermost call. After an
// attempt whose error was marked with [Restart], the count starts again with that
// attempt, so PreviousAttempts returns 1 in the next attempt.
//
// Send this number to the server, as gRPC does in grpc-previous-rpc-attempts (gRPC A6),
// or record it as OpenTelemetry's http.request.resend_count. The number can also limit
// the attempts for one kind of error:
//
//	if retry.PreviousAttempts(ctx) >= 2 {
//		return retry.Permanent(err)
//	}
func PreviousAttempts(ctx context.Context) int {
	if ctx == nil {
		return 0
	}
	return scopeOf(ctx).previous
}

// A scope is a context that carries the values of Override and PreviousAttempts to the
// calls to Do below it. One scope carries both values so that a call searches its context
// only once.
type scope struct {
	context.Context
	previous int
	override *policy // nil if there is none
}

type scopeKey struct{}

func (s *scope) Value(key any) any {
	if key == (scopeKey{}) {
		return s
	}
	return s.Context.Value(key)
}

// AfterFunc lets package context derive a context from a scope without starting a
// goroutine.
func (s *scope) AfterFunc(f func()) (stop func() bool) {
	return context.AfterFunc(s.Context, f)
}

var noScope scope

// scopeOf returns the innermost scope of ctx, or an empty one.
func scopeOf(ctx context.Context) *scope {
	if s, ok := ctx.Value(scopeKey{}).(*scope); ok {
		return s
	}
	return &noScope
}
