package aws

import (
	"context"
	"errors"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
)

// attempt lets the SDK make one attempt a call, at a pace that is looked up for each: whoever calls us repeats, by what the error says.
type attempt struct{ pace func() *pace }

var _ sdk.RetryerV2 = attempt{}

// GetAttemptToken implements aws.RetryerV2.
func (a attempt) GetAttemptToken(ctx context.Context) (func(error) error, error) {
	p := a.pace()
	turn, comes := p.turn(ctx)
	if !comes || turn > 0 && p.pause(ctx, turn) != nil {
		return nil, tooEarly{turn}
	}
	return p.learn, nil
}

// IsErrorRetryable implements aws.RetryerV2.
func (attempt) IsErrorRetryable(error) bool { return false }

// MaxAttempts implements aws.RetryerV2.
func (attempt) MaxAttempts() int { return 1 }

// RetryDelay implements aws.RetryerV2. There is no retry.
func (attempt) RetryDelay(int, error) (time.Duration, error) {
	return 0, errors.New("calls are attempted once")
}

// GetRetryToken implements aws.RetryerV2. There is no retry.
func (attempt) GetRetryToken(context.Context, error) (func(error) error, error) {
	return nil, errors.New("calls are attempted once")
}

// GetInitialToken implements aws.Retryer.
func (attempt) GetInitialToken() func(error) error { return func(error) error { return nil } }
