package main

import "time"

// perSecond counts what happens in each second of a world.
type perSecond []int

func (p *perSecond) count(at time.Duration) {
	second := int(at / time.Second)
	for len(*p) <= second {
		*p = append(*p, 0)
	}
	(*p)[second]++
}

// sum counts what happened in w, which begins and ends with full seconds.
func (p perSecond) sum(w window) int {
	n := 0
	for second := w.from; second < w.to && int(second/time.Second) < len(p); second += time.Second {
		n += p[second/time.Second]
	}
	return n
}
