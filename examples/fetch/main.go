// Fetch gets a handful of documents from a server that fails at random, and shows
// how package retry gets them all the same: each retry in a line, then a table.
//
//	go run ./examples/fetch [-seed n] [-failures share]
//
// The server is a real one, on a loopback port of this machine. It answers badly
// in five ways: 503 with a Retry-After in seconds, 503 with one as a date, 500, a
// connection cut in mid-answer, and silence past the attempt timeout. One document
// is missing, and a 404 is not to be asked for again.
//
// The same -seed and -failures repeat the output to the letter, unless the machine
// is so slow that a healthy answer misses the attempt timeout. How long the
// answers themselves take does not repeat, and is not shown.
//
// The exit status is 0 if every document that exists was fetched and the missing
// one was asked for once, 1 if not, and 2 for bad arguments. It ends in less than
// 15 seconds, whatever the flags.
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

// runTimeout ends a run that a stalled machine holds up. It is longer than the
// worst that the server can do: every retry pushed back, every last attempt slow.
const runTimeout = 13 * time.Second

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// run is main without the process: it returns the exit status. The retries are
// logged to stdout, for they are what the program is there to show; stderr gets
// nothing but the line that says what went wrong.
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
	fmt.Fprintf(stdout, "fetching %d documents from a server that fails at random (-seed %d -failures %g)\n",
		len(documents), seed, failures)
	budget := retry.NewBudget(budgetCapacity, 0.1)
	client := newClient(server.url, seed, budget, newLogger(stdout))
	defer client.close()
	var results []result
	// One after the other: side by side, the order of the lines, and who gets the
	// last token of the budget, would be a matter of luck.
	for _, document := range documents {
		results = append(results, client.fetch(ctx, document))
	}

	printTable(stdout, results)
	asked := server.requests(missing)
	fmt.Fprintf(stdout, "\nrequests for the missing document: %d; budget: %g of %d tokens left\n",
		asked, budget.Tokens(), budgetCapacity)
	if problem := verdict(results, asked); problem != "" {
		fmt.Fprintln(stderr, "fetch:", problem)
		return 1
	}
	return 0
}

// parse returns the flags. Asked for help, it prints it and returns flag.ErrHelp.
func parse(args []string, help io.Writer) (seed uint64, failures float64, err error) {
	flags := flag.NewFlagSet("fetch", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // its own complaints are several lines long
	flags.Uint64Var(&seed, "seed", 99, "the `number` that decides which requests fail and how long the waits are")
	flags.Float64Var(&failures, "failures", 0.4, "the `share` of requests that fail, from 0 to 1; the 404 is not one of them")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintln(help, "usage: fetch [-seed number] [-failures share]")
		flags.SetOutput(help)
		flags.PrintDefaults()
		return 0, 0, err
	case err != nil:
		return 0, 0, err
	case flags.NArg() > 0:
		return 0, 0, fmt.Errorf("unexpected argument %q: it takes flags only, see -help", flags.Arg(0))
	case !(failures >= 0 && failures <= 1): // NaN included
		return 0, 0, fmt.Errorf("invalid value \"%g\" for flag -failures: want a share from 0 to 1", failures)
	}
	return seed, failures, nil
}
