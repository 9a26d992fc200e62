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

// Every row does what its table says, or its figures would mean nothing. The
// bubble's clock shows how long a row waited, to the nanosecond.
func TestRows(t *testing.T) {
	for _, lib := range libraries {
		for _, r := range lib.rows {
			if r.form == "ctx-alone" || r.form == "timer-in-select" {
				continue // no loops
			}
			t.Run(lib.name+"/"+r.form, func(t *testing.T) {
				if r.loads&(inline|prepared|shared|fresh) != 0 {
					check(t, lib, r, 0, errTemporary, 1, nil)
				}
				if r.loads&inline != 0 {
					if waited := check(t, lib, r, 2, errTemporary, 3, nil); waited <= 0 || waited > 2*time.Second {
						t.Errorf("two pauses took %v, want more than 0 and at most 2s", waited)
					}
					check(t, lib, r, inlineAttempts, errTemporary, inlineAttempts, errTemporary)
				}
				if r.loads&(prepared|shared|fresh|waiting|late) != 0 && r.loads&inline == 0 {
					if waited := check(t, lib, r, 2, errTemporary, 3, nil); waited != 2*inlineBase {
						t.Errorf("two pauses took %v, want %v", waited, 2*inlineBase)
					}
					check(t, lib, r, preparedAttempts, errTemporary, preparedAttempts, errTemporary)
				}
				if r.loads&permanent != 0 {
					check(t, lib, r, preparedAttempts, errPermanent, 1, errPermanent)
				}
				if r.loads&two != 0 {
					if waited := checkPause(t, lib, r, 0, 2, errTemporary, 3, nil); waited != 0 {
						t.Errorf("two pauses of 0 took %v", waited)
					}
				}
				if r.loads&ten != 0 {
					checkPause(t, lib, r, 0, preparedAttempts, errTemporary, preparedAttempts, errTemporary)
				}
				if !r.noCtx && r.loads&(inline|prepared|shared|fresh|waiting|late) != 0 {
					checkCancel(t, lib, r)
				}
			})
		}
	}
}

// check runs r once against an operation that fails n times with err, and
// returns how long that took.
func check(t *testing.T, lib *library, r row, n int, err error, wantCalls int, want error) time.Duration {
	t.Helper()
	return checkPause(t, lib, r, inlineBase, n, err, wantCalls, want)
}

func checkPause(t *testing.T, lib *library, r row, pause time.Duration, n int, err error, wantCalls int, want error) time.Duration {
	t.Helper()
	var waited time.Duration
	synctest.Test(t, func(t *testing.T) {
		s := lib.script(n, err)
		start := time.Now()
		got := r.prepare(t.Context(), pause)(t.Context(), s)
		waited = time.Since(start)
		if s.calls != wantCalls {
			t.Errorf("%d failures: %d calls, want %d", n, s.calls, wantCalls)
		}
		switch {
		case want == errTemporary && lib.losesError:
			if !wait.Interrupted(got) {
				t.Errorf("%d failures: %v, want what wait.Interrupted knows", n, got)
			}
		case (got == nil) != (want == nil) || !errors.Is(got, want):
			t.Errorf("%d failures: %v, want %v", n, got, want)
		}
	})
	return waited
}

// checkCancel tells whether r gives up its first wait as soon as its ctx ends.
func checkCancel(t *testing.T, lib *library, r row) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		// Before the first pause can be over, however the jitter falls.
		time.AfterFunc(1, cancel)
		s := lib.script(preparedAttempts, errTemporary)
		start := time.Now()
		err := r.prepare(ctx, inlineBase)(ctx, s)
		if waited := time.Since(start); s.calls != 1 || waited != 1 || !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled after 1ns: %d calls in %v, %v; want 1 in 1ns, %v", s.calls, waited, err, context.Canceled)
		}
	})
}

// Every library is in every table, and never only with a form that cannot be
// cancelled.
func TestEveryLibraryInEveryTable(t *testing.T) {
	for l := inline; l <= late; l <<= 1 {
		for _, lib := range libraries {
			if l == million {
				continue
			}
			if !slices.ContainsFunc(lib.rows, func(r row) bool { return r.loads&l != 0 && !r.noCtx }) {
				t.Errorf("%s has no row with a ctx for load %b", lib.name, l)
			}
		}
	}
}
