package retry_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"example.com/retry"
)

// FuzzError checks the methods of an Error whose Err and Reason are arbitrary trees. Do
// removes the outermost markers from Err. A marker further inside stays where it is.
func FuzzError(f *testing.F) {
	random := rand.NewChaCha8([32]byte{3})
	for range 500 {
		data := make([]byte, 30)
		_, _ = random.Read(data)
		f.Add(data)
	}
	f.Add([]byte(" x07 0008")) // the Reason is a deadline, and Err also matches
	f.Fuzz(func(t *testing.T, data []byte) {
		d := &dice{data}
		last, reason := d.tree(4), d.tree(3)
		err := retry.Do(t.Context(), func(context.Context) error { return last.err },
			retry.WithMaxAttempts(retry.Unlimited), retry.WithMaxRetryAfter(math.MaxInt64),
			retry.WithClock(modelClock(func() error { return reason.err })))
		if last.permanent {
			reason = tree{err: retry.ErrNotRetryable, leaf: retry.ErrNotRetryable}
		}
		e := err.(*retry.Error)
		if e.Err != last.bare || errors.Unwrap(err) != last.bare {
			t.Errorf("Err = %#v, Unwrap() = %#v, want both %#v, for %s", e.Err, errors.Unwrap(err), last.bare, last.text)
		}
		if e.Reason != reason.err {
			t.Errorf("Reason = %#v, want %#v, for %s", e.Reason, reason.err, last.text)
		}
		if d := e.RetryAfter(); d != last.after {
			t.Errorf("RetryAfter() = %v, want %v, for %s", d, last.after, last.text)
		}
		if !errors.Is(err, last.leaf) || !errors.Is(err, reason.leaf) || errors.Is(err, errModelClock) {
			t.Errorf("errors.Is finds the leaf of Err: %t, of Reason: %t, another error: %t, want true, true, false, for %s and %s",
				errors.Is(err, last.leaf), errors.Is(err, reason.leaf), errors.Is(err, errModelClock), last.text, reason.text)
		}
		want, wantOK := errors.AsType[modelWrapper](last.bare)
		if w, ok := errors.AsType[modelWrapper](reason.err); ok && (!wantOK || errors.Is(reason.err, context.DeadlineExceeded)) {
			want, wantOK = w, ok
		}
		if got, ok := errors.AsType[modelWrapper](err); got != want || ok != wantOK {
			t.Errorf("errors.AsType = %#v, %t, want %#v, %t, for %s and %s", got, ok, want, wantOK, last.text, reason.text)
		}
	})
}

// A tree is an error of fn, and what it says about retrying.
type tree struct {
	err, bare, leaf    error  // bare is err without outermost markers
	text               string // how err was made
	permanent, restart bool
	gaveUp, final      bool // final if no Restart wraps the nested call that gave up
	after              time.Duration
}

// A dice makes choices from bytes. When they are used up, every choice is the first.
type dice struct{ data []byte }

func (d *dice) roll(n int) int {
	if len(d.data) == 0 {
		return 0
	}
	b := d.data[0]
	d.data = d.data[1:]
	return int(b) % n
}

func (d *dice) once(in int) bool { return d.roll(in) == in-1 }

// duration returns one of a few durations, so that two durations are often equal.
func (d *dice) duration() time.Duration {
	all := []time.Duration{0, time.Second, 2 * time.Second, 500 * time.Millisecond, 3, 1, 10 * time.Second,
		time.Minute, time.Minute + 1, time.Hour, math.MaxInt64 / 2, math.MaxInt64 - 1, math.MaxInt64, -time.Second}
	return all[d.roll(len(all))]
}

// tree returns an error with at most depth layers.
func (d *dice) tree(depth int) tree {
	kind := d.roll(20)
	if depth == 1 || kind < 5 {
		err := errors.New("boom")
		return tree{err: err, bare: err, leaf: err, text: "boom"}
	}
	t := d.tree(depth - 1)
	switch kind {
	case 6:
		t.permanent = true
		t.err, t.text = retry.Permanent(t.err), "Permanent("+t.text+")"
		return t
	case 7, 8:
		t.restart, t.final = true, false
		t.err, t.text = retry.Restart(t.err), "Restart("+t.text+")"
		return t
	case 9, 10, 11:
		after := d.duration()
		t.after = max(t.after, after)
		t.err, t.text = retry.After(t.err, after), fmt.Sprintf("After(%s, %v)", t.text, after)
		return t
	case 5: // without Unwrap
		after := d.duration()
		t = tree{after: max(after, 0)}
		t.err, t.text = modelRetryAfter{errors.New("boom"), after}, fmt.Sprintf("RetryAfter(%v)", after)
		t.leaf = t.err
	case 12:
		after := d.duration()
		t.after = max(t.after, after)
		t.err, t.text = modelWrapper{modelRetryAfter{t.err, after}}, fmt.Sprintf("RetryAfter(%v, %v)", t.text, after)
	case 13:
		t.err, t.text = fmt.Errorf("wrapped: %w", t.err), "Errorf(%w, "+t.text+")"
	case 14:
		u := d.tree(depth - 1)
		t.permanent, t.restart, t.gaveUp, t.final = t.permanent || u.permanent, t.restart || u.restart, t.gaveUp || u.gaveUp, t.final || u.final
		t.after = max(t.after, u.after)
		t.err, t.text = errors.Join(t.err, u.err), "Join("+t.text+", "+u.text+")"
	default:
		t = d.nested(t)
	}
	t.bare = t.err
	return t
}

// nested returns the error of another call, whose last error is t.
func (d *dice) nested(t tree) tree {
	attempts, by := 1+d.roll(2), "Do"
	reasons := []error{retry.ErrExhausted, retry.ErrMaxElapsed, retry.ErrDeadline, retry.ErrBudget, retry.ErrRetryAfter,
		retry.ErrNotRetryable, retry.ErrInvalid, context.Canceled, fmt.Errorf("not itself: %w", retry.ErrExhausted)}
	e := &retry.Error{Attempts: attempts, Err: t.err, Reason: reasons[d.roll(len(reasons))]}
	if d.once(4) {
		by = "by hand"
	} else { // the Clock makes the Reason, unless t ends the call first
		n := 0
		err := retry.Do(context.Background(), func(context.Context) error {
			if n++; n < attempts {
				return errModelClock
			}
			return t.err
		}, retry.WithClock(modelClock(func() error {
			if n < attempts {
				return nil
			}
			return e.Reason
		})), retry.WithMaxAttempts(retry.Unlimited), retry.WithMaxRetryAfter(math.MaxInt64))
		e = err.(*retry.Error)
	}
	switch e.Reason {
	case retry.ErrBudget:
		t.gaveUp = true
	case retry.ErrExhausted:
		t.gaveUp = t.gaveUp || attempts > 1
	case retry.ErrMaxElapsed, retry.ErrDeadline:
		t.gaveUp = t.gaveUp || attempts > 1 && t.after == 0
	case retry.ErrInvalid:
		t.permanent = true
	}
	t.restart, t.final = false, t.gaveUp
	t.err, t.text = e, fmt.Sprintf("nested(%s, %d attempts, %v, %s)", t.text, attempts, e.Reason, by)
	return t
}

// A modelRetryAfter asks for a delay as an error of another package does.
type modelRetryAfter struct {
	error
	after time.Duration
}

func (e modelRetryAfter) RetryAfter() time.Duration { return e.after }

type modelWrapper struct{ modelRetryAfter }

func (e modelWrapper) Unwrap() error { return e.error }

// A modelClock always returns the same time, and its Sleep calls the function.
type modelClock func() error

func (c modelClock) Now() time.Time                             { return time.Time{} }
func (c modelClock) Sleep(context.Context, time.Duration) error { return c() }
