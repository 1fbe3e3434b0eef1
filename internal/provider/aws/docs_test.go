package aws

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// The documented permissions are those of the calls that this package can make: no more, and none is missing.
func TestPermissionsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../../docs/aws.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	made := map[string]bool{}
	fields := reflect.TypeFor[clients]()
	for n := range fields.NumField() {
		service := "ec2:"
		if name := fields.Field(n).Name; name == "sts" || name == "ssm" || name == "pricing" {
			service = name + ":"
		}
		for m := range fields.Field(n).Type.NumMethod() {
			made[service+fields.Field(n).Type.Method(m).Name] = true
		}
	}
	for call := range made {
		if !strings.Contains(text, `"`+call+`"`) {
			t.Errorf("docs/aws.md does not ask for %s", call)
		}
	}
	_, policy, _ := strings.Cut(text, "```json")
	policy, _, _ = strings.Cut(policy, "```")
	for _, word := range strings.Split(policy, `"`) {
		if service, _, is := strings.Cut(word, ":"); is && (service == "ec2" || service == "sts" || service == "ssm" || service == "pricing") && !made[word] {
			t.Errorf("docs/aws.md asks for %s, which is never called", word)
		}
	}
	for name := range aliases {
		if !strings.Contains(text, "`"+name+"`") {
			t.Errorf("docs/aws.md does not name the image %s", name)
		}
	}
}
