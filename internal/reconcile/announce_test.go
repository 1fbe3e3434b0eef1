package reconcile

import (
	"testing"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
)

func TestNews(t *testing.T) {
	var (
		unseen  = seen{}
		making  = seen{ready: "False", reason: string(fault.ReasonInProgress)}
		queued  = seen{ready: "False", reason: string(fault.ReasonQueued)}
		booting = seen{ready: "False", reason: v1alpha1.ReasonProgressing}
		ready   = seen{ready: "True", reason: v1alpha1.ReasonReady}
		stopped = seen{ready: "True", reason: v1alpha1.ReasonStopped}
		missing = seen{ready: "False", reason: string(fault.ReasonSecretNotFound)}
		away    = seen{ready: "False", reason: string(fault.ReasonUnreachable)}
		failed  = seen{ready: "False", reason: string(fault.ReasonQuotaExceeded), stalled: true}
		lost    = seen{ready: "False", reason: string(fault.ReasonMachineLost), stalled: true}
	)
	for name, tc := range map[string]struct {
		before, now   seen
		alone, member string // the type of the event of an object by itself, and of one that a workflow ordered; "": none
	}{
		"nothing changed":                    {ready, ready, "", ""},
		"nothing changed that is wrong":      {failed, failed, "", ""},
		"the first look finds it on its way": {unseen, making, "", ""},
		"the first look finds it booting":    {unseen, booting, "", ""},
		"the first look finds it ready":      {unseen, ready, "Normal", ""},
		"its turn comes":                     {queued, making, "Normal", ""},
		"it goes on":                         {making, booting, "Normal", ""},
		"it arrives":                         {booting, ready, "Normal", ""},
		"it is switched off":                 {ready, stopped, "Normal", ""},
		"it is changed":                      {ready, booting, "Normal", ""},
		"it goes":                            {ready, making, "Normal", ""},
		"something is missing":               {unseen, missing, "Normal", "Normal"},
		"what was missing is there":          {missing, making, "Normal", "Normal"},
		"it does not answer any more":        {ready, away, "Normal", "Normal"},
		"it answers again":                   {away, ready, "Normal", "Normal"},
		"it stalls at once":                  {unseen, failed, "Warning", "Warning"},
		"it stalls":                          {making, failed, "Warning", "Warning"},
		"it stalls otherwise":                {failed, lost, "Warning", "Warning"},
		"it goes on after all":               {failed, making, "Normal", "Normal"},
		"it is ready after all":              {failed, ready, "Normal", "Normal"},
	} {
		for ordered, want := range map[bool]string{false: tc.alone, true: tc.member} {
			if kind, due := news(tc.before, tc.now, ordered); kind != want || due != (want != "") {
				t.Errorf("%s (ordered: %t): %q, %t, want %q", name, ordered, kind, due, want)
			}
		}
	}
}
