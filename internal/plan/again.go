package plan

import (
	"fmt"

	"github.com/keelway/keelway/api/v1alpha1"
)

// stirred says why an instance has to be done again that is wanted as it was: a server that it is done on is made anew, or, for a check,
// something changes that it comes after. An edge that joins all instances puts each of them before it, one that is added too; one that
// joins them by key only its own partner. "" where there is nothing of the kind.
func (f *forecaster) stirred(k, n int) string {
	op := &f.w.ops[k]
	if target := op.target(); target != nil && target.Operation != "" {
		if f.renewed(f.w.index[target.Operation], op, target.Key, n) {
			return fmt.Sprintf("done again because its server is made anew by %q", target.Operation)
		}
	}
	if op.Type != v1alpha1.OperationCheck {
		return ""
	}
	if f.stirs[k] >= 0 {
		return askedAgain(&f.w.ops[f.stirs[k]], "which it comes after")
	}
	for _, edge := range op.joins {
		if partner := edge.partner[n]; partner >= 0 && f.fates[partner].Do != DeedNone {
			return askedAgain(&f.w.ops[edge.op], "which it comes after")
		}
	}
	return ""
}

// askedAgain says because of which operation, and where that stands.
func askedAgain(op *operation, where string) string {
	return fmt.Sprintf("asked again because %q changes, %s", op.Name, where)
}

// renewed reports whether a server that the n-th instance is on is made anew.
func (f *forecaster) renewed(k int, op *operation, key string, n int) bool {
	servers := &f.w.ops[k]
	made := func(m int) bool {
		do := f.fates[servers.first+m].Do
		return do == DeedCreate || do == DeedReplace
	}
	if key == "" && (op.child != KindTaskService || op.each()) {
		return made(n % servers.count)
	}
	for m := range servers.count {
		if (key == "" || key == servers.key(m)) && made(m) {
			return true
		}
	}
	return false
}
