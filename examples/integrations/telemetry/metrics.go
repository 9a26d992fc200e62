package telemetry

import (
	"context"
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/retry"
)

// Metrics registers metrics of the calls to target and returns an option that updates the
// metrics and applies budget to the calls. All metrics have target as a label. The target
// should be the name of a service, not a URL or an ID, because each value creates new
// time series.
//
//	retry_retries_total           counts the retries
//	retry_attempts{outcome="..."} is a histogram of the attempts per call
//	retry_budget_tokens           is the number of tokens in the budget
func Metrics(reg prometheus.Registerer, target string, budget *retry.Budget) (retry.Option, error) {
	if budget == nil {
		return nil, errors.New("telemetry: nil budget")
	}
	labels := prometheus.Labels{"target": target}
	retries := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "retry_retries_total", Help: "Retries, each counted before its wait.", ConstLabels: labels,
	})
	attempts := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "retry_attempts", Help: "Attempts per call, by outcome.", ConstLabels: labels,
		Buckets: []float64{0, 1, 2, 3, 4, 5, 10, 20},
	}, []string{"outcome"})
	tokens := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "retry_budget_tokens", Help: "Tokens in the retry budget.", ConstLabels: labels,
	}, budget.Tokens)

	for _, c := range []prometheus.Collector{retries, attempts, tokens} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("telemetry: metrics of target %q: %w", target, err)
		}
	}
	return retry.Policy(
		retry.WithBudget(budget),
		retry.WithOnRetry(func(context.Context, retry.Event) { retries.Inc() }),
		retry.WithOnDone(func(_ context.Context, ev retry.Event) {
			attempts.WithLabelValues(outcome(ev.Reason)).Observe(float64(ev.Attempt))
		}),
	), nil
}

// outcomes maps the reasons why Do stopped to labels. Context errors come first, because
// a context's cause may match an error of package retry.
var outcomes = []struct {
	reason error
	label  string
}{
	{nil, "success"},
	{context.Canceled, "canceled"},
	{context.DeadlineExceeded, "deadline"},
	{retry.ErrExhausted, "exhausted"},
	{retry.ErrNotRetryable, "not_retryable"},
	{retry.ErrMaxElapsed, "max_elapsed"},
	{retry.ErrRetryAfter, "retry_after"},
	{retry.ErrBudget, "budget"},
}

func outcome(reason error) string {
	for _, o := range outcomes {
		if errors.Is(reason, o.reason) {
			return o.label
		}
	}
	return "other" // an error of a custom Clock
}
