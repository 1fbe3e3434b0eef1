package ec2

import (
	"net/http"

	"github.com/keelway/keelway/hack/fakecloud/faults"
)

// Faults that can be ordered.
const (
	RequestLimitExceeded         = "RequestLimitExceeded"
	InsufficientInstanceCapacity = "InsufficientInstanceCapacity"
	InstanceLimitExceeded        = "InstanceLimitExceeded"
	VcpuLimitExceeded            = "VcpuLimitExceeded"
	UnauthorizedOperation        = "UnauthorizedOperation"
	AuthFailure                  = "AuthFailure"
	InternalError                = "InternalError"
	Unavailable                  = "Unavailable"
	IdempotentParameterMismatch  = "IdempotentParameterMismatch"
	IdempotentInstanceTerminated = "IdempotentInstanceTerminated"
	ErrorAfterCommit             = "ErrorAfterCommit"
	ReplyLost                    = "ReplyLost"
	ConnectionReset              = "ConnectionReset"
	DescribeLag                  = "DescribeLag"
	TagLag                       = "TagLag"
	PartialFulfilment            = "PartialFulfilment"
	SlowBoot                     = "SlowBoot"
	DiesAfter                    = "DiesAfter"
	SpontaneousTermination       = "SpontaneousTermination"
)

// passing is the call in which time itself strikes.
const passing = "Time"

var (
	launching = []string{"RunInstances"}
	starting  = []string{"RunInstances", "StartInstances"}
)

var kinds = []faults.Kind{
	{Name: RequestLimitExceeded, About: "nothing happens: too many requests"},
	{Name: InsufficientInstanceCapacity, About: "nothing happens: no capacity; target: a zone or type", Calls: starting},
	{Name: InstanceLimitExceeded, About: "nothing happens: the quota of instances is used up", Calls: launching},
	{Name: VcpuLimitExceeded, About: "nothing happens: the quota of vCPUs is used up", Calls: starting},
	{Name: UnauthorizedOperation, About: "nothing happens: the credentials may not do that"},
	{Name: AuthFailure, About: "nothing happens: the credentials are refused"},
	{Name: InternalError, About: "nothing happens: 500"},
	{Name: Unavailable, About: "nothing happens: 503"},
	{Name: IdempotentParameterMismatch, About: "nothing happens: the token was used with other parameters, and stays so", Calls: launching},
	{Name: IdempotentInstanceTerminated, About: "nothing happens: the token's instance has ended, and stays so", Calls: launching},
	{Name: ErrorAfterCommit, About: "it happens, and the reply is 500"},
	{Name: ReplyLost, About: "it happens, and the connection ends without a reply"},
	{Name: ConnectionReset, About: "nothing happens: the connection ends without a reply"},
	{Name: DescribeLag, About: "DescribeInstances does not show the new instances for a while", Calls: launching, Takes: []string{"for"}},
	{Name: TagLag, About: "new tags do not show for a while", Calls: []string{"CreateTags"}, Takes: []string{"for"}},
	{Name: PartialFulfilment, About: "so many instances of those between MinCount and MaxCount", Calls: launching, Takes: []string{"amount"}},
	{Name: SlowBoot, About: "the new instances are pending for so long", Calls: launching, Takes: []string{"for"}},
	{Name: DiesAfter, About: "the new instances end by another hand after a while", Calls: launching, Takes: []string{"for"}},
	{Name: SpontaneousTermination, About: "an instance ends by another hand now; target: its id, zone or type", Calls: []string{passing}},
}

// refusals are the faults that keep a call from doing anything.
var refusals = map[string]*faults.Refusal{
	RequestLimitExceeded:         faults.Refuse(http.StatusServiceUnavailable, "RequestLimitExceeded", "Request limit exceeded."),
	InsufficientInstanceCapacity: faults.Refuse(http.StatusInternalServerError, "InsufficientInstanceCapacity", "We currently do not have sufficient capacity in the Availability Zone you requested. Our system will be working on provisioning additional capacity."),
	InstanceLimitExceeded:        faults.Refuse(http.StatusBadRequest, "InstanceLimitExceeded", "You have requested more instances than your current instance limit allows for the specified instance type."),
	VcpuLimitExceeded:            faults.Refuse(http.StatusBadRequest, "VcpuLimitExceeded", "You have requested more vCPU capacity than your current vCPU limit allows for the instance bucket that the specified instance type belongs to."),
	UnauthorizedOperation:        faults.Refuse(http.StatusForbidden, "UnauthorizedOperation", "You are not authorized to perform this operation. Encoded authorization failure message: 4GbD-not-decoded"),
	AuthFailure:                  faults.Refuse(http.StatusUnauthorized, "AuthFailure", "AWS was not able to validate the provided access credentials"),
	InternalError:                faults.Refuse(http.StatusInternalServerError, "InternalError", "An internal error has occurred"),
	Unavailable:                  faults.Refuse(http.StatusServiceUnavailable, "Unavailable", "The server is overloaded and can't handle the request."),
	IdempotentParameterMismatch:  faults.Refuse(http.StatusBadRequest, "IdempotentParameterMismatch", "Arguments on this idempotent request are inconsistent with arguments used in previous request(s)."),
	IdempotentInstanceTerminated: faults.Refuse(http.StatusBadRequest, "IdempotentInstanceTerminated", "The client token you have provided is associated with a resource that has already been terminated. Please use a different client token."),
}

func refuse(code, text string) *faults.Refusal {
	return faults.Refuse(http.StatusBadRequest, code, text)
}
