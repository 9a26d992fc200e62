package retry

import "context"

// Override returns a ctx in which every call of [Do] and its like applies opts
// after its own options, so that they win; hooks add up. It reaches calls that
// one cannot parameterise, across any number of functions in between:
//
//	// A test makes the code under test retry without waiting.
//	ctx = retry.Override(ctx, retry.WithClock(fake), retry.WithSource(seeded))
//
//	// A service retries at one layer only.
//	ctx = retry.Override(ctx, retry.WithMaxAttempts(1))
//
// Nested overrides apply from the outermost in. An invalid option makes the calls
// fail with [ErrInvalid]. With a nil ctx the result is nil.
func Override(ctx context.Context, opts ...Option) context.Context {
	if ctx == nil {
		return nil
	}
	outer := scopeOf(ctx)
	override := newPolicy(opts)
	if outer.override != nil {
		override = newPolicy([]Option{outer.override, override})
	}
	return &scopeCtx{ctx, scope{override, outer.previous}}
}

// PreviousAttempts returns, inside fn, the number of attempts that [Do] made
// before this one: 0 in the first attempt, and outside of any. It speaks of the
// innermost Do whose ctx this is or comes from. Sent along with a request, as gRPC
// does with grpc-previous-rpc-attempts (gRPC A6), it tells a server how much of
// its load is retries. For a nil ctx it is 0.
func PreviousAttempts(ctx context.Context) int {
	if ctx == nil {
		return 0
	}
	return scopeOf(ctx).previous
}

// A scope is what a ctx tells the calls of Do below it. Both parts are in one, so
// that a call has to search its ctx only once.
type scope struct {
	override *policy // nil if there is none
	previous int
}

type scopeCtx struct {
	context.Context
	scope
}

type scopeKey struct{}

func (c *scopeCtx) Value(key any) any {
	if key == (scopeKey{}) {
		return c
	}
	return c.Context.Value(key)
}

func scopeOf(ctx context.Context) scope {
	if c, ok := ctx.Value(scopeKey{}).(*scopeCtx); ok {
		return c.scope
	}
	return scope{}
}
