package main

import (
	"context"
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

// each runs measure for every row of a load. All rows are called alike, through a
// func value, with the fn and the options written inside as a caller would, so
// what of them has to be allocated is the library's doing.
func each(b *testing.B, l load, measure func(b *testing.B, r row)) {
	for _, r := range rows(l) {
		b.Run("lib="+r.lib.name+"/form="+r.form, func(b *testing.B) { measure(b, r) })
	}
}

// sequential measures one call after the other, of an operation that fails
// failures times with err.
func sequential(b *testing.B, l load, pause time.Duration, failures int, err error) {
	each(b, l, func(b *testing.B, r row) {
		b.ReportAllocs()
		ctx := b.Context()
		s := r.lib.script(failures, err)
		call := r.prepare(ctx, pause)
		fails := l&(permanent|ten) != 0
		for b.Loop() {
			s.calls = 0
			if err := call(ctx, s); (err != nil) != fails {
				b.Fatal(err)
			}
		}
	})
}

// parallel measures calls whose first try succeeds, on all cores.
func parallel(b *testing.B, l load, run func(ctx context.Context, call op, s *script) error) {
	each(b, l, func(b *testing.B, r row) {
		b.ReportAllocs()
		ctx := b.Context()
		call := r.prepare(ctx, inlineBase)
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
