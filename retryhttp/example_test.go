package retryhttp_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"time"

	"example.com/retry"
	"example.com/retry/retryhttp"
)

// unreliable starts a server that answers every third request and fails the others with
// 503.
func unreliable() *httptest.Server {
	var requests atomic.Int32
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1)%3 != 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintf(w, "%s done", r.Method)
	}))
}

// fast replaces the default waits so that the examples take little time.
var fast = retry.WithBackoff(retry.Constant(time.Millisecond))

// Set the Transport of a client to make the client retry.
func Example() {
	server := unreliable()
	defer server.Close()

	client := &http.Client{Transport: &retryhttp.Transport{}}

	resp, err := client.Get(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(resp.Status, string(body))
	// Output: 200 OK GET done
}

// A POST is retried if it has a key that lets the server recognize a repeated request.
func ExampleTransport_post() {
	server := unreliable()
	defer server.Close()

	client := &http.Client{Transport: &retryhttp.Transport{Policy: fast}}

	req, err := http.NewRequest("POST", server.URL, strings.NewReader(`{"item": 7}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	req.Header.Set("Idempotency-Key", "order-42")
	resp, err := client.Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	// Output: 200 OK
}

// The Retry field decides which responses are failures. This API returns 409 Conflict
// while another request holds a lock.
func ExampleTransport_retry() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusConflict)
	}))
	defer server.Close()

	attempts := 0
	client := &http.Client{Transport: &retryhttp.Transport{
		Policy: fast,
		Retry: func(resp *http.Response) bool {
			attempts++
			return resp.StatusCode == http.StatusConflict || resp.StatusCode == http.StatusServiceUnavailable
		},
	}}

	resp, err := client.Get(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status, "after", attempts, "attempts")
	// Output: 409 Conflict after 5 attempts
}

// Hooks count the retries and the calls that failed.
func ExampleTransport_hooks() {
	server := unreliable()
	defer server.Close()

	var retries, failures atomic.Int64
	client := &http.Client{Transport: &retryhttp.Transport{Policy: retry.Policy(
		fast,
		retry.WithOnRetry(func(_ context.Context, ev retry.Event) {
			retries.Add(1)
			fmt.Printf("attempt %d: %v\n", ev.Attempt, ev.Err)
		}),
		retry.WithOnDone(func(_ context.Context, ev retry.Event) {
			if ev.Reason != nil {
				failures.Add(1)
			}
		}),
	)}}

	for range 2 {
		resp, err := client.Get(server.URL)
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
	}
	fmt.Println("retries:", retries.Load(), "failures:", failures.Load())
	// Output:
	// attempt 1: 503 Service Unavailable
	// attempt 2: 503 Service Unavailable
	// attempt 1: 503 Service Unavailable
	// attempt 2: 503 Service Unavailable
	// retries: 4 failures: 0
}

// A service that gave up reports this in a header of its response, and its clients do not
// retry the response. Of the three services, only the service that calls the broken
// database retries, so one request causes 4 calls to the database instead of 64.
func ExampleTransport_services() {
	const gaveUp = "X-Retries-Exhausted"

	var calls atomic.Int32
	database := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer database.Close()

	client := &http.Client{Transport: &retryhttp.Transport{
		Policy: retry.Policy(fast, retry.WithMaxAttempts(4)),
		Retry: func(resp *http.Response) bool {
			return resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get(gaveUp) == ""
		},
	}}

	// service starts a server that calls next. If the call fails, the server reports in
	// the header that it gave up.
	service := func(next string) *httptest.Server {
		return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			req, err := http.NewRequestWithContext(r.Context(), "GET", next, nil)
			if err != nil {
				panic(err)
			}
			resp, err := client.Do(req)
			if err == nil {
				defer resp.Body.Close()
			}
			if err != nil || resp.StatusCode != http.StatusOK {
				w.Header().Set(gaveUp, "true")
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			io.Copy(w, resp.Body)
		}))
	}
	inventory := service(database.URL)
	defer inventory.Close()
	orders := service(inventory.URL)
	defer orders.Close()
	shop := service(orders.URL)
	defer shop.Close()

	resp, err := http.Get(shop.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status, "after", calls.Load(), "calls to the database")
	// Output: 503 Service Unavailable after 4 calls to the database
}
