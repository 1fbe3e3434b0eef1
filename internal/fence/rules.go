package fence

// What the rules name more than once. Doors are what only leaves may open.
var (
	doors       = []string{"./internal/provider", "./internal/transport", "./internal/runner", "./internal/remote"}
	clients     = []string{"sigs.k8s.io/controller-runtime", "k8s.io/client-go"}
	others      = []string{"./controllers"}
	loud        = []string{"context", "log", "log/slog", "net", "net/http", "os", "os/exec", "github.com/go-logr/logr"}
	floor       = []string{} // standard library only
	restOfHouse = []string{"./api", "./controllers", "./internal", "./cmd", "./hack"}
)

// Rules are the fences of the house.
var Rules = []Rule{
	{Room: "api/v1alpha1", Never: join(restOfHouse, clients)},
	{Room: "internal/fault", Only: floor, Never: restOfHouse, Silent: true},
	{Room: "internal/dag", Only: floor, Never: join(restOfHouse, loud), Silent: true},
	{Room: "internal/saga", Only: floor, Never: join(restOfHouse, loud), Silent: true},
	{Room: "internal/expr", Never: join(restOfHouse, clients, []string{"net/http", "os", "log"}), Silent: true},
	{Room: "internal/catalog", Never: join([]string{"./api", "./internal/plan"}, clients, doors, others, []string{"net/http", "os", "os/exec", "context"}), Silent: true}, // the template library wants a logger: it gets one that discards
	{Room: "internal/plan", Never: join(clients, doors, others, loud, []string{"./internal/children", "./internal/reconcile", "./internal/inventory", "./internal/turnstile"}), Silent: true},
	{Room: "internal/nearest", Only: floor, Never: join(restOfHouse, loud), Silent: true},
	{Room: "internal/manifest", Never: join(clients, doors, others, []string{"net", "net/http", "os", "os/exec"}), Silent: true},
	{Room: "internal/convert", Only: []string{"./api", "./internal/nearest", "github.com/pelletier/go-toml", "go.yaml.in/yaml"}, Never: loud, Silent: true},
	{Room: "internal/view", Never: join(clients, doors, others, loud, []string{"./internal/cli"}), Silent: true},
	{Room: "internal/account", Never: join(others, []string{"./internal/plan", "./internal/reconcile", "./internal/children", "./internal/runner", "./internal/transport/all"})},
	{Room: "internal/cli", Never: join(others, []string{"./internal/provider/aws", "./internal/provider/upcloud", "./internal/provider/local", "./internal/inventory", "./internal/turnstile", "./internal/children", "./internal/reconcile"})},
	{Room: "cmd/keelway", Only: []string{"./internal/cli"}},
	{Room: "internal/provider", Only: []string{"./internal/fault", "./internal/transport", "golang.org/x"}},
	{Room: "internal/provider/local/docker", Only: []string{"./internal/fault", "./internal/provider", "./internal/transport", "github.com/moby/moby", "github.com/containerd/errdefs"}, Never: []string{"./internal/transport/docker"}},
	{Room: "internal/provider/upcloud", Only: []string{"./internal/fault", "./internal/nearest", "./internal/provider", "./internal/transport", "github.com/UpCloudLtd/upcloud-go-api", "golang.org/x"}},
	{Room: "internal/provider/aws", Only: []string{"./internal/fault", "./internal/nearest", "./internal/provider", "./internal/transport", "github.com/aws", "golang.org/x"}, Never: []string{"./internal/transport/ssh", "./internal/transport/script"}},
	{Room: "internal/provider/providertest", Only: []string{"./internal/fault", "./internal/provider", "./internal/transport", "github.com/google/go-cmp"}},
	{Room: "internal/provider/all", Only: []string{"./internal/fault", "./internal/provider", "golang.org/x"}},
	{Room: "internal/transport", Only: []string{"./internal/fault", "golang.org/x"}, Never: []string{"./api", "./internal/provider"}},
	{Room: "internal/transport/docker", Only: []string{"./internal/fault", "./internal/transport", "github.com/moby/moby", "github.com/containerd/errdefs"}},
	{Room: "internal/transport/ssh", Only: []string{"./internal/fault", "./internal/transport", "golang.org/x"}},
	{Room: "internal/connect", Never: join(others, []string{"./internal/provider", "./internal/plan", "./internal/runner", "./internal/reconcile", "./internal/transport/all"})},
	{Room: "internal/runner", Only: []string{"./internal/fault", "./internal/transport"}},
	{Room: "internal/inventory", Only: []string{"./internal/fault", "./internal/provider", "./internal/plan", "golang.org/x"}},
	{Room: "internal/turnstile", Only: []string{"./internal/fault", "./internal/provider", "./internal/plan"}},
	{Room: "internal/children", Never: join(doors, others, []string{"./internal/plan"})},
	{Room: "internal/app", Never: join(doors, others, []string{"./internal/inventory", "./internal/turnstile", "./internal/reconcile"})},
	{Room: "internal/reconcile", Never: join(doors, others, []string{"./internal/plan", "./internal/children"})},
	{Room: "hack/fakecloud/faults", Only: floor, Never: restOfHouse},
	{Room: "hack/fakecloud/ec2", Only: []string{"./hack/fakecloud/faults", "github.com/aws/aws-sdk-go-v2/aws"}, Never: []string{"./api", "./controllers", "./internal", "./cmd"}},
	{Room: "controllers/provider", Never: []string{"./internal/transport", "./internal/runner", "./internal/children", "./internal/provider/all", "./controllers"}},
	{Room: "controllers/server", Never: []string{"./internal/transport", "./internal/runner", "./internal/children", "./internal/provider/all", "./controllers"}},
	{Room: "controllers/reach", Never: []string{"./internal/provider", "./internal/runner", "./internal/children", "./internal/transport/all", "./controllers"}},
	{Room: "controllers/taskservice", Never: []string{"./internal/provider", "./internal/children", "./internal/transport/all", "./controllers"}},
	{Room: "controllers/run", Never: []string{"./internal/provider", "./internal/children", "./internal/transport/all", "./controllers"}},
	{Room: "controllers/batchworkflow", Never: join(doors, others, []string{"./internal/inventory", "./internal/turnstile"})},
}

func join(lists ...[]string) (all []string) {
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}
