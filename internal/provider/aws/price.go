package aws

import (
	"context"
	"encoding/json"
	"math/big"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/pricing"
	"github.com/aws/aws-sdk-go-v2/service/pricing/types"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

// price is one entry of AWS's price list. A zero price was not found, or found more than once: it is unknown.
type price struct {
	usd  string // of one unit
	unit string // Hrs or GB-Mo
	read time.Time
}

type priceKey struct{ service, kind, name string }

const hoursOfMonth = 730 // by which AWS itself turns a month's price into an hour's

// Price is what AWS's price list says of such a machine on demand. Where a part has no price there, nothing is said at all: a sum
// without it would be too low. Spot prices move and are in no list.
func (a *AWS) Price(ctx context.Context, want provider.Machine) (provider.Cost, error) {
	if a.options.Spot || want.Size == "" {
		return provider.Cost{}, nil
	}
	cost := provider.Cost{Currency: "USD", Source: "AWS price list, on demand, " + a.options.Region}
	add := func(name string, key priceKey, amount *big.Rat, filters ...string) (bool, error) {
		got, err := a.prices.get(key, func() (price, error) { return a.product(ctx, key, filters...) })
		unit, ok := new(big.Rat).SetString(got.usd)
		if err != nil || !ok {
			return false, err
		}
		if cost.AsOf.IsZero() || got.read.Before(cost.AsOf) {
			cost.AsOf = got.read
		}
		if got.unit == "GB-Mo" {
			amount = new(big.Rat).Quo(amount, big.NewRat(hoursOfMonth, 1))
		}
		cost.Components = append(cost.Components, provider.Component{Name: name, Hourly: decimal(unit.Mul(unit, amount))})
		return true, nil
	}
	one := big.NewRat(1, 1)
	known, err := add(want.Size, priceKey{"AmazonEC2", "type", want.Size}, one, "instanceType", want.Size, "operatingSystem", "Linux", "tenancy", "Shared",
		"preInstalledSw", "NA", "capacitystatus", "Used", "licenseModel", "No License required")
	disks, sized, asked := a.sizedDisks(ctx, want)
	if err == nil {
		err = asked
	}
	known = known && sized
	for _, disk := range disks {
		if !known || err != nil {
			break
		}
		known, err = add("disk "+disk.Name, priceKey{"AmazonEC2", "volume", disk.Tier}, big.NewRat(int64(disk.SizeGiB), 1), "volumeApiName", disk.Tier, "productFamily", "Storage")
	}
	if known && err == nil && want.Network.PublicIPv4 == provider.Enabled {
		known, err = add("public IPv4", priceKey{"AmazonVPC", "address", inUse}, one, "group", "VPCPublicIPv4Address")
	}
	if !known || err != nil {
		return provider.Cost{}, err
	}
	return cost, nil
}

// sizedDisks are all disks with their sizes and tiers; a root disk that says nothing is as large as its image.
func (a *AWS) sizedDisks(ctx context.Context, want provider.Machine) (all []provider.Disk, known bool, err error) {
	root := want.RootDisk
	root.Name = "root"
	if root.SizeGiB == 0 {
		arch, err := a.architecture(ctx, want.Size)
		if err != nil {
			return nil, false, err
		}
		image, err := a.image(ctx, want.Image, arch)
		if err != nil || image.GiB == 0 {
			return nil, false, err
		}
		root.SizeGiB = image.GiB
	}
	for _, disk := range append([]provider.Disk{root}, want.Disks...) {
		if disk.Tier == "" {
			disk.Tier = defaultTier
		}
		if disk.Tier[:min(len(disk.Tier), 2)] == "io" { // billed by its operations, too
			return nil, false, nil
		}
		all = append(all, disk)
	}
	return all, true, nil
}

// inUse is in the usage types of addresses that machines have: the group holds idle and reserved ones, too.
const inUse = "PublicIPv4:InUseAddress"

// product asks for the one product that fits, by pairs of field and value.
func (a *AWS) product(ctx context.Context, key priceKey, pairs ...string) (price, error) {
	in := &pricing.GetProductsInput{ServiceCode: sdk.String(key.service), MaxResults: sdk.Int32(100)}
	for i, field := range append(pairs, "regionCode", a.options.Region) {
		if i%2 == 0 {
			in.Filters = append(in.Filters, types.Filter{Type: types.FilterTypeTermMatch, Field: sdk.String(field)})
			continue
		}
		in.Filters[i/2].Value = sdk.String(field)
	}
	out, err := a.api.pricing.GetProducts(ctx, in)
	if err != nil {
		return price{}, classify("GetProducts", err, fault.Retry)
	}
	got := price{read: a.options.Now().UTC()}
	for _, line := range out.PriceList {
		if key.name == inUse && !strings.Contains(line, inUse) {
			continue
		}
		usd, unit, ok := onDemand(line)
		if !ok || got.usd != "" && (got.usd != usd || got.unit != unit) {
			return price{read: got.read}, nil
		}
		got.usd, got.unit = usd, unit
	}
	return got, nil
}

// onDemand reads the only price of a product in the price list's own JSON. A price of nothing is none: reserved capacity is listed so.
func onDemand(line string) (usd, unit string, ok bool) {
	var product struct {
		Terms struct {
			OnDemand map[string]struct {
				PriceDimensions map[string]struct {
					Unit         string            `json:"unit"`
					PricePerUnit map[string]string `json:"pricePerUnit"`
				} `json:"priceDimensions"`
			} `json:"OnDemand"`
		} `json:"terms"`
	}
	if json.Unmarshal([]byte(line), &product) != nil {
		return "", "", false
	}
	n := 0
	for _, offer := range product.Terms.OnDemand {
		for _, dimension := range offer.PriceDimensions {
			n++
			usd, unit = dimension.PricePerUnit["USD"], dimension.Unit
		}
	}
	amount, valid := new(big.Rat).SetString(usd)
	return usd, unit, n == 1 && valid && amount.Sign() > 0 && (unit == "Hrs" || unit == "GB-Mo")
}

// decimal writes up to ten places, without zeros at the end.
func decimal(amount *big.Rat) string {
	return strings.TrimSuffix(strings.TrimRight(amount.FloatString(10), "0"), ".")
}

// pricingRegion is where the price list is served: there are three such places, and each knows all regions.
func pricingRegion(region string) string {
	switch {
	case strings.HasPrefix(region, "eu-"):
		return "eu-central-1"
	case strings.HasPrefix(region, "ap-"):
		return "ap-south-1"
	}
	return "us-east-1"
}
