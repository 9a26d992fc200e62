package retry

import (
	"context"
	"log/slog"
	"runtime/debug"
	"time"
)

// An Event tells a hook where a call of [Do] stands: see [WithOnRetry] and
// [WithOnDone]. It is a plain value and may be kept.
type Event struct {
	Attempt int           // the attempt that just ended, from 1; 0 if there was none
	Err     error         // the last error fn returned; in OnDone it stays set when a later attempt succeeded
	Wait    time.Duration // OnRetry: the wait that is about to begin, exactly as it will be slept; OnDone: 0
	Waited  time.Duration // slept so far
	Elapsed time.Duration // since Do was called, by the Clock
	Reason  error         // OnRetry: nil; OnDone: nil on success, else Error.Reason
}

// LogValue returns a group of the attributes attempt, err, wait, waited, elapsed
// and reason. Err and reason are left out while they are nil.
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

// observe calls the hooks of the call: its own, then those that ctx overrides with.
func (p *policy) observe(ctx context.Context, ev Event, done bool) {
	p.notify(ctx, p.opts, ev, done)
	if p.override != nil {
		p.notify(ctx, p.override.opts, ev, done)
	}
}

// notify calls the hooks of opts, and the loggers, in the order given: those for
// a retry, or those for the end of the call. They are looked up only now, for a
// list of them, made before the first attempt, would be an allocation that few
// calls turn out to need. And they are called here, not handed to a callback,
// which would send every hook that a caller writes inline to the heap.
func (p *policy) notify(ctx context.Context, opts []Option, ev Event, done bool) {
	for _, o := range opts {
		switch o := o.(type) {
		case onRetry:
			if !done {
				p.guard(ctx, func() { o(ctx, ev) })
			}
		case loggerOption:
			if !done {
				p.guard(ctx, func() { o.logger().LogAttrs(ctx, o.level, "retrying", ev.attrs()...) })
			}
		case onDone:
			if done {
				p.guard(ctx, func() { o(ctx, ev) })
			}
		case *policy:
			p.notify(ctx, o.opts, ev, done)
		}
	}
}

// guard calls hook and logs a panic of it: an observer never breaks what it
// observes. A Goexit goes through, for recover has nothing to return then.
func (p *policy) guard(ctx context.Context, hook func()) {
	defer func() {
		if value := recover(); value != nil {
			p.logPanic(ctx, value)
		}
	}()
	hook()
}

// logPanic logs value and the stack to every logger of the call. What panics in turn
// is passed over. If no logger is left that way, slog.Default() has the record.
func (p *policy) logPanic(ctx context.Context, value any) {
	stack := string(debug.Stack())
	logged := false
	log := func(l *slog.Logger) {
		defer func() { _ = recover() }()
		l.LogAttrs(ctx, slog.LevelError, "retry: a hook panicked", slog.Any("panic", value), slog.String("stack", stack))
		logged = true
	}
	all := loggers(nil, p.opts)
	if p.override != nil {
		all = loggers(all, p.override.opts)
	}
	for _, l := range all {
		log(l)
	}
	if !logged {
		log(slog.Default())
	}
}

func loggers(list []*slog.Logger, opts []Option) []*slog.Logger {
	for _, o := range opts {
		switch o := o.(type) {
		case loggerOption:
			list = append(list, o.logger())
		case *policy:
			list = loggers(list, o.opts)
		}
	}
	return list
}
