package ec2

import (
	"strings"
	"time"

	"github.com/keelway/keelway/hack/fakecloud/faults"
)

// bucketPair is what a call takes its tokens from: one for each request, one for each instance in it.
type bucketPair struct{ requests, resources *faults.Bucket }

// newBuckets are the sizes and refills a second that AWS's guide "Request throttling for the Amazon EC2 API" gives for a new account.
func newBuckets() map[string]*bucketPair {
	of := func(size, refill float64) *faults.Bucket { return &faults.Bucket{Size: size, Refill: refill} }
	all := map[string]*bucketPair{
		"RunInstances":       {of(5, 2), of(1000, 2)},
		"StartInstances":     {of(5, 2), of(1000, 2)},
		"StopInstances":      {of(5, 2), of(1000, 20)},
		"TerminateInstances": {of(100, 5), of(1000, 20)},
		"CreateTags":         {requests: of(100, 10)},
	}
	for name := range operations {
		switch {
		case all[name] != nil:
		case strings.HasPrefix(name, "Describe"):
			all[name] = &bucketPair{requests: of(100, 20)}
		default:
			all[name] = &bucketPair{requests: of(50, 5)}
		}
	}
	all["unfiltered"] = &bucketPair{requests: of(50, 10)}
	return all
}

// throttled takes the tokens of one request and reports whether there were too few.
func (c *Cloud) throttled(operation string, p *params, now time.Time) bool {
	if c.options.Unthrottled {
		return false
	}
	pair := c.buckets[operation]
	if operation == "DescribeInstances" && !p.has("Filter.1.Name") && !p.has("MaxResults") && !p.has("InstanceId.1") {
		pair = c.buckets["unfiltered"]
	}
	if pair == nil {
		return false
	}
	if !pair.requests.Take(now, 1) {
		return true
	}
	n := p.count("MaxCount")
	if n == 0 {
		n = p.length("InstanceId")
	}
	return pair.resources != nil && !pair.resources.Take(now, float64(n))
}
