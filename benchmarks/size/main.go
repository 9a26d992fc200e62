// Command size is a service that uses net/http and log/slog. It is built with the name of
// a library as its build tag, and without a tag, to measure what the library adds.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"
)

//lint:file-ignore U1000 The constants are for the files of the libraries.

// Every library is configured with these values. It must not retry errPermanent, and it
// must stop when ctx is done.
const (
	attempts = 5
	base     = 100 * time.Millisecond
	limit    = 5 * time.Second
)

var errPermanent = errors.New("not worth a retry")

// The file of a library replaces call, or client if the library is for HTTP only.
var client = http.DefaultClient

var call = func(ctx context.Context, fn func(context.Context) error) error { return fn(ctx) }

func main() {
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stderr, nil)))
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		err := call(r.Context(), func(ctx context.Context) error { return fetch(ctx, w) })
		if err != nil {
			slog.Error("fetch", "err", err)
			http.Error(w, err.Error(), http.StatusBadGateway)
		}
	})
	slog.Error("serve", "err", http.ListenAndServe("localhost:8080", nil))
}

func fetch(ctx context.Context, w io.Writer) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, os.Getenv("UPSTREAM"), nil)
	if err != nil {
		return fmt.Errorf("%w: %w", errPermanent, err)
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(w, response.Body)
	return err
}
