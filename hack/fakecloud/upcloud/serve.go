package upcloud

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/keelway/keelway/hack/fakecloud/faults"
)

// call is one request under way.
type call struct {
	op    string
	id    string // of what the path names
	query url.Values
	body  []byte
	entry *faults.Call
}

// handler does what is asked, with the account locked, and returns status and body. A *refusal as the body is an error.
type handler func(*Cloud, *call) (int, any)

// refusal is an error of the API.
type refusal struct {
	code, text string
}

func refuse(status int, code, format string, args ...any) (int, any) {
	return status, &refusal{code, fmt.Sprintf(format, args...)}
}

const id = `([^/]+)`

// routes are the operations; paths have no slash at their end here, and may have one.
var routes = []struct {
	method string
	path   *regexp.Regexp
	op     string
	do     handler
}{
	{"GET", path("account"), opAccount, (*Cloud).getAccount},
	{"GET", path("account/details/" + id), opAccountDetails, (*Cloud).getAccountDetails},
	{"GET", path("zone"), opZones, (*Cloud).listZones},
	{"GET", path("plan"), opPlans, (*Cloud).listPlans},
	{"GET", path("server_size"), opSizes, (*Cloud).listSizes},
	{"GET", path("price"), opPrices, (*Cloud).listPrices},
	{"GET", path("server"), opServers, (*Cloud).listServers},
	{"POST", path("server"), opCreate, (*Cloud).createServer},
	{"GET", path("server/" + id), opServer, (*Cloud).getServer},
	{"PUT", path("server/" + id), opModify, (*Cloud).modifyServer},
	{"POST", path("server/" + id + "/start"), opStart, (*Cloud).startServer},
	{"POST", path("server/" + id + "/stop"), opStop, (*Cloud).stopServer},
	{"DELETE", path("server/" + id), opDelete, (*Cloud).deleteServer},
	{"GET", path("server/" + id + "/firewall_rule"), opRules, (*Cloud).getRules},
	{"PUT", path("server/" + id + "/firewall_rule"), opSetRules, (*Cloud).setRules},
	{"GET", path("storage(?:/(private|public|template|backup|normal))?"), opStorages, (*Cloud).listStorages},
	{"GET", path("storage/" + id), opStorage, (*Cloud).getStorage},
	{"PUT", path("storage/" + id), opModifyStorage, (*Cloud).modifyStorage},
	{"POST", path("storage/" + id + "/resize"), opResizeStorage, (*Cloud).resizeStorage},
	{"DELETE", path("storage/" + id), opDeleteStorage, (*Cloud).deleteStorage},
	{"GET", path("network"), opNetworks, (*Cloud).listNetworks},
	{"POST", path("network"), opCreateNetwork, (*Cloud).createNetwork},
	{"DELETE", path("network/" + id), opDeleteNetwork, (*Cloud).deleteNetwork},
	{"POST", path("server-group"), opCreateGroup, (*Cloud).createGroup},
	{"DELETE", path("server-group/" + id), opDeleteGroup, (*Cloud).deleteGroup},
}

func path(text string) *regexp.Regexp { return regexp.MustCompile("^/1\\.3/" + text + "$") }

func (c *Cloud) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Request-Id", requestID())
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	known := false
	for _, route := range routes {
		match := route.path.FindStringSubmatch(strings.TrimSuffix(r.URL.Path, "/"))
		if match == nil {
			continue
		}
		known = true
		if route.method == r.Method && err == nil {
			now := &call{op: route.op, query: r.URL.Query(), body: body}
			if len(match) > 1 {
				now.id = match[1]
			}
			c.play(w, r, now, route.do)
			return
		}
	}
	status, text := http.StatusNotFound, "no such resource"
	if known {
		status, text = http.StatusMethodNotAllowed, "the method is not possible here, or the body cannot be read"
	}
	entry := c.Log.Begin(faults.Call{Operation: r.Method + " " + r.URL.Path, Mutating: r.Method != http.MethodGet})
	defer c.Log.End(entry)
	c.answer(w, entry, status, &refusal{"NOT_FOUND", text})
}

// play takes a call through all points where it can go wrong.
func (c *Cloud) play(w http.ResponseWriter, r *http.Request, now *call, do handler) {
	now.entry = c.Log.Begin(faults.Call{Operation: now.op, Target: now.id, Mutating: r.Method != http.MethodGet, RequestID: w.Header().Get("X-Request-Id")})
	defer c.Log.End(now.entry)
	if !c.knows(r) {
		c.answer(w, now.entry, http.StatusUnauthorized, &refusal{"AUTHENTICATION_FAILED", "Authentication failed using the given username and password."})
		return
	}
	if !c.bucket.Take(c.Clock.Now(), 1) {
		w.Header().Set("Retry-After", "1")
		c.answer(w, now.entry, http.StatusTooManyRequests, &refusal{"TOO_MANY_REQUESTS", "Too many requests."})
		return
	}
	if c.strikesBefore(w, r, now) {
		return
	}
	c.mu.Lock()
	c.advance()
	status, body := do(c, now)
	c.mu.Unlock()
	if _, refused := body.(*refusal); !refused && c.strikesAfter(w, now, body) {
		return
	}
	c.answer(w, now.entry, status, body)
}

func (c *Cloud) knows(r *http.Request) bool {
	if token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); bearer {
		return token == c.o.Token
	}
	name, password, ok := r.BasicAuth()
	return ok && name == c.o.Username && password == c.o.Password
}

const contentType = "application/json; charset=UTF-8"

func (c *Cloud) answer(w http.ResponseWriter, entry *faults.Call, status int, body any) {
	refused, isError := body.(*refusal)
	c.Log.Note(entry, func(e *faults.Call) {
		e.Status = status
		if isError {
			e.Code = refused.code
		}
	})
	if isError {
		body = object{"error": object{"error_code": refused.code, "error_message": refused.text}}
	}
	if body == nil {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // whoever asked has gone
}

// object is a JSON object.
type object = map[string]any

func requestID() string {
	var raw [12]byte
	_, _ = rand.Read(raw[:])
	return strings.ToUpper(hex.EncodeToString(raw[:]))
}

// read takes a request apart and refuses attributes that this API does not have.
func read(body []byte, into any) *refusal {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		if name, unknown := strings.CutPrefix(err.Error(), "json: unknown field "); unknown {
			return &refusal{"UNKNOWN_ATTRIBUTE", "The attribute " + name + " is unknown."}
		}
		return &refusal{"REQUEST_INVALID", "The request cannot be read: " + err.Error()}
	}
	return nil
}

var wholeID = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// pick returns the part of a list that limit and offset name.
func pick[T any](all []T, query url.Values) []T {
	var limit, offset int
	_, _ = fmt.Sscan(query.Get("offset"), &offset)
	all = all[min(max(0, offset), len(all)):]
	if _, err := fmt.Sscan(query.Get("limit"), &limit); err == nil && limit > 0 {
		all = all[:min(limit, len(all))]
	}
	return all
}

// labelled reports whether labels fit all filters: "key" or "key=value", the key in any case.
func labelled(labels []label, query url.Values) bool {
	for _, filter := range query["label"] {
		key, value, exact := strings.Cut(filter, "=")
		if !slices.ContainsFunc(labels, func(l label) bool { return strings.EqualFold(l.Key, key) && (!exact || l.Value == value) }) {
			return false
		}
	}
	return true
}
