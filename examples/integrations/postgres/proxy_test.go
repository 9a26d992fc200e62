//go:build unix

package postgres

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
)

// A proxy passes connections on to the server. The first time that a client sends trigger,
// fault takes over the connection.
type proxy struct {
	net.Listener
	trigger string
	fault   func(client, server net.Conn, sent []byte)
	once    sync.Once
}

func newProxy(t *testing.T, trigger string, fault func(p *proxy, client, server net.Conn, sent []byte)) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{Listener: l, trigger: trigger}
	p.fault = func(client, server net.Conn, sent []byte) { fault(p, client, server, sent) }
	var connections sync.WaitGroup
	connections.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			connections.Go(func() { p.pass(client) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		connections.Wait()
	})
	return p
}

func (p *proxy) pass(client net.Conn) {
	defer client.Close()
	upstream, err := net.Dial("tcp", server.addr())
	if err != nil {
		return
	}
	defer upstream.Close()
	go func() {
		io.Copy(client, upstream)
		client.Close()
	}()
	buf := make([]byte, 1<<16)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		if bytes.Contains(buf[:n], []byte(p.trigger)) {
			faulty := false
			p.once.Do(func() { faulty = true })
			if faulty {
				p.fault(client, upstream, buf[:n])
				return
			}
		}
		if _, err := upstream.Write(buf[:n]); err != nil {
			return
		}
	}
}
