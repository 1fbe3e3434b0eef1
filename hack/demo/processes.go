package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// resident is a process that lives on a server of ours.
type resident struct {
	pid    int
	server string // KEELWAY_SERVER
	name   string // of its program
}

// residents finds every process that was started on a Process server below a state directory: such a process carries the
// server's root in its environment, whoever its parent is by now. A zombie has no environment and does not count.
func residents(stateDir string) (found []resident) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		environ, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err != nil || pid <= 1 || pid == os.Getpid() {
			continue
		}
		root, server := "", ""
		for one := range bytes.SplitSeq(environ, []byte{0}) {
			if value, ok := strings.CutPrefix(string(one), "KEELWAY_ROOT="); ok {
				root = value
			}
			if value, ok := strings.CutPrefix(string(one), "KEELWAY_SERVER="); ok {
				server = value
			}
		}
		if !strings.HasPrefix(root, stateDir+"/") {
			continue
		}
		name, _ := os.ReadFile(filepath.Join(dir, "comm"))
		found = append(found, resident{pid: pid, server: server, name: strings.TrimSpace(string(name))})
	}
	return found
}

// named are the residents that run a program of that name.
func named(all []resident, name string) (found []resident) {
	return slices.DeleteFunc(slices.Clone(all), func(r resident) bool { return r.name != name })
}

// evict ends every resident: it asks for two seconds, then insists for as long again. It returns who is left.
func evict(stateDir string) []resident {
	for turn := range 40 {
		left := residents(stateDir)
		if len(left) == 0 {
			return nil
		}
		signal := syscall.SIGTERM
		if turn >= 20 {
			signal = syscall.SIGKILL
		}
		for _, r := range left {
			_ = syscall.Kill(r.pid, signal) // it may have ended meanwhile
		}
		time.Sleep(100 * time.Millisecond)
	}
	return residents(stateDir)
}

// serverDirs are the directories of Process servers that exist in a state directory.
func serverDirs(stateDir string) []string {
	dirs, _ := filepath.Glob(filepath.Join(stateDir, "servers", "*"))
	return dirs
}
