// Command fakecloud serves simulated clouds on loopback addresses, for the real SDKs: go run ./hack/fakecloud.
//
// Each cloud has an address of its own, where it also has faults that can be ordered by name, a log of all calls and a clock; see
// faults.Stage.Handler. Machines are entries: nothing is run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/keelway/keelway/hack/fakecloud/ec2"
	"github.com/keelway/keelway/hack/fakecloud/upcloud"
)

func main() {
	speed := flag.Float64("speed", 1, "how fast the clouds' time runs: at 60, what takes a minute takes a second")
	lag := flag.Duration("lag", time.Second, "for how long EC2 does not show a new machine, by its own time")
	at := map[string]*string{
		"ec2":     flag.String("ec2", "127.0.0.1:9301", "the address of EC2 with what belongs to it; empty: not served"),
		"upcloud": flag.String("upcloud", "127.0.0.1:9302", "the address of UpCloud; empty: not served"),
	}
	flag.Parse()
	clouds := map[string]http.Handler{
		"ec2":     ec2.New(ec2.Options{Speed: *speed, Lag: *lag}).Handler(),
		"upcloud": upcloud.New(upcloud.Options{Speed: *speed}).Handler(),
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, at, clouds); err != nil {
		fmt.Fprintln(os.Stderr, "fakecloud:", err)
		os.Exit(1)
	}
}

// serve runs until the context ends, and prints the URL of each cloud once it answers there.
func serve(ctx context.Context, at map[string]*string, clouds map[string]http.Handler) error {
	var servers []*http.Server
	var all sync.WaitGroup
	failed := make(chan error, len(clouds))
	for name, cloud := range clouds {
		if *at[name] == "" {
			continue
		}
		listener, err := listen(*at[name])
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		server := &http.Server{Handler: cloud, ReadHeaderTimeout: 10 * time.Second}
		servers = append(servers, server)
		fmt.Printf("%s http://%s\n", name, listener.Addr())
		all.Go(func() {
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("%s: %w", name, err)
			}
		})
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	for _, server := range servers {
		_ = server.Close()
	}
	all.Wait()
	return err
}

// listen refuses every address that another machine could reach: the clouds' own interface has no authentication.
func listen(address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if ip, err := netip.ParseAddr(host); err != nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("%s is no loopback address", address)
	}
	return net.Listen("tcp", address)
}
