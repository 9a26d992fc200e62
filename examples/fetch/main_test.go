package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"example.com/retry"
)

// TestMain lets the test binary be the program: see TestProcess.
func TestMain(m *testing.M) {
	if os.Getenv("FETCH_TEST_MAIN") != "" {
		main()
	}
	os.Exit(m.Run())
}

// What only a process shows: the exit status, and a stderr that nothing but run
// writes to.
func TestProcess(t *testing.T) {
	for _, tc := range []struct {
		args   []string
		status int
		stderr string
	}{
		{[]string{"-help"}, 0, ""},
		{[]string{"-nonsense"}, 2, "fetch: flag provided but not defined: -nonsense\n"},
	} {
		var stderr bytes.Buffer
		cmd := exec.Command(os.Args[0], tc.args...)
		cmd.Env = append(os.Environ(), "FETCH_TEST_MAIN=1")
		cmd.Stderr = &stderr
		err := cmd.Run()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		if status := cmd.ProcessState.ExitCode(); status != tc.status {
			t.Errorf("%q: exit status %d, want %d", tc.args, status, tc.status)
		}
		if stderr.String() != tc.stderr {
			t.Errorf("%q: stderr %q, want %q", tc.args, stderr.String(), tc.stderr)
		}
	}
}

// A fakeClock does not sleep but moves on.
type fakeClock struct {
	now   time.Time
	slept []time.Duration
}

func newFakeClock() *fakeClock { return &fakeClock{now: time.Now()} }

func (c *fakeClock) Now() time.Time { return c.now }

func (c *fakeClock) Sleep(ctx context.Context, d time.Duration) error {
	c.now = c.now.Add(d)
	c.slept = append(c.slept, d)
	return ctx.Err()
}

// unhurried makes the fetches under it wait by clock, and gives each attempt all
// the time that it could need on a busy machine. A slow answer then takes for
// ever: for use with seeds that have none.
func unhurried(clock retry.Clock) context.Context {
	return retry.Override(context.Background(), retry.WithClock(clock), retry.WithAttemptTimeout(time.Minute))
}

// runFast is run without the waits.
func runFast(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(unhurried(newFakeClock()), args, &out, &errs)
	for line := range strings.Lines(out.String()) {
		if width := len(strings.TrimSuffix(line, "\n")); width > 100 {
			t.Errorf("line of %d columns, want at most 100: %q", width, line)
		}
	}
	return status, out.String(), errs.String()
}

// fields returns the words of the line of the table that is about document.
func fields(t *testing.T, stdout, document string) []string {
	t.Helper()
	_, table, _ := strings.Cut(stdout, "DOCUMENT")
	for line := range strings.Lines(table) {
		if f := strings.Fields(line); len(f) > 3 && f[0] == document {
			return f
		}
	}
	t.Fatalf("no line for %s in:\n%s", document, stdout)
	return nil
}

func TestBadArguments(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"-seed", "x"}, `"x" for flag -seed`},
		{[]string{"-seed", "-1"}, `"-1" for flag -seed`},
		{[]string{"-seed"}, "-seed"},
		{[]string{"-failures", "many"}, `"many" for flag -failures`},
		{[]string{"-failures", "1.01"}, `"1.01" for flag -failures: want a share from 0 to 1`},
		{[]string{"-failures", "-0.01"}, `"-0.01" for flag -failures: want a share from 0 to 1`},
		{[]string{"-failures", "NaN"}, `"NaN" for flag -failures: want a share from 0 to 1`},
		{[]string{"-failures", "Inf"}, `"+Inf" for flag -failures: want a share from 0 to 1`},
		{[]string{"-retries", "3"}, "-retries"},
		{[]string{"-seed", "1", "guide"}, `unexpected argument "guide"`},
		{[]string{""}, `unexpected argument ""`},
	} {
		status, stdout, stderr := runFast(t, tc.args...)
		if status != 2 {
			t.Errorf("%q: exit status %d, want 2", tc.args, status)
		}
		if stdout != "" {
			t.Errorf("%q: stdout %q, want none", tc.args, stdout)
		}
		if !strings.HasPrefix(stderr, "fetch: ") || strings.Index(stderr, "\n") != len(stderr)-1 {
			t.Errorf("%q: stderr %q, want one line that begins with \"fetch: \"", tc.args, stderr)
		}
		if !strings.Contains(stderr, tc.want) {
			t.Errorf("%q: stderr %q, want it to contain %q", tc.args, stderr, tc.want)
		}
	}
}

func TestHelp(t *testing.T) {
	status, stdout, stderr := runFast(t, "-help")
	if status != 0 || stderr != "" {
		t.Errorf("exit status %d, stderr %q, want 0 and none", status, stderr)
	}
	for _, want := range []string{"usage: fetch", "-seed number", "-failures share"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("help does not contain %q:\n%s", want, stdout)
		}
	}
}

func TestNoRequestFails(t *testing.T) {
	status, stdout, stderr := runFast(t, "-failures", "0")
	if status != 0 || stderr != "" {
		t.Errorf("exit status %d, stderr %q, want 0 and none", status, stderr)
	}
	if strings.Contains(stdout, "retrying") {
		t.Errorf("there are retries:\n%s", stdout)
	}
	for _, document := range documents {
		want := document + " 1 0s fetched, 1900 bytes"
		if document == missing {
			want = document + " 1 0s not retryable: 404 Not Found: no such document"
		}
		if got := strings.Join(fields(t, stdout, document), " "); got != want {
			t.Errorf("line %q, want %q", got, want)
		}
	}
	if want := "requests for the missing document: 1; budget: 8 of 8 tokens left\n"; !strings.HasSuffix(stdout, want) {
		t.Errorf("stdout does not end with %q:\n%s", want, stdout)
	}
}

func TestEveryRequestFails(t *testing.T) {
	seed := seedWhere(t, 1, func(s *server) bool { return !s.meets(slow) })
	status, stdout, stderr := runFast(t, "-failures", "1", "-seed", seed)
	if status != 1 {
		t.Errorf("exit status %d, want 1", status)
	}
	if want := "fetch: not fetched: guide, terms, notes, rules, legal\n"; stderr != want {
		t.Errorf("stderr %q, want %q", stderr, want)
	}
	if retries := strings.Count(stdout, "msg=retrying"); retries != budgetCapacity {
		t.Errorf("%d retries, want %d, all that the budget has:\n%s", retries, budgetCapacity, stdout)
	}
	for document, want := range map[string]string{
		"guide": "5 attempts exhausted:",
		"terms": "5 attempts exhausted:",
		"ghost": "1 not retryable:",
		"notes": "1 budget exhausted:",
		"rules": "1 budget exhausted:",
		"legal": "1 budget exhausted:",
	} {
		f := fields(t, stdout, document)
		if got := strings.Join([]string{f[1], f[3], f[4]}, " "); got != want {
			t.Errorf("%s: attempts and outcome %q, want %q", document, got, want)
		}
	}
	if want := "requests for the missing document: 1; budget: 0 of 8 tokens left\n"; !strings.HasSuffix(stdout, want) {
		t.Errorf("stdout does not end with %q:\n%s", want, stdout)
	}
}

func TestSameSeedSameOutput(t *testing.T) {
	// With every fault that a run can meet in no time, both forms of Retry-After
	// among them.
	eventful := func(s *server) bool {
		return s.meets(busySeconds) && s.meets(busyDate) && s.meets(broken) && s.meets(cut) && !s.meets(slow)
	}
	seed := seedWhere(t, 0.6, eventful)
	_, first, _ := runFast(t, "-failures", "0.6", "-seed", seed)
	_, second, _ := runFast(t, "-failures", "0.6", "-seed", seed)
	if first != second {
		t.Errorf("the same seed, and first\n%s\nthen\n%s", first, second)
	}
	for _, want := range []string{
		`err="503 Service Unavailable: ask again in a second" wait=1.`,
		`err="503 Service Unavailable: ask again at a date" wait=1.`,
		`err="500 Internal Server Error: out of order" wait=`,
		`err="cut after 950 of 1900 bytes: unexpected EOF" wait=`,
	} {
		if !strings.Contains(first, want) {
			t.Errorf("no line with %q in\n%s", want, first)
		}
	}
}

// The defaults are to show every fault and to come to a good end.
func TestDefaults(t *testing.T) {
	seed, failures, err := parse(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{seed: seed, failures: failures}
	for f := busySeconds; f < faults; f++ {
		if !s.meets(f) {
			t.Errorf("no document meets fault %d", f)
		}
	}
	retries := 0
	for _, document := range existing() {
		fate := s.fate(document)
		if fate[len(fate)-1] != healthy {
			t.Errorf("%s is not fetched: %v", document, fate)
		}
		retries += len(fate) - 1
	}
	if retries > budgetCapacity {
		t.Errorf("%d retries, more than the budget's %d", retries, budgetCapacity)
	}
}

// The run's deadline must lie beyond what the options allow, or the same seed
// would not always end in the same way.
func TestWorstCase(t *testing.T) {
	worst := budgetCapacity*max(retryAfter+maxBackoff, attemptTimeout+maxBackoff) +
		time.Duration(len(existing()))*attemptTimeout
	if worst >= runTimeout {
		t.Errorf("a run may take %v, which is not less than runTimeout, %v", worst, runTimeout)
	}
	if runTimeout >= 15*time.Second {
		t.Errorf("runTimeout is %v, want less than 15s", runTimeout)
	}
}

func TestRunCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var stdout, stderr bytes.Buffer
	if status := run(ctx, nil, &stdout, &stderr); status != 1 {
		t.Errorf("exit status %d, want 1", status)
	}
	want := "fetch: not fetched: guide, terms, notes, rules, legal; " +
		"the missing document was asked for 0 times instead of once\n"
	if stderr.String() != want {
		t.Errorf("stderr %q, want %q", stderr.String(), want)
	}
	got := strings.Join(fields(t, stdout.String(), "guide"), " ")
	if want := "guide 0 0s retry: context canceled before the first attempt"; got != want {
		t.Errorf("line %q, want %q", got, want)
	}
}
