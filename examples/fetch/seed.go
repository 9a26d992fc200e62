package main

import (
	"hash/fnv"
	"io"
	"math/rand/v2"
)

// source returns a generator of its own for each seed and name, so that what one
// document draws does not depend on what the others did before.
func source(seed uint64, name string) rand.Source {
	h := fnv.New64a()
	io.WriteString(h, name)
	return rand.NewPCG(seed, h.Sum64())
}
