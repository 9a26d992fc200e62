package reconnect

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/retry"
	"example.com/retry/retrytest"
	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

// An outage ends a session of the server: the server sends messages, drops the
// connection, and refuses connections until the client has waited refused times.
type outage struct {
	messages int
	refused  int
}

// A feed is a server on a loopback port. After the last outage, it sends the rest of its
// messages and closes the connection normally. Each session sends the last message of the
// previous session again.
type feed struct {
	t       *testing.T
	addr    string
	total   int64
	mu      sync.Mutex
	outages []outage
	refused int // how many waits are left until the server listens again
	after   []string
	l       net.Listener // nil while the server refuses connections
}

func newFeed(t *testing.T, total int64, outages ...outage) *feed {
	t.Helper()
	f := &feed{t: t, addr: "127.0.0.1:0", total: total, outages: outages}
	f.listen()
	t.Cleanup(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.refuse()
	})
	return f
}

func (f *feed) url() string { return "ws://" + f.addr + "/feed" }

// listen accepts connections, each time on the same port.
func (f *feed) listen() {
	l, err := net.Listen("tcp", f.addr)
	if err != nil {
		f.t.Error(err)
		return
	}
	f.addr, f.l = l.Addr().String(), l
	go http.Serve(l, f)
}

func (f *feed) refuse() {
	if f.l != nil {
		f.l.Close()
		f.l = nil
	}
}

func (f *feed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		f.t.Error(err)
		return
	}
	defer conn.CloseNow()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.after = append(f.after, r.FormValue("after"))
	after, err := strconv.ParseInt(r.FormValue("after"), 10, 64)
	if err != nil {
		f.t.Error(err)
	}
	last := f.total
	if len(f.outages) > 0 {
		last = after + int64(f.outages[0].messages)
	}
	for id := max(after, 1); id <= last; id++ {
		if err := wsjson.Write(r.Context(), conn, Message{id, fmt.Sprint("message ", id)}); err != nil {
			f.t.Error(err)
		}
	}
	if len(f.outages) == 0 {
		conn.Close(websocket.StatusNormalClosure, "the end")
		return
	}
	f.refused, f.outages = f.outages[0].refused, f.outages[1:]
	if f.refused > 0 {
		f.refuse()
	}
}

// onRetry lets the server listen again once the client has waited often enough.
func (f *feed) onRetry(context.Context, retry.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refused > 0 {
		if f.refused--; f.refused == 0 {
			f.listen()
		}
	}
}

// ms returns durations of n milliseconds.
func ms(n ...int) (d []time.Duration) {
	for _, n := range n {
		d = append(d, time.Duration(n)*time.Millisecond)
	}
	return d
}

func TestSubscribe(t *testing.T) {
	for _, tc := range []struct {
		name    string
		start   int64
		outages []outage
		after   []string        // where the sessions began
		waits   []time.Duration // of the client
	}{
		{"no outage", 4, nil, []string{"4"}, nil},
		{"refused", 0, []outage{{3, 4}, {2, 3}}, []string{"0", "3", "5"}, ms(250, 500, 1000, 2000, 250, 500, 1000)},
		{"dropped", 0, []outage{{3, 0}, {2, 0}}, []string{"0", "3", "5"}, ms(250, 250)},
		{"dropped without a message", 0, []outage{{3, 0}, {0, 0}, {0, 2}, {1, 0}}, []string{"0", "3", "3", "3", "4"}, ms(250, 500, 1000, 2000, 250)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFeed(t, 9, tc.outages...)
			var clock retrytest.Clock
			var got []int64
			err := Subscribe(limited(t), f.url(), tc.start, func(m Message) error {
				got = append(got, m.ID)
				return nil
			}, retry.WithClock(&clock), retry.WithJitter(retry.NoJitter), retry.WithOnRetry(f.onRetry))
			if err != nil {
				t.Errorf("Subscribe() = %v, want nil", err)
			}
			if want := []int64{1, 2, 3, 4, 5, 6, 7, 8, 9}[tc.start:]; !slices.Equal(got, want) {
				t.Errorf("messages = %v, want %v", got, want)
			}
			if waits := clock.Waits(); !slices.Equal(waits, tc.waits) {
				t.Errorf("waits = %v, want %v", waits, tc.waits)
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			if !slices.Equal(f.after, tc.after) {
				t.Errorf("sessions began after messages %v, want %v", f.after, tc.after)
			}
		})
	}
}

// serve starts a server and returns its feed.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return "ws://" + l.Addr().String()
}

// limited returns a context that ends a loop that would otherwise never end. It has no
// deadline, because a fake clock would soon pass it.
func limited(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	timer := time.AfterFunc(10*time.Second, cancel)
	t.Cleanup(func() { timer.Stop(); cancel() })
	return ctx
}

func ignore(Message) error { return nil }

func TestRetryAfter(t *testing.T) {
	for _, tc := range []struct {
		status     int
		retryAfter string
		want       error
		min, max   time.Duration
	}{
		{408, "7", nil, 7 * time.Second, 7 * time.Second * 3 / 2},
		{429, "7", nil, 7 * time.Second, 7 * time.Second * 3 / 2},
		{503, "7", nil, 7 * time.Second, 7 * time.Second * 3 / 2},
		{503, "3600", nil, time.Hour, time.Hour * 3 / 2},
		{503, "3601", retry.ErrRetryAfter, 0, 0},
	} {
		var requests atomic.Int64
		feed := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if requests.Add(1) == 1 {
				w.Header().Set("Retry-After", tc.retryAfter)
				w.WriteHeader(tc.status)
				return
			}
			if conn, err := websocket.Accept(w, r, nil); err == nil {
				conn.Close(websocket.StatusNormalClosure, "")
			}
		})
		var clock retrytest.Clock
		err := Subscribe(limited(t), feed, 0, ignore, retry.WithClock(&clock))
		if !errors.Is(err, tc.want) {
			t.Errorf("%d, Retry-After %s: Subscribe() = %v, want %v", tc.status, tc.retryAfter, err, tc.want)
		}
		var waited time.Duration
		for _, d := range clock.Waits() {
			waited += d
		}
		if waited < tc.min || waited > tc.max {
			t.Errorf("%d, Retry-After %s: waited %v, want %v to %v", tc.status, tc.retryAfter, waited, tc.min, tc.max)
		}
	}
}

func TestSubscribeStops(t *testing.T) {
	errDisk := errors.New("disk full")
	send := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if conn, err := websocket.Accept(w, r, nil); err == nil {
				conn.Write(r.Context(), websocket.MessageText, []byte(text))
				<-conn.CloseRead(r.Context()).Done() // until the client leaves
			}
		}
	}
	const message = `{"id": 1, "text": "hello"}`
	for _, tc := range []struct {
		name    string
		handler http.HandlerFunc
		handle  func(Message) error
		want    string
	}{
		{"forbidden", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusForbidden) }, ignore,
			"retry: gave up after 1 attempt (not retryable): failed to WebSocket dial: expected handshake response status code 101 but got 403"},
		{"not a WebSocket", func(w http.ResponseWriter, r *http.Request) {}, ignore,
			"retry: gave up after 1 attempt (not retryable): failed to WebSocket dial: expected handshake response status code 101 but got 200"},
		{"not JSON", send("hello"), ignore,
			"retry: gave up after 1 attempt (not retryable): message after 0: invalid character 'h' looking for beginning of value"},
		{"too big", send(strings.Repeat(" ", 1<<16) + message), ignore,
			"retry: gave up after 1 attempt (not retryable): message after 0: failed to read: websocket: message too big: read limited at 32769 bytes"},
		{"handle fails", send(message), func(Message) error { return errDisk },
			"retry: gave up after 1 attempt (not retryable): message 1: disk full"},
	} {
		var clock retrytest.Clock
		err := Subscribe(limited(t), serve(t, tc.handler), 0, tc.handle, retry.WithClock(&clock), retry.WithMaxAttempts(2))
		if err == nil || err.Error() != tc.want {
			t.Errorf("%s: Subscribe() = %v, want %v", tc.name, err, tc.want)
		}
	}
}

func TestSubscribeCanceled(t *testing.T) {
	f := newFeed(t, 9, outage{3, 100})
	ctx, cancel := context.WithCancel(limited(t))
	defer cancel()
	var clock retrytest.Clock
	retries := 0
	err := Subscribe(ctx, f.url(), 0, ignore, retry.WithClock(&clock),
		retry.WithOnRetry(func(context.Context, retry.Event) {
			if retries++; retries == 50 {
				cancel()
			}
		}))
	if !errors.Is(err, context.Canceled) || retries != 50 {
		t.Errorf("Subscribe() = %v after %d retries, want context.Canceled after 50", err, retries)
	}
}

func TestBadInput(t *testing.T) {
	f := newFeed(t, 9)
	f.refuse()
	for _, tc := range []struct {
		feed string
		opts retry.Option
		want string
	}{
		{"", nil, `reconnect: invalid feed "": want ws://host/path or wss://host/path`},
		{"http://example.com/feed", nil, `reconnect: invalid feed "http://example.com/feed": want ws://host/path or wss://host/path`},
		{"ws:///feed", nil, `reconnect: invalid feed "ws:///feed": want ws://host/path or wss://host/path`},
		{"ws://host:port", nil, `reconnect: invalid feed: parse "ws://host:port": invalid port ":port" after host`},
		{f.url(), retry.WithMaxAttempts(0), "retry: invalid option: WithMaxAttempts(0): must be at least 1"},
		{f.url(), retry.WithMaxAttempts(1), fmt.Sprintf("retry: gave up after 1 attempt: failed to WebSocket dial: failed to send handshake request: "+
			"Get \"http://%s/feed?after=0\": dial tcp %[1]s: connect: connection refused", f.addr)},
	} {
		if err := Subscribe(limited(t), tc.feed, 0, ignore, tc.opts); err == nil || err.Error() != tc.want {
			t.Errorf("Subscribe(%q) = %v, want %v", tc.feed, err, tc.want)
		}
	}
}
