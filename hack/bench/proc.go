package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// hertz is the unit of times in /proc, the same on every Linux that Go runs on.
const hertz = 100

// processorTime is what a process and its ended children used so far; 0 when it is gone.
func processorTime(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:])) // the name may hold anything
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * time.Second / hertz
}

// machineTime is what all processes used so far, this machine's virtual processors' stolen time included.
func machineTime() (busy time.Duration) {
	text, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(text), "\n")
	for i, field := range strings.Fields(line) {
		if i == 0 || i == 4 || i == 5 || i > 8 { // the label, idle, waiting for disks, and guests that are counted twice
			continue
		}
		n, _ := strconv.ParseInt(field, 10, 64)
		busy += time.Duration(n) * time.Second / hertz
	}
	return busy
}

// statusMiB reads a line of /proc/PID/status that is given in kB.
func statusMiB(pid int, name string) float64 {
	return fieldMiB(fmt.Sprintf("/proc/%d/status", pid), name)
}

func fieldMiB(path, name string) float64 {
	text, _ := os.ReadFile(path)
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			n, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
			return n / 1024
		}
	}
	return 0
}

// forgetPeak makes VmHWM count from now.
func forgetPeak(pid int) { _ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0) }

// machine is what the measurements were made on.
type machine struct {
	processors int
	model      string
	memory     float64 // MiB available at the beginning
	needed     int     // MiB
	busy       float64 // processors that others kept busy while we did nothing
	load       string
}

// lookAround describes the machine, and watches for a second and a half what others do on it.
func lookAround(chosen []load) (machine, error) {
	if runtime.GOOS != "linux" {
		return machine{}, errors.New("processes are measured by /proc: this needs Linux")
	}
	m := machine{processors: runtime.NumCPU(), memory: fieldMiB("/proc/meminfo", "MemAvailable"), model: "unknown processor"}
	for _, l := range chosen {
		m.needed = max(m.needed, l.memoryMiB)
	}
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			m.model = strings.TrimSpace(strings.TrimLeft(name, "\t :"))
			break
		}
	}
	began, before := time.Now(), machineTime()
	time.Sleep(1500 * time.Millisecond)
	m.busy = (machineTime() - before).Seconds() / time.Since(began).Seconds()
	average, _ := os.ReadFile("/proc/loadavg")
	m.load = strings.Join(strings.Fields(string(average))[:3], " ")
	return m, nil
}

// quiet is how much of a processor others may use before numbers mean little.
const quiet = 0.25

// fit refuses a machine on which no number would mean anything.
func (m machine) fit() error {
	switch {
	case m.memory < float64(m.needed):
		return fmt.Errorf("the chosen loads need %d MiB of memory, and %.0f MiB are available: choose smaller ones by --only", m.needed, m.memory)
	case m.busy > quiet:
		return fmt.Errorf("others keep %.2f processors busy (load %s): a number measured now would be about them. Try again when it is quiet, or use --force", m.busy, m.load)
	}
	return nil
}
