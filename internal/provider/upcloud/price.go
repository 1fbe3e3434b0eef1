package upcloud

import (
	"context"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/UpCloudLtd/upcloud-go-api/v8/upcloud"
	"github.com/UpCloudLtd/upcloud-go-api/v8/upcloud/request"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

// priceList is UpCloud's, by zone and item. Its numbers are credits an hour for an amount (memory: for 256 MiB). A credit is a hundredth
// of the unit of the account's currency, which stands on the account's own page.
type priceList struct {
	zones    upcloud.PricesByZone
	currency string
}

func (u *UpCloud) pricesAt(ctx context.Context) (priceList, time.Time, error) {
	return u.shelf.prices.get(func() (priceList, error) {
		account, err := u.svc.GetAccount(ctx)
		if err != nil {
			return priceList{}, err
		}
		page, err := u.svc.GetAccountDetails(ctx, &request.GetAccountDetailsRequest{Username: account.UserName})
		if err != nil {
			return priceList{}, err
		}
		if len(page.Currency) != 3 {
			return priceList{}, fault.New(fault.Retry, fault.ReasonTransient, "the account's page names no currency")
		}
		zones, err := u.svc.GetPricesByZone(ctx)
		if err != nil {
			return priceList{}, err
		}
		return priceList{zones: *zones, currency: page.Currency}, nil
	})
}

func (u *UpCloud) prices(ctx context.Context) (priceList, error) {
	all, _, err := u.pricesAt(ctx)
	return all, err
}

// of is the price of some units of an item, an hour, in the currency's unit.
func (p priceList) of(zone, item string, units int) (*big.Rat, bool) {
	price, ok := p.zones[zone][item]
	if !ok || price.Amount <= 0 || price.Price < 0 {
		return nil, false
	}
	credits, ok := new(big.Rat).SetString(strconv.FormatFloat(price.Price, 'f', -1, 64))
	if !ok {
		return nil, false
	}
	return credits.Mul(credits, big.NewRat(int64(units), int64(price.Amount)*100)), true
}

// decimal writes an amount with as many digits as it has, eight at most.
func decimal(amount *big.Rat) string {
	text := strings.TrimRight(amount.FloatString(8), "0")
	return strings.TrimSuffix(text, ".")
}

// Price is what a server like that costs. A plan includes one public IPv4 address and a root disk that fits into its storage. Where the
// price of one part is not on the list, that of the whole is unknown.
func (u *UpCloud) Price(ctx context.Context, want provider.Machine) (provider.Cost, error) {
	zone, err := u.zoneNamed(ctx, want.Zone)
	if err != nil {
		return provider.Cost{}, err
	}
	plan, err := u.sizeNamed(ctx, zone, orDefault(want.Size, defaultSize))
	if err != nil {
		return provider.Cost{}, err
	}
	parts, err := u.partsOf(want, plan)
	if err != nil {
		return provider.Cost{}, err
	}
	list, at, err := u.pricesAt(ctx)
	if err != nil {
		return provider.Cost{}, fault.During(err, "reading UpCloud's prices")
	}
	cost := provider.Cost{Currency: list.currency, Source: "UpCloud's price list (GET /1.3/price), zone " + zone, AsOf: at}
	for _, part := range parts {
		amount, ok := list.of(zone, part.item, part.units)
		if !ok {
			return provider.Cost{}, nil
		}
		cost.Components = append(cost.Components, provider.Component{Name: part.name, Hourly: decimal(amount)})
	}
	return cost, nil
}

// part is something on the price list.
type part struct {
	name, item string
	units      int
}

// partsOf does not ask for the image: a template that is withdrawn changes no price.
func (u *UpCloud) partsOf(want provider.Machine, plan size) (parts []part, err error) {
	storages, err := storagesOf(want, plan, upcloud.Storage{})
	if err != nil {
		return nil, err
	}
	networking, err := networkingOf(want.Network)
	if err != nil {
		return nil, err
	}
	included := 0 // public IPv4 addresses
	if plan.plan == customPlan {
		parts = append(parts, part{fmt.Sprintf("%d cores", plan.cores), "server_core", plan.cores},
			part{fmt.Sprintf("%d MiB memory", plan.memory), "server_memory", plan.memory})
	} else {
		parts, included = append(parts, part{"plan " + plan.plan, "server_plan_" + plan.plan, 1}), 1
	}
	for i, disk := range storages {
		if i == 0 && plan.disk > 0 && disk.Size <= plan.disk && disk.Tier == plan.tier {
			continue
		}
		parts = append(parts, part{fmt.Sprintf("storage %s, %d GiB %s", disk.Title, disk.Size, disk.Tier), "storage_" + disk.Tier, disk.Size})
	}
	for _, iface := range networking.Interfaces {
		switch {
		case iface.Type != upcloud.NetworkTypePublic:
		case iface.IPAddresses[0].Family == upcloud.IPAddressFamilyIPv6:
			parts = append(parts, part{"public IPv6 address", "ipv6_address", 1})
		case included > 0:
			included--
		default:
			parts = append(parts, part{"public IPv4 address", "ipv4_address", 1})
		}
	}
	if len(u.o.Firewall) > 0 {
		parts = append(parts, part{"firewall", "firewall", 1})
	}
	return parts, nil
}
