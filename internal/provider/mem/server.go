package mem

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

// request and reply are the whole protocol: a POST of one to /<verb>, answered by the other. Ids travel in the body, so that
// a hostile one is never part of a path.
type request struct {
	Want  provider.Machine
	ID    string
	Owner provider.Owner
	Key   string         // of Adopt
	Power provider.Power // of Power
	Size  string         // of Resize
}

type reply struct {
	Instance  provider.Instance
	Instances []provider.Instance
	Error     *wireError
}

type wireError struct {
	Class   string
	Reason  fault.Reason
	After   time.Duration // nanoseconds
	Message string
}

var classes = map[string]fault.Class{}

func init() {
	for _, class := range []fault.Class{fault.Retry, fault.Wait, fault.Unknown, fault.Terminal, fault.Gone} {
		classes[class.String()] = class
	}
}

// Handler serves a cloud to Dial, so that the cloud outlives an operator that is killed. It has no authentication: bind it to
// a loopback address. An ordered panic breaks the connection, as a crashed server would.
func Handler(c *Cloud) http.Handler {
	mux := http.NewServeMux()
	route := func(verb Verb, do func(*http.Request, request) (reply, error)) {
		mux.HandleFunc("POST /"+string(verb), func(w http.ResponseWriter, r *http.Request) { serve(w, r, do) })
	}
	route(Create, func(r *http.Request, in request) (out reply, err error) {
		out.Instance, err = c.Create(r.Context(), in.Want)
		return out, err
	})
	route(Get, func(r *http.Request, in request) (out reply, err error) {
		out.Instance, err = c.Get(r.Context(), in.ID)
		return out, err
	})
	route(Delete, func(r *http.Request, in request) (reply, error) { return reply{}, c.Delete(r.Context(), in.ID) })
	route(List, func(r *http.Request, in request) (out reply, err error) {
		out.Instances, err = c.List(r.Context(), in.Owner)
		return out, err
	})
	route(Power, func(r *http.Request, in request) (reply, error) {
		return reply{}, c.Power(r.Context(), in.ID, in.Power)
	})
	route(Resize, func(r *http.Request, in request) (reply, error) {
		return reply{}, c.Resize(r.Context(), in.ID, in.Size)
	})
	route(Adopt, func(r *http.Request, in request) (out reply, err error) {
		out.Instance, err = c.Adopt(r.Context(), in.ID, in.Key, in.Owner)
		return out, err
	})
	return mux
}

const requestLimit = 1 << 20

func serve(w http.ResponseWriter, r *http.Request, do func(*http.Request, request) (reply, error)) {
	defer func() {
		if recover() != nil {
			panic(http.ErrAbortHandler) // the same broken connection, without a stack in somebody's log
		}
	}()
	var in request
	var out reply
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, requestLimit)).Decode(&in)
	if err != nil {
		err = fault.New(fault.Terminal, fault.ReasonInvalid, "the request cannot be read: %w", err)
	} else {
		out, err = do(r, in)
	}
	if err != nil {
		out = reply{Error: &wireError{fault.ClassOf(err).String(), fault.ReasonOf(err), fault.AfterOf(err), provider.Clip(err.Error())}}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out) // the caller has gone: it will ask again
}
