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
// that a caller can observe, with the number of thousandths of a token in the Budget. This
// table explains the lines; the scenarios must produce each of them.
var traceTable = []struct{ name, meaning string }{
	{"fn", "fn is called: PreviousAttempts, its error, and what the error map makes of it"},
	{"map", "the error map is called: whether it gets the error of fn"},
	{"predicate", "the predicate is called: whether it gets the error that the map returned"},
	{"backoff", "Backoff.Delay is called for this attempt"},
	{"jitter", "the Jitter is called with this ceiling"},
	{"retrying", "the OnRetry hook is called with this Event; err is the attempt that failed"},
	{"sleep", "Clock.Sleep is called with this wait"},
	{"done", "the OnDone hook is called with this Event"},
	{"return", "Do returns: all that the Reason matches, the value, and the rest of the Error"},
	{"  advance", "time passes in the callback"},
	{"  cancel", "ctx is canceled in the callback, with a cause"},
}

// modelReasons lists what a Reason can match.
var modelReasons = []struct {
	name string
	err  error
	text string
}{
	{name: "+exhausted", err: retry.ErrExhausted},
	{name: "+not retryable", err: retry.ErrNotRetryable},
	{name: "+nested", text: "nested retry gave up"},
	{name: "+max elapsed", err: retry.ErrMaxElapsed},
	{name: "+deadline", err: retry.ErrDeadline},
	{name: "+timeout", err: context.DeadlineExceeded},
	{name: "+retry after", err: retry.ErrRetryAfter},
	{name: "+budget", err: retry.ErrBudget},
	{name: "+canceled", err: context.Canceled},
	{name: "+cause", err: errModelCause},
	{name: "+clock", err: errModelClock},
}

var (
	errModelCause = errors.New("the cause of the model")
	errModelClock = errors.New("the clock of the model failed")
)

func reasonName(reason error) (name string) {
	for _, known := range modelReasons {
		if reason != nil && (errors.Is(reason, known.err) || reason.Error() == known.text) {
			name += known.name
		}
	}
	return name
}

// A scenario is a call with its own Budget. The zero value of an option is the default.
type scenario struct {
	maxAttempts                                          int
	maxElapsed, maxRetryAfter, deadline                  time.Duration
	backoff, jitter, predicate, errorMap, hooks, timeout bool
	canceled                                             bool // whether ctx is canceled before the call
	capacity, ratio                                      int  // in thousandths of a token; a capacity of 0 means no Budget
	seed                                                 uint64
	attempts                                             []scriptedAttempt // later attempts succeed
}

type scriptedAttempt struct {
	returned, mapped tree // mapped is what the error map makes of returned
	retryable        bool // what the predicate returns
	ceiling, drawn   time.Duration
	clockFails       bool
	wakes            bool   // Sleep returns nil even if ctx is canceled meanwhile
	place            string // the line at which time passes or ctx is canceled
	advance          time.Duration
	cancel           bool
}

func (d *dice) scenario() *scenario {
	limit := func() time.Duration { return max(0, d.duration()*time.Duration(d.roll(2))) }
	s := &scenario{
		maxAttempts: []int{0, 0, 1, 2, 3, retry.Unlimited, retry.Unlimited}[d.roll(7)],
		maxElapsed:  limit(), maxRetryAfter: limit(), deadline: limit(),
		backoff: d.once(2), jitter: d.once(2), predicate: d.once(3), errorMap: d.once(3), hooks: d.once(2),
		timeout: d.once(8), canceled: d.once(16), seed: uint64(d.roll(256)),
	}
	if d.once(2) {
		s.capacity = 1000 * (1 + d.roll(3))
		s.ratio = min(100*d.roll(13), s.capacity)
	}
	for range d.roll(8) {
		a := scriptedAttempt{retryable: !d.once(8), ceiling: d.duration(), drawn: d.duration(),
			clockFails: d.once(16), wakes: d.once(2)}
		if !d.once(16) {
			a.returned = d.tree(4)
		}
		a.mapped = a.returned
		if s.errorMap && d.once(2) {
			a.mapped = []tree{{}, d.tree(4), d.tree(3), d.tree(2)}[d.roll(4)]
		}
		if d.once(3) {
			a.place = []string{"fn", "map", "predicate", "retrying", "sleep", "done", "backoff", "jitter"}[d.roll(8)]
			a.cancel = d.once(2)
			if a.place != "backoff" && a.place != "jitter" { // in these two, it is not specified when Do reads the clock
				a.advance = min(d.duration(), time.Hour)
			}
		}
		s.attempts = append(s.attempts, a)
	}
	return s
}

// A stage is what the model and the player have in common.
type stage struct {
	*scenario
	n      int // the attempt that runs or ended last
	now    time.Time
	cancel context.CancelCauseFunc
	tokens func() int
	trace  []string
}

func (s *stage) attempt() scriptedAttempt {
	if s.n == 0 || s.n > len(s.attempts) {
		return scriptedAttempt{}
	}
	return s.attempts[s.n-1]
}

// line adds a line to the trace, and does what is scripted for that line.
func (s *stage) line(format string, args ...any) {
	s.trace = append(s.trace, fmt.Sprintf("%s [%d]", fmt.Sprintf(format, args...), s.tokens()))
	a := s.attempt()
	if a.place == "" || !strings.HasPrefix(format, a.place) {
		return
	}
	if a.advance != 0 {
		s.trace = append(s.trace, fmt.Sprint("  advance ", a.advance))
		s.now = s.now.Add(a.advance)
	}
	if a.cancel {
		s.trace = append(s.trace, "  cancel")
		s.cancel(errModelCause)
	}
}

// A modelCtx has a deadline by the clock of the scenario.
type modelCtx struct {
	context.Context
	deadline time.Time
}

func (c *modelCtx) Deadline() (time.Time, bool) { return c.deadline, !c.deadline.IsZero() }

// play makes the call with run and returns the trace.
func (s *stage) play(run func(ctx context.Context)) []string {
	s.now = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	ctx := &modelCtx{}
	ctx.Context, s.cancel = context.WithCancelCause(context.Background())
	defer s.cancel(nil)
	if s.deadline > 0 {
		ctx.deadline = s.now.Add(s.deadline)
	}
	if s.canceled {
		s.cancel(errModelCause)
	}
	run(ctx)
	return append(s.trace, "the end")
}

// A model is the specification of Do in the form of a program. Other tests refer to the
// numbers of its steps.
type model struct {
	stage
	budget        int       // thousandths of a token
	start         time.Time // of the call
	last          int       // the attempt whose error was the last
	waited, after time.Duration
}

func (m *model) deposit(thousandths int) { m.budget = min(m.budget+thousandths, m.capacity) }

func (m *model) run(ctx context.Context) {
	m.start = m.now
	reason := m.loop(ctx)
	if m.hooks {
		m.line("done attempt=%d err=%d wait=0s waited=%v elapsed=%v reason=%s", m.n, m.last, m.waited, m.now.Sub(m.start), reason)
	}
	if reason == "" {
		m.line("return value=%d", m.n)
		return
	}
	m.line("return %s value=%d attempts=%d err=%d waited=%v after=%v", reason, m.n, m.n, m.last, m.waited, m.after)
}

// loop returns the reason for the end of the call. Other tests check invalid options,
// which are step 1.
func (m *model) loop(ctx context.Context) (reason string) {
	counted, since := 0, m.now // attempts before the last Restart, and the end of the attempt that it marked
	random := rand.New(rand.NewPCG(m.seed, m.seed))
	held := false // whether a token was taken for an attempt that has not been made yet
	defer func() {
		if held {
			m.deposit(1000)
		}
	}()
	for {
		// 2. If ctx is done before an attempt, stop.
		if ctx.Err() != nil {
			return "+canceled+cause"
		}

		// 3. Call fn and the error map. A success and a Restart deposit in the budget.
		m.n++
		paid := held
		held = false
		a := m.attempt()
		m.line("fn previous=%d %q -> %q", m.n-1-counted, a.returned.text, a.mapped.text)
		if m.errorMap {
			m.line("map %v", true)
		}
		err := a.mapped
		if err.err == nil || err.restart {
			m.deposit(m.ratio)
			if paid {
				m.deposit(1000)
			}
		}
		if err.err == nil { // counts even if ctx is done by now
			return ""
		}
		m.last, m.after = m.n, err.after
		if err.restart {
			counted, since = m.n-1, m.now
		}

		// 4. ctx is done.
		if ctx.Err() != nil {
			return "+canceled+cause"
		}

		// 5. The error is not retryable. A Permanent comes before a nested call that gave up.
		if err.permanent {
			return "+not retryable"
		}
		if err.final && m.maxAttempts != retry.Unlimited {
			return "+not retryable+nested"
		}
		if m.predicate {
			if m.line("predicate %v", true); !a.retryable {
				return "+not retryable"
			}
		}

		// 6. It was the last attempt.
		attempt := m.n - counted
		if attempt == cmp.Or(m.maxAttempts, 5) {
			return "+exhausted"
		}

		// 7. The error asks for too long a delay.
		if err.after > cmp.Or(m.maxRetryAfter, time.Minute) {
			return "+retry after"
		}

		// 8. The wait is the delay that the error asks for, and jitter.
		elapsed, left := m.now.Sub(since), time.Duration(math.MaxInt64)
		if m.maxElapsed > 0 {
			left = m.maxElapsed - elapsed
		}
		deadline, hasDeadline := ctx.Deadline()
		if hasDeadline {
			left = min(left, deadline.Sub(m.now))
		}
		spread := min(err.after/2, (left-err.after)/2)
		ceiling := min(250*time.Millisecond<<(attempt-1), 8*time.Second)
		if m.backoff {
			m.line("backoff %d", attempt)
			ceiling = max(a.ceiling, 0)
		}
		ceiling = max(ceiling, spread)
		drawn := max(a.drawn, 0)
		if m.jitter {
			m.line("jitter %v", ceiling)
		} else {
			drawn = retry.FullJitter(ceiling, random)
		}
		wait := saturatingSum(err.after, drawn)

		// 9. The next attempt would exceed MaxElapsed.
		if m.maxElapsed > 0 && saturatingSum(elapsed, wait) >= m.maxElapsed {
			return "+max elapsed"
		}

		// 10. The next attempt would miss the deadline.
		if hasDeadline && !m.now.Add(wait).Before(deadline) {
			return "+deadline+timeout"
		}

		// 11. The budget has no token. The deposit of a Restart can pay for the retry.
		if m.capacity > 0 {
			if m.budget < 1000 {
				return "+budget"
			}
			m.budget -= 1000
			held = true
		}

		// 12. Call the OnRetry hook, but not if ctx is done, because no wait follows then. A
		// hook that takes long delays the next attempt, even past MaxElapsed.
		if m.hooks && ctx.Err() == nil {
			m.line("retrying attempt=%d err=%d wait=%v waited=%v elapsed=%v",
				m.n, m.last, wait, m.waited, m.now.Sub(m.start))
		}

		// 13. Do not start a wait if ctx is done, as after a hook that canceled it.
		if ctx.Err() != nil {
			return "+canceled+cause"
		}

		// 14. Wait. If ctx is done and the clock fails, ctx takes precedence.
		m.line("sleep %v", wait)
		switch {
		case ctx.Err() != nil && !a.wakes:
			return "+canceled+cause"
		case a.clockFails && ctx.Err() == nil:
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
}

func (p *player) run(ctx context.Context) {
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
	random := rand.New(rand.NewPCG(p.seed, 0))
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
	add(true, retry.WithSource(rand.NewPCG(p.seed, p.seed)))
	add(p.maxAttempts > 0, retry.WithMaxAttempts(p.maxAttempts))
	add(p.maxElapsed > 0, retry.WithMaxElapsed(p.maxElapsed))
	add(p.maxRetryAfter > 0, retry.WithMaxRetryAfter(p.maxRetryAfter))
	add(p.timeout, retry.WithAttemptTimeout(time.Hour))
	add(p.backoff, retry.WithBackoff(retry.BackoffFunc(func(attempt int) time.Duration {
		p.line("backoff %d", attempt)
		return p.attempt().ceiling
	})))
	add(p.jitter, retry.WithJitter(func(ceiling time.Duration, _ *rand.Rand) time.Duration {
		p.line("jitter %v", ceiling)
		return p.attempt().drawn
	}))
	add(p.predicate, retry.WithRetryIf(func(err error) bool {
		p.line("predicate %v", err == p.attempt().mapped.err)
		return p.attempt().retryable
	}))
	add(p.errorMap, retry.WithMapError(func(_ context.Context, err error) error {
		p.line("map %v", err == p.attempt().returned.err)
		return p.attempt().mapped.err
	}))
	add(p.hooks, retry.WithOnRetry(func(_ context.Context, ev retry.Event) {
		p.line("retrying attempt=%d err=%d wait=%v waited=%v elapsed=%v",
			ev.Attempt, p.failed(ev.Err), ev.Wait, ev.Waited, ev.Elapsed)
	}))
	add(p.hooks, retry.WithOnDone(func(_ context.Context, ev retry.Event) {
		p.line("done attempt=%d err=%d wait=%v waited=%v elapsed=%v reason=%s",
			ev.Attempt, p.failed(ev.Err), ev.Wait, ev.Waited, ev.Elapsed, reasonName(ev.Reason))
	}))
	add(p.capacity > 0, retry.WithBudget(p.budget))
	return own, override
}

func (p *player) fn(ctx context.Context) (value int, err error) {
	p.n++
	a := p.attempt()
	p.line("fn previous=%d %q -> %q", retry.PreviousAttempts(ctx), a.returned.text, a.mapped.text)
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
	return 1 + slices.IndexFunc(p.attempts, func(a scriptedAttempt) bool { return err != nil && err == a.mapped.bare })
}

// playTwice plays the scenario in data with the model and with Do. It fails at the first
// difference, and returns the trace.
func playTwice(t *testing.T, data []byte) []string {
	t.Helper()
	s := (&dice{data}).scenario()
	m := &model{stage: stage{scenario: s}, budget: s.capacity}
	m.tokens = func() int { return m.budget }
	p := &player{stage: stage{scenario: s}, budget: &retry.Budget{}}
	p.tokens = func() int { return int(math.Round(p.budget.Tokens() * 1000)) }
	if s.capacity > 0 {
		p.budget = retry.NewBudget(s.capacity/1000, float64(s.ratio)/1000)
	}
	got, want := p.play(p.run), m.play(m.run)
	for i := range got {
		if got[i] != want[i] {
			s.attempts = nil // the trace shows them
			t.Fatalf("trace of Do:\n\t%s\nwant the last line to be:\n\t%s\nscenario: %+v",
				strings.Join(got[:i+1], "\n\t"), want[i], *s)
		}
	}
	return got
}

func TestModel(t *testing.T) {
	random := rand.NewChaCha8([32]byte{1})
	data := make([]byte, 350)
	seen := map[string]int{}
	var names []string
	for _, line := range traceTable {
		names = append(names, line.name)
	}
	for _, reason := range modelReasons {
		names = append(names, reason.name)
	}
	for range 20_000 {
		_, _ = random.Read(data)
		for _, line := range playTwice(t, data) {
			for _, name := range names {
				reason := strings.HasPrefix(line, "return") && strings.Contains(line, name)
				if reason || strings.HasPrefix(line, name) {
					seen[name]++
				}
			}
		}
	}
	for _, name := range names {
		if seen[name] < 200 {
			t.Errorf("the scenarios have %d lines of %q, want at least 200", seen[name], name)
		}
	}
}

func FuzzModel(f *testing.F) {
	data := make([]byte, 350)
	_, _ = rand.NewChaCha8([32]byte{2}).Read(data)
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) { playTwice(t, data) })
}
