package main

import (
	"context"

	"example.com/retry"
)

// A writer is a client that changes the value of a store once, however often it
// has to try.
type writer struct {
	net    *network
	store  *store
	policy retry.Option
}

func (w *writer) run() {
	err := retry.Do(context.Background(), func(context.Context) error {
		w.net.hop()
		version := w.store.read()
		w.net.hop()

		w.net.hop()
		err := w.store.write(version)
		w.net.hop()
		return err
	}, w.policy)
	if err != nil {
		panic(err) // it tries until it succeeds
	}
}
