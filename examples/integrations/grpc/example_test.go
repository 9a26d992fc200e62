package retrygrpc_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"example.com/retry"
	retrygrpc "example.com/retry/examples/integrations/grpc"
)

func ExampleDialOptions() {
	opts := append(
		retrygrpc.DialOptions([]codes.Code{codes.Unavailable},
			retry.WithMaxAttempts(3),
			retry.WithBackoff(retry.Constant(time.Millisecond))),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
	)
	conn, err := grpc.NewClient("unix:/nonexistent.sock", opts...)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err = healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
	fmt.Println(status.Code(err))
	if e, ok := errors.AsType[*retry.Error](err); ok {
		fmt.Println(e.Attempts, "attempts, exhausted:", errors.Is(err, retry.ErrExhausted))
	}
	// Output:
	// Unavailable
	// 3 attempts, exhausted: true
}
