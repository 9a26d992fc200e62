// Package telemetry observes retries with OpenTelemetry spans and Prometheus metrics. To record a
// span for each attempt of an HTTP request, copy transport.go into your program. To record metrics
// of retries, attempts, and the tokens of a budget, copy metrics.go.
package telemetry

import (
	"cmp"
	"net/http"
	"strconv"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"example.com/retry"
)

// A Transport is an http.RoundTripper that starts a client span for each attempt and sends the
// span's context to the server in a traceparent header. It belongs inside the retries: in the
// client that fn uses, or as the Base of a retryhttp.Transport. The span ends when the header of
// the response has arrived.
type Transport struct {
	Base   http.RoundTripper // nil means http.DefaultTransport
	Tracer trace.Tracer      // nil means a Tracer of the global TracerProvider
}

// RoundTrip sends req with Base.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	base := cmp.Or(t.Base, http.DefaultTransport)
	tracer := cmp.Or(t.Tracer, otel.Tracer("example.com/retry/examples/integrations/telemetry"))
	method := cmp.Or(req.Method, http.MethodGet)
	ctx, span := tracer.Start(req.Context(), method, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		semconv.HTTPRequestMethodKey.String(method),
		semconv.ServerAddress(req.URL.Hostname()), semconv.URLFull(req.URL.Redacted()),
	))
	defer span.End()
	if n := retry.PreviousAttempts(ctx); n > 0 {
		span.SetAttributes(semconv.HTTPRequestResendCount(n))
	}
	req = req.Clone(ctx) // a RoundTripper must not change the caller's header
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(req.Header))

	resp, err := base.RoundTrip(req)
	if err != nil {
		span.SetAttributes(semconv.ErrorType(err))
		span.SetStatus(codes.Error, err.Error())
		return resp, err
	}
	span.SetAttributes(semconv.HTTPResponseStatusCode(resp.StatusCode))
	if resp.StatusCode >= 400 {
		span.SetAttributes(semconv.ErrorTypeKey.String(strconv.Itoa(resp.StatusCode)))
		span.SetStatus(codes.Error, "") // the status code needs no description
	}
	return resp, nil
}
