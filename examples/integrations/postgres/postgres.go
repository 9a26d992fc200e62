// Package postgres retries transactions on PostgreSQL. After a conflict, it retries with
// short waits. After the loss of the connection, it retries for up to a minute. If the
// connection is lost during a commit, the package first asks the database whether the
// transaction was committed.
//
// To use it, copy this file into your program, run Schema once, and replace calls to
// [pgx.BeginTxFunc] with calls to Transact.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/retry"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Schema creates the table in which every transaction of Transact records its id. A row
// can be deleted once nobody will call Transact with its id again.
const Schema = `CREATE TABLE IF NOT EXISTS transactions (
	id text PRIMARY KEY,
	at timestamptz NOT NULL DEFAULT now()
)`

// ErrUnknown reports that a transaction may or may not have been committed. To find out,
// call Transact again with the same id. If Transact calls fn, the transaction had not
// been committed. If Transact returns nil without calling fn, the transaction had been
// committed.
var ErrUnknown = errors.New("outcome of the commit unknown")

// conflicts is the policy for transactions that the server rolled back because of a
// conflict. The waits are short, because the concurrent transactions take milliseconds.
var conflicts = retry.Policy(
	retry.WithMaxAttempts(20),
	retry.WithBackoff(retry.Exponential{Base: 5 * time.Millisecond, Max: 250 * time.Millisecond}),
	retry.WithRetryIf(isConflict),
)

// outages is the policy for a server that cannot be reached, such as one that is
// restarting.
var outages = retry.Policy(
	retry.WithMaxAttempts(retry.Unlimited),
	retry.WithMaxElapsed(time.Minute),
	retry.WithBackoff(retry.Exponential{Base: 100 * time.Millisecond, Max: 5 * time.Second}),
	retry.WithRetryIf(retry.As[*lostError]()),
)

// Transact calls fn in a serializable transaction and commits it. It calls fn again, in a
// new transaction, if the server rolled back the previous one because of a conflict, or
// if the connection was lost. The options, such as [retry.WithLogger], apply to the
// retries of both kinds. If fn returns any other error, Transact rolls back and returns
// an error that wraps it.
//
// The id names what the transaction does, such as a payment, and is chosen by the caller.
// Only one transaction with a given id is committed. If this call or an earlier one has
// already committed it, Transact returns nil without calling fn again.
//
// If Transact returns an error that does not match [ErrUnknown], this call did not commit
// the transaction. An earlier call that returned ErrUnknown may have committed it.
func Transact(ctx context.Context, db *pgxpool.Pool, id string, fn func(context.Context, pgx.Tx) error, opts ...retry.Option) error {
	t := &transaction{db: db, id: id, fn: fn}
	err := retry.Do(ctx, func(ctx context.Context) error {
		err := retry.Do(ctx, t.attempt, conflicts, retry.Policy(opts...))
		// If err is not a conflict, returning e.Err lets the outer loop decide and keeps
		// the message short. Reason is compared with ==, because the cause of a canceled
		// ctx may also match ErrNotRetryable, and then e.Err may be nil.
		if e, ok := err.(*retry.Error); ok && e.Reason == retry.ErrNotRetryable {
			return e.Err
		}
		return err
	}, outages, retry.Policy(opts...))
	if err != nil && t.unknown {
		return fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	return err
}

type transaction struct {
	db      *pgxpool.Pool
	id      string
	fn      func(context.Context, pgx.Tx) error
	unknown bool // whether an earlier attempt may have been committed
}

// attempt runs one transaction. It is idempotent: its first statement waits for an
// earlier attempt that is still being committed, and finds the row of one that was
// committed.
func (t *transaction) attempt(ctx context.Context) error {
	tx, err := t.db.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.Serializable})
	if err != nil {
		return connectFailure(err)
	}
	defer tx.Rollback(ctx) // does nothing after Commit
	added, err := tx.Exec(ctx, `INSERT INTO transactions (id) VALUES ($1) ON CONFLICT DO NOTHING`, t.id)
	if err == nil {
		t.unknown = false
		if added.RowsAffected() == 0 {
			return nil
		}
		err = t.fn(ctx, tx)
	}
	if err != nil && tx.Conn().IsClosed() {
		return &lostError{err} // nothing was committed, because COMMIT was not sent
	}
	if err != nil {
		return err
	}
	err = tx.Commit(ctx)
	if err == nil || isRolledBack(err) {
		return err
	}
	// The outcome is unknown even if pgconn.SafeToRetry returns true, because it also returns
	// true for connections that were closed after COMMIT was sent (pgx v5.12.0).
	t.unknown = true
	return &lostError{err}
}

// isConflict reports whether err is a serialization failure or a deadlock.
func isConflict(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (e.Code == "40001" || e.Code == "40P01")
}

// isRolledBack reports whether err, an error of Commit, means that the server rolled back
// the transaction. The severity FATAL does not, because a server that is shutting down
// reports it even during a commit.
func isRolledBack(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.SeverityUnlocalized == "ERROR" || errors.Is(err, pgx.ErrTxCommitRollback)
}

// connectFailure returns the error for a transaction that could not begin. A server that
// rejected the connection, for example because of a wrong password, would reject it again,
// unless it was starting (57P03), shutting down (57P01, 57P02), or out of connections
// (53300).
func connectFailure(err error) error {
	e, ok := errors.AsType[*pgconn.PgError](err)
	if ok && !slices.Contains([]string{"57P01", "57P02", "57P03", "53300"}, e.Code) {
		return err
	}
	return &lostError{err}
}

// A lostError is an error after which there is no connection to the server.
type lostError struct{ err error }

func (e *lostError) Unwrap() error { return e.err }

// Error returns one line, although pgx reports every address on a separate line.
func (e *lostError) Error() string {
	return "no connection: " + strings.Join(strings.Fields(e.err.Error()), " ")
}
