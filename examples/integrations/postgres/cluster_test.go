//go:build unix

package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/retry"
	"github.com/jackc/pgx/v5"
)

// server is the PostgreSQL server of all tests. It is nil if there is none, and noServer
// says why.
var (
	server   *cluster
	noServer error
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	server, noServer = newCluster()
	if noServer != nil && !errors.Is(noServer, errors.ErrUnsupported) {
		fmt.Fprintln(os.Stderr, "postgres:", noServer)
		return 1
	}
	if server != nil {
		defer server.remove()
	}
	return m.Run()
}

// A cluster is a PostgreSQL server with a temporary directory, on a loopback port. It runs
// as an unprivileged user, because the server refuses to run as root.
type cluster struct {
	bin, dir string
	port     int
	password string
	owner    *syscall.Credential // nil for the user that runs the test
	process  *os.Process
	exited   chan struct{} // closed when process has ended
}

// newCluster creates and starts a cluster. If this machine cannot run one, the error
// matches errors.ErrUnsupported.
func newCluster() (c *cluster, err error) {
	c = &cluster{password: rand.Text()}
	if c.bin, err = findServer(); err != nil {
		return nil, err
	}
	if c.owner, err = unprivileged(); err != nil {
		return nil, err
	}
	if c.dir, err = os.MkdirTemp("", "retry-postgres-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.remove()
		}
	}()
	passwordFile := filepath.Join(c.dir, "password")
	if err := os.WriteFile(passwordFile, []byte(c.password), 0o600); err != nil {
		return nil, err
	}
	if c.owner != nil {
		for _, path := range []string{c.dir, passwordFile} {
			if err := os.Chown(path, int(c.owner.Uid), int(c.owner.Gid)); err != nil {
				return nil, err
			}
		}
	}
	initdb := c.command("initdb", "--no-sync", "--username=postgres", "--auth=scram-sha-256", "--pwfile="+passwordFile,
		"--encoding=UTF8", "--locale=C", c.data())
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	if c.port, err = freePort(); err != nil {
		return nil, err
	}
	return c, c.start()
}

// findServer returns the directory of the server's programs: the directory of initdb in
// PATH, or else the directory of the newest version that Debian's packages installed.
func findServer() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		path, err = filepath.EvalSymlinks(path)
		return filepath.Dir(path), err
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return "", fmt.Errorf("PostgreSQL's initdb is not installed: %w", errors.ErrUnsupported)
	}
	return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return len(a) - len(b) + strings.Compare(a, b) })), nil
}

// If the test runs as root, unprivileged returns the credential of the user postgres or
// nobody.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, _ := strconv.ParseUint(u.Uid, 10, 32)
		gid, _ := strconv.ParseUint(u.Gid, 10, 32)
		credential := &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		probe := exec.Command("true")
		probe.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
		if err := probe.Run(); err != nil {
			return nil, fmt.Errorf("root cannot run a process as %s (%v): %w", name, err, errors.ErrUnsupported)
		}
		return credential, nil
	}
	return nil, fmt.Errorf("no user to run the server: neither postgres nor nobody exists: %w", errors.ErrUnsupported)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (c *cluster) data() string { return filepath.Join(c.dir, "data") }

func (c *cluster) log() string { return filepath.Join(c.dir, "log") }

func (c *cluster) addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(c.port)) }

// url returns the connection string for a database of the server that addr leads to.
func (c *cluster) url(addr, database string) string {
	return fmt.Sprintf("postgres://postgres:%s@%s/%s?sslmode=disable", c.password, addr, database)
}

// command returns a command that runs a program of the server as c.owner.
func (c *cluster) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(c.bin, name), args...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.owner}
	return cmd
}

// start starts the server and returns when it accepts connections. It tries more than once,
// because a server does not start while a process of a killed server is still running.
func (c *cluster) start() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err := retry.Do(ctx, func(ctx context.Context) error {
		if !c.running() {
			if err := c.launch(); err != nil {
				return retry.Permanent(err)
			}
		}
		conn, err := pgx.Connect(ctx, c.url(c.addr(), "postgres"))
		if err == nil {
			conn.Close(ctx)
		}
		return err
	}, retry.WithMaxAttempts(retry.Unlimited), retry.WithBackoff(retry.Constant(100*time.Millisecond)))
	if err != nil {
		log, _ := os.ReadFile(c.log())
		return fmt.Errorf("%w\n%s", err, log)
	}
	return nil
}

func (c *cluster) launch() error {
	log, err := os.Create(c.log())
	if err != nil {
		return err
	}
	defer log.Close()
	postgres := c.command("postgres", "-D", c.data(), "-p", strconv.Itoa(c.port), "-c", "listen_addresses=127.0.0.1",
		"-c", "unix_socket_directories=", "-c", "deadlock_timeout=50ms")
	postgres.Stdout, postgres.Stderr = log, log
	if err := postgres.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	go func() {
		postgres.Wait()
		close(exited)
	}()
	c.process, c.exited = postgres.Process, exited
	return nil
}

func (c *cluster) running() bool {
	if c.process == nil {
		return false
	}
	select {
	case <-c.exited:
		return false
	default:
		return true
	}
}

// kill sends SIGKILL to all processes of the server.
func (c *cluster) kill(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, c.url(c.addr(), "postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	rows, _ := conn.Query(ctx, "SELECT pid FROM pg_stat_activity")
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		return err
	}
	c.process.Kill()
	for _, pid := range pids {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	<-c.exited
	return nil
}

// remove stops the server, if it is running, and deletes its files.
func (c *cluster) remove() {
	if c.running() {
		c.process.Signal(syscall.SIGQUIT) // an immediate shutdown
		<-c.exited
	}
	os.RemoveAll(c.dir)
}
