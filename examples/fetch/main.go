// Fetch downloads several documents from a server that fails at random, to
// demonstrate package retry. It prints a line for every retry and then a summary
// table.
//
//	go run ./examples/fetch [-seed n] [-failures share]
//
// The server is a real HTTP server on a loopback port. It fails in five ways: 503 with a
// Retry-After in seconds, 503 with a Retry-After date, 500, a connection that is closed
// in the middle of a response, and no response within the attempt timeout. One document
// does not exist; its 404 is not retried.
//
// Runs with the same -seed and -failures produce identical output, unless the
// machine is so slow that a successful response exceeds the attempt timeout.
//
// The exit status of a run is 0 if every document that exists was fetched and the missing
// one was requested once, 2 if the arguments are invalid, and 1 otherwise. A run takes
// less than 20 seconds, regardless of the flags.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"example.com/retry"
)

// runTimeout ends a run on a machine that stalls. It is longer than the longest run (see
// TestLongestRun), because a deadline that is near can change the waits.
const runTimeout = 18 * time.Second

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// run runs the program and returns the exit status. It logs the retries to stdout,
// because the program demonstrates them. Only error messages go to stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	seed, failures, err := parse(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "fetch:", err)
		return 2
	}
	server, err := serve(seed, failures)
	if err != nil {
		fmt.Fprintln(stderr, "fetch:", err)
		return 1
	}
	defer server.close()

	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	fmt.Fprintf(stdout, "fetching %d documents (-seed %d -failures %g); each retry prints a line:\n",
		len(documents), seed, failures)
	budget := retry.NewBudget(budgetCapacity, 0.1)
	client := newClient(server.url, seed, budget, newLogger(stdout))
	defer client.close()
	var results []result
	// If the calls ran concurrently, the order of the lines and the call that gets
	// the last token of the budget would differ from run to run.
	for _, document := range documents {
		results = append(results, client.fetch(ctx, document))
	}

	printTable(stdout, results)
	requests := server.requests(missing)
	fmt.Fprintf(stdout, "\nrequests for missing document: %d (want 1); retry budget left: %g of %d tokens\n",
		requests, budget.Tokens(), budgetCapacity)
	if problem := verdict(results, requests); problem != "" {
		fmt.Fprintln(stderr, "fetch:", problem)
		return 1
	}
	return 0
}

// parse parses the flags. If args ask for help, parse prints the help and returns
// flag.ErrHelp.
func parse(args []string, help io.Writer) (seed uint64, failures float64, err error) {
	flags := flag.NewFlagSet("fetch", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the messages of package flag have several lines
	flags.Uint64Var(&seed, "seed", 99, "the `number` that determines the failures and the waits")
	flags.Float64Var(&failures, "failures", 0.4, "the `share` of requests that fail, from 0 to 1")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintln(help, "usage: fetch [-seed number] [-failures share]")
		flags.SetOutput(help)
		flags.PrintDefaults()
		return 0, 0, err
	case err != nil:
		return 0, 0, err
	case flags.NArg() > 0:
		return 0, 0, fmt.Errorf("unexpected argument %q: only flags are accepted (see -help)", flags.Arg(0))
	case !(failures >= 0 && failures <= 1): // NaN included
		return 0, 0, fmt.Errorf("invalid value \"%g\" for flag -failures: want a share from 0 to 1", failures)
	}
	return seed, failures, nil
}
