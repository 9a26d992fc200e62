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
	"example.com/retry/retrytest"
)

// TestMain lets the test binary run as the program; see TestProcess.
func TestMain(m *testing.M) {
	if os.Getenv("FETCH_TEST_MAIN") != "" {
		main()
	}
	os.Exit(m.Run())
}

// TestProcess tests the exit status of the process and what it writes to stderr.
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

// unhurried returns a context in which calls use clock for their waits, and in which
// attempts do not time out on a busy machine. Use it with seeds that have no slow
// response.
func unhurried(clock retry.Clock) context.Context {
	return retry.Override(context.Background(), retry.WithClock(clock), retry.WithAttemptTimeout(time.Minute))
}

// runFast calls run with a fake clock.
func runFast(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(unhurried(new(retrytest.Clock)), args, &out, &errs)
	for line := range strings.Lines(out.String()) {
		if width := len(strings.TrimSuffix(line, "\n")); width > 80 {
			t.Errorf("line of %d columns, want at most 80: %q", width, line)
		}
	}
	return status, out.String(), errs.String()
}

// fields returns the words of document's line in the table.
func fields(t *testing.T, stdout, document string) []string {
	t.Helper()
	_, table, _ := strings.Cut(stdout, "DOC ")
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
	if strings.Contains(stdout, "attempt=") {
		t.Errorf("stdout = %q, want no retries", stdout)
	}
	for _, document := range documents {
		want := document + " 1 0s fetched, 1900 bytes"
		if document == missing {
			want = document + " 1 0s not retryable: 404: no such document"
		}
		if got := strings.Join(fields(t, stdout, document), " "); got != want {
			t.Errorf("line %q, want %q", got, want)
		}
	}
	if want := "requests for missing document: 1 (want 1); retry budget left: 4 of 4 tokens\n"; !strings.HasSuffix(stdout, want) {
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
	if retries := strings.Count(stdout, "attempt="); retries != budgetCapacity {
		t.Errorf("%d retries, want %d, the capacity of the budget:\n%s", retries, budgetCapacity, stdout)
	}
	for document, want := range map[string]string{
		"guide": "5 attempts exhausted:",
		"terms": "1 retry budget exhausted:",
		"ghost": "1 not retryable:",
		"notes": "1 retry budget exhausted:",
		"rules": "1 retry budget exhausted:",
		"legal": "1 retry budget exhausted:",
	} {
		f := fields(t, stdout, document)
		if got := f[1] + " " + strings.Join(f[3:], " "); !strings.HasPrefix(got, want) {
			t.Errorf("%s: attempts and outcome %q, want them to begin with %q", document, got, want)
		}
	}
	if want := "requests for missing document: 1 (want 1); retry budget left: 0 of 4 tokens\n"; !strings.HasSuffix(stdout, want) {
		t.Errorf("stdout does not end with %q:\n%s", want, stdout)
	}
}

func TestSameSeedSameOutput(t *testing.T) {
	// The seed produces every fault except a slow response, so that the run takes no real time.
	eventful := func(s *server) bool {
		return s.meets(busySeconds) && s.meets(busyDate) && s.meets(broken) && s.meets(cut) && !s.meets(slow) &&
			s.retriesInVain() < budgetCapacity
	}
	seed := seedWhere(t, 0.6, eventful)
	_, first, _ := runFast(t, "-failures", "0.6", "-seed", seed)
	_, second, _ := runFast(t, "-failures", "0.6", "-seed", seed)
	if first != second {
		t.Errorf("first run:\n%s\nsecond run:\n%s\nwant the same", first, second)
	}
	for _, want := range []string{
		`err="503: try again in 1s" wait=1.`,
		`err="503: try again later" wait=1.`,
		`err="500: out of order" wait=`,
		`err="unexpected EOF after 950 bytes" wait=`,
	} {
		if !strings.Contains(first, want) {
			t.Errorf("no line with %q in\n%s", want, first)
		}
	}
}

// TestDefaults tests that a run with the defaults has every fault and succeeds.
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
	for _, document := range existing() {
		fate := s.fate(document)
		if fate[len(fate)-1] != healthy {
			t.Errorf("%s is not fetched: %v", document, fate)
		}
	}
	if n := s.retriesInVain(); n >= budgetCapacity {
		t.Errorf("%d retries fail, want fewer than the %d tokens of the budget", n, budgetCapacity)
	}
}

// TestLongestRun tests that a run always ends before its deadline. A deadline that is near
// can change the waits, so runs with the same seed could differ.
func TestLongestRun(t *testing.T) {
	// In addition to the retries that the budget permits, each document can have a retry
	// that succeeds and a last attempt that times out.
	calls := time.Duration(len(existing()))
	longest := (budgetCapacity+calls)*max(retryAfter*3/2, attemptTimeout+maxBackoff) + calls*attemptTimeout
	if longest >= runTimeout {
		t.Errorf("a run may take %v, want less than runTimeout, %v", longest, runTimeout)
	}
	if runTimeout >= 20*time.Second {
		t.Errorf("runTimeout = %v, want less than 20s", runTimeout)
	}
}

func TestRunCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var stdout, stderr bytes.Buffer
	if status := run(ctx, nil, &stdout, &stderr); status != 1 {
		t.Errorf("exit status %d, want 1", status)
	}
	want := "fetch: not fetched: guide, terms, notes, rules, legal; " +
		"the missing document was requested 0 times, want 1\n"
	if stderr.String() != want {
		t.Errorf("stderr %q, want %q", stderr.String(), want)
	}
	got := strings.Join(fields(t, stdout.String(), "guide"), " ")
	if want := "guide 0 0s retry: gave up before the first attempt (context canceled)"; got != want {
		t.Errorf("line %q, want %q", got, want)
	}
}
