package retry_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/retry"
)

// TestModel plays random scenarios with Do and with a model of it, which follows the
// specification step by step, and compares the traces. A trace has a line for everything
// that a caller can observe. This table explains the lines and the names of the reasons;
// the scenarios must produce each of them.
var traceTable = []struct {
	name, meaning string
	reason        error
}{
	{"call", "a call starts, with these options (0 means the default)", nil},
	{"fn", "fn is called: PreviousAttempts, its error, and what the error map makes of that", nil},
	{"map", "the error map is called: whether it gets the error of fn", nil},
	{"predicate", "the predicate is called: whether it gets the error of fn and the map", nil},
	{"backoff", "Backoff.Delay is called for this attempt", nil},
	{"jitter", "the Jitter is called with this ceiling", nil},
	{"retrying", "the OnRetry hook is called with this Event; err is the attempt that failed", nil},
	{"sleep", "Clock.Sleep is called with this wait", nil},
	{"done", "the OnDone hook is called with this Event", nil},
	{"return", "Do returns: all that the Reason matches, the value, and the rest of the Error", nil},
	{"tokens", "the call is over, and the Budget has so many thousandths of a token", nil},

	// A callback can do this in addition to what its line says.
	{"  advance", "time passes", nil},
	{"  cancel", "ctx is canceled, with a cause", nil},
	{"  deposit", "another call with the same Budget succeeds", nil},
	{"  withdraw", "another call with the same Budget retries in vain", nil},
	{"  panic", "the callback panics, and Do does not recover", nil},

	{"+exhausted", "", retry.ErrExhausted},
	{"+not retryable", "", retry.ErrNotRetryable},
	{"+nested", "a nested call gave up; this is told by the text", nil},
	{"+max elapsed", "", retry.ErrMaxElapsed},
	{"+deadline", "", retry.ErrDeadline},
	{"+timeout", "", context.DeadlineExceeded},
	{"+retry after", "", retry.ErrRetryAfter},
	{"+budget", "", retry.ErrBudget},
	{"+canceled", "", context.Canceled},
	{"+cause", "", errModelCause},
	{"+clock", "", errModelClock},
}

var (
	errModelCause = errors.New("the cause of the model")
	errModelClock = errors.New("the clock of the model failed")
)

func reasonName(reason error) (name string) {
	for _, known := range traceTable {
		if known.reason != nil && errors.Is(reason, known.reason) {
			name += known.name
		}
	}
	if reason != nil && reason.Error() == "nested retry gave up" {
		name += "+nested"
	}
	return name
}

// A scenario is a sequence of calls that share a clock and a Budget.
type scenario struct {
	capacity, ratio int // in thousandths of a token; a capacity of 0 means no Budget
	calls           []scriptedCall
}

type scriptedCall struct {
	options  scriptedOptions
	attempts []scriptedAttempt // later attempts succeed
}

type scriptedOptions struct {
	maxAttempts                                          int
	maxElapsed, maxRetryAfter, deadline                  time.Duration
	backoff, jitter, predicate, errorMap, hooks, timeout bool
	canceled                                             bool // before the call
	seed                                                 uint64
}

type scriptedAttempt struct {
	returned, mapped tree // mapped is what the error map makes of returned
	retryable        bool // what the predicate returns
	ceiling, drawn   time.Duration
	clockFails       bool
	wakes            bool   // Sleep returns nil even if ctx is canceled meanwhile
	place, action    string // what happens at a line of this attempt
	advance          time.Duration
}

// A tree is an error of fn, and what it says about retrying.
type tree struct {
	err, bare error  // bare is err without outermost markers
	text      string // how err was made

	permanent, restart, gaveUp bool
	after                      time.Duration
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

// duration returns one of a few durations, so that different ones are often equal.
func (d *dice) duration() time.Duration {
	all := []time.Duration{0, time.Second, 2 * time.Second, 500 * time.Millisecond, 3, 1, 10 * time.Second,
		time.Minute, time.Minute + 1, time.Hour, math.MaxInt64 / 2, math.MaxInt64 - 1, math.MaxInt64, -time.Second}
	return all[d.roll(len(all))]
}

func (d *dice) scenario() *scenario {
	s := &scenario{}
	if d.once(2) {
		s.capacity = 1000 * (1 + d.roll(3))
		s.ratio = min(100*d.roll(13), s.capacity)
	}
	for range 1 + d.roll(3) {
		s.calls = append(s.calls, d.call())
	}
	return s
}

func (d *dice) call() scriptedCall {
	limits := []time.Duration{0, 0, max(d.duration(), 0)}
	c := scriptedCall{options: scriptedOptions{
		maxAttempts: []int{0, 0, 1, 2, 3, retry.Unlimited, retry.Unlimited}[d.roll(7)],
		maxElapsed:  limits[d.roll(3)], maxRetryAfter: limits[d.roll(3)], deadline: limits[d.roll(3)],
		backoff: d.once(2), jitter: d.once(2), predicate: d.once(3), errorMap: d.once(3), hooks: d.once(2),
		timeout: d.once(8), canceled: d.once(16), seed: uint64(d.roll(256)),
	}}
	for range d.roll(8) {
		a := scriptedAttempt{returned: d.tree(4), retryable: !d.once(8), ceiling: d.duration(), drawn: d.duration(),
			clockFails: d.once(16), wakes: d.once(2)}
		a.mapped = a.returned
		if c.options.errorMap && d.once(2) {
			a.mapped = d.tree(4)
		}
		if d.once(3) {
			a.place = []string{"fn", "map", "predicate", "backoff", "jitter", "retrying", "sleep", "done"}[d.roll(8)]
			a.action = []string{"advance", "cancel", "deposit", "withdraw", "panic"}[d.roll(5)]
		}
		switch {
		case a.action == "panic" && (a.place == "retrying" || a.place == "done"):
			a.action = "cancel" // panics of hooks do not propagate
		case a.action == "advance" && (a.place == "backoff" || a.place == "jitter"):
			a.action = "cancel" // it is not specified when Do reads the clock there
		case a.action == "advance":
			a.advance = min(d.duration(), time.Hour)
		}
		c.attempts = append(c.attempts, a)
	}
	return c
}

// tree returns an error with at most depth layers, or nil.
func (d *dice) tree(depth int) tree {
	if d.once(16) {
		return tree{text: "nil"}
	}
	return d.failure(depth)
}

func (d *dice) failure(depth int) tree {
	kind := d.roll(20)
	if depth == 1 || kind < 6 {
		err := errors.New("boom")
		return tree{err: err, bare: err, text: "boom"}
	}
	t := d.failure(depth - 1)
	switch kind {
	case 6:
		t.permanent = true
		t.err, t.text = retry.Permanent(t.err), "Permanent("+t.text+")"
		return t
	case 7, 8:
		t.restart, t.gaveUp = true, false
		t.err, t.text = retry.Restart(t.err), "Restart("+t.text+")"
		return t
	case 9, 10, 11:
		after := d.duration()
		t.after = max(t.after, after)
		t.err, t.text = retry.After(t.err, after), fmt.Sprintf("After(%v, %v)", t.text, after)
		return t
	case 12:
		after := d.duration()
		t.after = max(t.after, after)
		t.err, t.text = &modelRetryAfter{t.err, after}, fmt.Sprintf("RetryAfter(%v, %v)", t.text, after)
	case 13:
		t.err, t.text = fmt.Errorf("wrapped: %w", t.err), "Errorf(%w, "+t.text+")"
	case 14:
		u := d.failure(depth - 1)
		t.permanent, t.restart, t.gaveUp = t.permanent || u.permanent, t.restart || u.restart, t.gaveUp || u.gaveUp
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
		}, retry.WithClock(modelClock(func(time.Duration) error {
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
	t.restart = false
	t.err, t.text = e, fmt.Sprintf("nested(%s, %d attempts, %v, %s)", t.text, attempts, e.Reason, by)
	return t
}

// A modelRetryAfter asks for a delay as an error of another package does.
type modelRetryAfter struct {
	error
	after time.Duration
}

func (e *modelRetryAfter) Unwrap() error             { return e.error }
func (e *modelRetryAfter) RetryAfter() time.Duration { return e.after }

// A modelClock stands still and calls itself to sleep.
type modelClock func(time.Duration) error

func (c modelClock) Now() time.Time                                 { return time.Time{} }
func (c modelClock) Sleep(_ context.Context, d time.Duration) error { return c(d) }

// A stage is what the model and the player have in common.
type stage struct {
	*scenario
	call  *scriptedCall
	n     int // the attempt that runs or ended last
	now   time.Time
	trace []string
	act   func(action string)
}

func (s *stage) attempt() scriptedAttempt {
	if s.n == 0 || s.n > len(s.call.attempts) {
		return scriptedAttempt{returned: tree{text: "nil"}, mapped: tree{text: "nil"}}
	}
	return s.call.attempts[s.n-1]
}

// line adds a line to the trace, and then does what is scripted for that place.
func (s *stage) line(format string, args ...any) {
	s.trace = append(s.trace, fmt.Sprintf(format, args...))
	if a := s.attempt(); a.place != "" && strings.HasPrefix(format, a.place) {
		s.trace = append(s.trace, "  "+a.action)
		s.now = s.now.Add(a.advance)
		s.act(a.action)
	}
}

// play makes the calls of the scenario with run and returns the trace.
func (s *stage) play(run func(), tokens func() int) []string {
	s.now = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	for i := range s.calls {
		s.call, s.n = &s.calls[i], 0
		s.line("call %+v", s.call.options)
		func() {
			defer func() {
				if r := recover(); r != nil && r != any(errModelCause) {
					panic(r)
				}
			}()
			run()
		}()
		s.line("tokens %d", tokens())
	}
	return s.trace
}

// A model is the specification of Do in the form of a program.
type model struct {
	stage
	tokens int

	// of the call
	start         time.Time
	done          bool // ctx is
	last          int  // the attempt whose error was the last
	waited, after time.Duration
}

func (m *model) deposit(thousandths int) { m.tokens = min(m.tokens+thousandths, m.capacity) }

func (m *model) act(action string) {
	switch {
	case action == "cancel":
		m.done = true
	case action == "deposit":
		m.deposit(m.ratio)
	case action == "withdraw" && m.tokens >= 1000:
		m.tokens -= 1000
	case action == "panic":
		panic(errModelCause)
	}
}

func (m *model) run() {
	m.start, m.done, m.last, m.waited, m.after = m.now, m.call.options.canceled, 0, 0, 0
	reason := m.loop()
	if m.call.options.hooks {
		m.line("done attempt=%d err=%d waited=%v elapsed=%v reason=%s", m.n, m.last, m.waited, m.now.Sub(m.start), reason)
	}
	if reason == "" {
		m.line("return value=%d", m.n)
		return
	}
	m.line("return %s value=%d attempts=%d err=%d waited=%v after=%v", reason, m.n, m.n, m.last, m.waited, m.after)
}

// loop returns the reason for the end of the call. Step 1, invalid options, has tests of
// its own.
func (m *model) loop() (reason string) {
	c := m.call.options
	counted, since := 0, m.now // attempts before the last Restart, and the end of the attempt that it marked
	random := rand.New(rand.NewPCG(c.seed, c.seed))
	held := false // a token, for an attempt that was not made yet
	defer func() {
		if held {
			m.deposit(1000)
		}
	}()
	for {
		// 2. If ctx is done before an attempt, stop.
		if m.done {
			return "+canceled+cause"
		}

		// 3. Call fn and the error map. A success and a Restart deposit in the budget.
		m.n++
		paid := held
		held = false
		a := m.attempt()
		m.line("fn previous=%d %s -> %s", m.n-1-counted, a.returned.text, a.mapped.text)
		if c.errorMap {
			m.line("map %v", true)
		}
		err := a.mapped
		if err.err == nil || err.restart {
			m.deposit(m.ratio)
			if paid {
				m.deposit(1000)
			}
		}
		if err.err == nil {
			return ""
		}
		m.last, m.after = m.n, err.after
		if err.restart {
			counted, since = m.n-1, m.now
		}

		// 4. ctx is done.
		if m.done {
			return "+canceled+cause"
		}

		// 5. The error is not retryable.
		if err.permanent {
			return "+not retryable"
		}
		if err.gaveUp && c.maxAttempts != retry.Unlimited {
			return "+not retryable+nested"
		}
		if c.predicate {
			if m.line("predicate %v", true); !a.retryable {
				return "+not retryable"
			}
		}

		// 6. It was the last attempt.
		attempt := m.n - counted
		if attempt == cmp.Or(c.maxAttempts, 5) {
			return "+exhausted"
		}

		// 7. The error asks for too long a delay.
		if err.after > cmp.Or(c.maxRetryAfter, time.Minute) {
			return "+retry after"
		}

		// 8. The wait is the delay that the error asks for, and jitter.
		elapsed, left := m.now.Sub(since), time.Duration(math.MaxInt64)
		if c.maxElapsed > 0 {
			left = c.maxElapsed - elapsed
		}
		deadline := m.start.Add(c.deadline)
		if c.deadline > 0 {
			left = min(left, deadline.Sub(m.now))
		}
		spread := min(err.after/2, (left-err.after)/2)
		ceiling := min(250*time.Millisecond<<(attempt-1), 8*time.Second)
		if c.backoff {
			m.line("backoff %d", attempt)
			ceiling = max(a.ceiling, 0)
		}
		ceiling = max(ceiling, spread)
		drawn := max(a.drawn, 0)
		if c.jitter {
			m.line("jitter %v", ceiling)
		} else {
			drawn = retry.FullJitter(ceiling, random)
		}
		wait := saturatingSum(err.after, drawn)

		// 9. The next attempt would exceed MaxElapsed.
		if c.maxElapsed > 0 && saturatingSum(elapsed, wait) >= c.maxElapsed {
			return "+max elapsed"
		}

		// 10. The next attempt would miss the deadline.
		if c.deadline > 0 && !m.now.Add(wait).Before(deadline) {
			return "+deadline+timeout"
		}

		// 11. The budget has no token.
		if m.capacity > 0 {
			if m.tokens < 1000 {
				return "+budget"
			}
			m.tokens -= 1000
			held = true
		}

		// 12. Call the OnRetry hook, but not if ctx is done, because no wait follows then.
		if c.hooks && !m.done {
			m.line("retrying attempt=%d err=%d wait=%v waited=%v elapsed=%v",
				m.n, m.last, wait, m.waited, m.now.Sub(m.start))
		}

		// 13. ctx is done.
		if m.done {
			return "+canceled+cause"
		}

		// 14. Wait. If ctx and the clock fail, the reason is that of ctx.
		m.line("sleep %v", wait)
		switch {
		case m.done && !a.wakes:
			return "+canceled+cause"
		case a.clockFails && !m.done:
			return "+clock"
		case !a.clockFails:
			m.now = m.now.Add(min(wait, time.Hour))
			m.waited = saturatingSum(m.waited, wait)
		}
	}
}

func saturatingSum(a, b time.Duration) time.Duration {
	if b > 0 && a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// A player makes the calls of the scenario with the package. It is also their Clock.
type player struct {
	stage
	budget *retry.Budget
	cancel context.CancelCauseFunc
}

func (p *player) act(action string) {
	switch action {
	case "cancel":
		p.cancel(errModelCause)
	case "panic":
		panic(errModelCause)
	case "deposit", "withdraw":
		var err error
		if action == "withdraw" {
			err = errModelClock
		}
		if p.budget != nil {
			_ = retry.Do(context.Background(), func(context.Context) error { return err }, retry.WithBudget(p.budget),
				retry.WithMaxAttempts(2), retry.WithClock(modelClock(func(time.Duration) error { return nil })))
		}
	}
}

// A modelCtx has a deadline by the clock of the scenario.
type modelCtx struct {
	context.Context
	deadline time.Time
}

func (c *modelCtx) Deadline() (time.Time, bool) { return c.deadline, !c.deadline.IsZero() }

func (p *player) run() {
	c := p.call.options
	parent, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	p.cancel = cancel
	if c.canceled {
		p.cancel(errModelCause)
	}
	ctx := &modelCtx{Context: parent}
	if c.deadline > 0 {
		ctx.deadline = p.now.Add(c.deadline)
	}
	own, override := p.options()
	value, err := retry.DoValue(retry.Override(ctx, override...), p.fn, own...)
	if err == nil {
		p.line("return value=%d", value)
		return
	}
	e := err.(*retry.Error)
	p.line("return %s value=%d attempts=%d err=%d waited=%v after=%v",
		reasonName(e.Reason), value, e.Attempts, p.failed(e.Err), e.Waited, e.RetryAfter())
}

// options returns the options of the call, and those that it gets from Override.
func (p *player) options() (own, override []retry.Option) {
	c := p.call.options
	random := rand.New(rand.NewPCG(c.seed, 0))
	add := func(given bool, o retry.Option) {
		switch {
		case !given:
		case random.IntN(2) == 0:
			own = append(own, o)
		default:
			override = append(override, o)
		}
	}
	add(true, retry.WithClock(p))
	add(true, retry.WithSource(rand.NewPCG(c.seed, c.seed)))
	add(c.maxAttempts > 0, retry.WithMaxAttempts(max(c.maxAttempts, 1)))
	add(c.maxElapsed > 0, retry.WithMaxElapsed(max(c.maxElapsed, 1)))
	add(c.maxRetryAfter > 0, retry.WithMaxRetryAfter(max(c.maxRetryAfter, 1)))
	add(c.timeout, retry.WithAttemptTimeout(time.Hour))
	add(c.backoff, retry.WithBackoff(retry.BackoffFunc(func(attempt int) time.Duration {
		p.line("backoff %d", attempt)
		return p.attempt().ceiling
	})))
	add(c.jitter, retry.WithJitter(func(ceiling time.Duration, _ *rand.Rand) time.Duration {
		p.line("jitter %v", ceiling)
		return p.attempt().drawn
	}))
	add(c.predicate, retry.WithRetryIf(func(err error) bool {
		p.line("predicate %v", err == p.attempt().mapped.err)
		return p.attempt().retryable
	}))
	add(c.errorMap, retry.WithMapError(func(_ context.Context, err error) error {
		p.line("map %v", err == p.attempt().returned.err)
		return p.attempt().mapped.err
	}))
	add(c.hooks, retry.WithOnRetry(func(_ context.Context, ev retry.Event) {
		p.line("retrying attempt=%d err=%d wait=%v waited=%v elapsed=%v",
			ev.Attempt, p.failed(ev.Err), ev.Wait, ev.Waited, ev.Elapsed)
	}))
	add(c.hooks, retry.WithOnDone(func(_ context.Context, ev retry.Event) {
		p.line("done attempt=%d err=%d waited=%v elapsed=%v reason=%s",
			ev.Attempt, p.failed(ev.Err), ev.Waited, ev.Elapsed, reasonName(ev.Reason))
	}))
	if p.budget != nil {
		add(true, retry.WithBudget(p.budget))
	}
	return own, override
}

func (p *player) fn(ctx context.Context) (value int, err error) {
	p.n++
	a := p.attempt()
	p.line("fn previous=%d %s -> %s", retry.PreviousAttempts(ctx), a.returned.text, a.mapped.text)
	return p.n, a.returned.err
}

func (p *player) Now() time.Time { return p.now }

func (p *player) Sleep(ctx context.Context, d time.Duration) error {
	p.line("sleep %v", d)
	switch {
	case ctx.Err() != nil && !p.attempt().wakes:
		return ctx.Err()
	case p.attempt().clockFails:
		return errModelClock
	}
	p.now = p.now.Add(min(d, time.Hour))
	return nil
}

// failed returns the attempt whose error, without outermost markers, is err, or 0.
func (p *player) failed(err error) int {
	return 1 + slices.IndexFunc(p.call.attempts, func(a scriptedAttempt) bool { return err != nil && err == a.mapped.bare })
}

// playTwice plays the scenario in data with the model and with Do. It fails with the
// first difference, and returns the trace.
func playTwice(t *testing.T, data []byte) []string {
	t.Helper()
	s := (&dice{data}).scenario()
	m := &model{stage: stage{scenario: s}, tokens: s.capacity}
	m.stage.act = m.act
	p := &player{stage: stage{scenario: s}}
	p.stage.act = p.act
	if s.capacity > 0 {
		p.budget = retry.NewBudget(s.capacity/1000, float64(s.ratio)/1000)
	}
	want := m.play(m.run, func() int { return m.tokens })
	got := p.play(p.run, func() int {
		if p.budget == nil {
			return 0
		}
		return int(math.Round(p.budget.Tokens() * 1000))
	})
	got, want = append(got, "the end"), append(want, "the end")
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("trace of Do:\n\t%s\nwant the last line to be:\n\t%s", strings.Join(got[:i+1], "\n\t"), want[i])
		}
	}
	return got
}

func TestModel(t *testing.T) {
	scenarios := 20_000
	if testing.Short() {
		scenarios = 2_000
	}
	random := rand.NewChaCha8([32]byte{1})
	data := make([]byte, 700)
	seen := map[string]int{}
	for range scenarios {
		_, _ = random.Read(data)
		for _, line := range playTwice(t, data) {
			for _, known := range traceTable {
				if strings.HasPrefix(line, known.name) || strings.HasPrefix(line, "return") && strings.Contains(line, known.name) {
					seen[known.name]++
				}
			}
		}
	}
	for _, known := range traceTable {
		if seen[known.name] < scenarios/100 {
			t.Errorf("%q occurs %d times in %d scenarios, want at least %d", known.name, seen[known.name], scenarios, scenarios/100)
		}
	}
}

func FuzzModel(f *testing.F) {
	data := make([]byte, 700)
	_, _ = rand.NewChaCha8([32]byte{2}).Read(data)
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) { playTwice(t, data) })
}
