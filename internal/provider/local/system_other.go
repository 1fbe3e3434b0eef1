//go:build !linux

package local

import (
	"context"

	"github.com/keelway/keelway/internal/fault"
)

const supported = false

func (s *store) lock(context.Context) (func(), error) {
	return nil, fault.New(fault.Terminal, fault.ReasonNotAllowed, "the Process driver needs Linux")
}

func endProcesses(string, bool) (int, error) { return 0, nil }
