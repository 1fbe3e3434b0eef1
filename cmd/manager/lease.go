package main

import (
	"context"
	"os"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// Times of the lease. A deed ends at the latest renewTime after the last renewal, and nobody else begins before leaseTime has passed since
// they saw that renewal. They look once in retryTime and up to 1.2 times that by chance, so that after a leader's sudden death another one
// acts within leaseTime and two looks, seven seconds; after an orderly end, within one look. Shorter times would make a leader end because
// the API server hesitated: this one bears three seconds of that, for two small writes a second. Nothing's safety rests on them.
const (
	leaseTime = 5 * time.Second
	renewTime = 3 * time.Second
	retryTime = 500 * time.Millisecond
	leaseName = "keelway.dev"
)

// lease is a lock that remembers when it was last renewed, so that deeds can be bounded by it.
type lease struct {
	resourcelock.Interface
	renewed atomic.Int64 // Unix nanoseconds of the beginning of the last successful write
}

func newLease(config *rest.Config, namespace string) (*lease, error) {
	client, err := kubernetes.NewForConfig(rest.AddUserAgent(config, "lease"))
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	lock, err := resourcelock.New(resourcelock.LeasesResourceLock, namespace, leaseName, client.CoreV1(), client.CoordinationV1(),
		resourcelock.ResourceLockConfig{Identity: host + "_" + string(uuid.NewUUID())})
	return &lease{Interface: lock}, err
}

// Create and Update note the time before the call: the lease counts from when it was asked for.
func (l *lease) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return l.noting(func() error { return l.Interface.Create(ctx, record) })
}

func (l *lease) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return l.noting(func() error { return l.Interface.Update(ctx, record) })
}

func (l *lease) noting(write func() error) error {
	began := time.Now()
	err := write()
	if err == nil {
		l.renewed.Store(began.UnixNano())
	}
	return err
}

// until is when our right to act ends unless the lease is renewed.
func (l *lease) until() time.Time {
	return time.Unix(0, l.renewed.Load()).Add(renewTime)
}
