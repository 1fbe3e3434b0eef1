package main

import (
	"cmp"
	"fmt"
)

// settings are what the environment asks for.
type settings struct {
	crash bool // CRASH=1: kill the operator in every phase and start it again
	fail  bool // FAIL=1: publish an etcd that does not run, and expect a clean undo
	keep  bool // KEEP=1: leave everything running until Ctrl-C

	driver string // DRIVER=Process, or Docker: what servers are
}

func readSettings(env func(string) string) (s settings, err error) {
	for name, field := range map[string]*bool{"CRASH": &s.crash, "FAIL": &s.fail, "KEEP": &s.keep} {
		switch value := env(name); value {
		case "", "0":
		case "1":
			*field = true
		default:
			return s, fmt.Errorf("%s=%s means nothing: use %[1]s=1", name, value)
		}
	}
	switch s.driver = cmp.Or(env("DRIVER"), "Process"); s.driver {
	case "Process", "Docker":
		return s, nil
	}
	return s, fmt.Errorf("DRIVER=%s means nothing: use DRIVER=Process or DRIVER=Docker", s.driver)
}
