package upcloud_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/keelway/keelway/hack/fakecloud/faults"
	fake "github.com/keelway/keelway/hack/fakecloud/upcloud"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/upcloud"
)

// Whatever fails, and however the options or the account are printed, no credential shows, even when the cloud repeats it.
func TestCanary(t *testing.T) {
	const token, password, userData = "ucat_CANARYTOKEN", "CANARYPASSWORD", "CANARYUSERDATA"
	for name, set := range map[string]func(*upcloud.Options){
		"token":    func(o *upcloud.Options) { o.Token = token },
		"password": func(o *upcloud.Options) { o.Token, o.Username, o.Password = "", "somebody", password },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			cloud := fake.New(fake.Options{Token: token, Username: "somebody", Password: password, Bucket: 1e6, Refill: 1e6})
			r := served(t, cloud)
			o := r.options()
			set(&o)
			u, err := upcloud.New(o)
			if err != nil {
				t.Fatal(err)
			}
			want := machine("web-1", "1")
			want.UserData = []byte(userData)
			var said []string
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
				said = append(said, fmt.Sprintf(verb, o), fmt.Sprintf(verb, &o), fmt.Sprintf(verb, u), fmt.Sprintf(verb, *holding(o)), fmt.Sprintf(verb, []upcloud.Options{o}))
			}
			hear := func(err error) {
				if err != nil {
					said = append(said, fmt.Sprintf("%v", err), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err))
				}
			}
			made, err := u.Create(ctx, want)
			if err != nil {
				t.Fatal(err)
			}
			for _, kind := range fake.Kinds {
				if len(kind.Takes) > 0 {
					continue
				}
				r.arm(faults.Order{Name: kind.Name, Count: 4})
				_, err := u.Create(ctx, machine("web-2", "2"+kind.Name))
				hear(err)
				_, err = u.Get(ctx, made.ID)
				hear(err)
				_, err = u.List(ctx, provider.Owner{Installation: ours})
				hear(err)
				hear(u.Power(ctx, made.ID, provider.PowerOff))
				hear(u.Resize(ctx, made.ID, "4xCPU-8GB"))
				_, err = u.Adopt(ctx, made.ID, "key-1", want.Owner)
				hear(err)
				_, err = u.Price(ctx, want)
				hear(err)
				_, err = u.Account(ctx)
				hear(err)
				hear(u.Delete(ctx, made.ID))
				cloud.Board.Disarm("")
				r.pass(settle)
			}
			all := strings.Join(said, "\n")
			secrets := map[string]string{"token": token, "password": password, "user data": userData, "basic": base64.StdEncoding.EncodeToString([]byte("somebody:" + password))}
			for what, secret := range secrets {
				for form, text := range map[string]string{"plain": secret, "hexadecimal": fmt.Sprintf("%x", secret)} {
					if at := strings.Index(all, text); at >= 0 {
						t.Errorf("the %s shows (%s): …%.200s", what, form, all[max(0, at-100):])
					}
				}
			}
			if !contains(all, "[hidden]") {
				t.Error("the cloud never repeated a secret: the test proves nothing")
			}
		})
	}
}

// holder is a struct of somebody else that holds options.
type holder struct {
	Options upcloud.Options
}

func holding(o upcloud.Options) *holder { return &holder{o} }
