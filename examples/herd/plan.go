package main

import "example.com/retry"

// A plan is how callers retry, apart from the default policy of delay.
type plan struct {
	name string
	// option makes the option of one caller; shared is a budget for all.
	option func(shared *retry.Budget) retry.Option
}

const (
	noRetries = iota
	retries
	budgetEach
	budgetShared
)

var plans = []plan{
	noRetries: {"no retries", func(*retry.Budget) retry.Option {
		return retry.WithMaxAttempts(1)
	}},
	retries: {"3 retries", func(*retry.Budget) retry.Option {
		return retry.WithMaxAttempts(4)
	}},
	budgetEach: {"3 retries, a budget for each client", func(*retry.Budget) retry.Option {
		return retry.Policy(retry.WithMaxAttempts(4), retry.WithBudget(newBudget()))
	}},
	budgetShared: {"3 retries, one budget", func(shared *retry.Budget) retry.Option {
		return retry.Policy(retry.WithMaxAttempts(4), retry.WithBudget(shared))
	}},
}

func newBudget() *retry.Budget { return retry.NewBudget(10, 0.1) }
