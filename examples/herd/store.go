package main

import "errors"

// A store is a server that holds one value under optimistic concurrency: a write
// names the version that its writer has read, and conflicts if there is a newer
// one.
type store struct {
	version int
	writes  int // calls, the conflicts among them
}

var errConflict = errors.New("conflict: the version read is not the latest")

func (s *store) read() (version int) { return s.version }

func (s *store) write(version int) error {
	s.writes++
	if version != s.version {
		return errConflict
	}
	s.version++
	return nil
}
