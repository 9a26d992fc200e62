package retry_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/retry"
)

func TestFirstTrySucceeds(t *testing.T) {
	clock := newFakeClock()
	fn, calls := script()
	if err := retry.Do(t.Context(), fn, retry.WithClock(clock)); err != nil {
		t.Errorf("Do() = %v, want nil", err)
	}
	wantCalls(t, calls, 1)
	wantWaits(t, clock.waits)
	if clock.reads != 0 {
		t.Errorf("the clock was read %d times, for nothing", clock.reads)
	}
}

func TestDefaults(t *testing.T) {
	const ms = time.Millisecond
	clock := newFakeClock()
	fn, calls := always(errBoom)
	err := retry.Do(t.Context(), fn, retry.WithClock(clock), retry.WithJitter(retry.NoJitter))
	e := gaveUp(t, err, retry.ErrExhausted, 5)
	wantCalls(t, calls, 5)
	wantWaits(t, clock.waits, 250*ms, 500*ms, 1000*ms, 2000*ms) // none after the last attempt
	if e.Waited != 3750*ms {
		t.Errorf("got Waited %v, want 3.75s", e.Waited)
	}
	if e.Err != errBoom {
		t.Errorf("got Err %v, want what fn returned", e.Err)
	}
	if got, want := err.Error(), "retry: attempts exhausted after 5 attempts: boom"; got != want {
		t.Errorf("got text %q, want %q", got, want)
	}
}

func TestMaxAttempts(t *testing.T) {
	for _, n := range []int{1, 2, 7} {
		clock := newFakeClock()
		fn, calls := always(errBoom)
		err := retry.Do(t.Context(), fn, retry.WithMaxAttempts(n), retry.WithClock(clock))
		gaveUp(t, err, retry.ErrExhausted, n)
		wantCalls(t, calls, n)
		if len(clock.waits) != n-1 {
			t.Errorf("%d attempts: got %d waits, want %d", n, len(clock.waits), n-1)
		}
	}
	// The last attempt counts.
	fn, calls := script(errBoom, errBoom)
	if err := retry.Do(t.Context(), fn, retry.WithMaxAttempts(3), retry.WithClock(noSleep{})); err != nil {
		t.Errorf("got %v, want success in the last attempt", err)
	}
	wantCalls(t, calls, 3)
}

func TestUnlimited(t *testing.T) {
	fn, calls := script(slices.Repeat([]error{errBoom}, 1000)...)
	if err := retry.Do(t.Context(), fn, retry.WithMaxAttempts(retry.Unlimited), retry.WithClock(noSleep{})); err != nil {
		t.Error(err)
	}
	wantCalls(t, calls, 1001)
}

func TestMaxElapsedEdge(t *testing.T) {
	for _, test := range []struct {
		limit time.Duration
		calls int
	}{
		{3*time.Second - 1, 1}, // 2s in fn and 1s of wait reach beyond it
		{3 * time.Second, 1},   // and exactly to it
		{3*time.Second + 1, 2},
	} {
		clock := newFakeClock()
		calls := 0
		err := retry.Do(t.Context(), func(context.Context) error {
			calls++
			clock.Advance(2 * time.Second)
			if calls == 2 {
				return nil
			}
			return errBoom
		}, fixed(time.Second), retry.WithMaxElapsed(test.limit), retry.WithClock(clock))
		if calls != test.calls {
			t.Errorf("limit %v: got %d calls of fn, want %d", test.limit, calls, test.calls)
		}
		if test.calls == 2 {
			if err != nil {
				t.Errorf("limit %v: got %v, want success", test.limit, err)
			}
			continue
		}
		gaveUp(t, err, retry.ErrMaxElapsed, 1)
		wantWaits(t, clock.waits)
	}
}

// A wait of 0 does not slip through a limit that has passed, and a sum that
// overflows does not either.
func TestMaxElapsedExtremes(t *testing.T) {
	clock := newFakeClock()
	fn, _ := always(errBoom)
	err := retry.Do(t.Context(), func(ctx context.Context) error {
		clock.Advance(time.Second)
		return fn(ctx)
	}, fixed(0), retry.WithMaxElapsed(time.Second), retry.WithClock(clock))
	gaveUp(t, err, retry.ErrMaxElapsed, 1)

	err = retry.Do(t.Context(), func(context.Context) error {
		clock.Advance(time.Second)
		return retry.After(errBoom, math.MaxInt64)
	}, retry.WithMaxElapsed(math.MaxInt64), retry.WithClock(clock))
	gaveUp(t, err, retry.ErrMaxElapsed, 1)
	wantWaits(t, clock.waits)
}

// deadlineCtx has a deadline and never ends.
type deadlineCtx struct {
	context.Context
	deadline time.Time
}

func (c deadlineCtx) Deadline() (time.Time, bool) { return c.deadline, true }

func TestDeadlineEdge(t *testing.T) {
	for _, test := range []struct {
		deadline time.Duration // after epoch
		wait     time.Duration
		refused  bool
	}{
		{3*time.Second - 1, time.Second, true},
		{3 * time.Second, time.Second, true},
		{3*time.Second + 1, time.Second, false},
		{2 * time.Second, 0, true}, // no wait at all, but the deadline is now
		{2*time.Second + 1, 0, false},
		{-time.Hour, 0, true},
		{math.MaxInt64, math.MaxInt64, true},
	} {
		clock := newFakeClock()
		ctx := deadlineCtx{t.Context(), epoch.Add(test.deadline)}
		calls := 0
		err := retry.Do(ctx, func(context.Context) error {
			calls++
			clock.Advance(2 * time.Second)
			if calls == 2 {
				return nil
			}
			return errBoom
		}, fixed(test.wait), retry.WithClock(clock))
		if !test.refused {
			if err != nil || calls != 2 {
				t.Errorf("deadline %v: got %v after %d calls, want success after 2", test.deadline, err, calls)
			}
			continue
		}
		e := gaveUp(t, err, context.DeadlineExceeded, 1)
		if e.Reason != context.DeadlineExceeded {
			t.Errorf("got Reason %#v, want context.DeadlineExceeded itself", e.Reason)
		}
		wantWaits(t, clock.waits)
	}
}

// A deadline that no Duration reaches is not mistaken for a near one.
func TestDeadlineBeyondDurations(t *testing.T) {
	clock := newFakeClock()
	ctx := deadlineCtx{t.Context(), epoch.AddDate(400, 0, 0)}
	fn, calls := script(retry.After(errBoom, math.MaxInt64))
	if err := retry.Do(ctx, fn, retry.WithClock(clock)); err != nil {
		t.Error(err)
	}
	wantCalls(t, calls, 2)
	wantWaits(t, clock.waits, math.MaxInt64)
}

// doneCtxs are the ways in which a ctx can be done, with all that the reason for
// it has to match.
func doneCtxs(t *testing.T) map[string]struct {
	ctx     context.Context
	matches []error
} {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	caused, cancelCause := context.WithCancelCause(t.Context())
	cancelCause(errCause)
	past := time.Now().Add(-time.Hour)
	expired, cancel2 := context.WithDeadline(t.Context(), past)
	t.Cleanup(cancel2)
	expiredCause, cancel3 := context.WithDeadlineCause(t.Context(), past, errCause)
	t.Cleanup(cancel3)
	child, cancel4 := context.WithCancel(caused)
	t.Cleanup(cancel4)
	return map[string]struct {
		ctx     context.Context
		matches []error
	}{
		"canceled":                  {canceled, []error{context.Canceled}},
		"canceled with a cause":     {caused, []error{context.Canceled, errCause}},
		"expired":                   {expired, []error{context.DeadlineExceeded}},
		"expired with a cause":      {expiredCause, []error{context.DeadlineExceeded, errCause}},
		"child of a canceled":       {child, []error{context.Canceled, errCause}},
		"not of package context":    {customCtx{t.Context(), uncomparable{"custom"}}, []error{}},
		"not of it, and comparable": {customCtx{t.Context(), uncomparableField{[]int{1}}}, []error{}},
	}
}

// A customCtx is done from the start.
type customCtx struct {
	context.Context
	err error
}

func (c customCtx) Err() error { return c.err }

func TestDeadContextMeansNoCall(t *testing.T) {
	for name, test := range doneCtxs(t) {
		t.Run(name, func(t *testing.T) {
			clock := newFakeClock()
			fn, calls := script()
			var done []retry.Event
			err := retry.Do(test.ctx, fn, retry.WithClock(clock),
				retry.WithOnRetry(func(context.Context, retry.Event) { t.Error("OnRetry was called") }),
				retry.WithOnDone(func(_ context.Context, ev retry.Event) { done = append(done, ev) }))
			wantCalls(t, calls, 0)
			e, ok := errors.AsType[*retry.Error](err)
			if !ok || e.Attempts != 0 || e.Waited != 0 {
				t.Fatalf("got %#v, want an Error without attempts", err)
			}
			if e.Err != nil || errors.Unwrap(err) != nil {
				t.Errorf("got Err %v, want nil", e.Err)
			}
			for _, want := range test.matches {
				if !errors.Is(err, want) {
					t.Errorf("%v does not match %v", err, want)
				}
			}
			if want := "retry: " + e.Reason.Error() + " before the first attempt"; err.Error() != want {
				t.Errorf("got text %q, want %q", err, want)
			}
			if len(done) != 1 || done[0] != (retry.Event{Reason: e.Reason}) {
				t.Errorf("got OnDone events %+v, want one with nothing but the reason %v", done, e.Reason)
			}
		})
	}
}

// ctx ends where it can: fn's own error stays in Err, and is in the text.
func TestContextEndsInTheCourse(t *testing.T) {
	errEnd := errors.New("end")
	for _, cause := range []error{nil, errCause} {
		for _, test := range []struct {
			where    string
			attempts int
			waited   time.Duration
			setup    func(clock *fakeClock, end func()) []retry.Option
		}{
			{"fn", 1, 0, nil},
			{"predicate", 1, 0, func(_ *fakeClock, end func()) []retry.Option {
				return []retry.Option{retry.WithRetryIf(func(error) bool { end(); return true })}
			}},
			{"backoff", 1, 0, func(_ *fakeClock, end func()) []retry.Option {
				return []retry.Option{retry.WithBackoff(retry.BackoffFunc(func(int) time.Duration { end(); return 1 }))}
			}},
			{"sleep", 1, 0, func(clock *fakeClock, end func()) []retry.Option {
				clock.before = func(context.Context, time.Duration) error { end(); return nil }
				return nil
			}},
			{"after a whole sleep", 1, 7, func(clock *fakeClock, end func()) []retry.Option {
				return []retry.Option{retry.WithClock(sleepThenEnd{clock, end})}
			}},
			{"second attempt", 2, 7, func(*fakeClock, func()) []retry.Option { return nil }},
		} {
			clock := newFakeClock()
			ctx, cancel := context.WithCancelCause(t.Context())
			end := func() { cancel(cause) }
			calls, hooks := 0, 0
			opts := []retry.Option{retry.WithClock(clock), fixed(7),
				retry.WithOnRetry(func(context.Context, retry.Event) { hooks++ })}
			if test.setup != nil {
				opts = append(opts, test.setup(clock, end)...)
			}
			err := retry.Do(ctx, func(context.Context) error {
				calls++
				if test.where == "fn" || test.where == "second attempt" && calls == 2 {
					end()
				}
				return errEnd
			}, opts...)
			e := gaveUp(t, err, context.Canceled, test.attempts)
			if cause != nil && !errors.Is(err, cause) {
				t.Errorf("%s: %v does not match the cause", test.where, err)
			}
			if cause == nil && e.Reason != context.Canceled {
				t.Errorf("%s: got Reason %#v, want context.Canceled itself", test.where, e.Reason)
			}
			if e.Err != errEnd || !errors.Is(err, errEnd) {
				t.Errorf("%s: got Err %v, want the last error of fn", test.where, e.Err)
			}
			if e.Waited != test.waited {
				t.Errorf("%s: got Waited %v, want %v", test.where, e.Waited, test.waited)
			}
			wantHooks := 0
			if strings.Contains(test.where, "sleep") || test.where == "second attempt" {
				wantHooks = 1
			}
			if hooks != wantHooks {
				t.Errorf("%s: got %d calls of OnRetry, want %d", test.where, hooks, wantHooks)
			}
		}
	}
}

// sleepThenEnd ends ctx just when the sleep is over: a cancellation beats a timer
// that is ready too.
type sleepThenEnd struct {
	*fakeClock
	end func()
}

func (c sleepThenEnd) Sleep(ctx context.Context, d time.Duration) error {
	err := c.fakeClock.Sleep(ctx, d)
	c.end()
	return err
}

func TestSuccessCountsThoughContextEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	err := retry.Do(ctx, func(context.Context) error { cancel(); return nil })
	if err != nil {
		t.Errorf("got %v, want nil", err)
	}
}

// The order of the checks: of all the reasons that hold, the first one counts.
func TestOrderOfReasons(t *testing.T) {
	type state struct {
		ctx     context.Context
		cancels bool // fn does
		err     error
		opts    []retry.Option
	}
	// From the last check to the first: each test has all later reasons too.
	conditions := []struct {
		reason error
		add    func(*state)
	}{
		{retry.ErrBudget, func(s *state) { s.opts = append(s.opts, retry.WithBudget(new(retry.Budget))) }},
		{context.DeadlineExceeded, func(s *state) { s.ctx = deadlineCtx{s.ctx, epoch} }},
		{retry.ErrMaxElapsed, func(s *state) { s.opts = append(s.opts, retry.WithMaxElapsed(1)) }},
		{retry.ErrExhausted, func(s *state) { s.opts = append(s.opts, retry.WithMaxAttempts(1)) }},
		{retry.ErrNotRetryable, func(s *state) { s.err = retry.Permanent(s.err) }},
		{context.Canceled, func(s *state) { s.cancels = true }},
	}
	for n := range conditions {
		ctx, cancel := context.WithCancel(t.Context())
		clock := newFakeClock()
		s := &state{ctx: ctx, err: errBoom, opts: []retry.Option{retry.WithClock(clock), fixed(1),
			retry.WithOnRetry(func(context.Context, retry.Event) { t.Error("OnRetry was called") })}}
		for _, condition := range conditions[:n+1] {
			condition.add(s)
		}
		err := retry.Do(s.ctx, func(context.Context) error {
			if s.cancels {
				cancel()
			}
			return s.err
		}, s.opts...)
		gaveUp(t, err, conditions[n].reason, 1)
		for _, other := range conditions {
			if other.reason != conditions[n].reason && errors.Is(err, other.reason) {
				t.Errorf("%v matches %v as well", err, other.reason)
			}
		}
		wantWaits(t, clock.waits)
		cancel()
	}
}

func TestClockFailsForAReasonOfItsOwn(t *testing.T) {
	errClock := errors.New("clock broke")
	clock := newFakeClock()
	clock.before = func(context.Context, time.Duration) error { return errClock }
	fn, calls := always(errBoom)
	err := retry.Do(t.Context(), fn, retry.WithClock(clock))
	e := gaveUp(t, err, errClock, 1)
	if e.Reason != errClock || e.Waited != 0 {
		t.Errorf("got %+v, want the Clock's error as Reason and nothing waited", e)
	}
	wantCalls(t, calls, 1)

	// A ctx error from a ctx that lives is the Clock's own as well.
	clock.before = func(context.Context, time.Duration) error { return context.Canceled }
	gaveUp(t, retry.Do(t.Context(), fn, retry.WithClock(clock)), context.Canceled, 1)
}

// With an injected Clock the system's is not looked at: its time is far off.
func TestInjectedClockIsTheOnlyOne(t *testing.T) {
	clock := newFakeClock()
	ctx := deadlineCtx{t.Context(), epoch.Add(time.Hour)} // long past for the system
	fn, calls := script(errBoom)
	var done retry.Event
	err := retry.Do(ctx, fn, fixed(time.Second), retry.WithClock(clock), retry.WithMaxElapsed(time.Minute),
		retry.WithOnDone(func(_ context.Context, ev retry.Event) { done = ev }))
	if err != nil {
		t.Error(err)
	}
	wantCalls(t, calls, 2)
	if done.Elapsed != time.Second || done.Waited != time.Second {
		t.Errorf("got %+v, want 1s elapsed and waited", done)
	}
}

func TestNilArguments(t *testing.T) {
	fn, calls := script()
	hook := retry.WithOnDone(func(context.Context, retry.Event) { t.Error("OnDone was called") })
	var noCtx context.Context
	err := retry.Do(noCtx, fn, hook)
	gaveUp(t, err, retry.ErrInvalid, 0)
	if got, want := err.Error(), "retry: invalid argument: nil ctx before the first attempt"; got != want {
		t.Errorf("got text %q, want %q", got, want)
	}
	wantCalls(t, calls, 0)

	err = retry.Do(t.Context(), nil, hook)
	gaveUp(t, err, retry.ErrInvalid, 0)
	if got, want := err.Error(), "retry: invalid argument: nil fn before the first attempt"; got != want {
		t.Errorf("got text %q, want %q", got, want)
	}
	_, err = retry.DoValue[int](t.Context(), nil, hook)
	gaveUp(t, err, retry.ErrInvalid, 0)
	_, err = retry.Wrap[int](nil, hook)(t.Context())
	gaveUp(t, err, retry.ErrInvalid, 0)
	_, err = retry.WrapUnary[int, int](nil, hook)(t.Context(), 1)
	gaveUp(t, err, retry.ErrInvalid, 0)
	_, err = retry.Wrap(func(context.Context) (int, error) { return 1, nil }, hook)(noCtx)
	gaveUp(t, err, retry.ErrInvalid, 0)
}

// An invalid call does not even look whether ctx is done.
func TestInvalidComesFirst(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	fn, calls := script()
	gaveUp(t, retry.Do(ctx, fn, retry.WithMaxAttempts(0)), retry.ErrInvalid, 0)
	wantCalls(t, calls, 0)
}

func TestDoValueReturnsWhatTheLastCallDid(t *testing.T) {
	values := func(errs ...error) func(context.Context) (int, error) {
		fn, calls := script(errs...)
		return func(ctx context.Context) (int, error) { err := fn(ctx); return *calls * 10, err }
	}
	opts := retry.Policy(retry.WithClock(noSleep{}), retry.WithMaxAttempts(2))
	dead, cancel := context.WithCancel(t.Context())
	cancel()
	unary := func(fn func(context.Context) (int, error)) func(context.Context, int) (int, error) {
		return func(ctx context.Context, in int) (int, error) { v, err := fn(ctx); return v + in, err }
	}
	for _, test := range []struct {
		name   string
		ctx    context.Context
		errs   []error
		want   int
		reason error
	}{
		{"first attempt", t.Context(), nil, 10, nil},
		{"second attempt", t.Context(), []error{errBoom}, 20, nil},
		{"beside an error", t.Context(), []error{errBoom, errBoom}, 20, retry.ErrExhausted},
		{"beside a permanent error", t.Context(), []error{retry.Permanent(errBoom)}, 10, retry.ErrNotRetryable},
		{"never called", dead, nil, 0, context.Canceled},
	} {
		check := func(form string, got int, err error) {
			t.Helper()
			if got != test.want || !errors.Is(err, test.reason) || (err == nil) != (test.reason == nil) {
				t.Errorf("%s, %s: got %d, %v, want %d, %v", form, test.name, got, err, test.want, test.reason)
			}
		}
		got, err := retry.DoValue(test.ctx, values(test.errs...), opts)
		check("DoValue", got, err)
		got, err = retry.Wrap(values(test.errs...), opts)(test.ctx)
		check("Wrap", got, err)
		got, err = retry.WrapUnary(unary(values(test.errs...)), opts)(test.ctx, 0)
		check("WrapUnary", got, err)
	}
}

func TestWrapUnaryPassesTheArgument(t *testing.T) {
	var got []string
	greet := retry.WrapUnary(func(_ context.Context, name string) (string, error) {
		got = append(got, name)
		if len(got) < 3 {
			return "", errBoom
		}
		return "hello " + name, nil
	}, retry.WithClock(noSleep{}))
	value, err := greet(t.Context(), "gopher")
	if value != "hello gopher" || err != nil {
		t.Errorf("got %q, %v", value, err)
	}
	if !slices.Equal(got, []string{"gopher", "gopher", "gopher"}) {
		t.Errorf("fn got %q", got)
	}
}

func TestWrappedFunctionIsShared(t *testing.T) {
	var mu sync.Mutex
	failed := map[int]bool{}
	fetch := retry.WrapUnary(func(_ context.Context, id int) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		if !failed[id] {
			failed[id] = true
			return 0, errBoom
		}
		return id * id, nil
	}, retry.WithClock(noSleep{}), retry.WithSource(seededSource()))
	var wg sync.WaitGroup
	for id := range 100 {
		wg.Go(func() {
			if got, err := fetch(t.Context(), id); got != id*id || err != nil {
				t.Errorf("fetch(%d) = %d, %v", id, got, err)
			}
		})
	}
	wg.Wait()
}

// What fn, a predicate, a Backoff, a Jitter or a Clock does to end the goroutine
// goes through untouched, and OnDone is not called.
func TestPanicAndGoexitPropagate(t *testing.T) {
	type boom struct{ where string }
	places := map[string]func(act func()) []retry.Option{
		"fn": func(func()) []retry.Option { return nil },
		"fn with an attempt timeout": func(func()) []retry.Option {
			return []retry.Option{retry.WithAttemptTimeout(time.Hour)}
		},
		"predicate": func(act func()) []retry.Option {
			return []retry.Option{retry.WithRetryIf(func(error) bool { act(); return true })}
		},
		"backoff": func(act func()) []retry.Option {
			return []retry.Option{retry.WithBackoff(retry.BackoffFunc(func(int) time.Duration { act(); return 0 }))}
		},
		"jitter": func(act func()) []retry.Option {
			return []retry.Option{retry.WithJitter(func(time.Duration, *rand.Rand) time.Duration { act(); return 0 })}
		},
		"clock": func(act func()) []retry.Option {
			clock := newFakeClock()
			clock.before = func(context.Context, time.Duration) error { act(); return nil }
			return []retry.Option{retry.WithClock(clock)}
		},
	}
	for where, opts := range places {
		for _, exit := range []bool{false, true} {
			act := func() {
				if exit {
					runtime.Goexit()
				}
				panic(boom{where})
			}
			var attemptCtx context.Context
			returned, recovered := true, any(nil)
			finished := make(chan struct{})
			go func() {
				defer close(finished)
				defer func() { recovered = recover() }()
				returned = false
				_ = retry.Do(t.Context(), func(ctx context.Context) error {
					attemptCtx = ctx
					if strings.HasPrefix(where, "fn") {
						act()
					}
					return errBoom
				}, append([]retry.Option{retry.WithClock(noSleep{}),
					retry.WithOnDone(func(context.Context, retry.Event) { t.Errorf("%s: OnDone was called", where) })},
					opts(act)...)...)
				returned = true
			}()
			<-finished
			if returned {
				t.Errorf("%s, Goexit %v: Do returned", where, exit)
			}
			if want := any(boom{where}); !exit && recovered != want {
				t.Errorf("%s: recovered %v, want %v", where, recovered, want)
			}
			if exit && recovered != nil {
				t.Errorf("%s: Goexit became the panic %v", where, recovered)
			}
			if where == "fn with an attempt timeout" && attemptCtx.Err() != context.Canceled {
				t.Errorf("%s: the attempt's ctx lives on", where)
			}
		}
	}
}

func TestAttemptTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var ctxs []context.Context
		err := retry.Do(t.Context(), func(ctx context.Context) error {
			ctxs = append(ctxs, ctx)
			for _, old := range ctxs[:len(ctxs)-1] {
				if old.Err() == nil {
					t.Error("the ctx of an earlier attempt lives on")
				}
			}
			if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) != 2*time.Second {
				t.Errorf("got a deadline %v ahead, want 2s", time.Until(deadline))
			}
			if len(ctxs) == 3 {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}, fixed(time.Second), retry.WithAttemptTimeout(2*time.Second))
		if err != nil {
			t.Errorf("got %v, want success in the third attempt", err)
		}
		if got := time.Since(start); got != 6*time.Second {
			t.Errorf("took %v, want two timeouts of 2s and two waits of 1s", got)
		}
		if got := ctxs[2].Err(); got != context.Canceled {
			t.Errorf("the ctx of the last attempt has %v, want it ended when fn returned", got)
		}
	})
}

// context errors of fn's own are ordinary while the ctx of Do lives.
func TestContextErrorsOfFnAreOrdinary(t *testing.T) {
	for _, err := range []error{context.Canceled, context.DeadlineExceeded} {
		fn, calls := script(err, fmt.Errorf("rpc: %w", err))
		if err := retry.Do(t.Context(), fn, retry.WithClock(noSleep{})); err != nil {
			t.Errorf("got %v, want success", err)
		}
		wantCalls(t, calls, 3)
	}
}

func TestSystemClockInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var events []retry.Event
		fn, calls := always(errBoom)
		err := retry.Do(t.Context(), fn, retry.WithJitter(retry.NoJitter),
			retry.WithOnRetry(func(_ context.Context, ev retry.Event) { events = append(events, ev) }))
		gaveUp(t, err, retry.ErrExhausted, 5)
		wantCalls(t, calls, 5)
		if got := time.Since(start); got != 3750*time.Millisecond {
			t.Errorf("took %v, want 3.75s", got)
		}
		if last := events[3]; last.Elapsed != 1750*time.Millisecond || last.Waited != last.Elapsed || last.Wait != 2*time.Second {
			t.Errorf("got last event %+v", last)
		}
	})
}

// The same calls, in a bubble and under a fake Clock, do the same.
func TestBubbleAndFakeClockAgree(t *testing.T) {
	type outcome struct {
		text  string
		took  time.Duration
		waits []time.Duration
	}
	scenario := func(ctx context.Context, opts ...retry.Option) (o outcome) {
		err := retry.Do(ctx, func(ctx context.Context) error {
			return retry.After(errBoom, time.Duration(retry.PreviousAttempts(ctx))*time.Second)
		}, append(opts, retry.WithSource(seededSource()), retry.WithMaxElapsed(20*time.Second), retry.WithMaxAttempts(50),
			retry.WithOnRetry(func(_ context.Context, ev retry.Event) { o.waits = append(o.waits, ev.Wait) }),
			retry.WithOnDone(func(_ context.Context, ev retry.Event) { o.took = ev.Elapsed }))...)
		o.text = err.Error()
		return o
	}
	fake := scenario(t.Context(), retry.WithClock(newFakeClock()))
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		real := scenario(t.Context())
		if real.text != fake.text || real.took != fake.took || !slices.Equal(real.waits, fake.waits) {
			t.Errorf("in a bubble %+v, under a fake Clock %+v", real, fake)
		}
		if got := time.Since(start); got != fake.took || len(fake.waits) < 3 {
			t.Errorf("took %v with waits %v, want %v", got, fake.waits, fake.took)
		}
	})
}

func TestDeadlineIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 1750*time.Millisecond)
		defer cancel()
		fn, calls := always(errBoom)
		err := retry.Do(ctx, fn, retry.WithJitter(retry.NoJitter))
		e := gaveUp(t, err, context.DeadlineExceeded, 3) // at 0, 0.25s and 0.75s; the next would be at 1.75s
		wantCalls(t, calls, 3)
		if got := time.Since(start); got != 750*time.Millisecond || e.Waited != got {
			t.Errorf("took %v and waited %v, want 750ms", got, e.Waited)
		}
	})
}

func TestCancelEndsARealWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errCause) })
		fn, calls := always(errBoom)
		err := retry.Do(ctx, fn, fixed(time.Hour))
		e := gaveUp(t, err, errCause, 1)
		if !errors.Is(err, context.Canceled) || e.Waited != 0 {
			t.Errorf("got %+v, want context.Canceled and nothing waited", e)
		}
		wantCalls(t, calls, 1)
		if got := time.Since(start); got != time.Second {
			t.Errorf("took %v, want 1s", got)
		}
	})
}

// A ctx that has no Done to wake it is asked before the wait at least.
func TestDoneContextIsNotWaitedWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ctx := &silentCtx{Context: context.Background()}
		fn, calls := always(errBoom)
		err := retry.Do(ctx, fn, retry.WithBackoff(retry.BackoffFunc(func(int) time.Duration {
			ctx.err = context.Canceled
			return time.Hour
		})), retry.WithJitter(retry.NoJitter))
		e := gaveUp(t, err, context.Canceled, 1)
		wantCalls(t, calls, 1)
		if got := time.Since(start); got != 0 || e.Waited != 0 {
			t.Errorf("took %v and waited %v, want 0", got, e.Waited)
		}
	})
}

type silentCtx struct {
	context.Context
	err error
}

func (c *silentCtx) Err() error { return c.err }

// Where the timer and the cancellation are ready at the same time, no further
// attempt is made, whichever of them select takes.
func TestCancellationBeatsTheTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 100 {
			ctx, cancel := context.WithCancel(t.Context())
			fn, calls := always(errBoom)
			err := retry.Do(lateCtx{ctx, cancel}, fn, fixed(time.Second))
			gaveUp(t, err, context.Canceled, 1)
			wantCalls(t, calls, 1)
		}
	})
}

// A lateCtx is canceled, and a timer of 1s is due, when Done returns.
type lateCtx struct {
	context.Context
	cancel func()
}

func (c lateCtx) Done() <-chan struct{} {
	time.Sleep(time.Second)
	c.cancel()
	return c.Context.Done()
}
