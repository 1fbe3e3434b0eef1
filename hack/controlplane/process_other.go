//go:build !linux

package controlplane

import "syscall"

// dieWithParent does nothing: only Linux has a death signal. Elsewhere a SIGKILLed parent leaves its children running.
func dieWithParent(*syscall.SysProcAttr) {}
