package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
)

// processes are servers of the driver Process: directories and processes of this machine.
type processes struct{ state string }

func (p *processes) prepare(context.Context, io.Writer) error {
	if runtime.GOOS != "linux" {
		return errors.New("the driver Process needs Linux: it finds a server's processes in /proc")
	}
	return nil
}

func (p *processes) settle(string) error { return nil }

func (p *processes) introduction() string {
	return "The servers are directories and processes on this machine (driver Process), which isolates nothing. At the end all is torn down."
}

func (p *processes) mirrorHost(context.Context) (string, error) { return "127.0.0.1", nil }

func (p *processes) flags() []string {
	return []string{"--local-drivers=Process", "--state-dir=" + p.state}
}

func (p *processes) provider(root string) (string, error) {
	text, err := os.ReadFile(filepath.Join(root, "examples", "demo", "provider.yaml"))
	return string(text), err
}

func (p *processes) homes() []string       { return serverDirs(p.state) }
func (p *processes) noun() string          { return "server directories" }
func (p *processes) residents() []resident { return residents(p.state) }
func (p *processes) tour() string          { return "ls " + p.state + "/servers/*/*" }
func (p *processes) clear() error          { return nil } // the home does it, and the guard

// daemon reads the recipe's pid file, which names process id, start time and boot. Both numbers are shown: an id that was used
// again would fool nobody.
func (p *processes) daemon(access *v1alpha1.ServerAccess) string {
	text, err := os.ReadFile(filepath.Join(access.Target, "run", "etcd.pid"))
	fields := strings.Fields(string(text))
	if err != nil || len(fields) < 2 {
		return ""
	}
	return fmt.Sprintf("pid %s (started at tick %s)", fields[0], fields[1])
}

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
