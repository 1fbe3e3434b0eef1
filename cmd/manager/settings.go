package main

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"

	providers "github.com/keelway/keelway/internal/provider/all"
)

// settings are everything that an installation decides about its operator.
type settings struct {
	metrics, health string
	profiles        string
	leaderElect     bool
	leaseNamespace  string
	watchNamespace  string
	installation    string
	workers         int
	logFormat       string
	localDrivers    []string
	checkAllow      []netip.Prefix
	endpointAllow   []string
	stateDir        string
	dockerHost      string
	version         bool

	ambientNamespaces []string
	simulateMachines  bool
}

// parseSettings reads flags, and for those that are not given the file named by --config: the same names without dashes.
func parseSettings(args []string) (settings, error) {
	var s settings
	var admitted, allow, endpoints, ambient, file string
	flags := flag.NewFlagSet("manager", flag.ContinueOnError)
	flags.StringVar(&s.metrics, "metrics-bind-address", "0", "address of the metrics endpoint; 0: none")
	flags.StringVar(&s.health, "health-probe-bind-address", "0", "address of /healthz and /readyz; 0: none")
	flags.StringVar(&s.profiles, "pprof-bind-address", "0", "address of Go's profiles; 0: none")
	flags.BoolVar(&s.leaderElect, "leader-elect", false, "let one of several replicas act")
	flags.StringVar(&s.leaseNamespace, "leader-elect-namespace", "", "namespace of the lease; default: the operator's own")
	flags.StringVar(&s.watchNamespace, "watch-namespace", "", "look at this namespace only; default: all")
	flags.StringVar(&s.installation, "installation-id", "", "what machines are labelled with; give a cluster that was rebuilt the former one; default: the UID of the namespace kube-system")
	flags.IntVar(&s.workers, "workers", 8, "objects of a kind that are worked on at once")
	flags.StringVar(&s.logFormat, "log-format", "text", "text or json")
	flags.StringVar(&admitted, "local-drivers", "", "drivers of local Providers that are admitted, comma-separated: Process (isolates nothing), Memory, Docker, Host; default: none")
	flags.StringVar(&allow, "check-allow", "", "networks that checks without a target may reach from the operator, comma-separated: 10.0.0.0/8,…; default: none")
	flags.StringVar(&endpoints, "endpoint-allow", "", "addresses that the endpoint of a cloud may have besides public ones: hosts, host:port or networks, comma-separated; default: none")
	flags.StringVar(&ambient, "aws-ambient-namespaces", "", "namespaces whose Providers of type AWS may act with the operator's own credentials, comma-separated; *: all; default: none")
	flags.BoolVar(&s.simulateMachines, "simulate-machines", false, "run nothing on machines of clouds with an endpoint of their own: for simulated clouds")
	flags.StringVar(&s.stateDir, "state-dir", defaultStateDir(), "where the driver Process keeps its servers")
	flags.StringVar(&s.dockerHost, "docker-host", "unix:///var/run/docker.sock", "address of the Docker Engine that the driver Docker uses")
	flags.StringVar(&file, "config", "", "YAML file with any of these settings")
	flags.BoolVar(&s.version, "version", false, "print the version and end")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if flags.NArg() > 0 {
		return s, fmt.Errorf("unexpected argument %q: settings are flags", flags.Arg(0))
	}
	if file != "" {
		if err := readFile(flags, file); err != nil {
			return s, err
		}
	}
	s.endpointAllow, s.ambientNamespaces = list(endpoints), list(ambient)
	return s, s.finish(admitted, allow)
}

// readFile sets the flags that were not given from a file.
func readFile(flags *flag.FlagSet, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("reading settings: %w", err)
	}
	var values map[string]any
	if err := yaml.Unmarshal(text, &values); err != nil {
		return fmt.Errorf("reading settings from %s: %w", file, err)
	}
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	var faults []error
	for name, value := range values {
		if given[name] {
			continue
		}
		if name == "config" || flags.Lookup(name) == nil {
			faults = append(faults, fmt.Errorf("%s: %q is not a setting", file, name))
			continue
		}
		if list, ok := value.([]any); ok {
			value = strings.Trim(strings.ReplaceAll(fmt.Sprint(list), " ", ","), "[]")
		}
		if err := flags.Set(name, fmt.Sprint(value)); err != nil {
			faults = append(faults, fmt.Errorf("%s: %s: %w", file, name, err))
		}
	}
	return errors.Join(faults...)
}

// installationForm is what every cloud takes as the value of a label.
var installationForm = regexp.MustCompile(`^$|^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// drivers of local Providers that can be admitted.
var drivers = []string{providers.DriverProcess, providers.DriverMemory, providers.DriverDocker, providers.DriverHost}

func (s *settings) finish(admitted, allow string) error {
	s.localDrivers = list(admitted)
	for _, driver := range s.localDrivers {
		if !slices.Contains(drivers, driver) {
			return fmt.Errorf("--local-drivers: %q is not a driver; there are %s", driver, strings.Join(drivers, ", "))
		}
	}
	for _, network := range list(allow) {
		prefix, err := netip.ParsePrefix(network)
		if err != nil {
			return fmt.Errorf("--check-allow: %q is not a network like 10.0.0.0/8", network)
		}
		s.checkAllow = append(s.checkAllow, prefix.Masked())
	}
	for _, at := range s.endpointAllow {
		if _, err := netip.ParsePrefix(at); strings.Contains(at, "/") && err != nil {
			return fmt.Errorf("--endpoint-allow: %q is neither a host nor a network like 10.0.0.0/8", at)
		}
	}
	for _, namespace := range s.ambientNamespaces {
		if namespace != "*" && len(validation.IsDNS1123Label(namespace)) > 0 {
			return fmt.Errorf("--aws-ambient-namespaces: %.80q is neither a namespace nor *", namespace)
		}
	}
	if !installationForm.MatchString(s.installation) {
		return fmt.Errorf("--installation-id: %.80q is not 1 to 63 lower case letters, digits and dashes", s.installation)
	}
	if s.logFormat != "text" && s.logFormat != "json" {
		return fmt.Errorf("--log-format: %q is neither text nor json", s.logFormat)
	}
	if s.workers < 1 || s.workers > 256 {
		return fmt.Errorf("--workers: %d is not between 1 and 256", s.workers)
	}
	return nil
}

func list(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

func defaultStateDir() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "keelway", "servers")
}

// leaseHome is the namespace of the lease: the given one, or the one that the operator runs in.
func (s settings) leaseHome() (string, error) {
	if s.leaseNamespace != "" {
		return s.leaseNamespace, nil
	}
	text, err := os.ReadFile("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
	if err != nil {
		return "", errors.New("--leader-elect outside of a cluster needs --leader-elect-namespace")
	}
	return strings.TrimSpace(string(text)), nil
}
