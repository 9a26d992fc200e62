//go:build unix

package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/retry"
	"example.com/retry/retrytest"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const tables = `
	CREATE TABLE accounts (name text PRIMARY KEY, balance bigint NOT NULL);
	INSERT INTO accounts VALUES ('ada', 1000000), ('bob', 1000000);
	-- Without a unique key, so that a transfer that is applied twice has two rows.
	CREATE TABLE entries (transfer text NOT NULL, debtor text NOT NULL, amount bigint NOT NULL);`

var errFunds = errors.New("insufficient funds")

// A bank is a separate database with two accounts.
type bank struct {
	*pgxpool.Pool
	database string
}

var banks atomic.Int64

func newBank(t *testing.T) *bank {
	t.Helper()
	if server == nil {
		t.Skipf("skipped %s, which needs a PostgreSQL server: %v", t.Name(), noServer)
	}
	ctx := t.Context()
	admin, err := pgx.Connect(ctx, server.url(server.addr(), "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(ctx)
	b := &bank{database: fmt.Sprintf("bank%d", banks.Add(1))}
	if _, err := admin.Exec(ctx, "CREATE DATABASE "+b.database); err != nil {
		t.Fatal(err)
	}
	b.Pool = newPool(t, server.url(server.addr(), b.database))
	if _, err := b.Exec(ctx, Schema+";"+tables); err != nil {
		t.Fatal(err)
	}
	return b
}

func newPool(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	config.MaxConns = 8
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// A transfer moves an amount from one account to the other.
type transfer struct {
	id, from, to string
	amount       int64
}

// transfers returns n transfers, every second one in the opposite direction.
func transfers(n int) []transfer {
	var all []transfer
	for i := range n {
		tr := transfer{fmt.Sprintf("transfer %d", i), "ada", "bob", int64(1000 + 7*i)}
		if i%2 == 1 {
			tr.from, tr.to = tr.to, tr.from
		}
		all = append(all, tr)
	}
	return all
}

// apply reads both balances and writes the new ones, so that a concurrent transfer would
// be lost if the transaction were not serializable.
func (tr transfer) apply(ctx context.Context, tx pgx.Tx) error {
	var from, to int64
	if err := tx.QueryRow(ctx, "SELECT balance FROM accounts WHERE name = $1", tr.from).Scan(&from); err != nil {
		return err
	}
	if from < tr.amount {
		return errFunds
	}
	if err := tx.QueryRow(ctx, "SELECT balance FROM accounts WHERE name = $1", tr.to).Scan(&to); err != nil {
		return err
	}
	const update = "UPDATE accounts SET balance = $2 WHERE name = $1"
	if _, err := tx.Exec(ctx, update, tr.from, from-tr.amount); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, update, tr.to, to+tr.amount); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, "INSERT INTO entries VALUES ($1, $2, $3)", tr.id, tr.from, tr.amount)
	return err
}

// check checks that the entries and the balances include each applied transfer exactly once.
func (b *bank) check(t *testing.T, applied ...transfer) {
	t.Helper()
	entries := make(map[string]int)
	balances := map[string]int64{"ada": 1000000, "bob": 1000000}
	for _, tr := range applied {
		entries[tr.id] = 1
		balances[tr.from] -= tr.amount
		balances[tr.to] += tr.amount
	}
	if got := readMap[int](t, b, "SELECT transfer, count(*) FROM entries GROUP BY transfer"); !maps.Equal(got, entries) {
		t.Errorf("entries = %v, want %v", got, entries)
	}
	if got := readMap[int64](t, b, "SELECT name, balance FROM accounts"); !maps.Equal(got, balances) {
		t.Errorf("balances = %v, want %v", got, balances)
	}
}

func readMap[V any](t *testing.T, b *bank, query string) map[string]V {
	t.Helper()
	rows, err := b.Query(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	m := make(map[string]V)
	var key string
	var value V
	if _, err := pgx.ForEachRow(rows, []any{&key, &value}, func() error {
		m[key] = value
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return m
}

// retries counts retries by the SQLSTATE of the error that caused them, or "lost" for a
// lost connection.
type retries struct {
	mu     sync.Mutex
	counts map[string]int
	waits  []time.Duration
}

func (r *retries) option() retry.Option {
	return retry.WithOnRetry(func(_ context.Context, ev retry.Event) {
		cause := "other"
		if _, ok := errors.AsType[*lostError](ev.Err); ok {
			cause = "lost"
		} else if e, ok := errors.AsType[*pgconn.PgError](ev.Err); ok {
			cause = e.Code
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.counts == nil {
			r.counts = make(map[string]int)
		}
		r.counts[cause]++
		r.waits = append(r.waits, ev.Wait)
	})
}

func TestTransfers(t *testing.T) {
	b := newBank(t)
	var seen retries
	var wg sync.WaitGroup
	start := make(chan struct{})
	all := transfers(40)
	for _, tr := range all {
		wg.Go(func() {
			<-start
			if err := Transact(t.Context(), b.Pool, tr.id, tr.apply, seen.option()); err != nil {
				t.Errorf("%s: %v", tr.id, err)
			}
		})
	}
	close(start)
	wg.Wait()
	t.Logf("retries: %v", seen.counts)
	b.check(t, all...)
}

func TestServerKilled(t *testing.T) {
	b := newBank(t)
	var seen retries
	var wg sync.WaitGroup
	all := transfers(200)
	jobs := make(chan transfer)
	for range 8 {
		wg.Go(func() {
			for tr := range jobs {
				if err := Transact(t.Context(), b.Pool, tr.id, tr.apply, seen.option()); err != nil {
					t.Errorf("%s: %v", tr.id, err)
				}
			}
		})
	}
	for i, tr := range all {
		jobs <- tr
		if i == 50 {
			wg.Go(func() {
				if err := server.kill(t.Context()); err != nil {
					t.Errorf("kill: %v", err)
				}
				if err := server.start(); err != nil {
					t.Errorf("start: %v", err)
				}
			})
		}
	}
	close(jobs)
	wg.Wait()
	t.Logf("retries: %v", seen.counts)
	if seen.counts["lost"] == 0 {
		t.Error("no transaction lost its connection")
	}
	b.check(t, all...)
}

func TestSerializationFailure(t *testing.T) {
	b := newBank(t)
	var seen retries
	first, second := transfers(2)[0], transfers(2)[1]
	calls := 0
	err := Transact(t.Context(), b.Pool, first.id, func(ctx context.Context, tx pgx.Tx) error {
		calls++
		if calls == 1 {
			// Transact's INSERT has fixed the snapshot, so this change is a conflict.
			if err := Transact(ctx, b.Pool, second.id, second.apply); err != nil {
				return err
			}
		}
		return first.apply(ctx, tx)
	}, seen.option())
	if err != nil || calls != 2 || seen.counts["40001"] != 1 {
		t.Errorf("Transact() = %v after %d calls and retries %v, want nil after 2 calls and one 40001", err, calls, seen.counts)
	}
	for _, d := range seen.waits {
		if d > 5*time.Millisecond {
			t.Errorf("waited %v after a conflict, want at most 5ms", d)
		}
	}
	b.check(t, first, second)
}

func TestDeadlock(t *testing.T) {
	b := newBank(t)
	var seen retries
	var locked, wg sync.WaitGroup
	locked.Add(2)
	all := transfers(2)
	for _, tr := range all {
		wg.Go(func() {
			calls := 0
			if err := Transact(t.Context(), b.Pool, tr.id, func(ctx context.Context, tx pgx.Tx) error {
				if calls++; calls == 1 {
					_, err := tx.Exec(ctx, "UPDATE accounts SET balance = balance WHERE name = $1", tr.from)
					locked.Done()
					locked.Wait()
					if err != nil {
						return err
					}
				}
				return tr.apply(ctx, tx)
			}, seen.option()); err != nil {
				t.Errorf("%s: %v", tr.id, err)
			}
		})
	}
	wg.Wait()
	if seen.counts["40P01"] != 1 {
		t.Errorf("retries = %v, want one after 40P01", seen.counts)
	}
	b.check(t, all...)
}

func TestCommitInterrupted(t *testing.T) {
	tr := transfers(1)[0]
	for _, tc := range []struct {
		name    string
		trigger string // what the client sends when the connection fails
		arrives bool   // whether the server still gets it
		late    bool   // whether it arrives after the next attempt has begun
		refused bool   // whether later connections are refused
		unknown bool   // whether Transact returns ErrUnknown
		calls   int    // of fn, by the first and the second Transact
	}{
		{name: "before", trigger: "INSERT INTO entries", calls: 2},
		{name: "before, then refused", trigger: "INSERT INTO entries", refused: true, calls: 2},
		{name: "lost", trigger: "commit", calls: 2},
		{name: "lost, then refused", trigger: "commit", refused: true, unknown: true, calls: 2},
		{name: "reply lost", trigger: "commit", arrives: true, calls: 1},
		{name: "reply lost, then refused", trigger: "commit", arrives: true, refused: true, unknown: true, calls: 1},
		{name: "late", trigger: "commit", arrives: true, late: true, calls: 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBank(t)
			p := newProxy(t, tc.trigger, func(p *proxy, client, server net.Conn, sent []byte) {
				if tc.refused {
					p.Close()
				}
				client.Close()
				if tc.late {
					b.await(t, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database())")
				}
				if tc.arrives {
					server.Write(sent)
					b.await(t, "SELECT EXISTS (SELECT FROM transactions)")
				}
			})
			pool := newPool(t, server.url(p.Addr().String(), b.database))
			calls := 0
			fn := func(ctx context.Context, tx pgx.Tx) error {
				calls++
				return tr.apply(ctx, tx)
			}
			err := Transact(t.Context(), pool, tr.id, fn, retry.WithMaxAttempts(3))
			if tc.refused != (err != nil) || tc.unknown != errors.Is(err, ErrUnknown) {
				t.Errorf("Transact() = %v; want error: %t, ErrUnknown: %t", err, tc.refused, tc.unknown)
			}
			if err != nil {
				if err := Transact(t.Context(), b.Pool, tr.id, fn); err != nil {
					t.Errorf("second Transact() = %v, want nil", err)
				}
			}
			if calls != tc.calls {
				t.Errorf("fn was called %d times, want %d", calls, tc.calls)
			}
			b.check(t, tr)
		})
	}
}

// await waits until query, which returns a boolean, returns true.
func (b *bank) await(t *testing.T, query string) {
	// The proxy may still be waiting when t.Context() is canceled.
	err := retry.Do(context.Background(), func(ctx context.Context) (err error) {
		var ok bool
		if err = b.QueryRow(ctx, query).Scan(&ok); err == nil && !ok {
			err = errors.New("not yet")
		}
		return err
	}, retry.WithMaxAttempts(retry.Unlimited), retry.WithMaxElapsed(time.Minute), retry.WithBackoff(retry.Constant(5*time.Millisecond)))
	if err != nil {
		t.Errorf("%s: %v", query, err)
	}
}

func TestNotRetried(t *testing.T) {
	b := newBank(t)
	tr := transfer{"too much", "ada", "bob", 1000001}
	for _, tc := range []struct{ name, url, want string }{
		{"insufficient funds", server.url(server.addr(), b.database), "retry: gave up after 1 attempt (not retryable): insufficient funds"},
		{"no database", server.url(server.addr(), "nowhere"), `database "nowhere" does not exist`},
		{"wrong password", strings.Replace(server.url(server.addr(), b.database), server.password, "secret", 1), "password authentication failed"},
	} {
		var seen retries
		err := Transact(t.Context(), newPool(t, tc.url), tr.id, tr.apply, seen.option())
		if err == nil || !errors.Is(err, retry.ErrNotRetryable) || errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: Transact() = %v, want %q", tc.name, err, tc.want)
		}
		if err != nil && strings.Count(err.Error(), "retry:") != 1 {
			t.Errorf("%s: Transact() = %q, want the message of one loop", tc.name, err)
		}
		if len(seen.counts) > 0 {
			t.Errorf("%s: retries = %v, want none", tc.name, seen.counts)
		}
	}
	b.check(t)
}

// A commit that the server rejects has a known outcome.
func TestCommitRejected(t *testing.T) {
	b := newBank(t)
	for _, tc := range []struct{ name, sql, want string }{
		{"deferred constraint", "CREATE TABLE once (n int UNIQUE DEFERRABLE INITIALLY DEFERRED); INSERT INTO once VALUES (1), (1)", "SQLSTATE 23505"},
		{"error ignored by fn", "SELECT 1/0", "commit unexpectedly resulted in rollback"},
	} {
		calls := 0
		err := Transact(t.Context(), b.Pool, tc.name, func(ctx context.Context, tx pgx.Tx) error {
			calls++
			tx.Exec(ctx, tc.sql)
			return nil
		})
		if err == nil || errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), tc.want) || calls != 1 {
			t.Errorf("%s: Transact() = %v after %d calls, want %s after 1", tc.name, err, calls, tc.want)
		}
	}
	if got := readMap[int](t, b, "SELECT id, 1 FROM transactions"); len(got) > 0 {
		t.Errorf("transactions = %v, want none", got)
	}
}

// If an attempt can insert the id, the earlier commit has failed.
func TestUnknownSettled(t *testing.T) {
	b := newBank(t)
	p := newProxy(t, "commit", func(_ *proxy, client, _ net.Conn, _ []byte) { client.Close() })
	calls := 0
	err := Transact(t.Context(), newPool(t, server.url(p.Addr().String(), b.database)), "id", func(context.Context, pgx.Tx) error {
		if calls++; calls == 2 {
			return errFunds
		}
		return nil
	})
	if !errors.Is(err, errFunds) || errors.Is(err, ErrUnknown) || calls != 2 {
		t.Errorf("Transact() = %v after %d calls, want only %v after 2", err, calls, errFunds)
	}
}

func TestConnectFailure(t *testing.T) {
	for code, want := range map[string]bool{
		"57P01": true, "57P02": true, "57P03": true, "53300": true,
		"28P01": false, "3D000": false, "57P04": false,
	} {
		err := connectFailure(fmt.Errorf("connect: %w", &pgconn.PgError{Code: code}))
		if _, got := errors.AsType[*lostError](err); got != want {
			t.Errorf("connectFailure(%s) = %v, retried: %t, want %t", code, err, got, want)
		}
	}
}

// nowhere returns a pool for a port on which no server listens.
func nowhere(t *testing.T) *pgxpool.Pool {
	t.Helper()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	return newPool(t, fmt.Sprintf("postgres://ada@localhost:%d/bank", port))
}

func TestNoServer(t *testing.T) {
	var clock retrytest.Clock
	start := clock.Now()
	err := Transact(t.Context(), nowhere(t), "id", func(context.Context, pgx.Tx) error {
		t.Error("fn was called without a transaction")
		return nil
	}, retry.WithClock(&clock), retry.WithJitter(retry.NoJitter))
	if !errors.Is(err, retry.ErrMaxElapsed) || errors.Is(err, ErrUnknown) {
		t.Errorf("Transact() = %v, want ErrMaxElapsed", err)
	}
	if err != nil && (strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "connection refused")) {
		t.Errorf("Transact() = %q, want one line with connection refused", err)
	}
	waits := clock.Waits()
	if want := []time.Duration{100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond}; !slices.Equal(waits[:min(3, len(waits))], want) {
		t.Errorf("waits = %v, want them to begin with %v", waits, want)
	}
	if d := clock.Now().Sub(start); d < 50*time.Second || d >= time.Minute {
		t.Errorf("Transact gave up after %v, want almost a minute", d)
	}
}

// A nowClock calls now before it tells the time.
type nowClock struct {
	retrytest.Clock
	now func()
}

func (c *nowClock) Now() time.Time {
	c.now()
	return c.Clock.Now()
}

// With errgroup, the cause of ctx may be the error of another call, which may match
// ErrNotRetryable. The inner loop reads the clock before it makes its first attempt.
func TestCanceledForErrorOfRetry(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	calls := 0
	clock := &nowClock{now: func() {
		if calls++; calls == 2 {
			cancel(retry.ErrNotRetryable)
		}
	}}
	err := Transact(ctx, nowhere(t), "id", nil, retry.WithClock(clock), retry.WithMaxElapsed(time.Hour))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Transact() = %v, want %v", err, context.Canceled)
	}
}

func TestInvalidPolicy(t *testing.T) {
	err := Transact(t.Context(), nowhere(t), "id", nil, retry.WithMaxAttempts(0))
	if want := "retry: invalid option: WithMaxAttempts(0): must be at least 1"; err == nil || err.Error() != want {
		t.Errorf("Transact() = %v, want %s", err, want)
	}
}
