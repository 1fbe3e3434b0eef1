package docker

import (
	"testing"

	"github.com/keelway/keelway/internal/provider"
)

func TestLabelsOfAContainer(t *testing.T) {
	want := provider.Machine{
		Key: "k", Owner: provider.Owner{Installation: "i", Namespace: "n", Name: "a", UID: "u"},
		Labels: map[string]string{"role": "web", labelUID: "another", labelInstallation: "another"},
	}
	got := labels("i", want)
	if got["role"] != "web" || got[labelUID] != "u" || got[labelInstallation] != "i" || len(got) != 6 {
		t.Errorf("it carries %v", got)
	}
	if want.Labels[labelUID] != "another" {
		t.Error("what was asked for has changed")
	}
}
