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

// observeRetry calls the OnRetry hooks and the loggers: those of the call, then
// those that ctx overrides with.
func (p *policy) observeRetry(ctx context.Context, ev Event) {
	p.notifyRetry(ctx, p.opts, ev)
	if p.override != nil {
		p.notifyRetry(ctx, p.override.opts, ev)
	}
}

// notifyRetry calls those in opts, in the order given. They are looked up only now,
// for a list of them, made before the first attempt, would be an allocation that
// few calls turn out to need. And they are called here, not handed to a callback,
// which would send every hook that a caller writes inline to the heap.
func (p *policy) notifyRetry(ctx context.Context, opts []Option, ev Event) {
	for _, o := range opts {
		switch o := o.(type) {
		case onRetry:
			p.guard(ctx, func() { o(ctx, ev) })
		case loggerOption:
			p.guard(ctx, func() {
				// Asked first, for the attributes are an allocation or two.
				if l := o.logger(); l.Enabled(ctx, o.level) {
					l.LogAttrs(ctx, o.level, "retrying", ev.attrs()...)
				}
			})
		case *policy:
			p.notifyRetry(ctx, o.opts, ev)
		}
	}
}

// observeDone calls the OnDone hooks, in the same order.
func (p *policy) observeDone(ctx context.Context, ev Event) {
	p.notifyDone(ctx, p.opts, ev)
	if p.override != nil {
		p.notifyDone(ctx, p.override.opts, ev)
	}
}

func (p *policy) notifyDone(ctx context.Context, opts []Option, ev Event) {
	for _, o := range opts {
		switch o := o.(type) {
		case onDone:
			p.guard(ctx, func() { o(ctx, ev) })
		case *policy:
			p.notifyDone(ctx, o.opts, ev)
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
