package retry

import (
	"context"
	"log/slog"
	"runtime/debug"
	"time"
)

// An Event describes the state of a call. Do passes it to the hooks of [WithOnRetry] and
// [WithOnDone]. An Event is a plain value, so hooks may keep it.
type Event struct {
	Attempt int           // the attempt that just ended, from 1; 0 if there was none
	Err     error         // as in Error.Err; in OnDone, it remains set even if a later attempt succeeded
	Wait    time.Duration // OnRetry: the wait about to begin; OnDone: 0
	Waited  time.Duration // the sum of the completed waits
	Elapsed time.Duration // the time since Do was called, according to the Clock
	Reason  error         // OnRetry: nil; OnDone: Error.Reason, or nil if the call succeeded
}

// LogValue returns a group of the attributes attempt, err, wait, waited, elapsed, and
// reason. The attributes err and reason are omitted if they are nil.
func (e Event) LogValue() slog.Value { return slog.GroupValue(e.attrs()...) }

func (e Event) attrs() []slog.Attr {
	attrs := []slog.Attr{slog.Int("attempt", e.Attempt)}
	if e.Err != nil {
		attrs = append(attrs, slog.Any("err", e.Err))
	}
	attrs = append(attrs,
		slog.Duration("wait", e.Wait),
		slog.Duration("waited", e.Waited),
		slog.Duration("elapsed", e.Elapsed))
	if e.Reason != nil {
		attrs = append(attrs, slog.Any("reason", e.Reason))
	}
	return attrs
}

// logRetry is the hook of WithLogger.
func logRetry(ctx context.Context, l *slog.Logger, level slog.Level, ev Event) {
	if l.Enabled(ctx, level) { // avoids allocating attributes that are not logged
		l.LogAttrs(ctx, level, "retrying", ev.attrs()...)
	}
}

// observe calls the OnDone hooks if done is true, and the OnRetry hooks otherwise, in the
// order of the options.
func (p *policy) observe(ctx context.Context, ev *Event, done bool) {
	if p.base == nil {
		if done {
			notify(ctx, p.onDone, *ev)
		} else {
			notify(ctx, p.onRetry, *ev)
		}
		return
	}
	p.base.observe(ctx, ev, done)
	for _, o := range p.opts {
		o.observe(ctx, ev, done)
	}
}

// notify calls hook if it is not nil. If hook panics, notify logs the panic instead of
// passing it on, because a faulty hook must not break the call.
func notify(ctx context.Context, hook func(context.Context, Event), ev Event) {
	if hook == nil {
		return
	}
	defer func() {
		if value := recover(); value != nil {
			slog.Default().LogAttrs(ctx, slog.LevelError, "retry: hook panicked",
				slog.Any("panic", value), slog.String("stack", string(debug.Stack())))
		}
	}()
	hook(ctx, ev)
}
