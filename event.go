package retry

import (
	"context"
	"log/slog"
	"runtime/debug"
	"time"
)

// An Event describes the state of a call to the hooks of [WithOnRetry] and
// [WithOnDone]. It is a plain value; hooks may keep it.
type Event struct {
	Attempt int           // the attempt that just ended, from 1; 0 if there was none
	Err     error         // the last error of fn; in OnDone it stays set if a later attempt succeeded
	Wait    time.Duration // OnRetry: the wait about to begin; OnDone: 0
	Waited  time.Duration // the sum of the completed waits
	Elapsed time.Duration // since Do was called, by the Clock
	Reason  error         // OnRetry: nil; OnDone: nil on success, else Error.Reason
}

// LogValue returns a group of the attributes attempt, err, wait, waited, elapsed, and
// reason. The attributes err and reason are left out if they are nil.
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
	if l.Enabled(ctx, level) { // otherwise the attributes are allocated in vain
		l.LogAttrs(ctx, level, "retrying", ev.attrs()...)
	}
}

// observe calls the OnDone hooks if done is true, else the OnRetry hooks, in the order
// of the options.
func (p *policy) observe(ctx context.Context, ev Event, done bool) {
	if p.base == nil {
		if done {
			notify(ctx, p.onDone, ev)
		} else {
			notify(ctx, p.onRetry, ev)
		}
		return
	}
	p.base.observe(ctx, ev, done)
	for _, o := range p.opts {
		o.observe(ctx, ev, done)
	}
}

// notify calls hook, which may be nil, and logs a panic in it, because an observer
// must not break what it observes.
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
