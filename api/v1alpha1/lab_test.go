package v1alpha1_test

import (
	"testing"

	"github.com/keelway/keelway/hack/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }
