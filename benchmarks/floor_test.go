package main

import (
	"context"
	"errors"
	"time"
)

// The floor is the loop that an engineer writes without a library. It has no
// jitter, and only its numbers can be configured.
var floor = library{
	name: "floor",
	forms: []form{{
		name:  "loop",
		loads: inline,
		prepare: inCall(func(ctx context.Context, s *script) error {
			return byHand(ctx, inlineAttempts, inlineBase, inlineMax, func(context.Context) error { return s.try() })
		}),
	}, {
		name:  "loop",
		loads: prepared | deep | shared | fresh | permanent | two | ten | waiting | late,
		prepare: func(_ context.Context, pause time.Duration) op {
			return func(ctx context.Context, s *script) error {
				return byHand(ctx, preparedAttempts, pause, pause, func(context.Context) error { return s.try() })
			}
		},
	}, {
		// This form is not a loop, but the minimum that a waiting call needs: a goroutine
		// and a timer.
		name:  "timer-in-select",
		loads: waiting | million,
		prepare: func(_ context.Context, pause time.Duration) op {
			return func(ctx context.Context, s *script) error {
				if err := s.try(); err == nil {
					return nil
				}
				timer := time.NewTimer(pause)
				select {
				case <-timer.C:
					return s.try()
				case <-ctx.Done():
					timer.Stop()
					return ctx.Err()
				}
			}
		},
	}, {
		// This form does not retry. It shows what it costs to make and cancel the ctx of
		// each call.
		name:    "ctx-alone",
		loads:   fresh,
		noCtx:   true,
		prepare: inCall(func(_ context.Context, s *script) error { return s.try() }),
	}},
}

func byHand(ctx context.Context, attempts int, base, limit time.Duration, fn func(context.Context) error) error {
	pause := base
	for n := 1; ; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := fn(ctx)
		if err == nil || n == attempts || errors.Is(err, errPermanent) {
			return err
		}
		if pause > 0 {
			timer := time.NewTimer(pause)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return ctx.Err()
			}
		}
		pause = min(2*pause, limit)
	}
}
