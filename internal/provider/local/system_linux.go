package local

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/keelway/keelway/internal/fault"
)

const supported = true

// lock lets one maker or remover at a time into the state directory, of this process and of others. The kernel lets go of the
// file when its holder dies. Another process's hold is a Wait: it is short, or its holder is stuck and must not stick us.
func (s *store) lock(ctx context.Context) (unlock func(), err error) {
	if err := alive(ctx); err != nil {
		return nil, err
	}
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, alive(ctx)
	}
	file, err := s.root.OpenFile("lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		<-s.turn
		return nil, diskFault(err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		file.Close()
		<-s.turn
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, busy()
		}
		return nil, diskFault(err)
	}
	return func() { file.Close(); <-s.turn }, nil
}

// endProcesses sends TERM, or KILL, to every process whose environment holds exactly this entry, and returns how many there
// were. A process that ended but was not waited for has no environment and does not count.
func endProcesses(entry string, kill bool) (left int, err error) {
	pids, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	signal := unix.SIGTERM
	if kill {
		signal = unix.SIGKILL
	}
	for _, dir := range pids {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil || pid <= 1 || pid == os.Getpid() {
			continue
		}
		matched, err := signalMatching(pid, entry, signal)
		if err != nil {
			return left, fault.New(fault.Retry, fault.ReasonTransient, "process %d: %w", pid, err)
		}
		if matched {
			left++
		}
	}
	return left, nil
}

// signalMatching holds on to the process before it looks at it: a number that is used again meanwhile never meets our signal.
func signalMatching(pid int, entry string, signal unix.Signal) (bool, error) {
	if !hasEntry(pid, entry) {
		return false, nil
	}
	handle, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
		return false, nil // it ended, or the number is a thread's by now
	}
	if err != nil {
		return false, err
	}
	defer unix.Close(handle)
	if !hasEntry(pid, entry) {
		return false, nil
	}
	err = unix.PidfdSendSignal(handle, signal, nil, 0)
	if errors.Is(err, unix.ESRCH) {
		return false, nil
	}
	return true, err
}

// hasEntry reads an environment as the process began with it. What cannot be read (another user's process) is not ours.
func hasEntry(pid int, entry string) bool {
	environ, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
	if err != nil {
		return false
	}
	for one := range bytes.SplitSeq(environ, []byte{0}) {
		if string(one) == entry {
			return true
		}
	}
	return false
}
