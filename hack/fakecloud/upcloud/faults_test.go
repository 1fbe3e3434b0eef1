package upcloud_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/keelway/keelway/hack/fakecloud/faults"
	fake "github.com/keelway/keelway/hack/fakecloud/upcloud"
)

const order = `{"server":{"hostname":"a","title":"a","zone":"fi-hel1","plan":"1xCPU-1GB","labels":{"label":[{"key":"env","value":"x"}]},
	"networking":{"interfaces":{"interface":[{"type":"public","ip_addresses":{"ip_address":[{"family":"IPv4"}]}}]}},
	"storage_devices":{"storage_device":[{"action":"clone","storage":"01000000-0000-4000-8000-000020070100","title":"d","size":25}]}}}`

func serve(t *testing.T, o fake.Options) (*fake.Cloud, string) {
	t.Helper()
	if o.Bucket == 0 {
		o.Bucket, o.Refill = 1e6, 1e6
	}
	cloud := fake.New(o)
	server := httptest.NewServer(cloud.Handler())
	t.Cleanup(server.Close)
	return cloud, server.URL
}

// try asks without minding a broken connection; status 0 is one.
func try(base, method, path, body string) (status int, answer any, header http.Header) {
	req, _ := http.NewRequest(method, base+path, strings.NewReader(body))
	req.Header.Set("Authorization", "Bearer ucat_FAKE")
	req.Close = true // on a kept connection Go repeats a read that got no reply
	got, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, nil
	}
	defer got.Body.Close()
	if err := json.NewDecoder(got.Body).Decode(&answer); err != nil && !errors.Is(err, io.EOF) {
		return got.StatusCode, "broken", got.Header
	}
	return got.StatusCode, answer, got.Header
}

// made returns the id of a server that has come to a state.
func made(t *testing.T, cloud *fake.Cloud, base string, stopped bool) string {
	t.Helper()
	_, answer := ask(t, base, "POST", "/server", order)
	id := answer.(map[string]any)["server"].(map[string]any)["uuid"].(string)
	cloud.Clock.Move(time.Minute)
	if stopped {
		ask(t, base, "POST", "/server/"+id+"/stop", `{"stop_server":{"stop_type":"hard"}}`)
		cloud.Clock.Move(time.Minute)
	}
	return id
}

// Every fault that the table names can be ordered over HTTP, strikes once, and stands in the log.
func TestEachFaultByName(t *testing.T) {
	const get, list = "GET /1.3/server/{id}", "GET /1.3/server"
	modify, storage, stop := "PUT /1.3/server/{id}", "DELETE /1.3/server/{id}/?storages=1", "POST /1.3/server/{id}/stop"
	tests := map[string]struct {
		call    string
		body    string
		status  int // 0 = no reply, or a broken one
		stopped bool
		after   func(c *fake.Cloud, base, id string) error
	}{
		fake.RequestLost:     {call: get},
		fake.ReplyLost:       {call: modify, body: `{"server":{"title":"b"}}`, after: title("b")},
		fake.ReplyCut:        {call: get},
		fake.BadGateway:      {call: list, status: 502},
		fake.BadGatewayAfter: {call: modify, body: `{"server":{"title":"b"}}`, status: 502, after: title("b")},
		fake.ServerError:     {call: get, status: 503},
		fake.Problem:         {call: get, status: 503},
		fake.TooManyRequests: {call: get, status: 429},
		fake.Unauthorized:    {call: get, status: 401},
		fake.Forbidden:       {call: get, status: 403},
		fake.EchoesSecrets:   {call: get, status: 400},
		fake.NoCredits:       {call: "POST /1.3/server", body: order, status: 402},
		fake.LimitReached:    {call: "POST /1.3/server", body: order, status: 409},
		fake.CreatingLimit:   {call: "POST /1.3/server", body: order, status: 409},
		fake.NoCapacity:      {call: "POST /1.3/server", body: order, status: 409},
		fake.Busy:            {call: stop, body: `{"stop_server":{}}`, status: 409},
		fake.Maintenance: {call: stop, body: `{"stop_server":{}}`, status: 409, after: func(c *fake.Cloud, base, id string) error {
			if got := c.Inventory().Servers[0].State; got != "maintenance" {
				return fmt.Errorf("at once it is %s", got)
			}
			c.Clock.Move(101 * time.Second)
			if got := c.Inventory().Servers[0].State; got != "started" {
				return fmt.Errorf("after its time it is %s", got)
			}
			return nil
		}},
		fake.ListedNotFound: {call: get, status: 404, after: func(_ *fake.Cloud, base, id string) error { return listed(base, id, true) }},
		fake.DeletedForbidden: {call: storage, status: 204, stopped: true, after: func(_ *fake.Cloud, base, id string) error {
			return answers(base, "/1.3/server/"+id, 403)
		}},
		fake.DeletedListed: {call: storage, status: 204, stopped: true, after: func(c *fake.Cloud, base, id string) error {
			if err := answers(base, "/1.3/server/"+id, 404); err != nil {
				return err
			}
			if err := listed(base, id, true); err != nil {
				return err
			}
			c.Clock.Move(101 * time.Second)
			return listed(base, id, false)
		}},
		fake.Hidden: {call: "POST /1.3/server", body: order, status: 202, after: func(c *fake.Cloud, base, _ string) error {
			before := count(base)
			c.Clock.Move(101 * time.Second)
			if after := count(base); before != 1 || after != 2 {
				return fmt.Errorf("%d servers are listed, and then %d", before, after)
			}
			return nil
		}},
		fake.StoragesLeft: {call: storage, status: 204, stopped: true, after: func(c *fake.Cloud, _, _ string) error {
			if now := c.Inventory(); len(now.Servers) != 0 || len(now.Storages) != 1 {
				return fmt.Errorf("%+v", now)
			}
			return nil
		}},
		fake.ResizeBackup: {call: modify, body: `{"server":{"plan":"2xCPU-4GB"}}`, status: 202, stopped: true, after: func(c *fake.Cloud, _, _ string) error {
			if now := c.Inventory(); len(now.Storages) != 2 || now.Storages[0].Title != "Resize Backup" && now.Storages[1].Title != "Resize Backup" {
				return fmt.Errorf("%+v", now)
			}
			return nil
		}},
		fake.PricesDropped: {call: "GET /1.3/price"},
		fake.BootError: {call: "POST /1.3/server", body: order, status: 202, after: func(c *fake.Cloud, _, _ string) error {
			c.Clock.Move(time.Minute)
			states := map[string]int{}
			for _, s := range c.Inventory().Servers {
				states[s.State]++
			}
			if states["error"] != 1 {
				return fmt.Errorf("states %v", states)
			}
			return nil
		}},
		fake.Vanishes: {call: get, status: 404, after: func(c *fake.Cloud, _, _ string) error {
			if now := c.Inventory(); !now.Bare() {
				return fmt.Errorf("%+v", now)
			}
			return nil
		}},
	}
	for _, kind := range fake.Kinds {
		t.Run(kind.Name, func(t *testing.T) {
			tc, ok := tests[kind.Name]
			if !ok {
				t.Fatal("no test arms this fault")
			}
			cloud, base := serve(t, fake.Options{})
			id := made(t, cloud, base, tc.stopped)
			wish := map[string]any{"name": kind.Name}
			for _, field := range kind.Takes {
				wish[field] = map[string]any{"for": "100s", "amount": 503}[field]
			}
			text, _ := json.Marshal(wish)
			if status, answer, _ := try(base, "POST", faults.Prefix+"faults", string(text)); status != 200 {
				t.Fatalf("%d %v", status, answer)
			}
			before := cloud.Log.Report(0).Requests
			method, path, _ := strings.Cut(strings.ReplaceAll(tc.call, "{id}", id), " ")
			status, answer, _ := try(base, method, path, tc.body)
			if broken := status == 0 || answer == "broken"; broken != (tc.status == 0 || tc.status == 502) || !broken && status != tc.status {
				t.Errorf("got %d %v, want %d", status, answer, tc.status)
			}
			if log := cloud.Log.Report(before); len(log.Calls) == 0 || log.Calls[0].Fault != kind.Name {
				t.Errorf("the log does not tell: %+v", log.Calls)
			}
			if armed := cloud.Board.Armed(); len(armed) != 0 {
				t.Errorf("it is armed still: %+v", armed)
			}
			if tc.after != nil {
				if err := tc.after(cloud, base, id); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func title(want string) func(*fake.Cloud, string, string) error {
	return func(c *fake.Cloud, _, _ string) error {
		if got := c.Inventory().Servers[0].Title; got != want {
			return fmt.Errorf("the title is %q: the call had no effect", got)
		}
		return nil
	}
}

func answers(base, path string, want int) error {
	if status, answer, _ := try(base, "GET", path, ""); status != want {
		return fmt.Errorf("%s: %d %v", path, status, answer)
	}
	return nil
}

func servers(base string) []any {
	_, answer, _ := try(base, "GET", "/1.3/server", "")
	return answer.(map[string]any)["servers"].(map[string]any)["server"].([]any)
}

func count(base string) int { return len(servers(base)) }

func listed(base, id string, want bool) error {
	found := strings.Contains(fmt.Sprint(servers(base)), id)
	if found != want {
		return fmt.Errorf("the list shows %s: %v", id, found)
	}
	return nil
}

// What the API would not take is refused with its code, and nothing happens.
func TestStrict(t *testing.T) {
	cloud, base := serve(t, fake.Options{})
	id := made(t, cloud, base, false)
	change := func(from, to string) string { return strings.Replace(order, from, to, 1) }
	for name, tc := range map[string]struct {
		method, path, body string
		status             int
		code               string
	}{
		"attribute":       {"POST", "/1.3/server", change(`"plan"`, `"size"`), 400, "UNKNOWN_ATTRIBUTE"},
		"zone":            {"POST", "/1.3/server", change("fi-hel1", "fi-hel7"), 400, "ZONE_INVALID"},
		"plan":            {"POST", "/1.3/server", change("1xCPU-1GB", "9xCPU"), 400, "PLAN_INVALID"},
		"hostname":        {"POST", "/1.3/server", change(`"hostname":"a"`, `"hostname":"a_b"`), 400, "HOSTNAME_INVALID"},
		"label key":       {"POST", "/1.3/server", change(`"key":"env"`, `"key":"_env"`), 400, "LABEL_KEY_INVALID"},
		"long label key":  {"POST", "/1.3/server", change(`"key":"env"`, `"key":"`+strings.Repeat("x", 33)+`"`), 400, "LABEL_KEY_INVALID"},
		"label value":     {"POST", "/1.3/server", change(`"value":"x"`, `"value":"`+strings.Repeat("x", 256)+`"`), 400, "LABEL_VALUE_INVALID"},
		"template":        {"POST", "/1.3/server", change("000020070100", "000000000000"), 404, "STORAGE_NOT_FOUND"},
		"small":           {"POST", "/1.3/server", change(`"size":25`, `"size":2`), 400, "SIZE_INVALID"},
		"no id":           {"GET", "/1.3/server/nonsense", "", 400, "SERVER_INVALID"},
		"nothing":         {"GET", "/1.3/server/00000000-0000-4000-8000-000000000000", "", 404, "SERVER_NOT_FOUND"},
		"deleted running": {"DELETE", "/1.3/server/" + id + "/?storages=1", "", 409, "SERVER_STATE_ILLEGAL"},
		"started twice":   {"POST", "/1.3/server/" + id + "/start", "{}", 409, "SERVER_STATE_ILLEGAL"},
		"plan running":    {"PUT", "/1.3/server/" + id, `{"server":{"plan":"2xCPU-4GB"}}`, 409, "SERVER_STATE_ILLEGAL"},
		"attached":        {"DELETE", "/1.3/storage/" + cloud.Inventory().Storages[0].ID, "", 409, "STORAGE_ATTACHED_AS_DISK"},
		"no path":         {"GET", "/1.3/servers", "", 404, "NOT_FOUND"},
		"method":          {"PATCH", "/1.3/server", "", 405, "NOT_FOUND"},
	} {
		t.Run(name, func(t *testing.T) {
			status, answer, _ := try(base, tc.method, tc.path, tc.body)
			refused, _ := answer.(map[string]any)["error"].(map[string]any)
			if status != tc.status || refused["error_code"] != tc.code {
				t.Errorf("got %d %v, want %d %s", status, answer, tc.status, tc.code)
			}
		})
	}
	if now := cloud.Inventory(); now.Made != 1 || len(now.Servers) != 1 || len(now.Storages) != 1 {
		t.Errorf("something happened: %+v", now)
	}
	req, _ := http.NewRequest("GET", base+"/1.3/server", nil)
	req.SetBasicAuth("fake", "wrong")
	if got, err := http.DefaultClient.Do(req); err != nil || got.StatusCode != 401 {
		t.Errorf("wrong credentials: %v %v", got, err)
	}
}

// More requests than the bucket holds are refused, and come back with time.
func TestBucket(t *testing.T) {
	cloud, base := serve(t, fake.Options{Bucket: 3, Refill: 1})
	for i, want := range []int{200, 200, 200, 429, 429} {
		status, _, header := try(base, "GET", "/1.3/zone", "")
		if status != want || (want == 429) != (header.Get("Retry-After") == "1") {
			t.Errorf("request %d: %d, Retry-After %q", i+1, status, header.Get("Retry-After"))
		}
	}
	cloud.Clock.Move(2 * time.Second)
	for i, want := range []int{200, 200, 429} {
		if status, _, _ := try(base, "GET", "/1.3/zone", ""); status != want {
			t.Errorf("request %d after two seconds: %d", i+1, status)
		}
	}
}

func TestPagesAndFilters(t *testing.T) {
	cloud, base := serve(t, fake.Options{})
	for range 5 {
		made(t, cloud, base, false)
	}
	for query, want := range map[string]int{
		"": 5, "?limit=2": 2, "?limit=2&offset=4": 1, "?limit=2&offset=9": 0, "?label=env": 5, "?label=ENV%3Dx": 5, "?label=env%3Dy": 0, "?label=env&label=other": 0,
	} {
		_, answer, _ := try(base, "GET", "/1.3/server/"+query, "")
		got := answer.(map[string]any)["servers"].(map[string]any)["server"].([]any)
		if len(got) != want {
			t.Errorf("%s: %d servers, want %d", query, len(got), want)
		}
	}
}
