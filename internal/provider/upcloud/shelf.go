package upcloud

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/UpCloudLtd/upcloud-go-api/v8/upcloud"
	"github.com/UpCloudLtd/upcloud-go-api/v8/upcloud/request"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/nearest"
	"github.com/keelway/keelway/internal/provider"
)

// shelfTime is how long what can be ordered is not asked for again, and brokenTime how long a list that could not be read is not.
const (
	shelfTime  = time.Hour
	brokenTime = 30 * time.Second
)

// shelf keeps the lists of what can be ordered.
type shelf struct {
	zones  list[[]upcloud.Zone]
	plans  list[[]upcloud.Plan]
	custom list[[]upcloud.ServerConfiguration]
	images list[[]upcloud.Storage]
	prices list[priceList]
}

func newShelf(now func() time.Time) shelf {
	return shelf{
		zones: list[[]upcloud.Zone]{now: now}, plans: list[[]upcloud.Plan]{now: now}, custom: list[[]upcloud.ServerConfiguration]{now: now},
		images: list[[]upcloud.Storage]{now: now}, prices: list[priceList]{now: now},
	}
}

// list is one of them. An older one is better than none when it cannot be read anew.
type list[T any] struct {
	now func() time.Time

	mu     sync.Mutex
	have   T
	at     time.Time
	failed time.Time
	err    error
}

func (l *list[T]) get(read func() (T, error)) (T, time.Time, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	fresh := !l.at.IsZero() && now.Sub(l.at) < shelfTime
	if !fresh && (l.failed.IsZero() || now.Sub(l.failed) >= brokenTime) {
		if got, err := read(); err != nil {
			l.failed, l.err = now, err
		} else {
			l.have, l.at, l.failed, l.err = got, now, time.Time{}, nil
		}
	}
	if l.at.IsZero() {
		return l.have, l.at, l.err
	}
	return l.have, l.at, nil
}

func (u *UpCloud) zones(ctx context.Context) ([]upcloud.Zone, error) {
	all, _, err := u.shelf.zones.get(func() ([]upcloud.Zone, error) {
		got, err := u.svc.GetZones(ctx)
		return got.Zones, err
	})
	return all, fault.During(err, "reading UpCloud's zones")
}

// Zones lists what Machine.Zone can hold.
func (u *UpCloud) Zones(ctx context.Context) ([]provider.Choice, error) {
	all, err := u.zones(ctx)
	var choices []provider.Choice
	for _, z := range all {
		choices = append(choices, provider.Choice{Name: z.ID, Description: z.Description})
	}
	return byName(choices), err
}

func (u *UpCloud) zoneNamed(ctx context.Context, name string) (string, error) {
	if name == "" {
		name = u.o.Zone
	}
	all, err := u.Zones(ctx)
	if err != nil {
		return "", err
	}
	return name, among("zone", name, all)
}

// among refuses a name that is not on offer and tells which are near.
func among(field, name string, choices []provider.Choice) error {
	names := make([]string, len(choices))
	for i, choice := range choices {
		names[i] = choice.Name
	}
	if slices.Contains(names, name) {
		return nil
	}
	if name == "" {
		return invalid("%s is empty, and the Provider names none%s", field, nearest.Hint(name, names))
	}
	return invalid("%s: UpCloud has no %.64q%s", field, name, nearest.Hint(name, names))
}

func byName(choices []provider.Choice) []provider.Choice {
	slices.SortFunc(choices, func(a, b provider.Choice) int { return strings.Compare(a.Name, b.Name) })
	return choices
}

// aliases are our names for UpCloud's public templates, whose titles are for people. The end is fixed: a template with more in its
// title (drivers, a control panel) is another one.
var aliases = []struct {
	title *regexp.Regexp
	name  string
}{
	{regexp.MustCompile(`^Debian GNU/Linux (\d+)(?: \([^()]*\))?$`), "debian-"},
	{regexp.MustCompile(`^Ubuntu Server (\d+\.\d+)(?: LTS)?(?: \([^()]*\))?$`), "ubuntu-"},
	{regexp.MustCompile(`^AlmaLinux (\d+)$`), "almalinux-"},
	{regexp.MustCompile(`^Rocky Linux (\d+)$`), "rocky-"},
	{regexp.MustCompile(`^CentOS Stream (\d+)$`), "centos-stream-"},
}

func aliasOf(title string) string {
	for _, a := range aliases {
		if match := a.title.FindStringSubmatch(title); match != nil {
			return a.name + match[1]
		}
	}
	return ""
}

func (u *UpCloud) images(ctx context.Context) ([]upcloud.Storage, error) {
	all, _, err := u.shelf.images.get(func() ([]upcloud.Storage, error) {
		got, err := u.svc.GetStorages(ctx, &request.GetStoragesRequest{Type: upcloud.StorageTypeTemplate})
		if err != nil {
			return nil, err
		}
		slices.SortFunc(got.Storages, func(a, b upcloud.Storage) int { return strings.Compare(a.UUID, b.UUID) })
		return got.Storages, nil
	})
	return all, fault.During(err, "reading UpCloud's templates")
}

// Images lists the templates: public ones by alias where they have one, and all by UUID. Private ones are of one zone.
func (u *UpCloud) Images(ctx context.Context, zone string) ([]provider.Choice, error) {
	all, err := u.images(ctx)
	var choices []provider.Choice
	for _, image := range all {
		if !offered(image, zone) {
			continue
		}
		alias := aliasOf(image.Title)
		if image.Access == upcloud.StorageAccessPublic && alias != "" && !slices.ContainsFunc(choices, func(c provider.Choice) bool { return c.Name == alias }) {
			choices = append(choices, provider.Choice{Name: alias, Description: image.Title})
		}
		choices = append(choices, provider.Choice{Name: image.UUID, Description: image.Title})
	}
	return byName(choices), err
}

func offered(image upcloud.Storage, zone string) bool {
	return image.State == upcloud.StorageStateOnline && (image.Access == upcloud.StorageAccessPublic || zone == "" || image.Zone == zone)
}

// imageNamed finds a template by alias or UUID; of two with one alias it is that with the lower UUID.
func (u *UpCloud) imageNamed(ctx context.Context, zone, name string) (upcloud.Storage, error) {
	all, err := u.images(ctx)
	if err != nil {
		return upcloud.Storage{}, err
	}
	var names []string
	for _, image := range all {
		if !offered(image, zone) {
			continue
		}
		alias := aliasOf(image.Title)
		if image.UUID == name || image.Access == upcloud.StorageAccessPublic && alias != "" && alias == name {
			return image, nil
		}
		if alias != "" && !slices.Contains(names, alias) {
			names = append(names, alias)
		}
	}
	slices.Sort(names)
	return upcloud.Storage{}, invalid("image: UpCloud has no template with alias or UUID %.64q in zone %s%s", name, zone, nearest.Hint(name, names))
}
