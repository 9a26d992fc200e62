package main

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// libraries lists what is measured. The file of each library shows its forms.
var libraries = []*library{
	&floor, &retryLibrary, &avastLibrary, &cenkaltiLibrary, &codegrooveLibrary,
	&eapacheLibrary, &failsafeLibrary, &k8sLibrary, &sethvargoLibrary,
}

type library struct {
	name string
	// These functions mark an error for the library, before the calls. They are nil if
	// the library needs no mark.
	retryable, permanent func(error) error
	losesError           bool // whether the error of a call does not contain the last error of the script
	forms                []form
}

// A form is one way to use a library.
type form struct {
	lib   *library // set by formsFor
	name  string   // without spaces and slashes, to be part of a benchmark's name
	loads load     // where it is measured
	noCtx bool     // the library is not given ctx, so nothing ends its waits

	// prepare makes what can be made before the calls. The ctx is the one that the
	// op will get, except in fresh. Inline forms and forms with a fake clock ignore
	// pause, the fixed wait between attempts.
	prepare func(ctx context.Context, pause time.Duration) op
}

// An op is one call of a library that runs s.
type op func(ctx context.Context, s *script) error

// inCall returns a prepare that prepares nothing.
func inCall(call op) func(context.Context, time.Duration) op {
	return func(context.Context, time.Duration) op { return call }
}

// A load is a workload, or a set of them.
type load uint

const (
	inline    load = 1 << iota // the first attempt succeeds, options written at the call
	prepared                   // the first attempt succeeds, policy made before
	deep                       // the same, and other values are in ctx
	shared                     // the same in parallel, one ctx for all calls
	fresh                      // the same in parallel, a ctx for each call
	permanent                  // the first error is permanent
	two                        // two failures, then success
	ten                        // ten failures, and no more attempts
	waiting                    // many calls wait at once and are canceled
	million                    // the same with a million calls
	late                       // how late a wait ends
	last      = late
)

// Every form is configured in the same way. An inline form makes up to inlineAttempts
// with pauses that grow from about inlineBase. Every other form makes up to
// preparedAttempts with a fixed pause.
const (
	inlineAttempts   = 4 // no library's default
	inlineBase       = 100 * time.Millisecond
	inlineMax        = 5 * time.Second
	preparedAttempts = 10
)

var (
	errTemporary = errors.New("temporary failure")
	errPermanent = errors.New("permanent failure")
)

// A script is the operation that is retried. It returns err in as many calls as failures
// says, and then nil.
type script struct {
	failures int
	err      error
	calls    int
	_        [128 - 4*8]byte // parallel calls must not share a cache line
}

// try is not inlined, because the compiler would not inline a real operation.
//
//go:noinline
func (s *script) try() error {
	s.calls++
	if s.calls <= s.failures {
		return s.err
	}
	return nil
}

// script returns an operation that fails n times with err, marked for lib.
func (lib *library) script(n int, err error) *script {
	mark := lib.retryable
	if err == errPermanent {
		mark = lib.permanent
	}
	if mark != nil {
		err = mark(err)
	}
	return &script{failures: n, err: err}
}

// formsFor returns the forms of all libraries for any of the loads l.
func formsFor(l load) []form {
	var list []form
	for _, lib := range libraries {
		for _, f := range lib.forms {
			if f.loads&l != 0 {
				f.lib = lib
				list = append(list, f)
			}
		}
	}
	return list
}

// A dueTimer is a timer for avast and codegroove that is always due. Its channel
// is closed, so it allocates nothing.
type dueTimer struct{ c chan time.Time }

func (t dueTimer) After(time.Duration) <-chan time.Time { return t.c }

var due = func() dueTimer {
	t := dueTimer{make(chan time.Time)}
	close(t.c)
	return t
}()

// TestForms checks that every form does what the tables assume: it makes the right number
// of calls, returns the right error, waits for the right time, and stops when its ctx is
// done. Otherwise, its figures would mean nothing.
func TestForms(t *testing.T) {
	const firstTry = prepared | deep | shared | fresh
	for _, f := range formsFor(^load(0)) {
		if f.name == "ctx-alone" || f.name == "timer-in-select" {
			continue // no loops
		}
		t.Run(f.lib.name+"/"+f.name, func(t *testing.T) {
			if f.loads&(inline|firstTry) != 0 {
				check(t, f, inlineBase, 0, errTemporary, 1, nil)
			}
			if f.loads&inline != 0 {
				if waited := check(t, f, inlineBase, 2, errTemporary, 3, nil); waited <= 0 || waited > 2*time.Second {
					t.Errorf("two pauses took %v, want more than 0 and at most 2s", waited)
				}
				check(t, f, inlineBase, inlineAttempts, errTemporary, inlineAttempts, errTemporary)
			} else if f.loads&(firstTry|waiting|late) != 0 {
				if waited := check(t, f, inlineBase, 2, errTemporary, 3, nil); waited != 2*inlineBase {
					t.Errorf("two pauses took %v, want %v", waited, 2*inlineBase)
				}
				check(t, f, inlineBase, preparedAttempts, errTemporary, preparedAttempts, errTemporary)
			}
			if f.loads&permanent != 0 {
				check(t, f, inlineBase, preparedAttempts, errPermanent, 1, errPermanent)
			}
			if f.loads&two != 0 {
				if waited := check(t, f, 0, 2, errTemporary, 3, nil); waited != 0 {
					t.Errorf("two pauses of 0 took %v, want 0s", waited)
				}
			}
			if f.loads&ten != 0 {
				check(t, f, 0, preparedAttempts, errTemporary, preparedAttempts, errTemporary)
			}
			if !f.noCtx && f.loads&(inline|firstTry|waiting|late) != 0 {
				checkCancel(t, f)
			}
		})
	}
}

// check runs f once with an operation that fails n times with err, and returns
// how long that took by the clock of a synctest bubble.
func check(t *testing.T, f form, pause time.Duration, n int, err error, wantCalls int, want error) (took time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := f.lib.script(n, err)
		start := time.Now()
		got := f.prepare(t.Context(), pause)(t.Context(), s)
		took = time.Since(start)
		if s.calls != wantCalls {
			t.Errorf("%d failures: %d calls, want %d", n, s.calls, wantCalls)
		}
		switch {
		case want == errTemporary && f.lib.losesError:
			if !wait.Interrupted(got) {
				t.Errorf("%d failures: error %v, want one for which wait.Interrupted returns true", n, got)
			}
		case (got == nil) != (want == nil) || !errors.Is(got, want):
			t.Errorf("%d failures: error %v, want %v", n, got, want)
		}
	})
	return took
}

// checkCancel checks that f stops its first wait as soon as ctx is done.
func checkCancel(t *testing.T, f form) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(1, cancel) // no jitter makes the first pause as short as this
		s := f.lib.script(preparedAttempts, errTemporary)
		start := time.Now()
		err := f.prepare(ctx, inlineBase)(ctx, s)
		if took := time.Since(start); s.calls != 1 || took != 1 || !errors.Is(err, context.Canceled) {
			t.Errorf("canceled after 1ns: %d calls in %v, %v; want 1 in 1ns, %v", s.calls, took, err, context.Canceled)
		}
	})
}

// TestEveryLibraryInEveryTable checks that every table has every library, with a form
// that can be canceled.
func TestEveryLibraryInEveryTable(t *testing.T) {
	for l := inline; l <= last; l <<= 1 {
		for _, lib := range libraries {
			canceled := func(f form) bool { return f.loads&l != 0 && !f.noCtx }
			if l != million && !slices.ContainsFunc(lib.forms, canceled) {
				t.Errorf("%s has no form with a ctx for load %b", lib.name, l)
			}
		}
	}
}
