package telemetry

import (
	"context"
	"errors"
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"example.com/retry"
	"example.com/retry/retrytest"
)

var errDown = errors.New("down")

// A stoppedClock fails in every wait.
type stoppedClock struct{ retrytest.Clock }

func (*stoppedClock) Sleep(context.Context, time.Duration) error { return errors.New("clock stopped") }

// failing returns a function whose first n calls fail with err.
func failing(n int, err error) func(context.Context) error {
	return func(context.Context) error {
		if n == 0 {
			return nil
		}
		n--
		return err
	}
}

// scrape returns the samples of package telemetry that reg serves over HTTP.
func scrape(t *testing.T, reg *prometheus.Registry) []string {
	t.Helper()
	server := httptest.NewServer(promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	defer server.Close()
	resp, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var samples []string
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "retry_") {
			samples = append(samples, strings.TrimSpace(line))
		}
	}
	return samples
}

func TestMetricsOnThePage(t *testing.T) {
	reg := prometheus.NewRegistry()
	budget := retry.NewBudget(10, 0.5)
	metrics, err := Metrics(reg, "orders", budget)
	if err != nil {
		t.Fatal(err)
	}
	policy := retry.Policy(metrics, retry.WithJitter(retry.NoJitter))
	do := func(ctx context.Context, fn func(context.Context) error, opts ...retry.Option) {
		retry.Do(ctx, fn, append([]retry.Option{policy, retry.WithClock(new(retrytest.Clock))}, opts...)...)
	}

	ctx := t.Context()
	canceled, cancel := context.WithCancelCause(ctx)
	cancel(retry.ErrExhausted) // the outcome is "canceled", whatever the cause
	past, cancelPast := context.WithDeadline(ctx, time.Now().Add(-time.Second))
	defer cancelPast()
	soon, cancelSoon := context.WithTimeout(ctx, time.Hour)
	defer cancelSoon()
	// The comments give the retries of each call and, after some, the tokens left.
	do(ctx, failing(0, nil))                                // 0, 10
	do(ctx, failing(2, errDown))                            // 2, 9.5
	do(ctx, failing(9, errDown), retry.WithMaxAttempts(3))  // 2, 7.5
	do(ctx, failing(9, retry.Permanent(errDown)))           // 0
	do(ctx, failing(9, errDown), retry.WithMaxElapsed(1))   // 0
	do(ctx, failing(9, retry.After(errDown, 24*time.Hour))) // 0
	do(canceled, failing(0, nil))                           // 0
	do(past, failing(0, nil))                               // 0
	do(soon, failing(9, retry.After(errDown, 2*time.Hour)), // 0
		retry.WithMaxRetryAfter(3*time.Hour)) //
	do(ctx, failing(9, errDown), retry.WithClock(&stoppedClock{})) // 1, 7.5
	do(ctx, failing(99, errDown), retry.WithMaxAttempts(20))       // 7, 0.5

	got := slices.DeleteFunc(scrape(t, reg), func(s string) bool { return strings.HasPrefix(s, "retry_attempts_bucket") })
	want := []string{
		`retry_attempts_sum{outcome="budget",target="orders"} 8`,
		`retry_attempts_count{outcome="budget",target="orders"} 1`,
		`retry_attempts_sum{outcome="canceled",target="orders"} 0`,
		`retry_attempts_count{outcome="canceled",target="orders"} 1`,
		`retry_attempts_sum{outcome="deadline",target="orders"} 1`,
		`retry_attempts_count{outcome="deadline",target="orders"} 2`,
		`retry_attempts_sum{outcome="exhausted",target="orders"} 3`,
		`retry_attempts_count{outcome="exhausted",target="orders"} 1`,
		`retry_attempts_sum{outcome="max_elapsed",target="orders"} 1`,
		`retry_attempts_count{outcome="max_elapsed",target="orders"} 1`,
		`retry_attempts_sum{outcome="not_retryable",target="orders"} 1`,
		`retry_attempts_count{outcome="not_retryable",target="orders"} 1`,
		`retry_attempts_sum{outcome="other",target="orders"} 1`,
		`retry_attempts_count{outcome="other",target="orders"} 1`,
		`retry_attempts_sum{outcome="retry_after",target="orders"} 1`,
		`retry_attempts_count{outcome="retry_after",target="orders"} 1`,
		`retry_attempts_sum{outcome="success",target="orders"} 4`,
		`retry_attempts_count{outcome="success",target="orders"} 2`,
		`retry_budget_tokens{target="orders"} 0.5`,
		`retry_retries_total{target="orders"} 12`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("the page has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestHistogramHasABucketForEachOfTheFirstAttempts(t *testing.T) {
	reg := prometheus.NewRegistry()
	metrics, err := Metrics(reg, "orders", retry.NewBudget(10, 0.1))
	if err != nil {
		t.Fatal(err)
	}
	for failures := range 4 {
		retry.Do(t.Context(), failing(failures, errDown), metrics, retry.WithClock(new(retrytest.Clock)))
	}
	var got []string
	for _, sample := range scrape(t, reg) {
		if rest, ok := strings.CutPrefix(sample, `retry_attempts_bucket{outcome="success",target="orders",le=`); ok {
			got = append(got, rest)
		}
	}
	want := []string{`"0"} 0`, `"1"} 1`, `"2"} 2`, `"3"} 3`, `"4"} 4`, `"5"} 4`, `"10"} 4`, `"20"} 4`, `"+Inf"} 4`}
	if !slices.Equal(got, want) {
		t.Errorf("buckets: %q, want %q", got, want)
	}
}

func TestTargetsShareARegistry(t *testing.T) {
	reg := prometheus.NewRegistry()
	for _, target := range []string{"orders", "users"} {
		if _, err := Metrics(reg, target, retry.NewBudget(10, 0.1)); err != nil {
			t.Errorf("Metrics(%q) = %v, want nil", target, err)
		}
	}
}

func TestBadInputOfMetricsIsOneLine(t *testing.T) {
	reg := prometheus.NewRegistry()
	if _, err := Metrics(reg, "orders", retry.NewBudget(10, 0.1)); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, target string
		budget       *retry.Budget
		want         string
	}{
		{"registered twice", "orders", retry.NewBudget(10, 0.1), `telemetry: metrics of target "orders": duplicate`},
		{"not UTF-8", "\xff", retry.NewBudget(10, 0.1), `telemetry: metrics of target "\xff": `},
		{"no budget", "users", nil, "telemetry: nil budget"},
	} {
		_, err := Metrics(reg, test.target, test.budget)
		if err == nil || !strings.HasPrefix(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: Metrics() = %v, want one line that starts with %q", test.name, err, test.want)
		}
	}
}
