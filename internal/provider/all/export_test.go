package all

import (
	"context"
	"time"
)

// SetPause has waiting requests let time pass in another way than by waiting.
func (o *Opener) SetPause(pause func(context.Context, time.Duration) error) { o.pause = pause }
