package retry_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/retry"
	"example.com/retry/retrytest"
)

func record(events *[]retry.Event) func(context.Context, retry.Event) {
	return func(_ context.Context, ev retry.Event) { *events = append(*events, ev) }
}

func TestEvents(t *testing.T) {
	const s = time.Second
	for _, test := range []struct {
		name            string
		errs            []error
		onRetry, onDone []retry.Event
	}{
		{"success", nil, nil, []retry.Event{{Attempt: 1, Elapsed: 10 * s}}},
		{"success after retries", []error{errBoom, retry.After(errOther, 20*s)},
			[]retry.Event{
				{Attempt: 1, Err: errBoom, Wait: s, Elapsed: 10 * s},
				{Attempt: 2, Err: errOther, Wait: 30 * s, Waited: s, Elapsed: 21 * s},
			},
			[]retry.Event{{Attempt: 3, Err: errOther, Waited: 31 * s, Elapsed: 61 * s}}},
		{"failure", []error{errBoom, retry.Permanent(errOther)},
			[]retry.Event{{Attempt: 1, Err: errBoom, Wait: s, Elapsed: 10 * s}},
			[]retry.Event{{Attempt: 2, Err: errOther, Waited: s, Elapsed: 21 * s, Reason: retry.ErrNotRetryable}}},
		{"failure with a wait that is not made", []error{errBoom, retry.After(errOther, 55*s)},
			[]retry.Event{{Attempt: 1, Err: errBoom, Wait: s, Elapsed: 10 * s}},
			[]retry.Event{{Attempt: 2, Err: errOther, Waited: s, Elapsed: 21 * s, Reason: retry.ErrMaxElapsed}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			clock := new(retrytest.Clock)
			var onRetry, onDone []retry.Event
			fn, _ := script(test.errs...)
			_ = retry.Do(t.Context(), func(ctx context.Context) error {
				clock.Advance(10 * s) // an attempt takes time
				return fn(ctx)
			}, fixed(s), retry.WithMaxElapsed(70*s), retry.WithClock(clock), retry.WithOnRetry(record(&onRetry)), retry.WithOnDone(record(&onDone)))
			if !slices.Equal(onRetry, test.onRetry) {
				t.Errorf("OnRetry events = %+v, want %+v", onRetry, test.onRetry)
			}
			if !slices.Equal(onDone, test.onDone) {
				t.Errorf("OnDone events = %+v, want %+v", onDone, test.onDone)
			}
		})
	}
}

// Hooks and loggers accumulate, whether they are in a Policy or not, and run in order. The
// hooks of an Override run last.
func TestHooksRunInOrder(t *testing.T) {
	var got []string
	hook := func(name string) func(context.Context, retry.Event) {
		return func(context.Context, retry.Event) { got = append(got, name) }
	}
	logger := func(name string) retry.Option {
		return retry.WithLogger(slog.New(funcHandler{handle: func(context.Context, slog.Record) { got = append(got, name) }}), slog.LevelInfo)
	}
	ctx := retry.Override(t.Context(), retry.WithOnRetry(hook("outer override")), retry.WithOnDone(hook("done, outer override")))
	ctx = retry.Override(ctx, retry.WithOnRetry(hook("inner override")))
	var many []retry.Option // more than a call copies to its stack
	var names []string
	for i := range 20 {
		names = append(names, fmt.Sprint(i))
		many = append(many, retry.WithOnDone(hook(names[i])))
	}
	fn, _ := script(errBoom)
	succeeded(t, retry.Do(ctx, fn, append([]retry.Option{
		noWait,
		retry.WithOnRetry(hook("first")),
		retry.WithOnDone(hook("done, first")),
		retry.Policy(
			retry.WithOnRetry(hook("in a Policy")),
			retry.Policy(logger("logger in a Policy")),
			retry.WithOnDone(hook("done, in a Policy")),
		),
		logger("logger"), nil, nil, nil, nil, nil,
		retry.WithOnRetry(hook("last")),
	}, many...)...))
	want := []string{"first", "in a Policy", "logger in a Policy", "logger", "last",
		"outer override", "inner override", "done, first", "done, in a Policy"}
	want = append(append(want, names...), "done, outer override")
	if !slices.Equal(got, want) {
		t.Errorf("called %q, want %q", got, want)
	}
}

// textLogger returns a logger that leaves out times, and the buffer to which it writes.
func textLogger(level slog.Level) (*slog.Logger, *bytes.Buffer) {
	var b bytes.Buffer
	return newLogger(&b, level), &b
}

// WithLogger logs each retry at the given level, but not the end of the call. Two loggers
// log twice.
func TestLogger(t *testing.T) {
	const want = " msg=retrying attempt=1 err=boom wait=3s waited=0s elapsed=0s\n"
	for _, test := range []struct {
		name           string
		handler, level slog.Level
		want           string
	}{
		{"below the handler's level", slog.LevelInfo, slog.LevelWarn, "level=WARN" + want},
		{"exactly the handler's level", slog.LevelWarn, slog.LevelWarn, "level=WARN" + want},
		{"above the handler's level", slog.LevelWarn, slog.LevelWarn - 1, ""},
		{"another level", slog.LevelDebug, slog.LevelDebug, "level=DEBUG" + want},
	} {
		t.Run(test.name, func(t *testing.T) {
			logger, out := textLogger(test.handler)
			second, out2 := textLogger(slog.LevelInfo)
			fn, _ := always(retry.After(errBoom, 2*time.Second))
			err := retry.Do(t.Context(), fn, fixed(0), retry.WithMaxAttempts(2), retry.WithClock(new(retrytest.Clock)),
				retry.WithLogger(logger, test.level), retry.WithLogger(second, slog.LevelInfo))
			gaveUp(t, err, retry.ErrExhausted, 2)
			if got := out.String(); got != test.want {
				t.Errorf("log = %q, want %q", got, test.want)
			}
			if got := out2.String(); got != "level=INFO"+want {
				t.Errorf("second log = %q, want %q", got, "level=INFO"+want)
			}
		})
	}
}

// A funcHandler passes its arguments to funcs.
type funcHandler struct {
	slog.Handler
	enabled func(context.Context, slog.Level)
	handle  func(context.Context, slog.Record)
}

func (h funcHandler) Enabled(ctx context.Context, level slog.Level) bool {
	if h.enabled != nil {
		h.enabled(ctx, level)
	}
	return true
}

func (h funcHandler) Handle(ctx context.Context, r slog.Record) error {
	h.handle(ctx, r)
	return nil
}

// A log handler gets the ctx of Do, both in Enabled and in Handle.
func TestLogHandlerGetsTheContext(t *testing.T) {
	ctx := context.WithValue(t.Context(), ctxKey{}, "value")
	var got []any
	handler := funcHandler{
		enabled: func(ctx context.Context, level slog.Level) { got = append(got, "Enabled", ctx.Value(ctxKey{}), level) },
		handle:  func(ctx context.Context, r slog.Record) { got = append(got, "Handle", ctx.Value(ctxKey{}), r.Level) },
	}
	fn, _ := script(errBoom)
	succeeded(t, retry.Do(ctx, fn, noWait, retry.WithLogger(slog.New(handler), slog.LevelWarn)))
	// slog may call Enabled more than once.
	want := []any{"Enabled", "value", slog.LevelWarn, "Handle", "value", slog.LevelWarn}
	if len(got) < 6 || !slices.Equal(got[:3], want[:3]) || !slices.Equal(got[len(got)-3:], want[3:]) {
		t.Errorf("the handler got %v, want %v", got, want)
	}
}

func TestEventLogValue(t *testing.T) {
	logger, out := textLogger(slog.LevelInfo)
	logger.Info("x", "ev", retry.Event{})
	logger.Info("x", "ev", retry.Event{Attempt: 2, Err: errBoom, Wait: 1, Waited: 2, Elapsed: 3, Reason: retry.ErrExhausted})
	want := "level=INFO msg=x ev.attempt=0 ev.wait=0s ev.waited=0s ev.elapsed=0s\n" +
		"level=INFO msg=x ev.attempt=2 ev.err=boom ev.wait=1ns ev.waited=2ns ev.elapsed=3ns ev.reason=\"attempts exhausted\"\n"
	if got := out.String(); got != want {
		t.Errorf("log = %s, want %s", got, want)
	}
}

// If a hook or a logger panics, slog.Default() logs the panic and its stack at level Error,
// and the loop and the other hooks continue.
func TestHookPanics(t *testing.T) {
	other, otherOut := textLogger(slog.LevelError)
	broken := funcHandler{handle: func(context.Context, slog.Record) { panic("broke") }}
	boom := func(context.Context, retry.Event) { panic("broke") }
	for _, test := range []struct {
		name string
		opt  retry.Option
	}{
		{"OnRetry", retry.WithOnRetry(boom)},
		{"OnDone", retry.WithOnDone(boom)},
		{"logger", retry.WithLogger(slog.New(broken), slog.LevelInfo)},
		{"in a Policy", retry.Policy(nil, retry.WithOnRetry(boom))},
	} {
		t.Run(test.name, func(t *testing.T) {
			logger, out := textLogger(slog.LevelError)
			old := slog.Default()
			slog.SetDefault(logger)
			defer slog.SetDefault(old)
			otherOut.Reset()
			fn, calls := script(errBoom)
			var onRetry, onDone []retry.Event
			succeeded(t, retry.Do(t.Context(), fn, noWait, test.opt, retry.WithLogger(other, slog.LevelInfo),
				retry.WithOnRetry(record(&onRetry)), retry.WithOnDone(record(&onDone))))
			wantCalls(t, calls, 2)
			if len(onRetry) != 1 || len(onDone) != 1 {
				t.Errorf("calls of the other hooks = %d and %d, want 1 and 1", len(onRetry), len(onDone))
			}
			got := out.String()
			for _, want := range []string{"level=ERROR", `msg="retry: hook panicked"`, "panic=broke", "stack=", "event_test.go"} {
				if strings.Count(got, want) < 1 || strings.Count(got, "\n") != 1 {
					t.Errorf("log = %q, want one record with %s", got, want)
				}
			}
			if got := otherOut.String(); got != "" {
				t.Errorf("the logger of the call got %q, want nothing", got)
			}
		})
	}
}

// Do calls fn and the hooks on the goroutine that called Do.
func TestEverythingRunsOnTheCallersGoroutine(t *testing.T) {
	id := func() string {
		buf := make([]byte, 64)
		return strings.Fields(string(buf[:runtime.Stack(buf, false)]))[1]
	}
	for _, where := range []place{inFn, inMap, inPredicate, inBackoff, inJitter, inOnRetry, beforeSleep, inOnDone} {
		t.Run(string(where), func(t *testing.T) {
			caller, called := id(), false
			fn, opts := actAt(1, where, func() {
				called = true
				if got := id(); got != caller {
					t.Errorf("goroutine = %s, want %s", got, caller)
				}
			})
			_ = retry.Do(t.Context(), fn, opts, retry.WithAttemptTimeout(time.Hour))
			if !called {
				t.Error("Do did not run this code")
			}
		})
	}
}

func TestSlowHookPassesTheLimit(t *testing.T) {
	clock := new(retrytest.Clock)
	fn, _ := always(errBoom)
	slow := retry.WithOnRetry(func(context.Context, retry.Event) { clock.Advance(time.Hour) })
	gaveUp(t, retry.Do(t.Context(), fn, noWait, retry.WithClock(clock), retry.WithMaxElapsed(1), slow), retry.ErrMaxElapsed, 2)
}
