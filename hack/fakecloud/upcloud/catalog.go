package upcloud

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

// What this cloud offers is invented, with round prices; the forms are those of UpCloud's answers.

const (
	publicIPv4 = "03000000-0000-4000-8044-000000000000"
	publicIPv6 = "03000000-0000-4000-8046-000000000000"
	utility    = "03000000-0000-4000-8045-000000000000"
)

var zones = []object{
	{"id": "de-fra1", "description": "Frankfurt #1", "public": "yes"},
	{"id": "fi-hel1", "description": "Helsinki #1", "public": "yes"},
	{"id": "fi-hel2", "description": "Helsinki #2", "public": "yes"},
	{"id": "uk-lon1", "description": "London #1", "public": "yes"},
	{"id": "us-nyc1", "description": "New York #1", "public": "yes"},
}

func hasZone(id string) bool {
	return slices.ContainsFunc(zones, func(z object) bool { return z["id"] == id })
}

type plan struct {
	name                string
	cores, memory, size int
	tier                string
	credits             float64 // an hour
}

var plans = []plan{
	{"1xCPU-1GB", 1, 1024, 25, "maxiops", 1}, {"1xCPU-2GB", 1, 2048, 50, "maxiops", 2}, {"2xCPU-4GB", 2, 4096, 80, "maxiops", 4},
	{"4xCPU-8GB", 4, 8192, 160, "maxiops", 8}, {"6xCPU-16GB", 6, 16384, 320, "maxiops", 16}, {"8xCPU-32GB", 8, 32768, 640, "maxiops", 32},
}

func planNamed(name string) (plan, bool) {
	at := slices.IndexFunc(plans, func(p plan) bool { return p.name == name })
	if at < 0 {
		return plan{}, false
	}
	return plans[at], true
}

// sized returns cores and memory of a plan, or of free ones that are on offer: 1 to 20 cores, whole GiB up to 128. A server without a
// plan and without numbers has one core and 1 GiB.
func sized(name string, cores, memory int) (int, int, bool) {
	if name != "" && name != "custom" {
		p, ok := planNamed(name)
		return p.cores, p.memory, ok && (cores == 0 || cores == p.cores) && (memory == 0 || memory == p.memory)
	}
	if cores == 0 && memory == 0 {
		return 1, 1024, true
	}
	return cores, memory, cores >= 1 && cores <= 20 && memory >= 1024 && memory <= 128<<10 && memory%1024 == 0
}

var templates = []*storage{
	template("01000000-0000-4000-8000-000020060100", "Debian GNU/Linux 11 (Bullseye)", 3),
	template("01000000-0000-4000-8000-000020070100", "Debian GNU/Linux 12 (Bookworm)", 3),
	template("01000000-0000-4000-8000-000030220200", "Ubuntu Server 22.04 LTS (Jammy Jellyfish)", 4),
	template("01000000-0000-4000-8000-000030240200", "Ubuntu Server 24.04 LTS (Noble Numbat)", 4),
	template("01000000-0000-4000-8000-000030240300", "Ubuntu Server 24.04 LTS (Noble Numbat) with NVIDIA drivers & CUDA", 10),
	template("01000000-0000-4000-8000-000140020100", "AlmaLinux 9", 5),
	template("01000000-0000-4000-8000-000150020100", "Rocky Linux 9", 5),
	template("01000000-0000-4000-8000-000160020100", "UpCloud K8s", 10),
}

func template(uuid, title string, size int) *storage {
	return &storage{
		uuid: uuid, title: title, size: size, kind: "template", access: "public", encrypted: "no", tier: "maxiops", state: stateOnline,
		created: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), system: []label{{"_os_family", "linux"}},
	}
}

func (c *Cloud) listZones(*call) (int, any) {
	return http.StatusOK, object{"zones": object{"zone": zones}}
}

func (c *Cloud) listPlans(*call) (int, any) {
	var all []object
	for _, p := range plans {
		all = append(all, object{
			"core_number": p.cores, "memory_amount": p.memory, "name": p.name, "public_traffic_out": 1024, "storage_size": p.size, "storage_tier": p.tier,
		})
	}
	return http.StatusOK, object{"plans": object{"plan": all}}
}

func (c *Cloud) listSizes(*call) (int, any) {
	var all []object
	for cores := 1; cores <= 20; cores++ {
		for memory := 1024; memory <= 128<<10; memory += 1024 {
			all = append(all, object{"core_number": strconv.Itoa(cores), "memory_amount": strconv.Itoa(memory)})
		}
	}
	return http.StatusOK, object{"server_sizes": object{"server_size": all}}
}

func (c *Cloud) listPrices(*call) (int, any) {
	price := func(amount int, credits float64) object { return object{"amount": amount, "price": credits} }
	var all []object
	for _, z := range zones {
		items := object{
			"name": z["id"], "firewall": price(1, 0.5), "ipv4_address": price(1, 0.3), "ipv6_address": price(1, 0), "server_core": price(1, 1.2),
			"server_memory": price(256, 0.3), "storage_backup": price(1, 0.01), "storage_hdd": price(1, 0.01), "storage_maxiops": price(1, 0.03),
			"storage_standard": price(1, 0.02), "storage_template": price(1, 0.03), "network_private_vlan": price(1, 0.7),
			"io_request_backup": price(1000000, 0), "io_request_hdd": price(1000000, 0), "io_request_maxiops": price(1000000, 0),
			"public_ipv4_bandwidth_in": price(1, 0), "public_ipv4_bandwidth_out": price(1, 1),
			"public_ipv6_bandwidth_in": price(1, 0), "public_ipv6_bandwidth_out": price(1, 1),
		}
		for _, p := range plans {
			items["server_plan_"+p.name] = price(1, p.credits)
		}
		all = append(all, items)
	}
	return http.StatusOK, object{"prices": object{"zone": all}}
}

func (c *Cloud) getAccount(*call) (int, any) {
	return http.StatusOK, object{"account": object{"credits": 9972.2324, "username": c.o.Username, "resource_limits": object{
		"cores": 200, "detached_floating_ips": 10, "memory": 1048576, "networks": 100, "public_ipv4": 100, "public_ipv6": 100,
		"storage_hdd": 10240, "storage_maxiops": 10240, "storage_ssd": 10240,
	}}}
}

func (c *Cloud) getAccountDetails(now *call) (int, any) {
	if now.id != c.o.Username {
		return refuse(http.StatusForbidden, "ACCOUNT_FORBIDDEN", "The account %s is not yours.", now.id)
	}
	list := func(name string) object { return object{name: []string{"*"}} }
	return http.StatusOK, object{"account": object{
		"address": "", "allow_api": "yes", "allow_gui": "no", "campaigns": object{"campaign": []string{}}, "city": "", "company": "", "country": "FIN",
		"currency": "EUR", "email": "", "enable_3rd_party_services": "no", "first_name": "", "ip_filters": list("ip_filter"), "language": "en",
		"last_name": "", "main_account": "fake", "network_access": list("network"), "phone": "", "postal_code": "", "roles": list("role"),
		"server_access": object{"server": []object{{"storage": "yes", "uuid": "*"}}}, "state": "", "storage_access": list("storage"),
		"tag_access": object{"tag": []object{{"name": "", "storage": "yes"}}}, "timezone": "UTC", "type": "sub", "username": c.o.Username, "vat_number": "",
	}}
}
