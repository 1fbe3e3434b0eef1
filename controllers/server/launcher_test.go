package server

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/provider"
)

// TestAnAnswerIsOfOneLaunch: the answer of a launch is for who has that launch on record. A member whose machine a look found never takes
// it; when that machine has been replaced, by a launch of its own, it is not the answer to that.
func TestAnAnswerIsOfOneLaunch(t *testing.T) {
	tests := map[string]struct {
		reason   string
		recorded string
		kept     bool
	}{
		"its own launch": {"a visit that was cut off before takes the answer now", "first", true},
		"a later launch": {"the machine of the answer has ended", "second", false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLauncher(time.Now, func(types.NamespacedName) {})
			answered := &launch{pool: pool{"account", "shape"}, token: "first", sent: true, members: []member{{key: "k"}, {key: "other"}},
				made: map[plan.Key]provider.Instance{"k": {ID: "i-1"}}}
			l.launches["k"] = answered
			at := l.join(pool{"account", "shape"}, member{key: "k", previous: tc.recorded})
			if got := at.launch == answered; got != tc.kept || (l.launches["k"] == answered) != tc.kept {
				t.Errorf("%s: gets the answer: %v", tc.reason, got)
			}
		})
	}
}

// TestALoneCallGoesOutAgainAlone: whose call is of unknown outcome does not gather before it is sent again, but once.
func TestALoneCallGoesOutAgainAlone(t *testing.T) {
	l := newLauncher(time.Now, func(types.NamespacedName) {})
	l.gather = time.Hour
	p, m := pool{"account", "shape"}, member{key: "k"}
	if at := l.join(p, m); at.alone || at.launch != nil {
		t.Fatalf("who comes first gathers: %+v", at)
	}
	l.form(p)
	if at := l.join(p, m); !at.alone {
		t.Fatalf("nobody else came: %+v", at)
	}
	l.again(m.key)
	if at := l.join(p, m); !at.alone {
		t.Errorf("it gathers once more: %+v", at)
	}
	if at := l.join(p, m); at.alone {
		t.Errorf("after that call it is as everybody: %+v", at)
	}
}
