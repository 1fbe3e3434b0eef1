// Command keelway sees, checks and steers Keelway's workflows; installed as kubectl-keelway it is a plug-in of kubectl. It must hold
// no logic of its own: its verbs live in internal/cli.
package main

import (
	"os"

	"github.com/keelway/keelway/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args, cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Getenv}))
}
