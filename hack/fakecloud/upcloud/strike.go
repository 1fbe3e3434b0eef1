package upcloud

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/keelway/keelway/hack/fakecloud/faults"
)

// strikes takes an order of one of the names, and writes down that it struck.
func (c *Cloud) strikes(now *call, names ...string) (faults.Order, bool) {
	return c.Strike(now.entry, now.op, []string{now.id}, names...)
}

// refusals are faults that answer instead of the cloud.
var refusals = map[string]*faults.Refusal{
	Unauthorized:  faults.Refuse(http.StatusUnauthorized, "AUTHENTICATION_FAILED", "Authentication failed using the given username and password."),
	Forbidden:     faults.Refuse(http.StatusForbidden, "ACTION_FORBIDDEN", "The account has no permission to do this."),
	NoCredits:     faults.Refuse(http.StatusPaymentRequired, "INSUFFICIENT_CREDITS", "The account has not enough credits."),
	LimitReached:  faults.Refuse(http.StatusConflict, "SERVER_CORE_LIMIT_REACHED", "The account's limit of CPU cores is reached."),
	CreatingLimit: faults.Refuse(http.StatusConflict, "SERVER_CREATING_LIMIT_REACHED", "Too many servers are being created."),
	NoCapacity:    faults.Refuse(http.StatusConflict, "SERVER_RESOURCES_UNAVAILABLE", "The zone has no resources for this server now."),
	Busy:          faults.Refuse(http.StatusConflict, "SERVER_STATE_ILLEGAL", "The operation is not allowed in the present state."),
	EchoesSecrets: faults.Refuse(http.StatusBadRequest, "REQUEST_INVALID", "The request is invalid: "),
}

func (c *Cloud) strikesBefore(w http.ResponseWriter, r *http.Request, now *call) bool {
	order, struck := c.strikes(now, RequestLost, BadGateway, ServerError, Problem, TooManyRequests, PricesDropped,
		Unauthorized, Forbidden, NoCredits, LimitReached, CreatingLimit, NoCapacity, Busy, EchoesSecrets)
	if !struck {
		return false
	}
	switch order.Name {
	case RequestLost:
		c.drop(now)
	case PricesDropped:
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(http.StatusOK)
		_, _ = io.WriteString(w, `{"prices":{"zone":[{"name":"fi-`)
		_ = http.NewResponseController(w).Flush()
		c.drop(now)
	case BadGateway:
		c.gateway(w, now)
	case ServerError:
		c.answer(w, now.entry, order.Amount, &refusal{"SERVICE_ERROR", "The service is not available."})
	case Problem:
		c.problem(w, now, order.Amount)
	case TooManyRequests:
		w.Header().Set("Retry-After", "1")
		c.answer(w, now.entry, http.StatusTooManyRequests, &refusal{"TOO_MANY_REQUESTS", "Too many requests."})
	default:
		said := *refusals[order.Name]
		if order.Name == EchoesSecrets {
			said.Text += r.Header.Get("Authorization")
			if _, password, ok := r.BasicAuth(); ok {
				said.Text += " " + password
			}
		}
		c.answer(w, now.entry, said.Status, &refusal{said.Code, said.Text})
	}
	return true
}

func (c *Cloud) strikesAfter(w http.ResponseWriter, now *call, body any) bool {
	order, struck := c.strikes(now, ReplyLost, ReplyCut, BadGatewayAfter)
	if !struck {
		return false
	}
	switch order.Name {
	case ReplyLost:
		c.drop(now)
	case BadGatewayAfter:
		c.gateway(w, now)
	case ReplyCut:
		text, _ := json.Marshal(body)
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Content-Length", fmt.Sprint(len(text)))
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write(text[:len(text)/2])
		_ = http.NewResponseController(w).Flush()
		c.drop(now)
	}
	return true
}

// drop ends the connection without another word.
func (c *Cloud) drop(now *call) {
	c.Log.End(now.entry)
	panic(http.ErrAbortHandler)
}

func (c *Cloud) gateway(w http.ResponseWriter, now *call) {
	c.Log.Note(now.entry, func(e *faults.Call) { e.Status = http.StatusBadGateway })
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(http.StatusBadGateway)
	_, _ = io.WriteString(w, "<html><head><title>502 Bad Gateway</title></head></html>")
}

// problem answers in the other of the two formats.
func (c *Cloud) problem(w http.ResponseWriter, now *call, status int) {
	c.Log.Note(now.entry, func(e *faults.Call) { e.Status, e.Code = status, "SERVICE_ERROR" })
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(object{
		"type": "https://developers.upcloud.com/1.3/errors#ERROR_SERVICE_ERROR", "title": "The request failed.", "status": status,
		"correlation_id": requestID(), "invalid_params": []object{{"name": "server", "reason": "it was ordered so"}},
	})
}
