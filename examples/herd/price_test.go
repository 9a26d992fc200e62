package main

import (
	"math"
	"testing"
)

// In balance, the failed retries take as many tokens as the successes deposit. With r
// retries per call, and requests that fail with probability f, there are (1+r)(1-f)
// successes and rf failed retries per call.
func retriesInBalance(f float64) float64 { return 0.1 * (1 - f) / (f - 0.1*(1-f)) }

// If tokens stay spent, each of the r retries costs a token.
func retriesInBalanceKept(f float64) float64 { return 0.1 * (1 - f) / (1 - 0.1*(1-f)) }

// Without a budget, a retry follows each of the first three failures.
func retriesWithoutBudget(f float64) float64 { return f + f*f + f*f*f }

// The loads and successes of 12 seeds have standard deviations of at most 0.006,
// except without a budget at high rates of failures.
const priceError = 0.025

func TestPrice(t *testing.T) {
	for _, tt := range []struct {
		plan, percent int
		retries       func(f float64) float64
	}{
		{freeRetries, 10, retriesWithoutBudget},
		{freeRetries, 50, retriesWithoutBudget},
		{freeRetries, 100, retriesWithoutBudget},
		{budgetReturns, 10, retriesWithoutBudget}, // no budget runs out
		{budgetReturns, 30, retriesInBalance},
		{budgetReturns, 50, retriesInBalance},
		{budgetReturns, 100, retriesInBalance},
		{budgetKeeps, 10, retriesInBalanceKept},
		{budgetKeeps, 30, retriesInBalanceKept},
		{budgetKeeps, 50, retriesInBalanceKept},
		{budgetKeeps, 100, retriesInBalanceKept},
		{neverRetry, 50, func(float64) float64 { return 0 }},
	} {
		b := thePrice.once(1, tt.plan, tt.percent)
		if b.calls != 100*10*40 {
			t.Errorf("%s: %d calls, want 40000", pricePlans[tt.plan].name, b.calls)
		}
		f := float64(tt.percent) / 100
		load := 1 + tt.retries(f)
		if got := b.load(); math.Abs(got-load) > priceError {
			t.Errorf("%s, %d%% fail: load() = %.4f, want about %.4f", pricePlans[tt.plan].name, tt.percent, got, load)
		}
		if got := b.success(); math.Abs(got-load*(1-f)) > priceError {
			t.Errorf("%s, %d%% fail: success() = %.4f, want about %.4f", pricePlans[tt.plan].name, tt.percent, got, load*(1-f))
		}
	}
}

// At most 1.36 requests per call are made with a budget, whatever share of them fails.
func TestPriceOfWorstRate(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long with the race detector")
	}
	for _, percent := range thePrice.percent {
		f := float64(percent) / 100
		limit := 1 + retriesWithoutBudget(f)
		if percent > 25 {
			limit = min(limit, 1+retriesInBalance(f))
		}
		if got := thePrice.once(2, budgetReturns, percent).load(); got > limit+priceError || got > 1.36+priceError {
			t.Errorf("%d%% fail: load() = %.4f, want at most %.4f", percent, got, limit)
		}
	}
}

func TestSpend(t *testing.T) {
	b := newBudget()
	spend(b)
	if got := b.Tokens(); got != 9 {
		t.Errorf("Tokens() = %v, want 9", got)
	}
}
