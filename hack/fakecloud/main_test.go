package main

import (
	"context"
	"net/http"
	"strings"
	"testing"
)

func TestServeOnLoopbackOnly(t *testing.T) {
	clouds := map[string]http.Handler{"ec2": http.NotFoundHandler(), "none": http.NotFoundHandler()}
	for address, want := range map[string]string{
		"0.0.0.0:0": "no loopback", "192.0.2.1:80": "no loopback", "localhost:0": "no loopback", ":0": "no loopback", "127.0.0.1": "port", "127.0.0.1:0": "",
	} {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		none := ""
		err := serve(ctx, map[string]*string{"ec2": &address, "none": &none}, clouds)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", address, err)
		}
	}
}
