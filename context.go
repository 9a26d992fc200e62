package retry

import "context"

// Override returns a context in which every call of [Do], [DoValue], and wrapped
// functions applies opts after its own options, so that they take precedence. Hooks and
// loggers are added to those of the call and run after them; error maps are added and
// run before those of the call. Override is for code that does not accept options:
//
//	// A test makes the code under test retry without waiting.
//	ctx = retry.Override(ctx, retry.WithClock(clock), retry.WithSource(source))
//
//	// A service retries at one layer only, and not in what fn calls.
//	ctx = retry.Override(ctx, retry.WithMaxAttempts(1))
//
// Nested overrides apply in order, the outermost first. An invalid option makes the
// calls return [ErrInvalid]. If ctx is nil, so is the result.
//
// Override reaches every call whose context derives from the result, including those of
// background loops. In production, use it where one layer decides for those below it, as
// in the second example, and start background loops from another context. A hook in
// opts must not call Do with the context that it gets, because that call has the same hook.
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

// PreviousAttempts returns, inside fn, the number of attempts before this one: 0 in the
// first attempt, 1 in the first retry. After an attempt whose error was marked with
// [Restart], it counts from that attempt, so that it returns 1 in the next. Outside fn
// and for a nil ctx it returns 0. If calls are nested, it refers to the innermost.
//
// It is the value that gRPC sends as grpc-previous-rpc-attempts (gRPC A6) and that
// OpenTelemetry records as http.request.resend_count, which tell a server how much of
// its load is retries. It can also limit the attempts for one kind of error:
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

// A scope is a context that says to the calls of Do below it what Override and
// PreviousAttempts need. It has both so that a call searches its context only once.
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

// AfterFunc lets package context watch a context that is not its own without a goroutine.
func (s *scope) AfterFunc(f func()) (stop func() bool) {
	return context.AfterFunc(s.Context, f)
}

var noScope scope

// scopeOf returns the innermost scope of ctx, or one that says nothing.
func scopeOf(ctx context.Context) *scope {
	if s, ok := ctx.Value(scopeKey{}).(*scope); ok {
		return s
	}
	return &noScope
}
