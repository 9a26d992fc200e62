package retrygrpc

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/durationpb"

	"example.com/retry"
	"example.com/retry/retrytest"
)

var (
	unavailable   = []codes.Code{codes.Unavailable}
	noJitter      = retry.WithJitter(retry.NoJitter)
	serviceConfig = grpc.WithDefaultServiceConfig(`{"methodConfig": [{"name": [{}], "retryPolicy": {
		"maxAttempts": 5, "initialBackoff": "0.01s", "maxBackoff": "0.01s", "backoffMultiplier": 1,
		"retryableStatusCodes": ["UNAVAILABLE"]}}]}`)
)

// A service is a health service that returns what its script returns for each call,
// counted from 1.
type service struct {
	healthpb.UnimplementedHealthServer
	script func(ctx context.Context, call int) error

	mu       sync.Mutex
	previous []string // see attempts
}

func (s *service) Check(ctx context.Context, _ *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	s.mu.Lock()
	s.previous = append(s.previous, strings.Join(md.Get("grpc-previous-rpc-attempts"), ","))
	call := len(s.previous)
	s.mu.Unlock()
	if err := s.script(ctx, call); err != nil {
		return nil, err
	}
	return &healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_SERVING}, nil
}

// attempts returns the grpc-previous-rpc-attempts of each call so far, or "" for a call
// without it.
func (s *service) attempts() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.previous)
}

func (s *service) calls() int { return len(s.attempts()) }

// failing returns a script in which the first n calls fail with err.
func failing(n int, err error) func(context.Context, int) error {
	return func(_ context.Context, call int) error {
		if call <= n {
			return err
		}
		return nil
	}
}

// serve serves s on lis until the test ends.
func serve(t *testing.T, lis net.Listener, s *service) {
	server := grpc.NewServer()
	healthpb.RegisterHealthServer(server, s)
	done := make(chan error, 1)
	go func() { done <- server.Serve(lis) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-done; err != nil {
			t.Errorf("Serve() = %v, want nil", err)
		}
	})
}

// connect returns a client of the server at target. The connection is closed when the test ends.
func connect(t *testing.T, target string, opts ...grpc.DialOption) healthpb.HealthClient {
	t.Helper()
	opts = append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()))
	conn, err := grpc.NewClient(target, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return healthpb.NewHealthClient(conn)
}

// inMemory serves s in memory and returns a function that connects to it. The server and
// its clients may run in a synctest bubble.
func inMemory(t *testing.T, s *service) func(...grpc.DialOption) healthpb.HealthClient {
	lis := bufconn.Listen(1 << 16)
	serve(t, lis, s)
	return func(opts ...grpc.DialOption) healthpb.HealthClient {
		dial := func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }
		return connect(t, "passthrough:///memory", append(opts, grpc.WithContextDialer(dial))...)
	}
}

func check(ctx context.Context, client healthpb.HealthClient) error {
	_, err := client.Check(ctx, &healthpb.HealthCheckRequest{})
	return err
}

func TestRetriesOverALoopbackSocket(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &service{script: failing(2, status.Error(codes.Unavailable, "starting"))}
	serve(t, lis, s)
	clock := new(retrytest.Clock)
	client := connect(t, lis.Addr().String(),
		DialOptions(unavailable, noJitter, retry.WithClock(clock))...)

	resp, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil || resp.Status != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("Check() = %v, %v, want SERVING", resp, err)
	}
	if got, want := s.attempts(), []string{"", "1", "2"}; !slices.Equal(got, want) {
		t.Errorf("grpc-previous-rpc-attempts of the attempts: %q, want %q", got, want)
	}
	want := []time.Duration{250 * time.Millisecond, 500 * time.Millisecond}
	if got := clock.Waits(); !slices.Equal(got, want) {
		t.Errorf("waits: %v, want %v", got, want)
	}
}

func TestRetriesInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{script: failing(2, status.Error(codes.Unavailable, "starting"))}
		client := inMemory(t, s)(DialOptions(unavailable, noJitter)...)
		start := time.Now()
		if err := check(t.Context(), client); err != nil {
			t.Errorf("Check() = %v, want nil", err)
		}
		if got, want := time.Since(start), 750*time.Millisecond; got != want {
			t.Errorf("Check() took %v, want %v", got, want)
		}
		if got, want := s.attempts(), []string{"", "1", "2"}; !slices.Equal(got, want) {
			t.Errorf("grpc-previous-rpc-attempts of the attempts: %q, want %q", got, want)
		}
	})
}

func TestWaitsAsLongAsRetryInfoSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := inMemory(t, &service{script: failing(1, withRetryInfo(t, codes.Unavailable, 4*time.Second))})(
			DialOptions(unavailable)...)
		start := time.Now()
		if err := check(t.Context(), client); err != nil {
			t.Errorf("Check() = %v, want nil", err)
		}
		// The jitter after the delay is at most half of it.
		if got := time.Since(start); got < 4*time.Second || got > 6*time.Second {
			t.Errorf("Check() took %v, want between 4s and 6s", got)
		}
	})
}

func TestReturnsTheStatusOfTheLastAttempt(t *testing.T) {
	for _, test := range []struct {
		name     string
		code     codes.Code
		opts     []retry.Option
		attempts int
		reason   error
	}{
		{"not retryable", codes.InvalidArgument, nil, 1, retry.ErrNotRetryable},
		{"exhausted", codes.Unavailable, []retry.Option{retry.WithMaxAttempts(3)}, 3, retry.ErrExhausted},
		{"next attempt would miss the deadline", codes.Unavailable,
			[]retry.Option{retry.WithBackoff(retry.Constant(time.Hour)), noJitter}, 1, retry.ErrDeadline},
		{"asked to wait too long", codes.Unavailable,
			[]retry.Option{retry.WithMaxRetryAfter(time.Second)}, 1, retry.ErrRetryAfter},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sent := withRetryInfo(t, test.code, 2*time.Second)
				s := &service{script: failing(9, sent)}
				client := inMemory(t, s)(DialOptions(unavailable, test.opts...)...)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()

				err := check(ctx, client)
				got, ok := status.FromError(err)
				if want := status.Convert(sent); !ok || got.String() != want.String() || len(got.Details()) != 1 {
					t.Errorf("status.FromError(%v) = %v, %v, want %v with its detail", err, got, ok, want)
				}
				if status.Code(err) != test.code {
					t.Errorf("status.Code() = %v, want %v", status.Code(err), test.code)
				}
				e, ok := errors.AsType[*retry.Error](err)
				if !ok || e.Attempts != test.attempts || !errors.Is(err, test.reason) {
					t.Errorf("Check() = %v, want %d attempts and %v", err, test.attempts, test.reason)
				}
				if s.calls() != test.attempts {
					t.Errorf("the server got %d calls, want %d", s.calls(), test.attempts)
				}
			})
		})
	}
}

func TestReturnsTheStatusOfTheContextThatEnded(t *testing.T) {
	shutdown := errors.New("shutting down")
	for _, test := range []struct {
		name   string
		script func(context.Context, int) error
		end    func(context.Context) (context.Context, context.CancelFunc)
		code   codes.Code
		reason error
	}{
		{"deadline before the first attempt", failing(9, nil),
			func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithTimeout(ctx, 0)
			}, codes.DeadlineExceeded, context.DeadlineExceeded},
		{"canceled before the first attempt", failing(9, nil),
			func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancelCause(ctx)
				cancel(shutdown)
				return ctx, func() {}
			}, codes.Canceled, shutdown},
		{"canceled with the cause ErrInvalid", failing(9, nil),
			func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancelCause(ctx)
				cancel(retry.ErrInvalid)
				return ctx, func() {}
			}, codes.Canceled, retry.ErrInvalid},
		{"canceled during a wait", failing(9, status.Error(codes.Unavailable, "starting")),
			func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancelCause(ctx)
				time.AfterFunc(100*time.Millisecond, func() { cancel(shutdown) })
				return ctx, func() {}
			}, codes.Canceled, shutdown},
		{"deadline during an attempt", hanging(9),
			func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithTimeout(ctx, time.Second)
			}, codes.DeadlineExceeded, context.DeadlineExceeded},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := inMemory(t, &service{script: test.script})(DialOptions(unavailable, noJitter)...)
				ctx, cancel := test.end(t.Context())
				defer cancel()
				err := check(ctx, client)
				if status.Code(err) != test.code || !errors.Is(err, test.reason) {
					t.Errorf("Check() = %v with code %v, want %v with code %v",
						err, status.Code(err), test.reason, test.code)
				}
			})
		})
	}
}

func TestRetriesAnAttemptThatTimesOutIfDeadlineExceededIsListed(t *testing.T) {
	for _, test := range []struct {
		retryable []codes.Code
		want      codes.Code
	}{
		{[]codes.Code{codes.Unavailable, codes.DeadlineExceeded}, codes.OK},
		{unavailable, codes.DeadlineExceeded},
	} {
		synctest.Test(t, func(t *testing.T) {
			client := inMemory(t, &service{script: hanging(1)})(
				DialOptions(test.retryable, retry.WithAttemptTimeout(time.Second))...)
			if err := check(t.Context(), client); status.Code(err) != test.want {
				t.Errorf("with %v, Check() = %v, want code %v", test.retryable, err, test.want)
			}
		})
	}
}

func TestLimitsTheRetriesOfEachConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{script: failing(1000, status.Error(codes.Unavailable, "down"))}
		dial := inMemory(t, s)
		first, second := dial(DialOptions(unavailable)...), dial(DialOptions(unavailable)...)
		const calls = 20
		var wg sync.WaitGroup
		for range calls {
			wg.Go(func() {
				err := check(t.Context(), first)
				if !errors.Is(err, retry.ErrBudget) || status.Code(err) != codes.Unavailable {
					t.Errorf("Check() over the first connection = %v, want ErrBudget with code Unavailable", err)
				}
			})
		}
		wg.Wait()
		if got := s.calls(); got != calls+10 {
			t.Errorf("%d calls made %d attempts, want %d", calls, got, calls+10)
		}
		if err := check(t.Context(), second); !errors.Is(err, retry.ErrExhausted) {
			t.Errorf("Check() over the second connection = %v, want ErrExhausted", err)
		}
	})
}

func TestServiceConfigDoesNotMultiplyAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{script: failing(1000, status.Error(codes.Unavailable, "down"))}
		client := inMemory(t, s)(append(DialOptions(unavailable, retry.WithMaxAttempts(2)), serviceConfig)...)
		check(t.Context(), client)
		if s.calls() != 2 {
			t.Errorf("the server got %d calls, want 2", s.calls())
		}
	})
}

func TestOverrideReachesACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{script: failing(9, status.Error(codes.Unavailable, "down"))}
		client := inMemory(t, s)(DialOptions(unavailable)...)
		check(retry.Override(t.Context(), retry.WithMaxAttempts(1)), client)
		if s.calls() != 1 {
			t.Errorf("the server got %d calls, want 1", s.calls())
		}
	})
}

func TestBadInputIsOneLine(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	lis.Close() // nothing is listening on its address now
	for _, test := range []struct {
		name string
		opt  retry.Option
		code codes.Code
		want string
	}{
		{"no server", retry.WithMaxAttempts(2), codes.Unavailable, "connection refused"},
		{"invalid policy", retry.WithMaxAttempts(0), codes.Internal,
			"retry: invalid option: WithMaxAttempts(0): must be at least 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			client := connect(t, lis.Addr().String(),
				DialOptions(unavailable, test.opt, retry.WithClock(new(retrytest.Clock)))...)
			err := check(t.Context(), client)
			if status.Code(err) != test.code || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("Check() = %v with code %v, want one line with %q and code %v",
					err, status.Code(err), test.want, test.code)
			}
		})
	}
}

// withRetryInfo returns an error of a server that asks for a delay.
func withRetryInfo(t *testing.T, code codes.Code, delay time.Duration) error {
	t.Helper()
	s, err := status.New(code, "try later").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(delay)})
	if err != nil {
		t.Fatal(err)
	}
	return s.Err()
}

// hanging returns a script in which the first n calls last until their context ends.
func hanging(n int) func(context.Context, int) error {
	return func(ctx context.Context, call int) error {
		if call > n {
			return nil
		}
		<-ctx.Done()
		return ctx.Err()
	}
}
