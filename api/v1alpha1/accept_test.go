package v1alpha1_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/hack/lab"
)

func TestSmallestAndFullestAreAcceptedAndInProgress(t *testing.T) {
	l := lab.Shared(t)
	namespace := l.Namespace(t)
	for _, kind := range []string{"provider", "server", "taskservice", "run", "batchworkflow"} {
		for _, size := range []string{"-minimal.yaml", "-full.yaml"} {
			t.Run(kind+size, func(t *testing.T) {
				u, err := create(t, l, namespace, kind+size, "")
				if err != nil {
					t.Fatal(err)
				}
				// Before any controller has looked: as people see it in the first instant.
				if got, _, _ := unstructured.NestedInt64(u.Object, "status", "observedGeneration"); got != -1 {
					t.Errorf("status.observedGeneration = %d, want -1", got)
				}
				if read, err := status.Compute(u); err != nil || read.Status != status.InProgressStatus {
					t.Errorf("kstatus = %+v, %v, want InProgress", read, err)
				}
			})
		}
	}
}

// TestExamplesAreAccepted sends every file below examples/, each by kubectl into a namespace of its own, as people do.
func TestExamplesAreAccepted(t *testing.T) {
	l := lab.Shared(t)
	files, err := filepath.Glob(filepath.Join("..", "..", "examples", "*", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, path := range files {
		t.Run(filepath.Base(filepath.Dir(path))+"/"+filepath.Base(path), func(t *testing.T) {
			l.Kubectl(t, "", "apply", "--server-side", "--namespace", l.Namespace(t), "--filename", absolute(t, path))
		})
	}
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

func TestDefaults(t *testing.T) {
	l := lab.Shared(t)
	namespace := l.Namespace(t)
	for file, want := range map[string]map[string]any{
		"provider-minimal.yaml":      {"spec.limits.maxInFlight": int64(20)},
		"server-minimal.yaml":        {"spec.deletionPolicy": "Delete"},
		"taskservice-minimal.yaml":   {"spec.health.interval": "30s", "status.ready": int64(0), "status.total": int64(0)},
		"run-minimal.yaml":           {"spec.timeout": "1m", "spec.expect": map[string]any{}},
		"batchworkflow-minimal.yaml": {"spec.parallelLimit": int64(10), "spec.onFailure": "Fail"},
	} {
		u, err := create(t, l, namespace, file, "")
		if err != nil {
			t.Fatal(err)
		}
		for path, value := range want {
			got, _, err := unstructured.NestedFieldCopy(u.Object, strings.Split(path, ".")...)
			if diff := cmp.Diff(value, got); err != nil || diff != "" {
				t.Errorf("%s: %s: %v %s", file, path, err, diff)
			}
		}
	}
}

// TestTypesKeepWhatTheSchemaKeeps reads what the API server made of each example as our type: a field that the type lacks, or
// spells otherwise, would be lost.
func TestTypesKeepWhatTheSchemaKeeps(t *testing.T) {
	l := lab.Shared(t)
	namespace := l.Namespace(t)
	for file, typed := range map[string]client.Object{
		"provider-full.yaml":      &v1alpha1.Provider{},
		"server-full.yaml":        &v1alpha1.Server{},
		"taskservice-full.yaml":   &v1alpha1.TaskService{},
		"run-full.yaml":           &v1alpha1.Run{},
		"batchworkflow-full.yaml": &v1alpha1.BatchWorkflow{},
	} {
		u, err := create(t, l, namespace, file, "")
		if err != nil {
			t.Fatal(err)
		}
		text, err := u.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.UnmarshalStrict(text, typed); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestColumns(t *testing.T) {
	l := lab.Shared(t)
	namespace := l.Namespace(t)
	for short, tc := range map[string]struct{ file, columns, wide string }{
		"kprov": {"provider-full.yaml", "NAME TYPE LOCATION SERVERS READY MESSAGE AGE", ""},
		"ksrv":  {"server-full.yaml", "NAME PROVIDER SIZE ZONE PHASE READY ADDRESS COST/MO AGE", "NAME PROVIDER SIZE ZONE PHASE READY ADDRESS COST/MO ID IMAGE DRIFTED PROTECTED MESSAGE AGE"},
		"ktsv":  {"taskservice-full.yaml", "NAME RECIPE VERSION SERVERS PHASE READY AGE", "NAME RECIPE VERSION SERVERS PHASE READY DRIFTED MESSAGE AGE"},
		"krun":  {"run-full.yaml", "NAME ACTION TARGET PHASE EXIT DURATION AGE", "NAME ACTION TARGET PHASE EXIT DURATION MESSAGE AGE"},
		"bwf":   {"batchworkflow-full.yaml", "NAME PHASE PROGRESS RUNNING FAILED MESSAGE AGE", "NAME PHASE PROGRESS RUNNING FAILED MESSAGE PLAN DURATION COST/MO AGE"},
	} {
		t.Run(short, func(t *testing.T) {
			if _, err := create(t, l, namespace, tc.file, ""); err != nil {
				t.Fatal(err)
			}
			for flag, want := range map[string]string{"--output=": tc.columns, "--output=wide": tc.wide} {
				head, _, _ := strings.Cut(l.Kubectl(t, "", "get", short, "--namespace", namespace, flag), "\n")
				if got := strings.Join(strings.Fields(head), " "); want != "" && got != want {
					t.Errorf("kubectl get %s %s: %s, want %s", short, flag, got, want)
				}
			}
		})
	}
}

func TestCategory(t *testing.T) {
	l := lab.Shared(t)
	namespace := l.Namespace(t)
	want := map[string]bool{}
	for _, file := range []string{"provider", "server", "taskservice", "run", "batchworkflow"} {
		u, err := create(t, l, namespace, file+"-minimal.yaml", "")
		if err != nil {
			t.Fatal(err)
		}
		want[fmt.Sprintf("%s.keelway.dev/%s", file, u.GetName())] = true
	}
	hidden := &v1alpha1.Checkpoint{}
	hidden.Namespace, hidden.Name = namespace, "three-servers"
	if err := l.Client.Create(t.Context(), hidden); err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for name := range strings.FieldsSeq(l.Kubectl(t, "", "get", "keelway", "--namespace", namespace, "--output=name")) {
		got[name] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("kubectl get keelway shows the kinds that people know, and not the Checkpoint: %s", diff)
	}
}
