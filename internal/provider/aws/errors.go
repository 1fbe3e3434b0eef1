package aws

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

type verdict struct {
	class  fault.Class
	reason fault.Reason
}

var (
	unauthenticated = verdict{fault.Terminal, fault.ReasonUnauthenticated}
	unauthorized    = verdict{fault.Terminal, fault.ReasonUnauthorized}
	quotaExceeded   = verdict{fault.Terminal, fault.ReasonQuotaExceeded}
	depleted        = verdict{fault.Retry, fault.ReasonResourcesDepleted}
	inProgress      = verdict{fault.Wait, fault.ReasonInProgress}
	invalid         = verdict{fault.Terminal, fault.ReasonInvalid}
	rateLimited     = verdict{fault.Retry, fault.ReasonRateLimited}
	transient       = verdict{fault.Retry, fault.ReasonTransient}
	conflict        = verdict{fault.Retry, fault.ReasonConflict}
	notFound        = verdict{fault.Gone, fault.ReasonNotFound}
)

// verdicts by AWS's own error codes. What is not here is judged by its form, see judge.
var verdicts = map[string]verdict{
	"AuthFailure": unauthenticated, "InvalidClientTokenId": unauthenticated, "SignatureDoesNotMatch": unauthenticated,
	"UnrecognizedClientException": unauthenticated, "IncompleteSignature": unauthenticated, "MissingAuthenticationToken": unauthenticated,
	"ExpiredToken": unauthenticated, "ExpiredTokenException": unauthenticated, "RequestExpired": unauthenticated,
	"InvalidIdentityToken": unauthenticated, "InvalidSignatureException": unauthenticated,

	"UnauthorizedOperation": unauthorized, "AccessDenied": unauthorized, "AccessDeniedException": unauthorized, "OptInRequired": unauthorized,
	"Blocked": unauthorized, "OperationNotPermitted": {fault.Terminal, fault.ReasonNotAllowed},

	"InstanceLimitExceeded": quotaExceeded, "VcpuLimitExceeded": quotaExceeded, "MaxSpotInstanceCountExceeded": quotaExceeded,
	"VolumeLimitExceeded": quotaExceeded, "SecurityGroupLimitExceeded": quotaExceeded, "SecurityGroupsPerInstanceLimitExceeded": quotaExceeded,
	"RulesPerSecurityGroupLimitExceeded": quotaExceeded, "NetworkInterfaceLimitExceeded": quotaExceeded, "TagLimitExceeded": quotaExceeded,
	"AddressLimitExceeded": quotaExceeded, "KeyPairLimitExceeded": quotaExceeded,

	"InsufficientInstanceCapacity": depleted, "InsufficientHostCapacity": depleted, "InsufficientReservedInstanceCapacity": depleted,
	"InsufficientAddressCapacity": depleted, "InsufficientVolumeCapacity": depleted, "InsufficientFreeAddressesInSubnet": depleted,
	"InsufficientCapacityOnHost": depleted, "SpotMaxPriceTooLow": depleted,

	"IncorrectInstanceState": inProgress, "IncorrectState": inProgress, "PendingVerification": {fault.Retry, fault.ReasonTransient},
	"DependencyViolation": conflict, "ConcurrentTagAccess": conflict, "ResourceCountExceeded": conflict,
	"InternalError": transient, "InternalFailure": transient, "InternalServerError": transient, "Unavailable": transient, "ServiceUnavailable": transient,

	"InvalidInstanceID.NotFound": notFound, "InvalidInstanceID.Malformed": notFound,
}

// classify turns what the SDK says into a fault whose message holds the call, AWS's own code and text, and the request's id. unsure is
// the class of an error after which nobody knows whether the call took effect: Unknown for a change, Retry for a read.
func classify(call string, err error, unsure fault.Class) error {
	if err == nil {
		return nil
	}
	if found, already := errors.AsType[*fault.Error](err); already { // from our own dialer, or because it is not our turn
		return &fault.Error{Class: found.Class, Reason: found.Reason, After: found.After, Doing: call, Err: found.Err}
	}
	api, answered := errors.AsType[smithy.APIError](err)
	if !answered {
		return unanswered(call, err, unsure)
	}
	_, ofCredentials := errors.AsType[credentialsError](err)
	got := judge(api.ErrorCode(), statusOf(err))
	if got == transient && unsure == fault.Unknown && !ofCredentials {
		got = verdict{fault.Unknown, fault.ReasonOutcomeUnknown} // 5xx is also said of what has taken effect
	}
	if ofCredentials {
		call += ": getting credentials"
	}
	text := api.ErrorMessage()
	if id := requestID(err); id != "" {
		// The request's id must survive the clipping of a long text: support asks for it first.
		return &fault.Error{Class: got.class, Reason: got.reason, Err: errors.New(provider.Clip(call + ": " + api.ErrorCode() + " (request " + id + "): " + text))}
	}
	return &fault.Error{Class: got.class, Reason: got.reason, Err: errors.New(provider.Clip(call + ": " + api.ErrorCode() + ": " + text))}
}

func judge(code string, status int) verdict {
	if known, ok := verdicts[code]; ok {
		return known
	}
	if _, throttled := retry.DefaultThrottleErrorCodes[code]; throttled || status == http.StatusTooManyRequests {
		return rateLimited
	}
	for _, prefix := range []string{"Invalid", "Missing", "Unsupported", "Malformed", "Unknown", "VPC", "Validation"} {
		if strings.HasPrefix(code, prefix) {
			return invalid
		}
	}
	switch {
	case strings.HasSuffix(code, "LimitExceeded"):
		return quotaExceeded
	case strings.HasPrefix(code, "Insufficient"):
		return depleted
	}
	return transient
}

// unanswered judges a call without an answer of AWS in it.
func unanswered(call string, err error, unsure fault.Class) error {
	wrap := func(class fault.Class, reason fault.Reason, text string) error {
		return &fault.Error{Class: class, Reason: reason, Err: errors.New(provider.Clip(call + ": " + text))}
	}
	if missing, ok := errors.AsType[credentialsError](err); ok {
		return wrap(fault.Retry, fault.ReasonUnreachable, "no credentials: "+missing.Error())
	}
	if early, ok := errors.AsType[tooEarly](err); ok {
		return &fault.Error{Class: fault.Retry, Reason: fault.ReasonRateLimited, After: early.after, Err: fmt.Errorf("%s: %w", call, early)}
	}
	reason := fault.ReasonTransient
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" { // never connected: nothing was sent
		return wrap(fault.Retry, fault.ReasonUnreachable, "AWS does not answer: "+op.Error())
	}
	if unsure == fault.Unknown {
		reason = fault.ReasonOutcomeUnknown
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return wrap(unsure, reason, "the call was cut off: "+err.Error())
	}
	return wrap(unsure, reason, err.Error())
}

// notSent is the error of a context that had ended before anything was sent.
func notSent(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fault.New(fault.Retry, fault.ReasonTransient, "not sent: %w", err)
	}
	return nil
}

// codeOf returns AWS's own code of an error, or "".
func codeOf(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

func statusOf(err error) int {
	if got, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		return got.HTTPStatusCode()
	}
	return 0
}

func requestID(err error) string {
	if got, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		return got.ServiceRequestID()
	}
	return ""
}
