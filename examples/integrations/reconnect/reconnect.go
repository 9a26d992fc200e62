// Package reconnect follows a feed over WebSocket until its context is done. When the
// connection is lost, it connects again, waits longer after each failure, and resumes after
// the last message that it handled.
//
// To use it, copy this file into your program, and adapt Message and the query parameter
// "after" to your feed.
package reconnect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"example.com/retry"
	"github.com/coder/websocket"
)

// A Message is one message of the feed. IDs increase from message to message.
type Message struct {
	ID   int64  `json:"id"`
	Text string `json:"text"`
}

// policy retries without a limit on the attempts. It has no budget, because a budget would
// end the loop in a long outage.
var policy = retry.Policy(
	retry.WithMaxAttempts(retry.Unlimited),
	retry.WithMaxRetryAfter(time.Hour), // the longest pause that the server may ask for
	retry.WithBackoff(retry.Exponential{Base: 250 * time.Millisecond, Max: 30 * time.Second}),
)

// client limits the duration of the handshake, but not of the connection. If the peer
// vanishes later, TCP keep-alive, which net/http turns on, ends the connection after a few
// minutes.
var client = &http.Client{Timeout: 10 * time.Second}

// Subscribe calls handle for each message of the feed with an ID greater than after, in
// order and once each. The options, such as [retry.WithLogger], apply to the reconnects.
//
// Subscribe returns nil when the server closes the connection normally. It returns an error
// if ctx is done, if handle returns an error, if a message is too big or is not JSON, if the
// server refuses the subscription with a status that is not worth a retry, such as 403, or if
// the server asks for a pause of more than an hour.
func Subscribe(ctx context.Context, feed string, after int64, handle func(Message) error, opts ...retry.Option) error {
	u, err := url.Parse(feed)
	if err != nil {
		return fmt.Errorf("reconnect: invalid feed: %w", err)
	}
	if u.Scheme != "ws" && u.Scheme != "wss" || u.Host == "" {
		return fmt.Errorf("reconnect: invalid feed %q: want ws://host/path or wss://host/path", feed)
	}
	s := &subscription{feed: u, last: after, handle: handle}
	return retry.Do(ctx, s.connect, policy, retry.Policy(opts...))
}

type subscription struct {
	feed   *url.URL
	last   int64 // the ID of the last message that was handled
	handle func(Message) error
}

// connect makes one connection and reads messages until it ends.
func (s *subscription) connect(ctx context.Context) error {
	before := s.last
	err := s.read(ctx)
	if s.last > before {
		// Only messages count as progress. If a handshake counted, a server that accepts
		// and drops connections would see no backoff.
		return retry.Restart(err)
	}
	return err
}

func (s *subscription) read(ctx context.Context) error {
	u := *s.feed
	query := u.Query()
	query.Set("after", strconv.FormatInt(s.last, 10))
	u.RawQuery = query.Encode()
	conn, resp, err := websocket.Dial(ctx, u.String(), &websocket.DialOptions{HTTPClient: client})
	if err != nil {
		return refusal(resp, err)
	}
	defer conn.CloseNow()
	for {
		_, data, err := conn.Read(ctx)
		switch {
		case websocket.CloseStatus(err) == websocket.StatusNormalClosure:
			return nil
		case errors.Is(err, websocket.ErrMessageTooBig):
			return retry.Permanent(fmt.Errorf("message after %d: %w", s.last, err))
		case err != nil:
			return err
		}
		if err := s.receive(data); err != nil {
			return retry.Permanent(err) // the next connection would begin with the same message
		}
	}
}

// receive handles the message in data, unless an earlier connection delivered it.
func (s *subscription) receive(data []byte) error {
	var m Message
	if err := json.Unmarshal(data, &m); err != nil {
		return fmt.Errorf("message after %d: %w", s.last, err)
	}
	if m.ID <= s.last {
		return nil
	}
	if err := s.handle(m); err != nil {
		return fmt.Errorf("message %d: %w", m.ID, err)
	}
	s.last = m.ID
	return nil
}

// refusal marks err, an error of Dial, with what resp says about retrying. resp may be
// nil.
func refusal(resp *http.Response, err error) error {
	if resp == nil {
		return err
	}
	if resp.StatusCode < 500 && resp.StatusCode != http.StatusRequestTimeout && resp.StatusCode != http.StatusTooManyRequests {
		return retry.Permanent(err)
	}
	if d, ok := retry.ParseRetryAfter(resp.Header.Get("Retry-After"), time.Now()); ok {
		return retry.After(err, d)
	}
	return err
}
