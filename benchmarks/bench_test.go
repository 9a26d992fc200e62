package main

import (
	"context"
	"fmt"
	"testing"
	"time"
)

func BenchmarkFirstTryInline(b *testing.B)   { sequential(b, inline, inlineBase, 0, nil) }
func BenchmarkFirstTryPrepared(b *testing.B) { sequential(b, prepared, inlineBase, 0, nil) }
func BenchmarkPermanentError(b *testing.B)   { sequential(b, permanent, inlineBase, 1, errPermanent) }
func BenchmarkTwoFailures(b *testing.B)      { sequential(b, two, 0, 2, errTemporary) }
func BenchmarkTenFailures(b *testing.B)      { sequential(b, ten, 0, preparedAttempts, errTemporary) }

func BenchmarkParallelSharedCtx(b *testing.B) {
	parallel(b, shared, func(ctx context.Context, call op, s *script) error {
		return call(ctx, s)
	})
}

func BenchmarkParallelFreshCtx(b *testing.B) {
	parallel(b, fresh, func(_ context.Context, call op, s *script) error {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		return call(ctx, s)
	})
}

// BenchmarkDepth measures a first attempt that succeeds under a ctx to which
// middleware has added values. A lookup in ctx passes all of them.
func BenchmarkDepth(b *testing.B) {
	each(b, deep, func(b *testing.B, f form) {
		for _, levels := range []int{0, 5, 15} {
			b.Run(fmt.Sprint("levels=", levels), func(b *testing.B) {
				ctx := b.Context()
				for i := range levels {
					ctx = context.WithValue(ctx, new(int), i)
				}
				s := f.lib.script(0, nil)
				call := f.prepare(ctx, inlineBase)
				for b.Loop() {
					if err := call(ctx, s); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	})
}

// each runs measure for every form of a load. All forms are called through a func
// value that contains fn and the options, as a caller's code does, so the figures
// include the cost of fn and options that escape.
func each(b *testing.B, l load, measure func(b *testing.B, f form)) {
	for _, f := range formsFor(l) {
		b.Run("lib="+f.lib.name+"/form="+f.name, func(b *testing.B) { measure(b, f) })
	}
}

// sequential measures calls, one after another, of an operation that fails
// failures times with err.
func sequential(b *testing.B, l load, pause time.Duration, failures int, err error) {
	each(b, l, func(b *testing.B, f form) {
		b.ReportAllocs()
		ctx := b.Context()
		s := f.lib.script(failures, err)
		call := f.prepare(ctx, pause)
		fails := l&(permanent|ten) != 0
		for b.Loop() {
			s.calls = 0
			if err := call(ctx, s); (err != nil) != fails {
				b.Fatal(err)
			}
		}
	})
}

// parallel measures calls whose first attempt succeeds, on all cores.
func parallel(b *testing.B, l load, run func(ctx context.Context, call op, s *script) error) {
	each(b, l, func(b *testing.B, f form) {
		b.ReportAllocs()
		ctx := b.Context()
		call := f.prepare(ctx, inlineBase)
		b.RunParallel(func(pb *testing.PB) {
			s := &script{}
			for pb.Next() {
				s.calls = 0
				if err := run(ctx, call, s); err != nil {
					b.Error(err)
				}
			}
		})
	})
}
