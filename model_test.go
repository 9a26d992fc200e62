package retry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/retry"
)

// A scenario fixes everything that calls of Do can meet: options, and what each
// callback does in each attempt. It is played twice, by the library and by the
// model, and both must leave the same trace. Calls follow one another and share
// the clock and the budget.
type scenario struct {
	budget          bool
	capacity, ratio int // tokens, thousandths of a token
	calls           []scriptedCall
}

type scriptedCall struct {
	form    int  // Do, DoValue, Wrap or WrapUnary
	nested  bool // ctx is that of a second attempt of another Do
	invalid *invalidOption
	bundles [3]int // how the options are bundled: own, outer and inner override

	deadline  time.Duration // of ctx, from the start of the call; 0: none
	expires   bool          // ctx ends with DeadlineExceeded, not with Canceled
	withCause bool
	dead      bool // before the call

	maxAttempts    int           // 0: by default
	maxElapsed     time.Duration // 0: by default
	attemptTimeout bool
	backoff        int // scripted, Constant or the default
	constant       time.Duration
	jitter         int // scripted, FullJitter, EqualJitter or NoJitter
	seed           uint64
	filter         int // default, scripted, or scripted beside Is or As
	hooks          []scriptedHook
	attempts       []scriptedAttempt // those after the last one succeed
}

type scriptedHook struct {
	kind   int // of onRetryHook, onDoneHook and loggerHook
	layer  int // 0: an option of the call; 1, 2: of the overrides
	name   string
	panics bool
}

const (
	onRetryHook = iota
	onDoneHook
	loggerHook
)

type scriptedAttempt struct {
	result                            *tree // nil: success
	inFn, inPred, inBackoff, inJitter effect
	inHook, inSleep                   effect // inHook: in the last OnRetry hook
	holds                             bool   // what the predicate says
	ceiling, drawn                    time.Duration
	sleep                             int // of sleepsWell and the others
}

const (
	sleepsWell    = iota
	sleepsShort   // returns nil without letting time pass
	sleepsTillEnd // ctx's error if there is one after inSleep, else as sleepsWell
	sleepsBroken  // an error of its own
	sleepsMisled  // context.DeadlineExceeded, though it may not be ctx's
)

// An effect is what a callback does besides returning its result.
type effect struct {
	advance time.Duration
	budget  int // 1: another call deposits; 2: another call retries once
	cancel  bool
	leave   int // 1: panics; 2: exits the goroutine
}

var (
	errScriptedCause = errors.New("a cause\nof two lines")
	errScriptedClock = errors.New("clock out of order")
	errScriptedPanic = errors.New("panicked as scripted")
)

// dice reads choices from bytes; after the end of those, every roll is 0. A
// scenario of all zeros is a call that succeeds at once.
type dice struct{ data []byte }

func (d *dice) roll(n int) int {
	if len(d.data) == 0 {
		return 0
	}
	b := d.data[0]
	d.data = d.data[1:]
	return int(b) % n
}

func (d *dice) rarely() bool { return d.roll(16) == 1 }

// duration favours the sizes that backoffs have, and the ends of the range.
func (d *dice) duration() time.Duration {
	n := time.Duration(d.roll(256))
	switch d.roll(16) {
	case 0, 1, 2:
		return 0
	case 3, 4, 5, 6:
		return n * time.Millisecond
	case 7, 8, 9:
		return n * time.Second
	case 10:
		return n
	case 11:
		return -n * time.Second
	case 12:
		return math.MaxInt64 - n
	case 13:
		return math.MinInt64 + n
	case 14:
		return math.MaxInt64/2 + n
	}
	for range 7 {
		n = n<<8 | time.Duration(d.roll(256))
	}
	return n
}

func (d *dice) effect() effect {
	if d.roll(6) != 1 {
		return effect{}
	}
	var e effect
	switch d.roll(8) {
	case 0, 1, 2, 3:
		e.advance = d.duration()
	case 4:
		e.budget = 1 + d.roll(2)
	case 5, 6:
		e.cancel = true
		e.advance = d.duration()
	default:
		if d.roll(3) == 1 {
			e.leave = 1 + d.roll(2)
		}
	}
	return e
}

func decodeScenario(data []byte) *scenario {
	d := &dice{data}
	s := &scenario{budget: d.roll(2) == 1}
	if s.budget {
		s.capacity = 1 + d.roll(4)
		s.ratio = min(d.roll(256)*7, s.capacity*1000)
	}
	for range 1 + d.roll(4) {
		s.calls = append(s.calls, d.call())
	}
	return s
}

func (d *dice) call() scriptedCall {
	c := scriptedCall{form: d.roll(4)}
	for range d.roll(8) {
		c.attempts = append(c.attempts, d.attempt())
	}
	if d.rarely() {
		c.invalid = &invalidOptions[d.roll(len(invalidOptions))]
	}
	c.nested = d.rarely()
	for i := range c.bundles {
		c.bundles[i] = d.roll(4)
	}
	if d.roll(3) == 1 {
		c.deadline = d.duration()
		if d.rarely() {
			c.deadline = math.MaxInt64
		}
	}
	c.expires = d.roll(2) == 1
	c.withCause = d.roll(2) == 1
	c.dead = d.rarely()
	switch d.roll(4) {
	case 1:
		c.maxAttempts = 1 + d.roll(8)
	case 2:
		c.maxAttempts = retry.Unlimited
	}
	if d.roll(3) == 1 {
		c.maxElapsed = max(d.duration(), 1)
	}
	c.attemptTimeout = d.rarely()
	c.backoff = d.roll(3)
	c.constant = d.duration()
	c.jitter = d.roll(4)
	c.seed = uint64(d.roll(256))
	c.filter = d.roll(4)
	var logger bool
	for i := range d.roll(5) {
		h := scriptedHook{kind: d.roll(3), layer: d.roll(3), name: string(rune('a' + i))}
		if h.kind == loggerHook {
			if logger {
				continue
			}
			logger = true
		}
		c.hooks = append(c.hooks, h)
	}
	slices.SortStableFunc(c.hooks, func(a, b scriptedHook) int { return a.layer - b.layer })
	if logger { // or else a panic would go to slog.Default()
		for i := range c.hooks {
			c.hooks[i].panics = c.hooks[i].kind != loggerHook && d.roll(8) == 1
		}
	}
	return c
}

func (d *dice) attempt() scriptedAttempt {
	var a scriptedAttempt
	if d.roll(16) != 1 {
		a.result = d.tree(4)
	}
	a.inFn, a.inPred, a.inBackoff, a.inJitter = d.effect(), d.effect(), d.effect(), d.effect()
	a.inHook, a.inSleep = d.effect(), d.effect()
	if a.inHook.leave == 1 {
		a.inHook.leave = 0 // scriptedHook.panics is for this
	}
	a.holds = d.roll(8) != 1
	a.ceiling, a.drawn = d.duration(), d.duration()
	if d.roll(4) == 1 {
		a.sleep = d.roll(5)
	}
	return a
}

// attempt returns what is scripted for attempt n, from 1.
func (c *scriptedCall) attempt(n int) scriptedAttempt {
	if n > len(c.attempts) {
		return scriptedAttempt{}
	}
	return c.attempts[n-1]
}

// errName names an error of fn by the attempt that it came from, for the trace.
func (c *scriptedCall) errName(err error) string {
	if err == nil {
		return "nil"
	}
	for i, a := range c.attempts {
		if a.result != nil && same(a.result.bare().err, err) {
			return fmt.Sprintf("err%d", i+1)
		}
	}
	return fmt.Sprintf("foreign %T", err)
}

// lastOnRetry is the index of the hook that inHook happens in, or -1.
func (c *scriptedCall) lastOnRetry() int {
	last := -1
	for i, h := range c.hooks {
		if h.kind == onRetryHook {
			last = i
		}
	}
	return last
}

// cause is what ctx is cancelled with.
func (c *scriptedCall) cause() error {
	switch {
	case c.withCause:
		return errScriptedCause
	case c.expires:
		return context.DeadlineExceeded
	}
	return context.Canceled
}

// deadlineAt is ctx's, for a call that starts at start.
func (c *scriptedCall) deadlineAt(start time.Time) time.Time {
	switch c.deadline {
	case 0:
		return time.Time{}
	case math.MaxInt64: // further away than a Duration reaches
		return start.AddDate(400, 0, 0)
	}
	return start.Add(c.deadline)
}

// reasons are what a Reason is told by in the trace.
var reasons = []struct {
	err  error
	name string
}{
	{retry.ErrExhausted, "exhausted"},
	{retry.ErrNotRetryable, "not retryable"},
	{retry.ErrMaxElapsed, "max elapsed"},
	{retry.ErrBudget, "budget"},
	{retry.ErrInvalid, "invalid"},
	{context.Canceled, "canceled"},
	{context.DeadlineExceeded, "deadline"},
	{errScriptedCause, "cause"},
	{errScriptedClock, "clock"},
}

// reasonName lists all that reason matches: one too many is as wrong as one that
// is missing.
func reasonName(reason error) string {
	var names []string
	for _, r := range reasons {
		if errors.Is(reason, r.err) {
			names = append(names, r.name)
		}
	}
	return strings.Join(names, "+")
}

type invalidOption struct {
	option retry.Option
	noCtx  bool
	noFn   bool
	named  []string // what the Reason has to name
}

var invalidOptions = []invalidOption{
	{option: retry.WithMaxAttempts(0), named: []string{"WithMaxAttempts(0)"}},
	{option: retry.WithMaxAttempts(-7), named: []string{"WithMaxAttempts(-7)"}},
	{option: retry.WithMaxElapsed(0), named: []string{"WithMaxElapsed(0"}},
	{option: retry.WithMaxElapsed(-time.Second), named: []string{"WithMaxElapsed(-1s)"}},
	{option: retry.WithAttemptTimeout(0), named: []string{"WithAttemptTimeout(0"}},
	{option: retry.WithBackoff(nil), named: []string{"WithBackoff(nil)"}},
	{option: retry.WithBackoff(retry.BackoffFunc(nil)), named: []string{"WithBackoff("}},
	{option: retry.WithBackoff((*retry.Exponential)(nil)), named: []string{"WithBackoff("}},
	{option: retry.WithBackoff(retry.Exponential{Base: -1}), named: []string{"WithBackoff(", "Base", "-1ns"}},
	{option: retry.WithBackoff(retry.Exponential{Max: -1}), named: []string{"WithBackoff(", "Max", "-1ns"}},
	{option: retry.WithBackoff(retry.Exponential{Factor: 0.5}), named: []string{"WithBackoff(", "Factor", "0.5"}},
	{option: retry.WithBackoff(&retry.Exponential{Factor: math.NaN()}), named: []string{"WithBackoff(", "Factor", "NaN"}},
	{option: retry.WithBackoff(retry.Exponential{Factor: math.Inf(1)}), named: []string{"WithBackoff(", "Factor", "Inf"}},
	{option: retry.WithJitter(nil), named: []string{"WithJitter(nil)"}},
	{option: retry.WithSource(nil), named: []string{"WithSource(nil)"}},
	{option: retry.WithClock(nil), named: []string{"WithClock(nil)"}},
	{option: retry.WithRetryIf(), named: []string{"WithRetryIf("}},
	{option: retry.WithRetryIf(nil), named: []string{"WithRetryIf(nil)"}},
	{option: retry.WithRetryIf(retry.Is(io.EOF), nil), named: []string{"WithRetryIf(", "nil"}},
	{option: retry.WithOnRetry(nil), named: []string{"WithOnRetry(nil)"}},
	{option: retry.WithOnDone(nil), named: []string{"WithOnDone(nil)"}},
	{option: retry.WithLogger(nil, 0), named: []string{"WithLogger(nil"}},
	{option: retry.WithBudget(nil), named: []string{"WithBudget(nil)"}},
	{option: retry.WithBudget(retry.NewBudget(0, 0)), named: []string{"WithBudget(", "0"}},
	{option: retry.WithBudget(retry.NewBudget(3, -1)), named: []string{"WithBudget(", "-1"}},
	{option: retry.WithBudget(retry.NewBudget(3, 3.5)), named: []string{"WithBudget(", "3.5"}},
	{option: retry.WithBudget(retry.NewBudget(3, math.NaN())), named: []string{"WithBudget(", "NaN"}},
	{noCtx: true, named: []string{"nil", "ctx"}},
	{noFn: true, named: []string{"nil", "fn"}},
}

var scenarioStart = time.Date(2026, time.November, 23, 12, 0, 0, 0, time.UTC)

// model is the loop as it is specified, step by step, with nothing in it for the
// sake of speed. Do's doc comment has the same order.
type model struct {
	*scenario
	trace  []string
	now    time.Time
	tokens int // in thousandths
	done   bool
}

func (m *model) note(format string, args ...any) {
	m.trace = append(m.trace, fmt.Sprintf(format, args...))
}

// happen applies an effect. It reports whether control leaves the callback, and
// with it the call, for good.
func (m *model) happen(e effect) (left bool) {
	m.now = m.now.Add(e.advance)
	switch {
	case e.budget == 1:
		m.deposit(m.ratio)
	case e.budget == 2 && m.tokens >= 1000:
		m.tokens -= 1000
	}
	if e.cancel {
		m.done = true
	}
	switch e.leave {
	case 1:
		m.note("panic %v", errScriptedPanic)
	case 2:
		m.note("goexit")
	}
	return e.leave != 0
}

func (m *model) deposit(thousandths int) {
	m.tokens = min(m.tokens+thousandths, m.capacity*1000)
}

func (m *model) play() []string {
	m.now = scenarioStart
	m.tokens = m.capacity * 1000
	for i := range m.calls {
		m.call(&m.calls[i])
		m.note("tokens %d", m.tokens)
	}
	return m.trace
}

func (m *model) call(c *scriptedCall) {
	start := m.now
	m.done = c.dead
	random := rand.New(rand.NewPCG(c.seed, c.seed))
	maxAttempts := c.maxAttempts
	if maxAttempts == 0 {
		maxAttempts = 5
	}

	n, value := 0, 0
	last := error(nil)
	waited := time.Duration(0)
	end := func(reasons ...error) {
		reason := reasonName(errors.Join(reasons...))
		for _, h := range c.hooks {
			if h.kind == onDoneHook {
				m.note("hook %s done attempt=%d err=%s wait=0s waited=%v elapsed=%v reason=%s",
					h.name, n, c.errName(last), waited, m.now.Sub(start), reason)
				if h.panics {
					m.note("log of a panic")
				}
			}
		}
		if reasons == nil {
			m.note("return %d nil", value)
			return
		}
		m.note("return %d attempts=%d waited=%v err=%s reason=%s", value, n, waited, c.errName(last), reason)
	}
	endOfCtx := func() {
		if c.expires {
			end(context.DeadlineExceeded, c.cause())
		} else {
			end(context.Canceled, c.cause())
		}
	}

	// 1. An option or argument is invalid.
	if c.invalid != nil {
		m.note("return 0 attempts=0 waited=0s err=nil reason=invalid")
		return
	}
	for {
		// 2. Before every attempt, the first included: ctx is done.
		if m.done {
			endOfCtx()
			return
		}
		// 3. Call fn. Success counts, even if ctx has ended meanwhile.
		n++
		a := c.attempt(n)
		m.note("fn previous=%d", n-1)
		if m.happen(a.inFn) {
			return
		}
		value = n
		if a.result == nil {
			m.deposit(m.ratio)
			end()
			return
		}
		last = a.result.bare().err
		// 4. ctx is done.
		if m.done {
			endOfCtx()
			return
		}
		// 5. The error is not retryable.
		retryable := false
		if !a.result.permanent() {
			asked := false
			switch c.filter {
			case 0:
				retryable = !a.result.final()
			case 1:
				asked = true
			case 2:
				retryable = a.result.is(io.EOF)
				asked = !retryable
			case 3:
				asked = true
				_, retryable = find[*askingError](a.result)
			}
			if asked {
				m.note("predicate")
				if m.happen(a.inPred) {
					return
				}
				retryable = retryable || a.holds
			}
		}
		if !retryable {
			end(retry.ErrNotRetryable)
			return
		}
		// 6. That was the last attempt.
		if n == maxAttempts {
			end(retry.ErrExhausted)
			return
		}
		// 7. The wait is the backoff with jitter, and on top what was asked for.
		var ceiling time.Duration
		switch c.backoff {
		case 0:
			m.note("backoff %d", n)
			if m.happen(a.inBackoff) {
				return
			}
			ceiling = max(a.ceiling, 0)
		case 1:
			ceiling = max(c.constant, 0)
		case 2:
			ceiling = min(250*time.Millisecond<<(n-1), 8*time.Second)
		}
		var wait time.Duration
		switch c.jitter {
		case 0:
			m.note("jitter %v", ceiling)
			if m.happen(a.inJitter) {
				return
			}
			wait = max(a.drawn, 0)
		case 1:
			wait = retry.FullJitter(ceiling, random)
		case 2:
			wait = retry.EqualJitter(ceiling, random)
		case 3:
			wait = ceiling
		}
		wait = saturatingAdd(wait, a.result.pushback())
		// 8. The next attempt would begin too late for WithMaxElapsed.
		elapsed := m.now.Sub(start)
		if c.maxElapsed != 0 && saturatingAdd(elapsed, wait) >= c.maxElapsed {
			end(retry.ErrMaxElapsed)
			return
		}
		// 9. Or for ctx's deadline.
		if c.deadline != 0 && !m.now.Add(wait).Before(c.deadlineAt(start)) {
			end(context.DeadlineExceeded)
			return
		}
		// 10. The budget has no token. From here on, whoever does not get to the
		// next attempt gives the token back.
		giveBack := func() {}
		if m.budget {
			if m.tokens < 1000 {
				end(retry.ErrBudget)
				return
			}
			m.tokens -= 1000
			giveBack = func() { m.deposit(1000) }
		}
		// 11. OnRetry, but not if ctx ended since 4: then there will be no sleep.
		hooks := c.hooks
		if m.done {
			hooks = nil
		}
		for i, h := range hooks {
			switch h.kind {
			case loggerHook:
				m.note("log attempt=%d wait=%v err=%s", n, wait, c.errName(last))
			case onRetryHook:
				m.note("hook %s retry attempt=%d err=%s wait=%v waited=%v elapsed=%v reason=",
					h.name, n, c.errName(last), wait, waited, elapsed)
				if i == c.lastOnRetry() && m.happen(a.inHook) {
					giveBack()
					return
				}
				if h.panics {
					m.note("log of a panic")
				}
			}
		}
		// 12. ctx is done.
		if m.done {
			giveBack()
			endOfCtx()
			return
		}
		// 13. Sleep.
		m.note("sleep %v", wait)
		if m.happen(a.inSleep) {
			giveBack()
			return
		}
		if a.sleep == sleepsTillEnd && !m.done {
			a.sleep = sleepsWell
		}
		if a.sleep == sleepsWell {
			m.now = m.now.Add(wait)
		}
		if a.sleep == sleepsWell || a.sleep == sleepsShort {
			waited = saturatingAdd(waited, wait)
			if m.done { // which ends it in 2
				giveBack()
			}
			continue
		}
		giveBack()
		switch {
		case m.done:
			endOfCtx()
		case a.sleep == sleepsBroken:
			end(errScriptedClock)
		case a.sleep == sleepsMisled:
			end(context.DeadlineExceeded)
		}
		return
	}
}

func saturatingAdd(a, b time.Duration) time.Duration {
	if b > 0 && a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// A scenarioCtx has a deadline by the clock of the scenario, and says of its end
// what the scenario wants.
type scenarioCtx struct {
	context.Context
	deadline time.Time // zero: none
	expires  bool
}

func (c *scenarioCtx) Deadline() (time.Time, bool) { return c.deadline, !c.deadline.IsZero() }

func (c *scenarioCtx) Err() error {
	if err := c.Context.Err(); err == nil || !c.expires {
		return err
	}
	return context.DeadlineExceeded
}

// A player plays the scenario with the library. It is the Clock and the
// slog.Handler of the calls, too.
type player struct {
	*scenario
	t      *testing.T
	trace  []string
	now    time.Time
	shared *retry.Budget

	// of the call that is played
	c       *scriptedCall
	n       int // the attempt that runs, or ended last
	ctx     context.Context
	cancel  func()
	attempt context.Context // what fn got
}

func (p *player) note(format string, args ...any) {
	p.trace = append(p.trace, fmt.Sprintf(format, args...))
}

func (p *player) happen(e effect) {
	p.now = p.now.Add(e.advance)
	if p.shared != nil && e.budget != 0 {
		var err error
		if e.budget == 2 {
			err = errScriptedPanic
		}
		_ = retry.Do(context.Background(), func(context.Context) error { return err },
			retry.WithBudget(p.shared), retry.WithMaxAttempts(2), retry.WithBackoff(retry.Constant(0)))
	}
	if e.cancel {
		p.cancel()
	}
	switch e.leave {
	case 1:
		panic(errScriptedPanic)
	case 2:
		runtime.Goexit()
	}
}

func (p *player) play() []string {
	p.now = scenarioStart
	if p.budget {
		p.shared = retry.NewBudget(p.capacity, float64(p.ratio)/1000)
	}
	for i := range p.calls {
		p.c, p.n, p.attempt = &p.calls[i], 0, nil
		p.callApart()
		if p.c.attemptTimeout && p.attempt != nil && p.attempt.Err() == nil {
			p.t.Error("ctx of the last attempt is still alive")
		}
		tokens := 0.0
		if p.shared != nil {
			tokens = p.shared.Tokens()
		}
		p.note("tokens %.0f", tokens*1000)
	}
	return p.trace
}

// callApart makes the call on a goroutine of its own, which it may exit.
func (p *player) callApart() {
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		returned := false
		defer func() {
			if v := recover(); v != nil {
				p.note("panic %v", v)
			} else if !returned {
				p.note("goexit")
			}
		}()
		p.call()
		returned = true
	}()
	<-finished
}

func (p *player) call() {
	c := p.c
	parent, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	p.cancel = func() { cancel(c.cause()) }
	if c.dead {
		p.cancel()
	}
	p.ctx = &scenarioCtx{parent, c.deadlineAt(p.now), c.expires}
	if c.nested {
		p.ctx = inSecondAttempt(p.ctx)
	}
	layers := p.options()
	p.ctx = retry.Override(p.ctx, layers[1]...)
	p.ctx = retry.Override(p.ctx, layers[2]...)
	value, err := p.enter(layers[0])
	if err == nil {
		p.note("return %d nil", value)
		return
	}
	e, ok := err.(*retry.Error)
	if !ok {
		p.t.Errorf("error is a %T, not a *retry.Error", err)
		return
	}
	p.note("return %d attempts=%d waited=%v err=%s reason=%s", value, e.Attempts, e.Waited, c.errName(e.Err), reasonName(e.Reason))
	p.checkError(e)
}

// checkError checks what is the same for every error, and so not in the trace.
func (p *player) checkError(e *retry.Error) {
	if !same(errors.Unwrap(e), e.Err) {
		p.t.Errorf("errors.Unwrap gives %v, Err is %v", errors.Unwrap(e), e.Err)
	}
	rest, ok := strings.CutPrefix(e.Error(), "retry: ")
	tail := fmt.Sprintf(" after %d attempts", e.Attempts)
	switch e.Attempts {
	case 0:
		tail = " before the first attempt"
	case 1:
		tail = " after 1 attempt"
	}
	if e.Err != nil {
		tail += ": " + e.Err.Error()
	}
	reason, ok2 := strings.CutSuffix(rest, tail)
	if !ok || !ok2 || reason == "" || strings.Contains(reason, "\n") {
		p.t.Errorf("text %q, want one line with a reason before %q", e.Error(), tail)
	}
	if p.c.invalid != nil {
		for _, name := range p.c.invalid.named {
			if !strings.Contains(e.Reason.Error(), name) {
				p.t.Errorf("reason %q does not name %q", e.Reason, name)
			}
		}
	}
}

// inSecondAttempt returns ctx as seen from the second attempt of another Do.
func inSecondAttempt(ctx context.Context) context.Context {
	var second context.Context
	// Without ctx's end and deadline: that Do is not what is played.
	_ = retry.Do(context.WithoutCancel(ctx), func(attempt context.Context) error {
		if retry.PreviousAttempts(attempt) == 0 {
			return errScriptedPanic
		}
		second = attempt
		return nil
	}, retry.WithBackoff(retry.Constant(0)))
	return &nestedCtx{ctx, second}
}

// A nestedCtx ends with its Context and has the values of an attempt, too.
type nestedCtx struct {
	context.Context
	attempt context.Context
}

func (c *nestedCtx) Value(key any) any {
	if v := c.attempt.Value(key); v != nil {
		return v
	}
	return c.Context.Value(key)
}

// enter calls the library in the form of the scenario.
func (p *player) enter(opts []retry.Option) (int, error) {
	ctx, fn := p.ctx, p.fn
	if p.c.invalid != nil && p.c.invalid.noCtx {
		ctx = nil
	}
	if p.c.invalid != nil && p.c.invalid.noFn {
		fn = nil
	}
	switch p.c.form {
	case 1:
		return retry.DoValue(ctx, fn, opts...)
	case 2:
		return retry.Wrap(fn, opts...)(ctx)
	case 3:
		var unary func(context.Context, int) (int, error)
		if fn != nil {
			unary = func(ctx context.Context, in int) (int, error) {
				out, err := fn(ctx)
				return out + in - 42, err
			}
		}
		return retry.WrapUnary(unary, opts...)(ctx, 42)
	}
	value := 0
	if fn == nil {
		return 0, retry.Do(ctx, nil, opts...)
	}
	err := retry.Do(ctx, func(ctx context.Context) (err error) {
		value, err = fn(ctx)
		return err
	}, opts...)
	return value, err
}

func (p *player) fn(ctx context.Context) (int, error) {
	if p.c.attemptTimeout {
		if p.attempt != nil && p.attempt.Err() == nil {
			p.t.Error("ctx of the attempt before is still alive")
		}
		if _, ok := ctx.Deadline(); !ok || ctx.Err() != nil {
			p.t.Errorf("ctx of attempt %d: no deadline, or dead: %v", p.n+1, ctx.Err())
		}
	}
	p.attempt = ctx
	p.n++
	p.note("fn previous=%d", retry.PreviousAttempts(retry.Override(ctx)))
	a := p.c.attempt(p.n)
	p.happen(a.inFn)
	if a.result == nil {
		return p.n, nil
	}
	return p.n, a.result.err
}

// options returns those of the call and of the two overrides around it.
func (p *player) options() [3][]retry.Option {
	c := p.c
	var layers [3][]retry.Option
	add := func(layer int, o retry.Option) { layers[layer] = append(layers[layer], o) }
	// What is given here is given again below, and that must win.
	add(0, retry.WithClock(brokenClock{}))
	add(0, retry.WithBackoff(retry.BackoffFunc(func(int) time.Duration { panic("overridden backoff") })))
	add(0, retry.WithJitter(func(time.Duration, *rand.Rand) time.Duration { panic("overridden jitter") }))
	if c.invalid != nil {
		add(0, c.invalid.option)
	}
	where := 0
	next := func(o retry.Option) {
		if c.bundles[0] == 0 { // all are options of the call
			add(0, o)
			return
		}
		where++ // each is in another layer than the one before
		add(where%3, o)
	}
	next(retry.WithClock(p))
	if c.maxAttempts != 0 {
		add(0, retry.WithMaxAttempts(99))
		next(retry.WithMaxAttempts(c.maxAttempts))
	}
	if c.maxElapsed != 0 {
		add(0, retry.WithMaxElapsed(1))
		next(retry.WithMaxElapsed(c.maxElapsed))
	}
	if c.attemptTimeout {
		next(retry.WithAttemptTimeout(time.Hour))
	}
	switch c.backoff {
	case 0:
		next(retry.WithBackoff(retry.BackoffFunc(p.delay)))
	case 1:
		next(retry.WithBackoff(retry.Constant(c.constant)))
	case 2:
		next(retry.WithBackoff(retry.Exponential{}))
	}
	next(retry.WithJitter([]retry.Jitter{p.draw, retry.FullJitter, retry.EqualJitter, retry.NoJitter}[c.jitter]))
	next(retry.WithSource(rand.NewPCG(c.seed, c.seed)))
	switch c.filter {
	case 1:
		next(retry.WithRetryIf(p.holds))
	case 2:
		next(retry.WithRetryIf(retry.Is(io.EOF), p.holds))
	case 3:
		next(retry.WithRetryIf(p.holds, retry.As[*askingError]()))
	}
	if p.shared != nil {
		next(retry.WithBudget(p.shared))
	}
	for i, h := range c.hooks {
		switch h.kind {
		case onRetryHook:
			add(h.layer, retry.WithOnRetry(p.hook(h, "retry", i == c.lastOnRetry())))
		case onDoneHook:
			add(h.layer, retry.WithOnDone(p.hook(h, "done", false)))
		case loggerHook:
			add(h.layer, retry.WithLogger(slog.New(p), slog.LevelInfo))
		}
	}
	for i, opts := range layers {
		switch c.bundles[i] {
		case 2:
			layers[i] = []retry.Option{retry.Policy(opts...)}
		case 3:
			half := len(opts) / 2
			layers[i] = []retry.Option{nil, retry.Policy(opts[:half]...), retry.Policy(retry.Policy(opts[half:]...), nil)}
		}
	}
	return layers
}

// A brokenClock must never be asked.
type brokenClock struct{}

func (brokenClock) Now() time.Time                             { panic("overridden clock") }
func (brokenClock) Sleep(context.Context, time.Duration) error { panic("overridden clock") }

func (p *player) Now() time.Time { return p.now }

func (p *player) Sleep(ctx context.Context, d time.Duration) error {
	p.note("sleep %v", d)
	a := p.c.attempt(p.n)
	p.happen(a.inSleep)
	switch a.sleep {
	case sleepsShort:
		return nil
	case sleepsTillEnd:
		if err := ctx.Err(); err != nil {
			return err
		}
	case sleepsBroken:
		return errScriptedClock
	case sleepsMisled:
		return context.DeadlineExceeded
	}
	p.now = p.now.Add(d)
	return nil
}

func (p *player) delay(attempt int) time.Duration {
	p.note("backoff %d", attempt)
	a := p.c.attempt(p.n)
	p.happen(a.inBackoff)
	return a.ceiling
}

func (p *player) draw(ceiling time.Duration, _ *rand.Rand) time.Duration {
	p.note("jitter %v", ceiling)
	a := p.c.attempt(p.n)
	p.happen(a.inJitter)
	return a.drawn
}

func (p *player) holds(err error) bool {
	p.note("predicate")
	a := p.c.attempt(p.n)
	if !same(err, a.result.err) {
		p.t.Errorf("predicate got %#v, want the error as fn returned it: %#v", err, a.result.err)
	}
	p.happen(a.inPred)
	return a.holds
}

func (p *player) hook(h scriptedHook, what string, effects bool) func(context.Context, retry.Event) {
	return func(ctx context.Context, ev retry.Event) {
		if ctx != p.ctx {
			p.t.Error("hook got another ctx than that of Do")
		}
		p.note("hook %s %s attempt=%d err=%s wait=%v waited=%v elapsed=%v reason=%s",
			h.name, what, ev.Attempt, p.c.errName(ev.Err), ev.Wait, ev.Waited, ev.Elapsed, reasonName(ev.Reason))
		if effects {
			p.happen(p.c.attempt(p.n).inHook)
		}
		if h.panics {
			panic(h.name)
		}
	}
}

func (p *player) Enabled(context.Context, slog.Level) bool { return true }
func (p *player) WithAttrs([]slog.Attr) slog.Handler       { return p }
func (p *player) WithGroup(string) slog.Handler            { return p }

func (p *player) Handle(_ context.Context, r slog.Record) error {
	if r.Level == slog.LevelError {
		p.note("log of a panic")
		return nil
	}
	attrs := map[string]any{}
	r.Attrs(func(a slog.Attr) bool {
		attrs[a.Key] = a.Value.Any()
		return true
	})
	if r.Message != "retrying" || r.Level != slog.LevelInfo {
		p.t.Errorf("logged %q at %v", r.Message, r.Level)
	}
	err, _ := attrs["err"].(error)
	p.note("log attempt=%v wait=%v err=%s", attrs["attempt"], attrs["wait"], p.c.errName(err))
	return nil
}

// compareWithModel plays a scenario twice and returns the trace of the model.
func compareWithModel(t *testing.T, data []byte) []string {
	t.Helper()
	s := decodeScenario(data)
	want := (&model{scenario: s}).play()
	got := (&player{scenario: s, t: t}).play()
	if !slices.Equal(got, want) {
		for i := 0; ; i++ {
			if i == len(got) || i == len(want) || got[i] != want[i] {
				got = slices.Insert(got, i, "--- from here on:")
				want = slices.Insert(want, i, "--- from here on:")
				break
			}
		}
		t.Errorf("trace:\n\t%s\nwant:\n\t%s\nscenario %q",
			strings.Join(got, "\n\t"), strings.Join(want, "\n\t"), data)
	}
	return want
}

// The random scenarios that go test plays each time; FuzzDo goes on from there.
func TestDoAgainstModel(t *testing.T) {
	scenarios := 20_000
	if testing.Short() {
		scenarios = 2_000
	}
	random := rand.NewChaCha8([32]byte{1})
	data := make([]byte, 400)
	seen := map[string]int{}
	for range scenarios {
		_, _ = random.Read(data)
		for _, line := range compareWithModel(t, data) {
			what, rest, _ := strings.Cut(line, " ")
			if what == "return" {
				_, reason, _ := strings.Cut(rest, "reason=")
				what += " " + reason
			}
			seen[what]++
		}
		if t.Failed() {
			return
		}
	}
	// The comparison is worth what the scenarios reach.
	for _, what := range []string{
		"return ", "return exhausted", "return not retryable", "return max elapsed", "return budget",
		"return invalid", "return canceled", "return deadline", "return canceled+cause",
		"return deadline+cause", "return clock", "panic", "goexit", "log",
		"hook", "sleep", "fn", "predicate", "backoff", "jitter",
	} {
		if seen[what] < scenarios/100 {
			t.Errorf("%q occurred %d times in %d scenarios: they do not reach it often enough", what, seen[what], scenarios)
		}
	}
}

// A tree is an error, and what is known of it without asking the library: it is
// built together with the error.
type tree struct {
	err  error
	kids []*tree // what it wraps; Err and Reason of a *retry.Error, either may be nil

	marker bool          // Permanent or After, which come off at the outside
	stop   bool          // Permanent
	asks   time.Duration // what RetryAfter returns
	gaveUp bool          // one of the reasons of the package
	inner  bool          // a *retry.Error: what is below it spoke to another Do
	ctxEnd bool          // the end of a ctx: its cause says nothing about retrying
	claims error         // what its method Is answers to
	yields *leafError    // what its method As gives
}

func (d *dice) tree(depth int) *tree {
	if depth == 0 {
		return d.leaf()
	}
	kid := func() *tree { return d.tree(depth - 1) }
	switch d.roll(28) {
	case 1:
		t := &tree{kids: []*tree{kid()}, marker: true, stop: true}
		t.err = retry.Permanent(t.kids[0].err)
		return t
	case 2, 3, 4:
		t := &tree{asks: d.duration(), kids: []*tree{kid()}, marker: true}
		t.err = retry.After(t.kids[0].err, t.asks)
		return t
	case 5:
		t := &tree{asks: d.duration(), kids: []*tree{kid()}}
		t.err = &askingError{t.kids[0].err, t.asks}
		return t
	case 6, 7:
		t := &tree{kids: []*tree{kid()}}
		t.err = fmt.Errorf("wrapped: %w", t.kids[0].err)
		return t
	case 8:
		t := &tree{kids: []*tree{kid(), kid()}}
		t.err = fmt.Errorf("%w beside %w", t.kids[0].err, t.kids[1].err)
		return t
	case 9:
		t := &tree{kids: []*tree{kid(), kid(), kid()}}
		t.err = errors.Join(t.kids[0].err, nil, t.kids[1].err, t.kids[2].err)
		return t
	case 10: // made by hand
		t := &tree{kids: []*tree{nil, nil}, inner: true}
		e := &retry.Error{Attempts: d.roll(4)}
		if d.roll(8) != 1 {
			t.kids[0] = kid()
			e.Err = t.kids[0].err
		}
		if d.roll(8) != 1 {
			t.kids[1] = kid()
			e.Reason = t.kids[1].err
		}
		t.err = e
		return t
	case 11: // made by Do, after one attempt
		last := kid()
		err := retry.Do(context.Background(), func(context.Context) error { return last.err },
			retry.WithMaxAttempts(1), retry.WithBackoff(retry.Constant(0)))
		reason := &tree{err: err.(*retry.Error).Reason, gaveUp: true}
		return &tree{err: err, kids: []*tree{last.bare(), reason}, inner: true}
	case 12: // made by Do, which had no fn
		err := retry.Do(context.Background(), nil)
		reason := &tree{err: err.(*retry.Error).Reason, kids: []*tree{{err: retry.ErrInvalid}}, gaveUp: true}
		return &tree{err: err, kids: []*tree{nil, reason}, inner: true}
	case 13, 14: // made by Do, of which ctx ended
		last, cause := kid(), kid()
		ctx, cancel := context.WithCancelCause(context.Background())
		err := retry.Do(ctx, func(context.Context) error {
			cancel(cause.err)
			return last.err
		})
		reason := &tree{
			err:    err.(*retry.Error).Reason,
			kids:   []*tree{{err: context.Canceled}, cause},
			ctxEnd: true,
		}
		if d.roll(4) == 1 {
			return reason
		}
		return &tree{err: err, kids: []*tree{last.bare(), reason}, inner: true}
	}
	return d.leaf()
}

var leafErrors = []error{
	io.EOF, context.Canceled, context.DeadlineExceeded, &leafError{"shared"}, errClaimed,
}

var verdicts = []error{
	retry.ErrExhausted, retry.ErrNotRetryable, retry.ErrMaxElapsed, retry.ErrBudget, retry.ErrInvalid,
}

func (d *dice) leaf() *tree {
	switch d.roll(16) {
	case 0, 1, 2:
		return &tree{err: leafErrors[d.roll(len(leafErrors))]}
	case 3:
		return &tree{err: verdicts[d.roll(len(verdicts))], gaveUp: true}
	case 4:
		return &tree{err: (*retry.Error)(nil), inner: true}
	case 5:
		return &tree{err: (*askingError)(nil)}
	case 6:
		return &tree{err: (*leafError)(nil)}
	case 7:
		return &tree{err: sliceError{"a", "b"}}
	case 8:
		return &tree{err: boxError{[]int{d.roll(2)}}} // its type may be compared, it may not
	case 9:
		return &tree{err: boxError{d.roll(2)}}
	case 10:
		return &tree{err: &claimingError{errClaimed}, claims: errClaimed}
	case 11:
		leaf := &leafError{"yielded"}
		return &tree{err: yieldingError{leaf}, yields: leaf}
	case 12:
		t := &tree{asks: d.duration()}
		t.err = &askingError{nil, t.asks}
		return t
	}
	return &tree{err: &leafError{"leaf"}}
}

type leafError struct{ text string }

func (e *leafError) Error() string {
	if e == nil {
		return "typed nil"
	}
	return e.text
}

type askingError struct {
	err error
	d   time.Duration
}

func (e *askingError) Error() string { return "asks for time" }

func (e *askingError) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.err
}

func (e *askingError) RetryAfter() time.Duration {
	if e == nil {
		return 0
	}
	return e.d
}

type sliceError []string

func (e sliceError) Error() string { return strings.Join(e, " ") }

type boxError struct{ v any }

func (e boxError) Error() string { return fmt.Sprint(e.v) }

var errClaimed = errors.New("claimed")

type claimingError struct{ claims error }

func (e *claimingError) Error() string        { return "claims to be another" }
func (e *claimingError) Is(target error) bool { return target == e.claims }

type yieldingError struct{ leaf *leafError }

func (e yieldingError) Error() string { return "yields another" }

func (e yieldingError) As(target any) bool {
	leaf, ok := target.(**leafError)
	if ok {
		*leaf = e.leaf
	}
	return ok
}

// same is a == b, save that what may not be compared is compared by its content.
func same(a, b error) bool {
	if a == nil || b == nil || reflect.TypeOf(a) != reflect.TypeOf(b) {
		return a == nil && b == nil
	}
	if reflect.ValueOf(a).Comparable() {
		return a == b
	}
	return reflect.DeepEqual(a, b)
}

// bare returns t without the markers at its outside.
func (t *tree) bare() *tree {
	for t.marker {
		t = t.kids[0]
	}
	return t
}

// speaks reports whether t, and what it wraps, has a say in what the Do that got
// it does.
func (t *tree) speaks() bool { return t != nil && !t.inner && !t.ctxEnd }

// permanent reports whether there is a Permanent in t.
func (t *tree) permanent() bool {
	return t.speaks() && (t.stop || slices.ContainsFunc(t.kids, (*tree).permanent))
}

// pushback returns the longest wait that t asks for.
func (t *tree) pushback() time.Duration {
	if !t.speaks() {
		return 0
	}
	longest := max(t.asks, 0)
	for _, kid := range t.kids {
		longest = max(longest, kid.pushback())
	}
	return longest
}

// final reports whether another Do gave up already.
func (t *tree) final() bool {
	switch {
	case t == nil || t.ctxEnd:
		return false
	case t.inner:
		return len(t.kids) == 2 && t.kids[1].final()
	}
	return t.gaveUp || slices.ContainsFunc(t.kids, (*tree).final)
}

// is is errors.Is, and says no where that would panic.
func (t *tree) is(target error) bool {
	if t == nil || target == nil {
		return false
	}
	if reflect.ValueOf(target).Comparable() && (same(t.err, target) || same(t.claims, target)) {
		return true
	}
	return slices.ContainsFunc(t.kids, func(kid *tree) bool { return kid.is(target) })
}

// find is errors.AsType.
func find[E error](t *tree) (E, bool) {
	var found E
	if t == nil {
		return found, false
	}
	if e, ok := t.err.(E); ok {
		return e, true
	}
	if e, ok := any(&found).(**leafError); ok && t.yields != nil {
		*e = t.yields
		return found, true
	}
	for _, kid := range t.kids {
		if e, ok := find[E](kid); ok {
			return e, true
		}
	}
	return found, false
}

// all returns t and everything below it.
func (t *tree) all() []*tree {
	if t == nil {
		return nil
	}
	nodes := []*tree{t}
	for _, kid := range t.kids {
		nodes = append(nodes, kid.all()...)
	}
	return nodes
}

// byLibrary reports whether t itself comes from package retry.
func (t *tree) byLibrary() bool { return t.inner || t.marker || t.gaveUp || t.ctxEnd }

// String shows the shape of t.
func (t *tree) String() string {
	if t == nil {
		return "nil"
	}
	var kids []string
	for _, kid := range t.kids {
		kids = append(kids, kid.String())
	}
	return fmt.Sprintf("%T(%s)", t.err, strings.Join(kids, ", "))
}
