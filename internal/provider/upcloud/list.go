package upcloud

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/UpCloudLtd/upcloud-go-api/v8/upcloud"
	"github.com/UpCloudLtd/upcloud-go-api/v8/upcloud/request"
	"golang.org/x/sync/errgroup"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

// summary is a server as the list shows it. The SDK's own type leaves labels and the time of creation out.
type summary struct {
	upcloud.Server
	Labels  upcloud.LabelSlice `json:"labels"`
	Created int64              `json:"created"`
}

const (
	pageSize = 100
	atOnce   = 4 // servers' own pages read at the same time
	// A list finishes what is unfinished about servers, but not for longer than that: it is asked again.
	finishTime = 5 * time.Second
)

// List returns the installation's servers in order of id.
func (u *UpCloud) List(ctx context.Context, owner provider.Owner) ([]provider.Instance, error) {
	if err := owner.Validate(); err != nil {
		return nil, err
	}
	filters := []request.QueryFilter{exactly{labelInstallation, encode(owner.Installation)}}
	for key, value := range map[string]string{labelNamespace: owner.Namespace, labelName: owner.Name} {
		if value != "" {
			filters = append(filters, exactly{key, encode(value)})
		}
	}
	listed, err := u.pages(ctx, filters...)
	if err != nil {
		return nil, fault.During(err, "listing servers")
	}
	listed = slices.DeleteFunc(listed, func(s summary) bool { return !owner.Covers(ownerOf(s.Labels)) })
	var turn map[string]bool
	if owner.Namespace == "" && owner.Name == "" {
		u.prune(listed)
		turn = u.turn(listed)
	}
	return u.look(ctx, listed, turn), nil
}

// look turns all into instances, and reads the pages whose turn it is and those of servers whose entry says something new.
func (u *UpCloud) look(ctx context.Context, listed []summary, turn map[string]bool) []provider.Instance {
	found := make([]provider.Instance, len(listed))
	start := time.Now()
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, s := range listed {
		group.Go(func() error {
			d := u.recent(ctx, s, turn[s.UUID])
			if time.Since(start) < finishTime {
				found[i] = u.attend(ctx, d)
			} else {
				found[i] = u.shown(d)
			}
			return nil
		})
	}
	_ = group.Wait() // nothing fails
	slices.SortFunc(found, func(a, b provider.Instance) int { return strings.Compare(a.ID, b.ID) })
	return found
}

// pages reads the whole list of servers that carry all those labels. Each page begins with the last server of the one before: where it
// is another one, servers came or went in between, one may have been missed, and the list is read again.
func (u *UpCloud) pages(ctx context.Context, filters ...request.QueryFilter) ([]summary, error) {
	for range 3 {
		all, whole, err := u.pagesOnce(ctx, filters)
		if err != nil || whole {
			return all, err
		}
	}
	return nil, fault.New(fault.Retry, fault.ReasonTransient, "UpCloud's list of servers changed while it was read, three times")
}

func (u *UpCloud) pagesOnce(ctx context.Context, filters []request.QueryFilter) (all []summary, whole bool, err error) {
	for {
		var got struct {
			Servers struct {
				Server []summary `json:"server"`
			} `json:"servers"`
		}
		at := fmt.Sprintf("limit=%d&offset=%d", pageSize, max(0, len(all)-1))
		asked := request.GetServersWithFiltersRequest{Filters: append(slices.Clone(filters), window(at))}
		body, err := u.door.Get(ctx, asked.RequestURL())
		if err != nil {
			return nil, false, err
		}
		if err := json.Unmarshal(body, &got); err != nil {
			return nil, false, fault.New(fault.Retry, fault.ReasonTransient, "UpCloud's list of servers cannot be read: %w", err)
		}
		page := got.Servers.Server
		if len(all) > 0 {
			if len(page) == 0 || page[0].UUID != all[len(all)-1].UUID {
				return nil, len(page) > pageSize, nil
			}
			all = all[:len(all)-1]
		}
		all = append(all, page...)
		if len(page) != pageSize { // the last one, or all at once
			return all, true, nil
		}
	}
}

// window is the part of a list that is asked for.
type window string

// ToQueryParam implements request.QueryFilter.
func (w window) ToQueryParam() string { return string(w) }
