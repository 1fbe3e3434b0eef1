package upcloud

import (
	"context"
	"slices"

	"github.com/UpCloudLtd/upcloud-go-api/v8/upcloud"
	"github.com/UpCloudLtd/upcloud-go-api/v8/upcloud/request"

	"github.com/keelway/keelway/internal/nearest"
)

// noNetwork is what UpCloud says of a create call that names a network which the server cannot have.
var noNetwork = []string{"NETWORK_NOT_FOUND", "NETWORK_INVALID", "NETWORK_FORBIDDEN", upcloud.ErrCodeZoneMismatch}

// explainNetwork says which network that is, and which ones there are in the zone. Where that cannot be found out, what UpCloud said
// must do.
func (u *UpCloud) explainNetwork(ctx context.Context, refused error, order *request.CreateServerRequest) error {
	got, err := u.svc.GetNetworksInZone(ctx, &request.GetNetworksInZoneRequest{Zone: order.Zone})
	if err != nil {
		return refused
	}
	var there []string
	for _, n := range got.Networks {
		if n.Type == upcloud.NetworkTypePrivate {
			there = append(there, n.UUID)
		}
	}
	slices.Sort(there)
	at := 0
	for _, i := range order.Networking.Interfaces {
		if i.Type != upcloud.NetworkTypePrivate {
			continue
		}
		if !slices.Contains(there, i.Network) {
			return invalid("network.privateNetworks[%d]: there is no private network %.64q in zone %s%s (%w)", at, i.Network, order.Zone, nearest.Hint(i.Network, there), refused)
		}
		at++
	}
	return refused
}
