package lab

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
)

// Canary returns a value to plant where a secret belongs. When the test has ended it must appear in no object of ours in the
// namespace, in no event and in no log of the namespace's managers, neither as it is nor in base64.
func (l *Lab) Canary(t testing.TB, namespace string) string {
	t.Helper()
	ns, value := l.namespace(t, namespace), "canary-"+rand.Text()
	l.mu.Lock()
	defer l.mu.Unlock()
	ns.canaries = append(ns.canaries, value)
	return value
}

// Scan looks for the namespace's canaries in something that the lab does not know of, such as a process's arguments.
func (l *Lab) Scan(t testing.TB, namespace, where, text string) {
	t.Helper()
	l.namespace(t, namespace).scan(t, where, text)
}

func (n *namespace) scan(t testing.TB, where string, what any) {
	t.Helper()
	text, isText := what.(string)
	if !isText {
		data, err := json.Marshal(what)
		if err != nil {
			t.Errorf("lab: reading %s: %v", where, err)
			return
		}
		text = string(data)
	}
	for _, canary := range n.canaries {
		for _, form := range forms(canary) {
			if strings.Contains(text, form) {
				t.Errorf("lab: %s shows a secret", where)
			}
		}
	}
}

// forms of a secret: itself, and what is the same in base64 wherever in a longer text the secret begins.
func forms(secret string) []string {
	out := []string{secret}
	for shift := range 3 {
		encoded := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + secret))
		out = append(out, encoded[4:len(encoded)-4]) // the ends depend on the neighbours
	}
	return out
}
