package main

import "math"

// A sample has one value from each run.
type sample []float64

func (s sample) mean() float64 {
	sum := 0.0
	for _, v := range s {
		sum += v
	}
	return sum / float64(len(s))
}

// se is the standard error of the mean.
func (s sample) se() float64 {
	mean, squares := s.mean(), 0.0
	for _, v := range s {
		squares += (v - mean) * (v - mean)
	}
	n := float64(len(s))
	return math.Sqrt(squares / (n - 1) / n)
}
