package upcloud

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"github.com/UpCloudLtd/upcloud-go-api/v8/upcloud"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/nearest"
	"github.com/keelway/keelway/internal/provider"
)

// size is a plan, or cores and memory that are free to choose.
type size struct {
	plan   string // or customPlan
	cores  int
	memory int    // MiB
	disk   int    // GiB that the plan includes; 0 where it includes none
	tier   string // of that
}

const (
	customPlan  = "custom" // UpCloud's word for a server without a plan
	defaultSize = "1xCPU-2GB"
)

var customForm = regexp.MustCompile(`^custom-([1-9]\d{0,3})-([1-9]\d{0,7})$`)

// customSize names a size without a plan: "custom-4-8192" is 4 cores and 8192 MiB.
func customSize(cores, memory int) string { return fmt.Sprintf("custom-%d-%d", cores, memory) }

func (u *UpCloud) plans(ctx context.Context) ([]upcloud.Plan, error) {
	all, _, err := u.shelf.plans.get(func() ([]upcloud.Plan, error) {
		got, err := u.svc.GetPlans(ctx)
		return got.Plans, err
	})
	return all, fault.During(err, "reading UpCloud's plans")
}

// Sizes lists the plans with their price in the zone, where it is known. Sizes without a plan, custom-<cores>-<MiB>, are too many to be listed.
func (u *UpCloud) Sizes(ctx context.Context, zone string) ([]provider.Choice, error) {
	all, err := u.plans(ctx)
	if err != nil {
		return nil, err
	}
	if zone == "" {
		zone = u.o.Zone
	}
	prices, priceErr := u.prices(ctx)
	var choices []provider.Choice
	for _, p := range all {
		choice := provider.Choice{Name: p.Name, CPUs: int32(p.CoreNumber), MemoryMiB: int64(p.MemoryAmount)}
		if p.StorageSize > 0 {
			choice.Description = fmt.Sprintf("includes %d GiB %s", p.StorageSize, p.StorageTier)
		}
		if amount, ok := prices.of(zone, "server_plan_"+p.Name, 1); ok && priceErr == nil {
			choice.Hourly, choice.Currency = decimal(amount), prices.currency
		}
		choices = append(choices, choice)
	}
	return byName(choices), nil
}

func (u *UpCloud) sizeNamed(ctx context.Context, zone, name string) (size, error) {
	all, err := u.plans(ctx)
	if err != nil {
		return size{}, err
	}
	names := make([]string, len(all))
	for i, p := range all {
		if p.Name == name {
			return size{plan: p.Name, cores: p.CoreNumber, memory: p.MemoryAmount, disk: p.StorageSize, tier: p.StorageTier}, nil
		}
		names[i] = p.Name
	}
	if free := customForm.FindStringSubmatch(name); free != nil {
		cores, _ := strconv.Atoi(free[1])
		memory, _ := strconv.Atoi(free[2])
		return u.customNamed(ctx, cores, memory)
	}
	slices.Sort(names)
	return size{}, invalid("size: UpCloud has no plan %.64q in zone %s, and custom-<cores>-<MiB> is the form of sizes without one%s", name, zone, nearest.Hint(name, names))
}

// customNamed checks cores and memory against UpCloud's table. The nearest are those with as many cores and the next memory.
func (u *UpCloud) customNamed(ctx context.Context, cores, memory int) (size, error) {
	all, _, err := u.shelf.custom.get(func() ([]upcloud.ServerConfiguration, error) {
		got, err := u.svc.GetServerConfigurations(ctx)
		return got.ServerConfigurations, err
	})
	if err != nil {
		return size{}, fault.During(err, "reading UpCloud's server sizes")
	}
	var near upcloud.ServerConfiguration
	far := func(c upcloud.ServerConfiguration) int {
		return abs(c.CoreNumber-cores)<<24 + abs(c.MemoryAmount-memory)
	}
	for _, c := range all {
		if c.CoreNumber == cores && c.MemoryAmount == memory {
			return size{plan: customPlan, cores: cores, memory: memory}, nil
		}
		if near.CoreNumber == 0 || far(c) < far(near) {
			near = c
		}
	}
	if near.CoreNumber == 0 {
		return size{}, invalid("size: UpCloud offers no sizes without a plan")
	}
	return size{}, invalid("size: UpCloud has no %s; the nearest is %s", customSize(cores, memory), customSize(near.CoreNumber, near.MemoryAmount))
}

func abs(n int) int { return max(n, -n) }
