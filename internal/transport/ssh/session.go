package ssh

import (
	"context"
	"encoding/binary"
	"errors"

	"golang.org/x/crypto/ssh"
)

// session is a channel on which one command runs. The library's own Session ends only when the last daemon has let go of the output;
// this one tells of the command's end when the server does.
type session struct {
	ssh.Channel
	exited chan exit     // one value, once
	closed chan struct{} // closed when the server has let go of it too
}

// exit is how a command ended.
type exit struct {
	code int
	err  error
}

var errNoExit = errors.New("the server did not say how it ended")

// open does not wait longer than ctx for a machine that went silent.
func open(ctx context.Context, client *ssh.Client) (*session, error) {
	type answer struct {
		channel  ssh.Channel
		requests <-chan *ssh.Request
		err      error
	}
	got := make(chan answer, 1)
	go func() {
		channel, requests, err := client.OpenChannel("session", nil)
		got <- answer{channel, requests, err}
	}()
	select {
	case a := <-got:
		if a.err != nil {
			return nil, a.err
		}
		s := &session{Channel: a.channel, exited: make(chan exit, 1), closed: make(chan struct{})}
		go s.listen(a.requests)
		return s, nil
	case <-ctx.Done():
		go func() {
			if a := <-got; a.err == nil {
				go ssh.DiscardRequests(a.requests)
				_ = a.channel.Close()
			}
		}()
		return nil, ctx.Err()
	}
}

// listen waits for the word on the command's end (RFC 4254, 6.10).
func (s *session) listen(requests <-chan *ssh.Request) {
	defer close(s.closed)
	told := false
	tell := func(e exit) {
		if !told {
			told = true
			s.exited <- e
		}
	}
	for request := range requests {
		switch request.Type {
		case "exit-status":
			if len(request.Payload) >= 4 {
				tell(exit{code: int(binary.BigEndian.Uint32(request.Payload) & 0xff)})
			}
		case "exit-signal":
			var by struct {
				Signal string
				Core   bool
				Error  string
				Lang   string
			}
			_ = ssh.Unmarshal(request.Payload, &by)
			tell(exit{code: 128 + signals[by.Signal]})
		}
		if request.WantReply {
			_ = request.Reply(false, nil)
		}
	}
	tell(exit{err: errNoExit})
}

// run asks the server to run a line in the user's login shell.
func (s *session) run(line string) error {
	accepted, err := s.SendRequest("exec", true, ssh.Marshal(struct{ Line string }{line}))
	if err == nil && !accepted {
		err = errors.New("the server runs no commands for this user")
	}
	return err
}

// signals by the names of RFC 4254.
var signals = map[string]int{
	"ABRT": 6, "ALRM": 14, "FPE": 8, "HUP": 1, "ILL": 4, "INT": 2, "KILL": 9, "PIPE": 13, "QUIT": 3, "SEGV": 11, "TERM": 15, "USR1": 10, "USR2": 12,
}
