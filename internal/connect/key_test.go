package connect

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/keelway/keelway/internal/fault"
)

func TestKeys(t *testing.T) {
	private, public, err := NewKey("keelway team/rack")
	if err != nil || !strings.HasPrefix(public, "ssh-ed25519 ") || !strings.HasSuffix(public, " keelway team/rack") {
		t.Fatalf("%q, %v", public, err)
	}
	if again, err := PublicKey(private, "keelway team/rack"); err != nil || again != public {
		t.Errorf("%q, %v", again, err)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte("canary"))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		reason string
		key    []byte
		says   string
	}{
		"passphrase": {"nobody is there to type it", pem.EncodeToMemory(sealed), "has a passphrase"},
		"nonsense":   {"and it is not shown", []byte("canary"), "cannot be read: want PEM or OpenSSH form"},
		"empty":      {"as nonsense", nil, "cannot be read"},
	} {
		_, err := PublicKey(tt.key, "c")
		if !fault.IsTerminal(err) || fault.ReasonOf(err) != fault.ReasonUnauthenticated || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s (%s): %v", name, tt.reason, err)
		}
	}
}
