package reconcile

import (
	"math/rand/v2"
	"time"

	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
)

const (
	firstPause = 500 * time.Millisecond
	lastPause  = 5 * time.Minute
)

// Limiter is the queue's backoff for errors that Run returns: each object by itself, from half a second, doubling up to five
// minutes, each pause up to a fifth shorter by chance, so that objects that failed together do not return together.
// Every controller takes it (controller.Options.RateLimiter): the default begins at 5 ms, which is an attack on a provider.
//
// Why Run returns the error and does not requeue after a pause of its own: the number of failures in a row must live somewhere,
// the queue counts it already, and one line of log for each failure, ever more rarely, is what an operator's owner wants.
func Limiter() workqueue.TypedRateLimiter[ctrl.Request] {
	return jittered{workqueue.NewTypedItemExponentialFailureRateLimiter[ctrl.Request](firstPause, lastPause)}
}

type jittered struct {
	workqueue.TypedRateLimiter[ctrl.Request]
}

func (j jittered) When(item ctrl.Request) time.Duration {
	pause := j.TypedRateLimiter.When(item)
	return pause - rand.N(pause/5)
}
