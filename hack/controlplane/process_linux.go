package controlplane

import "syscall"

// dieWithParent has the kernel kill the child when the thread that started it ends, and so when this process does.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
