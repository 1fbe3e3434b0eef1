package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/account"
	"github.com/keelway/keelway/internal/connect"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
	providers "github.com/keelway/keelway/internal/provider/all"
	"github.com/keelway/keelway/internal/provider/mem"
	transports "github.com/keelway/keelway/internal/transport/all"
	"github.com/keelway/keelway/internal/view"
)

// offerArgs are the flags of what asks a provider for what it offers.
type offerArgs struct {
	zone, image string
	disk        int32
	allow       []string
	format      *format
}

func (s *session) verbProvider() *cobra.Command {
	c := &cobra.Command{
		Use:   "provider",
		Short: "Ask a Provider's cloud for zones, sizes, images and prices",
		Long: `provider asks the cloud behind a Provider of the namespace what a Server can ask it for, with the credentials in the Provider's Secret,
which you must be allowed to read. It makes and changes nothing.`,
		Args: cobra.NoArgs,
	}
	catalogue := func(what, short string, ask func(context.Context, provider.Cataloguer, string) ([]provider.Choice, error)) *cobra.Command {
		return s.offer(what+" PROVIDER", short, cobra.ExactArgs(1), func(ctx context.Context, door provider.Provider, args []string, a offerArgs) error {
			shelf, ok := provider.As[provider.Cataloguer](door)
			if !ok {
				return failed(codeFailed, "", "Provider %s has no list of %s: any that its machines know will do", args[0], what)
			}
			choices, err := ask(ctx, shelf, a.zone)
			if err != nil {
				return err
			}
			return s.choices(a.format, what, choices)
		})
	}
	c.AddCommand(
		catalogue("zones", "List the zones of a provider", func(ctx context.Context, shelf provider.Cataloguer, _ string) ([]provider.Choice, error) {
			return shelf.Zones(ctx)
		}),
		catalogue("sizes", "List the sizes of a provider, by their own names", func(ctx context.Context, shelf provider.Cataloguer, zone string) ([]provider.Choice, error) {
			return shelf.Sizes(ctx, zone)
		}),
		catalogue("images", "List the images of a provider", func(ctx context.Context, shelf provider.Cataloguer, zone string) ([]provider.Choice, error) {
			return shelf.Images(ctx, zone)
		}),
		s.offer("prices PROVIDER SIZE...", "Say what servers of some sizes cost", cobra.MinimumNArgs(2), s.prices),
	)
	return c
}

// offer makes one of the verbs below provider.
func (s *session) offer(use, short string, args cobra.PositionalArgs, do func(context.Context, provider.Provider, []string, offerArgs) error) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: args, ValidArgsFunction: s.completeNames(mustKind("provider"))}
	var a offerArgs
	c.Flags().StringVar(&a.zone, "zone", "", "in this zone; default: the Provider's")
	c.Flags().StringSliceVar(&a.allow, "endpoint-allow", nil, "hosts and networks besides public ones that a Provider's endpoint may have: your credentials go there")
	if strings.HasPrefix(use, "prices") {
		c.Flags().StringVar(&a.image, "image", "", "from this image; default: the Provider's")
		c.Flags().Int32Var(&a.disk, "root-disk", 0, "with a root disk of so many GiB; default: the size's own")
	}
	a.format = formatFlag(c, "table", "name", "json", "yaml")
	c.RunE = func(cmd *cobra.Command, args []string) error {
		cl, err := s.connect()
		if err != nil {
			return err
		}
		door, end, err := s.account(cmd.Context(), cl, args[0], a.allow)
		if err != nil {
			return err
		}
		defer end()
		return do(cmd.Context(), door, args, a)
	}
	return of(mustKind("provider"), c)
}

// account opens the account of a Provider as the operator does.
func (s *session) account(ctx context.Context, c *cluster, name string, allow []string) (provider.Provider, func(), error) {
	p := &v1alpha1.Provider{}
	if err := c.get(ctx, mustKind("provider"), name, p); err != nil {
		return nil, nil, err
	}
	if p.Spec.Local != nil && p.Spec.Local.Driver != v1alpha1.DriverMemory {
		return nil, nil, failed(codeFailed, "", "Provider %s is local (driver %s): it has no list of what it offers, and costs nothing", name, p.Spec.Local.Driver)
	}
	dialer, accounts := transports.New(transports.Options{}), providers.NewOpener(mem.Options{})
	opener := account.Opener{
		Accounts: accounts, Connector: connect.Connector{Dialer: dialer, Keys: &connect.Keys{Live: c, Now: time.Now}},
		Installation: fieldOwner, Admitted: []string{providers.DriverMemory}, EndpointAllow: allow,
		AmbientNamespaces: []string{"*"}, // they are those of whoever asks
	}
	end := func() { accounts.Close(); dialer.Close() }
	door, _, err := opener.Open(ctx, p)
	switch {
	case fault.ReasonOf(err) == fault.ReasonNotAllowed:
		end()
		return nil, nil, failed(codeFailed, "if your credentials may go there, say so with --endpoint-allow", "asking Provider %s: %w", name, err)
	case err != nil:
		end()
		return nil, nil, fmt.Errorf("asking Provider %s: %w", name, err)
	}
	return door, end, nil
}

// choices lists what a provider offers.
func (s *session) choices(f *format, what string, all []provider.Choice) error {
	if done, err := s.data(f, all); done {
		return err
	}
	table, names := view.Table{Heads: []string{"name", "description"}}, make([]string, len(all))
	if what == "sizes" {
		table.Heads = []string{"name", "cpus", "memory", "per hour", "description"}
	}
	for i, choice := range all {
		names[i] = choice.Name
		row := []string{choice.Name, choice.Description}
		if what == "sizes" {
			row = []string{choice.Name, fmt.Sprint(choice.CPUs), fmt.Sprintf("%d MiB", choice.MemoryMiB), strings.TrimSpace(choice.Hourly + " " + choice.Currency), choice.Description}
		}
		table.Rows = append(table.Rows, row)
	}
	if len(all) == 0 {
		s.note("the provider offers no %s", what)
		return nil
	}
	return s.list(f, table, names)
}

// price is what a server of one size costs.
type price struct {
	Size       string     `json:"size"`
	Currency   string     `json:"currency,omitempty"`
	Components []priceOf  `json:"components,omitempty"`
	Source     string     `json:"source,omitempty"`
	AsOf       *time.Time `json:"asOf,omitempty"`
}

type priceOf struct {
	Name   string `json:"name"`
	Hourly string `json:"hourly"`
}

// prices asks what servers of some sizes cost, part by part.
func (s *session) prices(ctx context.Context, door provider.Provider, args []string, a offerArgs) error {
	pricer, ok := provider.As[provider.Pricer](door)
	if !ok {
		return failed(codeFailed, "", "Provider %s does not know what its servers cost", args[0])
	}
	var all []price
	table := view.Table{Heads: []string{"size", "part", "per hour", "source"}}
	for _, size := range args[1:] {
		cost, err := pricer.Price(ctx, machineOf(size, a))
		if err != nil {
			return fmt.Errorf("the price of size %s: %w", size, err)
		}
		one := price{Size: size, Currency: cost.Currency, Source: cost.Source}
		if !cost.AsOf.IsZero() {
			one.AsOf = &cost.AsOf
		}
		for _, part := range cost.Components {
			one.Components = append(one.Components, priceOf{part.Name, part.Hourly})
			table.Rows = append(table.Rows, []string{size, part.Name, part.Hourly + " " + cost.Currency, cost.Source})
		}
		if len(cost.Components) == 0 {
			table.Rows = append(table.Rows, []string{size, "", "not known", cost.Source})
		}
		all = append(all, one)
	}
	if done, err := s.data(a.format, all); done {
		return err
	}
	return s.list(a.format, table, args[1:])
}

func machineOf(size string, a offerArgs) provider.Machine {
	m := provider.Machine{Size: size, Zone: a.zone, Image: a.image}
	m.RootDisk.SizeGiB = a.disk
	return m
}
