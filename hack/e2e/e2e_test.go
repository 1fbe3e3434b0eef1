package e2e

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/keelway/keelway/hack/lab"
)

// root is the checkout that the test runs in.
const root = "../.."

// account is whom the operator is for the API server: the service account of config/rbac, and so with its rights alone.
const account = "system:serviceaccount:keelway-system:keelway-manager"

// together is how many tests run at once: they wait most of the time, for clouds and leases, and need little of a processor.
const together = "6"

func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		_ = f.Value.Set(together) // a number is always admitted
	}
	lab.Main(m)
}

// long says whether the long form is wanted: KEELWAY_LONG=1, as make e2e sets it.
func long() bool { return os.Getenv("KEELWAY_LONG") == "1" }

// pick chooses between the short form of a number and the long one.
func pick[T any](short, longer T) T {
	if long() {
		return longer
	}
	return short
}

// dice returns the test's own random numbers. KEELWAY_SEED=n repeats what a failed test did.
func dice(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("KEELWAY_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("KEELWAY_SEED: %v", err)
		}
	}
	t.Logf("KEELWAY_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// installation is what all tests share besides the control plane: the program, its rights and its way to the API server.
type installation struct {
	binary, kubeconfig string
	env                []string // more of it for the operator
}

var installed struct {
	once sync.Once
	installation
	err error
}

// install builds the operator once into the lab's own directory, which goes with the lab, and applies the rights that we ship.
func install(t *testing.T, l *lab.Lab) installation {
	t.Helper()
	installed.once.Do(func() { installed.installation, installed.err = prepare(l) })
	if installed.err != nil {
		t.Fatalf("installing the operator: %v", installed.err)
	}
	return installed.installation
}

func prepare(l *lab.Lab) (i installation, err error) {
	i.binary = filepath.Join(l.Dir(), "manager")
	build := exec.Command("go", "build", "-o", i.binary, "./cmd/manager")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return i, fmt.Errorf("building it: %w\n%s", err, out)
	}
	for _, args := range [][]string{
		{"apply", "--server-side", "-f", filepath.Join(root, "config", "default", "namespace.yaml")},
		{"apply", "--server-side", "-k", filepath.Join(root, "config", "rbac")},
	} {
		if _, err := l.ControlPlane.Kubectl(tidying(), nil, args...); err != nil {
			return i, err
		}
	}
	i.kubeconfig, err = l.KubeconfigFor(account, "system:serviceaccounts", "system:serviceaccounts:keelway-system")
	return i, err
}
