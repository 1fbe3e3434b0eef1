// Package e2e knows the operator as people run it: the built program with the rights that we ship, a real API server, and a cloud
// that outlives it. It must not know how the operator works inside: it looks at objects, at the cloud and at the audit log.
package e2e
