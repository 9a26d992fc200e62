package main

import (
	"fmt"
	"io"
	"os"
	"sync"
)

// progress is a line on a terminal that says how far a simulation has come. It is
// safe for concurrent use. On anything but a terminal it shows nothing.
type progress struct {
	terminal io.Writer // nil if there is none
	name     string

	mu      sync.Mutex
	percent int // shown
}

func newProgress(w io.Writer, name string) *progress {
	p := &progress{name: name, percent: -1}
	if f, ok := w.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			p.terminal = w
		}
	}
	return p
}

func (p *progress) show(part float64) {
	if p.terminal == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if percent := int(100 * part); percent > p.percent {
		p.percent = percent
		fmt.Fprintf(p.terminal, "\r%s: %d%%", p.name, percent)
	}
}

// clear takes the line away.
func (p *progress) clear() {
	if p.terminal != nil {
		fmt.Fprint(p.terminal, "\r\x1b[K")
	}
}
