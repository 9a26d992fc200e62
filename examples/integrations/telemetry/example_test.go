package telemetry_test

import (
	"context"
	"errors"
	"log"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel"

	"example.com/retry"
	"example.com/retry/examples/integrations/telemetry"
)

func Example() {
	metrics, err := telemetry.Metrics(prometheus.DefaultRegisterer, "orders", retry.NewBudget(10, 0.1))
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("/metrics", promhttp.Handler())
	client := &http.Client{Transport: &telemetry.Transport{Tracer: otel.Tracer("orders")}}

	ctx := context.Background()
	err = retry.Do(ctx, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://orders.example/1", nil)
		if err != nil {
			return retry.Permanent(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return errors.New(resp.Status)
		}
		return nil
	}, metrics)
	if err != nil {
		log.Print(err)
	}
}
