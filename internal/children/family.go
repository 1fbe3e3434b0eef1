package children

import (
	"iter"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Len returns how many children there are.
func (f Family) Len() int { return len(f.Servers) + len(f.TaskServices) + len(f.Runs) }

// All goes through the children of every kind, in no order.
func (f Family) All() iter.Seq[client.Object] {
	return func(yield func(client.Object) bool) {
		for _, o := range f.Servers {
			if !yield(o) {
				return
			}
		}
		for _, o := range f.TaskServices {
			if !yield(o) {
				return
			}
		}
		for _, o := range f.Runs {
			if !yield(o) {
				return
			}
		}
	}
}
