package readme

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"example.com/retry"
	"example.com/retry/retrytest"
)

// These tests run the snippets of docs/comparison.md that have a name.

func TestAtMost(t *testing.T) {
	if err := atMost(t.Context()); err != nil {
		t.Fatal(err)
	}
	twice := results[0].(func(int, error) retry.Option)(2, errRefused)
	for _, test := range []struct {
		err  error
		want int
	}{{fmt.Errorf("dial: %w", errRefused), 2}, {errors.New("reset"), 5}} {
		n := 0
		err := retry.Do(t.Context(), func(context.Context) error { n++; return test.err },
			twice, retry.WithClock(new(retrytest.Clock)))
		if n != test.want {
			t.Errorf("Do() = %v after %d attempts, want %d", err, n, test.want)
		}
	}
}

func TestCollect(t *testing.T) {
	n := 0
	send = func(context.Context) error { n++; return fmt.Errorf("error %d", n) }
	err := collect(retry.Override(t.Context(), retry.WithClock(new(retrytest.Clock))))
	for i := range 5 {
		if want := fmt.Sprintf("error %d", i+1); !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("collect() = %v, want %q in it", err, want)
		}
	}
}
