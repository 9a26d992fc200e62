package main

import (
	"context"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"
	"time"
)

// existing returns the documents that the server has.
func existing() []string {
	return slices.DeleteFunc(slices.Clone(documents), func(d string) bool { return d == missing })
}

// faultsOf returns the faults of the first n attempts for document.
func (s *server) faultsOf(document string, n int) []fault {
	var list []fault
	for attempt := 1; attempt <= n; attempt++ {
		list = append(list, s.fault(document, attempt))
	}
	return list
}

// fate returns the faults of the attempts that the client makes for document, up to
// the first that is healthy or the last that is permitted.
func (s *server) fate(document string) []fault {
	list := s.faultsOf(document, maxAttempts)
	if i := slices.Index(list, healthy); i >= 0 {
		return list[:i+1]
	}
	return list
}

// retriesInVain returns the number of retries that fail in a run.
func (s *server) retriesInVain() int {
	n := 0
	for _, document := range existing() {
		faults := slices.DeleteFunc(s.fate(document), func(f fault) bool { return f == healthy })
		n += max(len(faults)-1, 0)
	}
	return n
}

// meets reports whether an attempt for any document has fault f.
func (s *server) meets(f fault) bool {
	return slices.ContainsFunc(existing(), func(d string) bool { return slices.Contains(s.fate(d), f) })
}

// seedWhere returns the first seed for which ok returns true, as an argument of -seed.
func seedWhere(t *testing.T, failures float64, ok func(*server) bool) string {
	t.Helper()
	for seed := range uint64(100_000) {
		if ok(&server{seed: seed, failures: failures}) {
			return strconv.FormatUint(seed, 10)
		}
	}
	t.Fatal("no such seed")
	return ""
}

// startServer starts a server that is closed at the end of the test.
func startServer(t *testing.T, seed string, failures float64) *server {
	t.Helper()
	n, err := strconv.ParseUint(seed, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	s, err := serve(n, failures)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return s
}

// TestFaultShares tests that -failures is the share of requests that fail, and that all
// faults are equally frequent.
func TestFaultShares(t *testing.T) {
	const failures = 0.3
	var counts [faults]float64
	n := 0.0
	for seed := range uint64(200) {
		s := &server{seed: seed, failures: failures}
		for _, document := range existing() {
			for _, f := range s.faultsOf(document, maxAttempts) {
				counts[f]++
				n++
			}
		}
	}
	for f, count := range counts {
		p := failures / float64(faults-1)
		if fault(f) == healthy {
			p = 1 - failures
		}
		if sigma := math.Sqrt(n * p * (1 - p)); math.Abs(count-n*p) > 4*sigma {
			t.Errorf("fault %d: %v of %v requests, want %v ± %.0f", f, count, n, n*p, 4*sigma)
		}
	}
}

// TestRetryAfterDate tests that ServeHTTP sets Date. The Date that net/http sets is
// nearly always the same, but may be in the next second.
func TestRetryAfterDate(t *testing.T) {
	s := newServer(1, 0.5)
	attempt := slices.Index(s.faultsOf("guide", 100), busyDate) + 1
	resp := ask(s, "guide", attempt)
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("status %q, want 503", resp.Status)
	}
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		t.Error(err)
	}
	at, err := http.ParseTime(resp.Header.Get("Retry-After"))
	if err != nil {
		t.Error(err)
	}
	if d := at.Sub(date); d != retryAfter {
		t.Errorf("Retry-After is %v after Date, want %v", d, retryAfter)
	}
	if age := time.Since(date); age < 0 || age > time.Minute {
		t.Errorf("Date is %v ago, want at most a minute", age)
	}
}

// TestMissingDocument tests that no request for the missing document fails at random,
// and that all are counted.
func TestMissingDocument(t *testing.T) {
	s := newServer(1, 1)
	for attempt := 1; attempt <= 10; attempt++ {
		if resp := ask(s, missing, attempt); resp.StatusCode != http.StatusNotFound {
			t.Errorf("attempt %d: status %q, want 404", attempt, resp.Status)
		}
		if got := s.requests(missing); got != attempt {
			t.Errorf("requests = %d, want %d", got, attempt)
		}
	}
	if got := s.requests("guide"); got != 0 {
		t.Errorf("requests for another document = %d, want 0", got)
	}
}

// ask returns the response of s to an attempt. The context is canceled, so that a slow
// response ends.
func ask(s *server, document string, attempt int) *http.Response {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	req := httptest.NewRequestWithContext(ctx, http.MethodGet, "/"+document, nil)
	req.Header.Set(previousAttempts, strconv.Itoa(attempt-1))
	w := httptest.NewRecorder()
	s.ServeHTTP(w, req)
	return w.Result()
}
