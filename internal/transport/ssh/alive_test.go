package ssh

import (
	"crypto/ed25519"
	"crypto/rand"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"
)

// TestSignsOfLife, in time that passes by itself: a connection whose other side falls silent is given up after four signs that were
// asked for, and one that answers stays for as long as it does.
func TestSignsOfLife(t *testing.T) {
	for name, answers := range map[string]bool{"silent": false, "answers": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := pair(t, answers)
				l := &line{client: client}
				begun := time.Now()
				gone := make(chan time.Duration)
				go func() {
					l.watch(client)
					gone <- time.Since(begun)
				}()
				if answers {
					time.Sleep(time.Hour)
					if l.client == nil {
						t.Error("it answers and was given up")
					}
					_ = client.Close()
					<-gone
				} else if took := <-gone; took != (1+aliveMisses)*aliveEvery || l.client != nil {
					t.Errorf("given up after %s, and still used: %v", took, l.client != nil)
				}
			})
		})
	}
}

// buffered lets both sides write at once, as a network does and a pipe does not.
type buffered struct {
	net.Conn
	out  chan []byte
	done chan struct{}
}

func buffer(conn net.Conn, done chan struct{}) buffered {
	b := buffered{Conn: conn, out: make(chan []byte, 100), done: done}
	go func() {
		for {
			select {
			case text := <-b.out:
				_, _ = conn.Write(text)
			case <-done:
				return
			}
		}
	}()
	return b
}

func (b buffered) Write(text []byte) (int, error) {
	select {
	case b.out <- slices.Clone(text):
		return len(text), nil
	case <-b.done:
		return 0, net.ErrClosed
	}
}

// pair is a connection to a server that has logged the client in, and from then on answers requests or is silent.
func pair(t *testing.T, answers bool) *ssh.Client {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	config := &ssh.ServerConfig{NoClientAuth: true}
	config.AddHostKey(signer)
	a, b := net.Pipe()
	done := make(chan struct{})
	here, there := buffer(a, done), buffer(b, done)
	go func() {
		_, channels, requests, err := ssh.NewServerConn(there, config)
		if err != nil {
			return
		}
		go func() {
			for range channels {
			}
		}()
		if answers {
			ssh.DiscardRequests(requests)
		}
	}()
	conn, channels, requests, err := ssh.NewClientConn(here, "machine", &ssh.ClientConfig{HostKeyCallback: ssh.FixedHostKey(signer.PublicKey())})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = here.Close(), there.Close()
		close(done)
	})
	return ssh.NewClient(conn, channels, requests)
}
