package main

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
)

// source returns the randomness of one part of one run. Each has its own, derived
// from the seed and the part's name, so that runs may be made in any order and
// side by side, and that a change to one part leaves the others alone.
func source(seed uint64, part ...any) rand.Source {
	return rand.NewChaCha8(sha256.Sum256(fmt.Appendln(nil, append([]any{seed}, part...)...)))
}
