package ec2

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/keelway/keelway/hack/fakecloud/faults"
)

// operation reads its parameters and returns what it would do. Between the two the cloud refuses what was not read.
type operation func(c *Cloud, p *params) (do func(now time.Time) (any, error), err error)

const bodyLimit = 4 << 20

// serve answers one request to any of the services. Which one is meant stands in the signature.
func (c *Cloud) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyLimit))
	if err != nil || r.Method != http.MethodPost || r.URL.Path != "/" {
		http.Error(w, "a POST to / is expected", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	c.serial++
	id := fmt.Sprintf("%08x-fake-4000-8000-%012x", c.serial, c.serial)
	c.mu.Unlock()
	a := c.parse(r, body, id)
	a.call = c.Log.Begin(faults.Call{Operation: a.operation, Target: a.target(), RequestID: id, Mutating: mutating(a.operation)})
	defer c.Log.End(a.call)
	a.w = w
	a.handle()
}

func mutating(operation string) bool {
	for _, prefix := range []string{"Describe", "Get", "Assume"} {
		if strings.HasPrefix(operation, prefix) {
			return false
		}
	}
	return true
}

// attempt is one request on its way through the cloud.
type attempt struct {
	cloud              *Cloud
	w                  http.ResponseWriter
	r                  *http.Request
	body               []byte
	service, operation string
	params             *params
	id                 string
	call               *faults.Call
}

func (c *Cloud) parse(r *http.Request, body []byte, id string) *attempt {
	a := &attempt{cloud: c, r: r, body: body, id: id, params: &params{form: url.Values{}, read: map[string]bool{}}}
	if scope := strings.Split(authorization(r)["Credential"], "/"); len(scope) == 5 {
		a.service = scope[3]
	}
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		a.operation = target[strings.LastIndexByte(target, '.')+1:]
		return a
	}
	a.params.form, _ = url.ParseQuery(string(body))
	a.operation = a.params.form.Get("Action")
	if a.operation == "AssumeRoleWithWebIdentity" { // it is not signed
		a.service = "sts"
	}
	return a
}

// target is what a person looks for in the log, and what an order may name.
func (a *attempt) target() string {
	for _, name := range []string{"ClientToken", "InstanceId.1", "InstanceId", "ResourceId.1", "GroupId", "GroupName", "KeyName"} {
		if value := a.params.form.Get(name); value != "" {
			return value
		}
	}
	return ""
}

func (a *attempt) targets() []string {
	var all []string
	for name, values := range a.params.form {
		if !strings.HasPrefix(name, "UserData") {
			all = append(all, values...)
		}
	}
	return all
}

func (a *attempt) handle() {
	c := a.cloud
	if _, reset := a.strike(ConnectionReset); reset {
		panic(http.ErrAbortHandler)
	}
	reply, err := a.answer()
	if _, lost := a.strike(ReplyLost); lost && err == nil {
		panic(http.ErrAbortHandler)
	}
	if _, spoilt := a.strike(ErrorAfterCommit); spoilt && err == nil {
		err = refusals[InternalError]
	}
	status, text := http.StatusOK, reply
	if err != nil {
		refusal, known := errors.AsType[*faults.Refusal](err)
		if !known {
			refusal = faults.Refuse(http.StatusInternalServerError, "InternalError", err.Error())
		}
		status, text = refusal.Status, a.refusal(refusal)
		c.Log.Note(a.call, func(call *faults.Call) { call.Code = refusal.Code })
	}
	c.Log.Note(a.call, func(call *faults.Call) { call.Status = status })
	a.w.Header().Set("X-Amzn-Requestid", a.id)
	a.w.Header().Set("Content-Type", "text/xml;charset=UTF-8")
	if a.json() {
		a.w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	}
	a.w.WriteHeader(status)
	_, _ = a.w.Write(text)
}

func (a *attempt) strike(names ...string) (faults.Order, bool) {
	return a.cloud.Strike(a.call, a.operation, a.targets(), names...)
}

func (a *attempt) answer() ([]byte, error) {
	c := a.cloud
	if order, struck := a.strike(AuthFailure, RequestLimitExceeded, InternalError, Unavailable); struck {
		return nil, refusals[order.Name]
	}
	if err := a.authenticate(); err != nil {
		return nil, err
	}
	if a.service != "ec2" {
		if order, struck := a.strike(UnauthorizedOperation); struck {
			denied := *refusals[order.Name]
			denied.Code = map[string]string{"sts": "AccessDenied"}[a.service]
			if denied.Code == "" {
				denied.Code = "AccessDeniedException"
			}
			return nil, &denied
		}
		return c.beside(a)
	}
	op := operations[a.operation]
	if op == nil {
		return nil, refuse("InvalidAction", fmt.Sprintf("The action %.64s is not valid for this web service.", a.operation))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.advance()
	if c.throttled(a.operation, a.params, now) {
		return nil, refusals[RequestLimitExceeded]
	}
	do, err := op(c, a.params)
	if err == nil {
		err = a.params.unread()
	}
	if err != nil {
		return nil, err
	}
	if order, struck := a.strike(UnauthorizedOperation, InsufficientInstanceCapacity, InstanceLimitExceeded, VcpuLimitExceeded,
		IdempotentParameterMismatch, IdempotentInstanceTerminated); struck {
		c.spend(order.Name, a.params.form.Get("ClientToken"), a.params.hash())
		return nil, refusals[order.Name]
	}
	reply, err := do(now)
	if err != nil {
		return nil, err
	}
	return a.envelope(reply)
}

func (a *attempt) json() bool { return a.r.Header.Get("X-Amz-Target") != "" }

// envelope puts the fields of a reply between the element that EC2 names after the call.
func (a *attempt) envelope(reply any) ([]byte, error) {
	inner, err := xml.Marshal(reply)
	if err != nil {
		return nil, err
	}
	inner = inner[bytes.IndexByte(inner, '>')+1:]
	if end := bytes.LastIndexByte(inner, '<'); end >= 0 {
		inner = inner[:end]
	}
	return fmt.Appendf(nil, "%s<%[2]sResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>%[3]s</requestId>%[4]s</%[2]sResponse>",
		xml.Header, a.operation, a.id, inner), nil
}

func (a *attempt) refusal(e *faults.Refusal) []byte {
	if a.json() {
		return fmt.Appendf(nil, "{\"__type\":%q,\"message\":%q}", e.Code, e.Text)
	}
	var text bytes.Buffer
	_ = xml.EscapeText(&text, []byte(e.Text))
	if a.service == "sts" {
		return fmt.Appendf(nil, "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>%s</RequestId></ErrorResponse>", e.Code, text.String(), a.id)
	}
	return fmt.Appendf(nil, "%s<Response><Errors><Error><Code>%s</Code><Message>%s</Message></Error></Errors><RequestID>%s</RequestID></Response>", xml.Header, e.Code, text.String(), a.id)
}

// authorization are the parts of a SigV4 header.
func authorization(r *http.Request) map[string]string {
	parts := map[string]string{}
	rest, signed := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	if !signed {
		return parts
	}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		parts[name] = value
	}
	return parts
}

// authenticate checks the signature by making it again.
func (a *attempt) authenticate() error {
	if a.operation == "AssumeRoleWithWebIdentity" {
		return nil
	}
	parts := authorization(a.r)
	scope := strings.Split(parts["Credential"], "/")
	if len(scope) != 5 || parts["SignedHeaders"] == "" || parts["Signature"] == "" {
		return faults.Refuse(http.StatusForbidden, "MissingAuthenticationToken", "Request is missing Authentication Token")
	}
	c := a.cloud
	c.mu.Lock()
	secret, known := c.options.Keys[scope[0]]
	if session, temporary := c.sessions[scope[0]]; temporary {
		secret, known = session, a.r.Header.Get("X-Amz-Security-Token") == sessionToken(scope[0])
	}
	c.mu.Unlock()
	refused := refusals[AuthFailure]
	if a.service != "ec2" {
		refused = faults.Refuse(http.StatusForbidden, "InvalidClientTokenId", "The security token included in the request is invalid.")
	}
	if !known {
		return refused
	}
	if a.signature(scope, strings.Split(parts["SignedHeaders"], ";"), secret) != parts["Signature"] {
		if a.service == "ec2" {
			return refused
		}
		return faults.Refuse(http.StatusForbidden, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided.")
	}
	return nil
}

func (a *attempt) signature(scope, headers []string, secret string) string {
	again, _ := http.NewRequest(a.r.Method, "http://"+a.r.Host+a.r.URL.RequestURI(), nil)
	for _, name := range headers {
		if name != "host" && name != "content-length" {
			again.Header[http.CanonicalHeaderKey(name)] = a.r.Header.Values(name)
		}
	}
	if slices.Contains(headers, "content-length") {
		again.ContentLength = int64(len(a.body))
	}
	at, err := time.Parse("20060102T150405Z", a.r.Header.Get("X-Amz-Date"))
	if err != nil {
		return ""
	}
	credentials := aws.Credentials{AccessKeyID: scope[0], SecretAccessKey: secret, SessionToken: again.Header.Get("X-Amz-Security-Token")}
	if err := v4.NewSigner().SignHTTP(context.Background(), credentials, again, hexSHA256(a.body), scope[3], scope[2], at); err != nil {
		return ""
	}
	return authorization(again)["Signature"]
}
