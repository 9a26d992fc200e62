// Package retrygrpc retries the unary calls of a gRPC connection. To use it, copy this file into
// your program, call [DialOptions] with the codes that are safe to retry, and pass the result to
// grpc.NewClient.
package retrygrpc

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"example.com/retry"
)

// DialOptions returns the options for one connection whose unary calls are retried with
// opts if they fail with one of the retryable codes. All calls of the connection share a
// retry budget that holds 10 tokens and gains 0.1 for each success, so call DialOptions
// once for each connection. A WithBudget in opts replaces this budget.
//
// A call that fails with the code Unavailable may have reached the server. If a method is
// not safe to repeat, call it with retry.Override(ctx, retry.WithMaxAttempts(1)). An
// attempt that exceeds WithAttemptTimeout fails with the code DeadlineExceeded.
//
// The retries of a service config are disabled, because they would multiply the attempts.
// Streams are not retried.
func DialOptions(retryable []codes.Code, opts ...retry.Option) []grpc.DialOption {
	policy := retry.Policy(
		retry.WithMapError(classifier(retryable)),
		retry.WithBudget(retry.NewBudget(10, 0.1)),
		retry.Policy(opts...),
	)
	return []grpc.DialOption{
		grpc.WithDisableRetry(),
		grpc.WithChainUnaryInterceptor(interceptor(policy)),
	}
}

// classifier returns an error map that permits retries of the retryable codes only, and no
// sooner than the server's RetryInfo says.
func classifier(retryable []codes.Code) func(context.Context, error) error {
	return func(_ context.Context, err error) error {
		s := status.Convert(err)
		if !slices.Contains(retryable, s.Code()) {
			return retry.Permanent(err) // nil if err is nil
		}
		for _, detail := range s.Details() {
			if info, ok := detail.(*errdetails.RetryInfo); ok {
				err = retry.After(err, info.GetRetryDelay().AsDuration())
			}
		}
		return err
	}
}

func interceptor(policy retry.Option) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn,
		invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		err := retry.Do(ctx, func(ctx context.Context) error {
			if n := retry.PreviousAttempts(ctx); n > 0 {
				ctx = metadata.AppendToOutgoingContext(ctx, "grpc-previous-rpc-attempts", strconv.Itoa(n))
			}
			return invoke(ctx, method, req, reply, conn, opts...)
		}, policy)
		if e, ok := errors.AsType[*retry.Error](err); ok {
			return &statusError{e, statusOf(e)}
		}
		return nil
	}
}

// statusOf returns the status of the last attempt. If no attempt was made, or if the
// caller's context ended, it returns a status that says so, as a call without retries
// would. statusOf examines the context first, because the cause of a context may match an
// error of package retry.
func statusOf(e *retry.Error) *status.Status {
	switch {
	case errors.Is(e.Reason, context.Canceled):
		return status.New(codes.Canceled, e.Error())
	case errors.Is(e.Reason, context.DeadlineExceeded) && !errors.Is(e.Reason, retry.ErrDeadline):
		return status.New(codes.DeadlineExceeded, e.Error())
	case errors.Is(e.Reason, retry.ErrInvalid):
		return status.New(codes.Internal, e.Error())
	}
	return status.Convert(e.Err)
}

// A statusError is a *retry.Error with a status. Without it, status.FromError would find the
// status of the last attempt but replace its message.
type statusError struct {
	err    *retry.Error
	status *status.Status
}

func (e *statusError) Error() string              { return e.err.Error() }
func (e *statusError) Unwrap() error              { return e.err }
func (e *statusError) GRPCStatus() *status.Status { return e.status }
