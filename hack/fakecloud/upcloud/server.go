package upcloud

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/keelway/keelway/hack/fakecloud/faults"
)

// find returns the server that a path names, or the refusal.
func (c *Cloud) find(now *call) (*server, int, any) {
	if !wholeID.MatchString(now.id) {
		status, body := refuse(http.StatusBadRequest, "SERVER_INVALID", "The server UUID is invalid.")
		return nil, status, body
	}
	if c.denied[now.id] {
		status, body := refuse(http.StatusForbidden, "SERVER_FORBIDDEN", "The server %s is owned by another account.", now.id)
		return nil, status, body
	}
	s := c.servers[now.id]
	if s == nil {
		status, body := refuse(http.StatusNotFound, "SERVER_NOT_FOUND", "The server %s does not exist.", now.id)
		return nil, status, body
	}
	return s, 0, nil
}

func (c *Cloud) getServer(now *call) (int, any) {
	c.mayVanish(now)
	s, status, refused := c.find(now)
	if s == nil {
		return status, refused
	}
	if _, struck := c.strikes(now, ListedNotFound); struck {
		return refuse(http.StatusNotFound, "SERVER_NOT_FOUND", "The server %s does not exist.", now.id)
	}
	return http.StatusOK, c.show(s)
}

func (c *Cloud) listServers(now *call) (int, any) {
	c.mayVanish(now)
	var shown []object
	listed := slices.Collect(maps.Values(c.servers))
	listed = append(listed, slices.Collect(maps.Values(c.ghosts))...)
	slices.SortFunc(listed, func(a, b *server) int { return cmp.Compare(a.uuid, b.uuid) })
	for _, s := range listed {
		if labelled(s.labels, now.query) && !c.Clock.Now().Before(s.hidden) {
			shown = append(shown, c.summarize(s))
		}
	}
	return http.StatusOK, object{"servers": object{"server": pick(notNil(shown), now.query)}}
}

func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// mayVanish ends a server by another hand.
func (c *Cloud) mayVanish(now *call) {
	for id := range c.servers {
		order, struck := c.Board.Take(now.op, []string{id}, Vanishes)
		if struck {
			c.Log.Note(now.entry, func(e *faults.Call) { e.Fault = order.Name })
			c.remove(c.servers[id], true)
			return
		}
	}
}

// summarize is a server's entry in the list.
func (c *Cloud) summarize(s *server) object {
	shown := object{
		"core_number": strconv.Itoa(s.cores), "created": s.created.Unix(), "hostname": s.hostname, "labels": labelList{notNil(s.labels)}, "license": 0,
		"memory_amount": strconv.Itoa(s.memory), "plan": s.plan, "plan_ipv4_bytes": "0", "plan_ipv6_bytes": "0", "server_group": nil,
		"simple_backup": "no", "state": s.state, "tags": object{"tag": []string{}}, "title": s.title, "uuid": s.uuid, "zone": s.zone,
	}
	if s.group != "" {
		shown["server_group"] = s.group
	}
	if s.state == stateStarted {
		shown["host"] = s.host
	}
	return shown
}

// show is a server's own page.
func (c *Cloud) show(s *server) object {
	shown := c.summarize(s)
	var addresses, interfaces, devices []object
	for n, i := range s.interfaces {
		addresses = append(addresses, object{"access": i.kind, "address": i.address, "family": i.family})
		interfaces = append(interfaces, object{
			"bootable": "no", "index": n + 1, "mac": i.mac, "network": i.network, "source_ip_filtering": "yes", "type": i.kind,
			"ip_addresses": object{"ip_address": []object{{"address": i.address, "dhcp_provided": "yes", "family": i.family, "floating": "no"}}},
		})
	}
	for _, d := range s.devices {
		of := c.storages[d.storage]
		devices = append(devices, object{
			"address": d.address, "boot_disk": "0", "storage": of.uuid, "storage_size": of.size, "storage_tier": of.tier, "storage_title": of.title,
			"storage_encrypted": of.encrypted, "type": "disk", "labels": notNil(of.allLabels()), "part_of_plan": partOfPlan(s, of),
		})
	}
	maps.Copy(shown, object{
		"boot_order": "disk", "firewall": s.firewall, "ip_addresses": object{"ip_address": notNil(addresses)}, "metadata": s.metadata,
		"networking": object{"interfaces": object{"interface": notNil(interfaces)}}, "nic_model": "virtio",
		"remote_access_enabled": "no", "remote_access_password": "x", "remote_access_type": "vnc",
		"storage_devices": object{"storage_device": notNil(devices)}, "timezone": "UTC", "video_model": "cirrus",
	})
	return object{"server": shown}
}

func partOfPlan(s *server, of *storage) string {
	p, ok := planNamed(s.plan)
	if ok && of.size <= p.size && of.tier == p.tier && s.devices[0].storage == of.uuid {
		return "yes"
	}
	return "no"
}

func illegal(s *server) (int, any) {
	return refuse(http.StatusConflict, "SERVER_STATE_ILLEGAL", "The operation is not allowed while the server %s is in state '%s'.", s.uuid, s.state)
}

// change finds a server that is to be changed, and puts it into maintenance where that was ordered.
func (c *Cloud) change(now *call, states ...string) (*server, int, any) {
	s, status, refused := c.find(now)
	if s == nil {
		return nil, status, refused
	}
	if order, struck := c.strikes(now, Maintenance); struck && s.next == "" {
		s.becomes(stateMaintenance, s.state, c.Clock.Now().Add(order.For.Duration()))
	}
	if !slices.Contains(states, s.state) {
		status, refused := illegal(s)
		return nil, status, refused
	}
	return s, 0, nil
}

func (c *Cloud) modifyServer(now *call) (int, any) {
	var in struct {
		Server struct {
			Title, Plan  string
			Labels       *labelList
			CoreNumber   number `json:"core_number"`
			MemoryAmount number `json:"memory_amount"`
		}
	}
	if bad := read(now.body, &in); bad != nil {
		return http.StatusBadRequest, bad
	}
	s, status, refused := c.change(now, stateStarted, stateStopped, stateError)
	if s == nil {
		return status, refused
	}
	want := in.Server
	if want.Labels != nil {
		if refused := checkLabels(want.Labels.Label); refused != nil {
			return http.StatusBadRequest, refused
		}
	}
	if want.Plan != "" || want.CoreNumber != 0 {
		cores, memory, ok := sized(want.Plan, int(want.CoreNumber), int(want.MemoryAmount))
		switch {
		case s.state != stateStopped:
			return illegal(s)
		case !ok:
			return refuse(http.StatusBadRequest, "PLAN_INVALID", "The plan %s does not exist, or has other cores or memory.", want.Plan)
		}
		s.plan, s.cores, s.memory = orElse(want.Plan, "custom"), cores, memory
		if _, struck := c.strikes(now, ResizeBackup); struck {
			for _, d := range s.devices {
				c.backUp(c.storages[d.storage])
			}
		}
	}
	if want.Labels != nil {
		s.labels = slices.Clone(want.Labels.Label)
	}
	s.title = orElse(want.Title, s.title)
	return http.StatusAccepted, c.show(s)
}

func (c *Cloud) startServer(now *call) (int, any) {
	s, status, refused := c.change(now, stateStopped)
	if s == nil {
		return status, refused
	}
	s.becomes(stateMaintenance, stateStarted, c.Clock.Now().Add(c.o.StartTime))
	reply := c.show(s)
	reply["server"].(object)["host"] = s.host // it has one already
	return http.StatusOK, reply
}

func (c *Cloud) stopServer(now *call) (int, any) {
	var in struct {
		Stop struct {
			StopType string `json:"stop_type"`
			Timeout  string `json:"timeout"`
		} `json:"stop_server"`
	}
	if bad := read(now.body, &in); bad != nil {
		return http.StatusBadRequest, bad
	}
	s, status, refused := c.change(now, stateStarted)
	if s == nil {
		return status, refused
	}
	takes := c.o.StopTime
	switch in.Stop.StopType {
	case "hard":
	case "soft", "":
		takes *= 3
	default:
		return refuse(http.StatusBadRequest, "STOP_TYPE_INVALID", "The attribute stop_type has an invalid value.")
	}
	if s.next != stateStopped { // a second request does not make it take longer
		s.becomes(stateStarted, stateStopped, c.Clock.Now().Add(takes))
	}
	return http.StatusOK, c.show(s)
}

func (c *Cloud) deleteServer(now *call) (int, any) {
	s, status, refused := c.change(now, stateStopped, stateError)
	if s == nil {
		return status, refused
	}
	withStorages := now.query.Get("storages") == "1"
	if _, struck := c.strikes(now, StoragesLeft); struck {
		withStorages = false
	}
	c.remove(s, withStorages)
	if _, struck := c.strikes(now, DeletedForbidden); struck {
		c.denied[s.uuid] = true
	}
	if order, struck := c.strikes(now, DeletedListed); struck {
		s.until, s.next = c.Clock.Now().Add(order.For.Duration()), ""
		c.ghosts[s.uuid] = s
	}
	return http.StatusNoContent, nil
}

func (c *Cloud) remove(s *server, withStorages bool) {
	delete(c.servers, s.uuid)
	for _, d := range s.devices {
		c.storages[d.storage].server, c.storages[d.storage].state = "", stateOnline
		if withStorages {
			delete(c.storages, d.storage)
		}
	}
	if g := c.groups[s.group]; g != nil {
		g.members = slices.DeleteFunc(g.members, func(id string) bool { return id == s.uuid })
	}
}
