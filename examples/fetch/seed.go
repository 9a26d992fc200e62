package main

import (
	"hash/fnv"
	"io"
	"math/rand/v2"
)

// source returns a generator that depends only on seed and name, so that the numbers for
// one document do not depend on the other documents.
func source(seed uint64, name string) rand.Source {
	h := fnv.New64a()
	io.WriteString(h, name)
	return rand.NewPCG(seed, h.Sum64())
}
