package upcloud

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/UpCloudLtd/upcloud-go-api/v8/upcloud"
	"github.com/UpCloudLtd/upcloud-go-api/v8/upcloud/client"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

// problem is what UpCloud said, in either of its two formats. It is in the chain of every error that a reply caused.
type problem struct {
	status    int
	code      string
	text      string
	requestID string
}

// Error returns the cloud's text, code and request id.
func (p *problem) Error() string {
	var told []string
	if p.code != "" {
		told = append(told, p.code)
	}
	told = append(told, fmt.Sprintf("HTTP %d", p.status))
	if p.requestID != "" {
		told = append(told, "request "+p.requestID)
	}
	text := p.text
	if text == "" {
		text = http.StatusText(p.status)
	}
	return provider.Clip(fmt.Sprintf("UpCloud: %.600s (%s)", text, strings.Join(told, ", ")))
}

func refusal(mutating bool, told *answer, got *client.Error, scrub func(string) string) error {
	p := read(got)
	p.text, p.code = scrub(p.text), scrub(p.code)
	if p.requestID == "" {
		p.requestID = told.requestID
	}
	class, reason := judge(mutating, p)
	err := &fault.Error{Class: class, Reason: reason, Err: p}
	switch {
	case reason == fault.ReasonRateLimited:
		err.After = max(told.retryAfter, time.Second)
	case class == fault.Wait:
		err.After = 5 * time.Second
	}
	return err
}

// read takes apart {"error": {…}} and application/problem+json. A page of a proxy has neither: its beginning is quoted.
func read(got *client.Error) *problem {
	p := &problem{status: got.ErrorCode}
	var body struct {
		upcloud.Problem
		Error struct {
			Code    string `json:"error_code"`
			Message string `json:"error_message"`
		} `json:"error"`
	}
	if err := json.Unmarshal(got.ResponseBody, &body); err != nil {
		p.text = strings.ToValidUTF8(fmt.Sprintf("%.100q", got.ResponseBody), "")
		return p
	}
	p.code, p.text, p.requestID = body.Error.Code, body.Error.Message, body.CorrelationID
	if p.code == "" {
		p.code, p.text = body.ErrorCode(), body.Title
		for _, param := range body.InvalidParams {
			p.text += fmt.Sprintf("; %s: %s", param.Name, param.Reason)
		}
	}
	return p
}

// busy are codes of things that are under way and pass.
var busy = map[string]bool{
	upcloud.ErrCodeServerStateIllegal: true, upcloud.ErrCodeStorageStateIllegal: true, "SERVER_LOCKED": true, "STORAGE_LOCKED": true,
	upcloud.ErrCodeStorageInUse: true,
}

// depleted are codes of a cloud that has no room now.
var depleted = map[string]bool{
	upcloud.ErrCodeServerResourcesUnavailable: true, upcloud.ErrCodeStorageResourcesUnavailable: true, upcloud.ErrCodeStrictAntiAffinityNotMet: true,
}

// judge says what a refusal asks of the caller.
func judge(mutating bool, p *problem) (fault.Class, fault.Reason) {
	switch {
	case p.code == upcloud.ErrCodeServerCreatingLimitReached: // so many in the making at once: it passes
		return fault.Retry, fault.ReasonRateLimited
	case strings.HasSuffix(p.code, "_LIMIT_REACHED"), p.status == http.StatusPaymentRequired, p.code == upcloud.ErrCodeTrialPlan:
		return fault.Terminal, fault.ReasonQuotaExceeded
	case depleted[p.code]:
		return fault.Retry, fault.ReasonResourcesDepleted
	case busy[p.code]:
		return fault.Wait, fault.ReasonInProgress
	}
	switch p.status {
	case http.StatusUnauthorized:
		return fault.Terminal, fault.ReasonUnauthenticated
	case http.StatusForbidden:
		return fault.Terminal, fault.ReasonUnauthorized
	case http.StatusNotFound:
		return fault.Gone, fault.ReasonNotFound
	case http.StatusConflict:
		return fault.Retry, fault.ReasonConflict
	case http.StatusTooManyRequests:
		return fault.Retry, fault.ReasonRateLimited
	}
	switch {
	case p.status >= 500 && mutating: // a gateway may have lost the reply to what was done
		return fault.Unknown, fault.ReasonOutcomeUnknown
	case p.status >= 500:
		return fault.Retry, fault.ReasonTransient
	}
	return fault.Terminal, fault.ReasonInvalid
}

// broken classifies a request that got no reply. One that was never sent has changed nothing; after that, nobody knows.
func broken(mutating bool, err error, scrub func(string) string) error {
	if classified, ok := errors.AsType[*fault.Error](err); ok { // the limiter's
		return classified
	}
	text := provider.Clip(scrub(err.Error()))
	op, dialling := errors.AsType[*net.OpError](err)
	ended := errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
	switch {
	case dialling && op.Op == "dial":
		return fault.New(fault.Retry, fault.ReasonUnreachable, "UpCloud does not answer: %s", text)
	case mutating:
		return fault.New(fault.Unknown, fault.ReasonOutcomeUnknown, "no reply from UpCloud: %s", text)
	case ended:
		return fault.New(fault.Retry, fault.ReasonTransient, "no reply from UpCloud in time: %s", text)
	}
	return fault.New(fault.Retry, fault.ReasonUnreachable, "no reply from UpCloud: %s", text)
}

// says reports whether the cloud's own code is in the error.
func says(err error, codes ...string) bool {
	p, ok := errors.AsType[*problem](err)
	if !ok {
		return false
	}
	for _, code := range codes {
		if p.code == code {
			return true
		}
	}
	return false
}
