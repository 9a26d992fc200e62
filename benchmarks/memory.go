package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// bytesPerCall is the memory that BenchmarkMillion needs for each call: for its
// goroutine, its timer, and the record of each allocation.
const bytesPerCall = 6 << 10

// crowdSize returns how many calls BenchmarkMillion makes: a million, or fewer if half
// of the available memory is not enough for a million.
func crowdSize(available int) int {
	return min(1_000_000, available/2/bytesPerCall)
}

// availableMemory returns how many bytes the machine, and the control group if
// there is one, can still give to a process. On systems other than Linux, it returns
// a gibibyte.
func availableMemory() int {
	available := 1 << 30
	meminfo, _ := os.ReadFile("/proc/meminfo")
	for lines := bufio.NewScanner(bytes.NewReader(meminfo)); lines.Scan(); {
		var kib int
		if n, _ := fmt.Sscanf(lines.Text(), "MemAvailable: %d kB", &kib); n == 1 {
			available = kib << 10
		}
	}
	limit, err1 := readInt("/sys/fs/cgroup/memory.max")
	used, err2 := readInt("/sys/fs/cgroup/memory.current")
	if err1 == nil && err2 == nil {
		available = min(available, limit-used)
	}
	return available
}

// readInt returns the number in a file, or an error if the file contains anything else.
func readInt(file string) (int, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}
