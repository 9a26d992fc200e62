package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"syscall"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"example.com/retry"
	"example.com/retry/retrytest"
)

// record returns a Tracer and a recorder of its spans.
func record(t *testing.T) (trace.Tracer, *tracetest.SpanRecorder) {
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	t.Cleanup(func() { provider.Shutdown(context.Background()) })
	return provider.Tracer("test"), recorder
}

// get gets url with retries.
func get(ctx context.Context, client *http.Client, url string) error {
	return retry.Do(ctx, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return retry.Permanent(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode >= 500 {
			return errors.New(resp.Status)
		}
		return nil
	}, retry.WithMaxAttempts(3), retry.WithClock(new(retrytest.Clock)))
}

func TestSpanForEachAttempt(t *testing.T) {
	var parents []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		parents = append(parents, r.Header.Get("Traceparent"))
		if len(parents) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	tracer, recorder := record(t)
	client := &http.Client{Transport: &Transport{Base: server.Client().Transport, Tracer: tracer}}

	ctx, root := tracer.Start(t.Context(), "order")
	url := strings.Replace(server.URL, "//", "//ada:secret@", 1)
	if err := get(ctx, client, url); err != nil {
		t.Fatalf("get() = %v, want nil", err)
	}

	spans := recorder.Ended()
	var got, sent []string
	for _, span := range spans {
		got = append(got, fmt.Sprintf("%s %s %s %v error=%s resend_count=%s url=%s", span.SpanKind(), span.Name(),
			attr(span, "http.response.status_code"), span.Status().Code, attr(span, "error.type"),
			attr(span, "http.request.resend_count"), attr(span, "url.full")))
		if span.Parent().SpanID() != root.SpanContext().SpanID() {
			t.Errorf("parent of %s = %v, want the caller's span", span.Name(), span.Parent().SpanID())
		}
		sent = append(sent, fmt.Sprintf("00-%s-%s-01", span.SpanContext().TraceID(), span.SpanContext().SpanID()))
	}
	redacted := strings.Replace(server.URL, "//", "//ada:xxxxx@", 1)
	want := []string{
		"client GET 503 Error error=503 resend_count= url=" + redacted,
		"client GET 503 Error error=503 resend_count=1 url=" + redacted,
		"client GET 200 Unset error= resend_count=2 url=" + redacted,
	}
	if !slices.Equal(got, want) {
		t.Errorf("spans:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if !slices.Equal(parents, sent) {
		t.Errorf("the server got the parents %q, want %q", parents, sent)
	}
}

func TestSpanOfAServerThatIsNotThere(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	lis.Close() // nothing is listening on its address now
	tracer, recorder := record(t)
	client := &http.Client{Transport: &Transport{Tracer: tracer}}
	err = get(t.Context(), client, "http://"+lis.Addr().String())
	if !errors.Is(err, syscall.ECONNREFUSED) || strings.Contains(err.Error(), "\n") {
		t.Errorf("get() = %v, want ECONNREFUSED in one line", err)
	}
	spans := recorder.Ended()
	if len(spans) != 3 {
		t.Fatalf("%d spans, want 3", len(spans))
	}
	for _, span := range spans {
		if s := span.Status(); s.Code != codes.Error || !strings.Contains(s.Description, "connection refused") {
			t.Errorf("status = %v, want an error with %q", s, "connection refused")
		}
		if got, want := attr(span, "error.type"), "*net.OpError"; got != want {
			t.Errorf("error.type = %q, want %q", got, want)
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func TestTransportKeepsTheRequestAndTheResponse(t *testing.T) {
	tracer, recorder := record(t)
	response := &http.Response{StatusCode: http.StatusNoContent}
	var inside trace.SpanContext
	transport := &Transport{Tracer: tracer, Base: roundTripper(func(req *http.Request) (*http.Response, error) {
		inside = trace.SpanContextFromContext(req.Context())
		return response, nil
	})}
	req := httptest.NewRequest("", "http://orders.example:8080/1", nil)
	req.Method = "" // means GET

	resp, err := transport.RoundTrip(req)
	if resp != response || err != nil {
		t.Errorf("RoundTrip() = %v, %v, want the response of Base", resp, err)
	}
	if len(req.Header) != 0 || req.Method != "" {
		t.Errorf("RoundTrip() changed the request: %q %v", req.Method, req.Header)
	}
	span := recorder.Ended()[0]
	if !span.SpanContext().Equal(inside) {
		t.Errorf("span in the context of Base = %v, want %v", inside, span.SpanContext())
	}
	got := []string{span.Name(), attr(span, "http.request.method"), attr(span, "server.address")}
	if want := []string{"GET", "GET", "orders.example"}; !slices.Equal(got, want) {
		t.Errorf("name, method and address: %q, want %q", got, want)
	}
}

// attr returns the value of an attribute of span, or "" if there is none.
func attr(span sdktrace.ReadOnlySpan, key attribute.Key) string {
	for _, a := range span.Attributes() {
		if a.Key == key {
			return a.Value.String()
		}
	}
	return ""
}
