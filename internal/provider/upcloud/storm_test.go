package upcloud_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/keelway/keelway/hack/fakecloud/faults"
	fake "github.com/keelway/keelway/hack/fakecloud/upcloud"
)

// passing are the faults that end by themselves: nobody has to mend anything. A pause that the cloud asks for is left out: it is kept in
// real time.
var passing = []string{
	fake.RequestLost, fake.ReplyLost, fake.ReplyCut, fake.BadGateway, fake.BadGatewayAfter, fake.ServerError, fake.CreatingLimit, fake.NoCapacity,
	fake.Busy, fake.Maintenance, fake.ListedNotFound, fake.DeletedForbidden, fake.DeletedListed, fake.Hidden, fake.StoragesLeft, fake.ResizeBackup, fake.BootError,
}

// Any of them, in any number and order, with the process killed at any changing call: the seed repeats what failed.
func TestStorm(t *testing.T) {
	const seeds = 150
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 1))
			var orders []faults.Order
			for range 1 + random.IntN(8) {
				order := faults.Order{Name: passing[random.IntN(len(passing))], Skip: random.IntN(6), Count: 1 + random.IntN(3)}
				for _, kind := range fake.Kinds {
					if kind.Name != order.Name {
						continue
					}
					for _, field := range kind.Takes {
						switch field {
						case "for": // shorter than the time that is waited for what may be hidden
							order.For = lasting(time.Duration(1+random.IntN(24)) * time.Second)
						case "amount":
							order.Amount = 500 + random.IntN(5)
						}
					}
				}
				orders = append(orders, order)
			}
			moments := []moment{beforeSent, beforeReply, afterReply}
			life(t, orders, random.IntN(2) == 0, random.IntN(15), moments[random.IntN(3)])
			if t.Failed() {
				t.Logf("faults: %+v", orders)
			}
		})
	}
}
