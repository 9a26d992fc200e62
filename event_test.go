package retry_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/retry"
)

func TestEvents(t *testing.T) {
	clock := newFakeClock()
	errs := []error{errBoom, retry.After(errOther, time.Minute), nil}
	calls := 0
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "of Do")
	var onRetry, onDone []retry.Event
	record := func(events *[]retry.Event) func(context.Context, retry.Event) {
		return func(ctx context.Context, ev retry.Event) {
			if ctx.Value(key{}) != "of Do" || retry.PreviousAttempts(ctx) != 0 {
				t.Error("a hook did not get the ctx of Do")
			}
			*events = append(*events, ev)
		}
	}
	err := retry.Do(ctx, func(context.Context) error {
		clock.Advance(10 * time.Second) // an attempt takes time
		calls++
		return errs[calls-1]
	}, fixed(time.Second), retry.WithClock(clock),
		retry.WithOnRetry(record(&onRetry)), retry.WithOnDone(record(&onDone)))
	if err != nil {
		t.Fatal(err)
	}
	wantRetry := []retry.Event{
		{Attempt: 1, Err: errBoom, Wait: time.Second, Elapsed: 10 * time.Second},
		{Attempt: 2, Err: errOther, Wait: 61 * time.Second, Waited: time.Second, Elapsed: 21 * time.Second},
	}
	if !slices.Equal(onRetry, wantRetry) {
		t.Errorf("got OnRetry events %+v, want %+v", onRetry, wantRetry)
	}
	// Err is what the attempt before the successful one returned.
	wantDone := []retry.Event{{Attempt: 3, Err: errOther, Waited: 62 * time.Second, Elapsed: 92 * time.Second}}
	if !slices.Equal(onDone, wantDone) {
		t.Errorf("got OnDone events %+v, want %+v", onDone, wantDone)
	}
}

func TestOnDoneOfAFailure(t *testing.T) {
	clock := newFakeClock()
	fn, _ := always(errBoom)
	var got []retry.Event
	err := retry.Do(t.Context(), fn, fixed(time.Second), retry.WithMaxElapsed(3*time.Second), retry.WithClock(clock),
		retry.WithOnDone(func(_ context.Context, ev retry.Event) { got = append(got, ev) }))
	e := gaveUp(t, err, retry.ErrMaxElapsed, 3)
	want := retry.Event{Attempt: 3, Err: errBoom, Waited: 2 * time.Second, Elapsed: 2 * time.Second, Reason: e.Reason}
	if len(got) != 1 || got[0] != want { // Wait is 0, though one was about to begin
		t.Errorf("got %+v, want once %+v", got, want)
	}
}

func TestOnDoneAtOnce(t *testing.T) {
	fn, _ := script()
	var got []retry.Event
	hook := retry.WithOnDone(func(_ context.Context, ev retry.Event) { got = append(got, ev) })
	if err := retry.Do(t.Context(), fn, hook, retry.WithClock(noSleep{})); err != nil {
		t.Fatal(err)
	}
	if want := []retry.Event{{Attempt: 1}}; !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// Hooks add up, whatever they come with, and run in the order given.
func TestHooksRunInOrder(t *testing.T) {
	var got []string
	hook := func(name string) func(context.Context, retry.Event) {
		return func(context.Context, retry.Event) { got = append(got, name) }
	}
	logger := func(name string) *slog.Logger {
		return slog.New(ctxHandler{slog.DiscardHandler, func(context.Context, slog.Record) { got = append(got, name) }})
	}
	ctx := retry.Override(t.Context(), retry.WithOnRetry(hook("outer override")), retry.WithOnDone(hook("done, outer override")))
	ctx = retry.Override(ctx, retry.WithOnRetry(hook("inner override")))
	fn, _ := script(errBoom)
	err := retry.Do(ctx, fn,
		retry.WithOnRetry(hook("first")),
		retry.WithOnDone(hook("done, first")),
		nil,
		retry.Policy(
			retry.WithOnRetry(hook("in a Policy")),
			retry.Policy(retry.WithLogger(logger("logger in a Policy"), slog.LevelInfo)),
			retry.WithOnDone(hook("done, in a Policy")),
		),
		retry.WithLogger(logger("logger"), slog.LevelInfo),
		retry.WithOnRetry(hook("last")),
		retry.WithClock(noSleep{}))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"first", "in a Policy", "logger in a Policy", "logger", "last", "outer override", "inner override",
		"done, first", "done, in a Policy", "done, outer override"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// textLogger returns a logger without times, and what it wrote.
func textLogger(level slog.Level) (*slog.Logger, *bytes.Buffer) {
	var b bytes.Buffer
	return slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})), &b
}

func TestLogger(t *testing.T) {
	logger, out := textLogger(slog.LevelInfo)
	second, out2 := textLogger(slog.LevelInfo)
	silent, out3 := textLogger(slog.LevelError)
	fn, _ := always(retry.After(errBoom, time.Second))
	err := retry.Do(t.Context(), fn, fixed(time.Second), retry.WithMaxAttempts(3), retry.WithClock(newFakeClock()),
		retry.WithLogger(logger, slog.LevelWarn), retry.WithLogger(second, slog.LevelInfo), retry.WithLogger(silent, slog.LevelWarn))
	gaveUp(t, err, retry.ErrExhausted, 3)
	want := "level=WARN msg=retrying attempt=1 err=boom wait=2s waited=0s elapsed=0s\n" +
		"level=WARN msg=retrying attempt=2 err=boom wait=2s waited=2s elapsed=2s\n"
	if got := out.String(); got != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
	if got, want := out2.String(), strings.ReplaceAll(want, "WARN", "INFO"); got != want {
		t.Errorf("the second logger has\n%s, want\n%s", got, want)
	}
	if got := out3.String(); got != "" {
		t.Errorf("a logger for errors has %s", got)
	}
}

// A handler gets the ctx of Do, with the values that it may be after.
func TestLoggerGetsTheContext(t *testing.T) {
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "trace")
	var got []string
	handler := ctxHandler{slog.DiscardHandler, func(ctx context.Context, r slog.Record) {
		value, _ := ctx.Value(key{}).(string)
		got = append(got, r.Message+" "+value)
	}}
	fn, _ := script(errBoom)
	err := retry.Do(ctx, fn, retry.WithClock(noSleep{}), retry.WithLogger(slog.New(handler), slog.LevelInfo),
		retry.WithOnRetry(func(context.Context, retry.Event) { panic("hook broke") }))
	if want := []string{"retrying trace", "retry: a hook panicked trace"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %q, want %q", err, got, want)
	}
}

// A ctxHandler calls a func for each record, with its ctx.
type ctxHandler struct {
	slog.Handler
	hook func(context.Context, slog.Record)
}

func (ctxHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h ctxHandler) Handle(ctx context.Context, r slog.Record) error {
	h.hook(ctx, r)
	return nil
}

func TestEventLogValue(t *testing.T) {
	logger, out := textLogger(slog.LevelInfo)
	logger.Info("x", "ev", retry.Event{})
	logger.Info("x", "ev", retry.Event{Attempt: 2, Err: errBoom, Wait: 1, Waited: 2, Elapsed: 3, Reason: retry.ErrExhausted})
	want := "level=INFO msg=x ev.attempt=0 ev.wait=0s ev.waited=0s ev.elapsed=0s\n" +
		"level=INFO msg=x ev.attempt=2 ev.err=boom ev.wait=1ns ev.waited=2ns ev.elapsed=3ns ev.reason=\"attempts exhausted\"\n"
	if got := out.String(); got != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
}

// A hook that panics is logged, and the loop and the other hooks go on.
func TestHookPanics(t *testing.T) {
	logger, out := textLogger(slog.LevelError) // above the level of the retries
	second, out2 := textLogger(slog.LevelError)
	ran := 0
	count := func(context.Context, retry.Event) { ran++ }
	fn, calls := script(errBoom)
	err := retry.Do(t.Context(), fn, retry.WithClock(noSleep{}),
		retry.WithOnRetry(func(context.Context, retry.Event) { panic("hook broke") }),
		retry.WithOnRetry(count),
		retry.WithOnDone(func(context.Context, retry.Event) { panic(errOther) }),
		retry.WithOnDone(count),
		retry.Policy(retry.WithLogger(logger, slog.LevelInfo)),
		retry.WithLogger(second, slog.LevelInfo))
	if err != nil {
		t.Error(err)
	}
	wantCalls(t, calls, 2)
	if ran != 2 {
		t.Errorf("%d of the 2 other hooks ran", ran)
	}
	for _, got := range []string{out.String(), out2.String()} {
		lines := strings.Split(strings.TrimSpace(got), "\n")
		if len(lines) != 2 {
			t.Fatalf("got %d records, want 2:\n%s", len(lines), got)
		}
		for i, want := range []string{`panic="hook broke"`, "panic=other"} {
			for _, want := range []string{"level=ERROR", `msg="retry: a hook panicked"`, want, "TestHookPanics"} {
				if !strings.Contains(lines[i], want) {
					t.Errorf("got %s, want it to have %s", lines[i], want)
				}
			}
		}
	}
}

// withDefaultLogger makes slog.Default() write to the buffer for the time of a test.
func withDefaultLogger(t *testing.T) *bytes.Buffer {
	logger, out := textLogger(slog.LevelInfo)
	old := slog.Default()
	slog.SetDefault(logger)
	t.Cleanup(func() { slog.SetDefault(old) })
	return out
}

func TestHookPanicsWithoutLogger(t *testing.T) {
	out := withDefaultLogger(t)
	fn, _ := script(errBoom)
	err := retry.Do(t.Context(), fn, retry.WithClock(noSleep{}),
		retry.WithOnRetry(func(context.Context, retry.Event) { panic("hook broke") }))
	if err != nil {
		t.Error(err)
	}
	if got := out.String(); strings.Count(got, "hook broke") != 1 || !strings.Contains(got, "level=ERROR") {
		t.Errorf("slog.Default() has %q, want the panic once, at Error", got)
	}
}

// A logger that panics is a hook like any other, even when it is told of a panic.
func TestLoggerPanics(t *testing.T) {
	out := withDefaultLogger(t)
	broken := slog.New(ctxHandler{slog.DiscardHandler, func(context.Context, slog.Record) { panic("logger broke") }})
	fn, calls := script(errBoom)
	err := retry.Do(t.Context(), fn, retry.WithClock(noSleep{}), retry.WithLogger(broken, slog.LevelInfo))
	if err != nil {
		t.Error(err)
	}
	wantCalls(t, calls, 2)
	if got := out.String(); strings.Count(got, "logger broke") != 1 {
		t.Errorf("slog.Default() has %q, want the panic once", got)
	}

	// With one logger that works, the default stays out of it.
	out.Reset()
	logger, logged := textLogger(slog.LevelInfo)
	fn, _ = script(errBoom)
	err = retry.Do(t.Context(), fn, retry.WithClock(noSleep{}),
		retry.WithLogger(broken, slog.LevelInfo), retry.WithLogger(logger, slog.LevelInfo))
	if err != nil {
		t.Error(err)
	}
	if got := logged.String(); strings.Count(got, "logger broke") != 1 || strings.Count(got, "retrying") != 1 {
		t.Errorf("the working logger has %q, want the panic and the retry", got)
	}
	if got := out.String(); got != "" {
		t.Errorf("slog.Default() has %q", got)
	}
}

// Goexit in a hook ends the goroutine, and the other hooks with it.
func TestHookExits(t *testing.T) {
	for name, opt := range map[string]func(func(context.Context, retry.Event)) retry.Option{
		"OnRetry": retry.WithOnRetry, "OnDone": retry.WithOnDone,
	} {
		fn, calls := script(errBoom)
		returned, others := false, 0
		finished := make(chan struct{})
		go func() {
			defer close(finished)
			_ = retry.Do(t.Context(), fn, retry.WithClock(noSleep{}),
				opt(func(context.Context, retry.Event) { runtime.Goexit() }),
				opt(func(context.Context, retry.Event) { others++ }))
			returned = true
		}()
		<-finished
		if returned || others != 0 {
			t.Errorf("%s: Do returned %v, %d other hooks ran", name, returned, others)
		}
		if want := map[string]int{"OnRetry": 1, "OnDone": 2}[name]; *calls != want {
			t.Errorf("%s: got %d calls of fn, want %d", name, *calls, want)
		}
	}
}

// OnRetry is not called for an attempt after which there is none.
func TestNoOnRetryWithoutItsSleep(t *testing.T) {
	budget := new(retry.Budget)
	for name, opts := range map[string][]retry.Option{
		"exhausted":     {retry.WithMaxAttempts(1)},
		"not retryable": {retry.WithRetryIf(retry.Is(errOther))},
		"max elapsed":   {retry.WithMaxElapsed(time.Second), fixed(time.Second)},
		"budget":        {retry.WithBudget(budget)},
	} {
		fn, _ := always(errBoom)
		err := retry.Do(t.Context(), fn, append(opts, retry.WithClock(noSleep{}),
			retry.WithOnRetry(func(context.Context, retry.Event) { t.Errorf("%s: OnRetry was called", name) }))...)
		if e, ok := errors.AsType[*retry.Error](err); !ok || e.Attempts != 1 {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// The hooks run on the goroutine that called Do.
func TestHooksRunOnTheCallersGoroutine(t *testing.T) {
	id := func() string {
		buf := make([]byte, 64)
		return strings.Fields(string(buf[:runtime.Stack(buf, false)]))[1]
	}
	caller := id()
	check := func(where string) {
		if got := id(); got != caller {
			t.Errorf("%s runs on goroutine %s, the caller on %s", where, got, caller)
		}
	}
	calls := 0
	err := retry.Do(t.Context(), func(context.Context) error {
		check("fn")
		calls++
		if calls == 1 {
			return errBoom
		}
		return nil
	}, retry.WithClock(noSleep{}), retry.WithAttemptTimeout(time.Hour),
		retry.WithOnRetry(func(context.Context, retry.Event) { check("OnRetry") }),
		retry.WithOnDone(func(context.Context, retry.Event) { check("OnDone") }))
	if err != nil {
		t.Error(err)
	}
}

// What a hook does to its Event is nothing to the others, nor to the wait.
func TestEventsAreCopies(t *testing.T) {
	clock := newFakeClock()
	fn, _ := script(errBoom)
	var got retry.Event
	err := retry.Do(t.Context(), fn, fixed(time.Second), retry.WithClock(clock),
		retry.WithOnRetry(func(_ context.Context, ev retry.Event) { ev.Wait = time.Hour }),
		retry.WithOnRetry(func(_ context.Context, ev retry.Event) { got = ev }))
	if err != nil || got.Wait != time.Second {
		t.Errorf("got %v and Wait %v, want 1s", err, got.Wait)
	}
	wantWaits(t, clock.waits, time.Second)
}
