package plan

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/saga"
)

// users refer to two servers' outputs from every place that may.
const users = `parallelLimit: 20
operations:
- {name: servers, type: ServerBatch, serverBatch: {count: 2, template: {spec: {providerRef: {name: p}}}}}
- {name: script, type: Command, dependsOn: [{operation: servers}], command: {script: "echo $A", target: {operation: servers}, env: [{name: A, value: "[${operations.servers.outputs.addresses}]"}]}}
- {name: url, type: Check, dependsOn: [{operation: servers}], check: {http: {url: "http://${operations.servers.outputs.addresses}/$${x}"}}}
- {name: tcp, type: Check, dependsOn: [{operation: servers}], check: {tcp: {address: "${operations.servers.outputs.addresses}:1"}}}
- {name: service, type: TaskServiceBatch, dependsOn: [{operation: servers}], taskServiceBatch: {targets: {operation: servers},
   recipes: [{name: etcd, parameters: {peers: ["${operations.servers.outputs.names}", 7], text: "${operations.servers.outputs.addresses}"}}]}}
`

func withOutputs(address string) Sight {
	s := ready
	s.Outputs = map[string]string{outputAddresses: address}
	return s
}

func (s *stage) made(name string) Child {
	s.Helper()
	for _, action := range Act(s.w, s.l, s.sights) {
		if action.Do == Ensure && strings.HasPrefix(action.Name, "wf-"+name) {
			return action.Child
		}
	}
	s.Fatalf("no child of %q is made", name)
	return nil
}

func TestOutputs(t *testing.T) {
	s := newStage(t, users)
	s.see("servers/0", withOutputs("10.0.0.1")).at(time.Second)
	if s.l.Ops[0].Outputs != nil {
		t.Fatal("outputs are frozen before all have succeeded")
	}
	s.see("servers/1", withOutputs("10.0.0.2")).at(2 * time.Second)
	names := s.w.names[0] + "," + s.w.names[1]
	if diff := cmp.Diff(map[string]string{"addresses": "10.0.0.1,10.0.0.2", "names": names}, s.l.Ops[0].Outputs); diff != "" {
		t.Fatal(diff)
	}
	s.see("servers/0", withOutputs("10.9.9.9")).at(3 * time.Second) // frozen means frozen
	if got := s.made("script").(*v1alpha1.Run).Spec.Command.Env[0].Value; got != "[10.0.0.1,10.0.0.2]" {
		t.Errorf("the script gets %q", got)
	}
	if got := s.made("url").(*v1alpha1.Run).Spec.HTTP.URL; got != "http://10.0.0.1,10.0.0.2/${x}" {
		t.Errorf("the probe asks %q", got)
	}
	if got := s.made("tcp").(*v1alpha1.Run).Spec.TCP.Address; got != "10.0.0.1,10.0.0.2:1" {
		t.Errorf("the probe opens %q", got)
	}
	if got, want := string(s.made("service").(*v1alpha1.TaskService).Spec.Parameters.Raw), `{"peers":["`+names+`",7],"text":"10.0.0.1,10.0.0.2"}`; got != want {
		t.Errorf("the service gets %s, want %s", got, want)
	}
}

// TestOutputsStayData: a value is text and nothing more, whatever it holds.
func TestOutputsStayData(t *testing.T) {
	for _, hostile := range []string{`"; rm -rf / #`, "$(reboot)", "a\nb: c", `\", "admin": true, "x": "`, "${operations.servers.outputs.names}", "$${x}", "\x00é", strings.Repeat("'", 500)} {
		s := newStage(t, users)
		s.see("servers/0", withOutputs(hostile)).see("servers/1", withOutputs("b")).at(time.Second)
		if got := s.made("script").(*v1alpha1.Run).Spec.Command; got.Env[0].Value != "["+hostile+",b]" || got.Script != "echo $A" {
			t.Errorf("%q becomes %+v", hostile, got)
		}
		var parameters map[string]any
		if err := json.Unmarshal(s.made("service").(*v1alpha1.TaskService).Spec.Parameters.Raw, &parameters); err != nil || len(parameters) != 2 || parameters["text"] != hostile+",b" {
			t.Errorf("%q becomes %q: %v", hostile, parameters, err)
		}
	}
}

func TestOutputsThatAreMissing(t *testing.T) {
	command := `{name: a, type: Command, command: {script: "true", target: {server: s}}}`
	use := func(ref string) string {
		return `{name: b, type: Command, dependsOn: [{operation: a}], command: {script: "true", target: {server: s}, env: [{name: A, value: "` + ref + `"}]}}`
	}
	answer := func(outputs map[string]string) Sight {
		s := ready
		s.Outputs = outputs
		return s
	}
	cases := map[string]struct {
		why  string
		spec string
		play func(s *stage)
		says string // "": it starts
	}{
		"given": {"", ops(command, use("${operations.a.outputs.token}")), func(s *stage) { s.see("a/0", answer(map[string]string{"token": ""})) }, ""},
		"not given": {"the script printed another one", ops(command, use("${operations.a.outputs.token}")), func(s *stage) { s.see("a/0", answer(map[string]string{"tokn": "x"})) },
			`${operations.a.outputs.token} is not known: "a" succeeded without this output`},
		"too long to keep": {"a ledger keeps 4 KiB", ops(command, use("${operations.a.outputs.token}")), func(s *stage) {
			s.see("a/0", answer(map[string]string{"token": strings.Repeat("x", saga.MaxOutputs)}))
		}, "more than 4096 bytes"},
		"one server of two": {"a list with a gap would name the wrong machines", users, func(s *stage) { s.see("servers/0", withOutputs("10.0.0.1")).see("servers/1", ready) },
			"${operations.servers.outputs.addresses} is not known"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, c.spec)
			c.play(s)
			s.at(time.Second)
			if c.says == "" {
				s.want("Running: a/0 Succeeded, b/0 Running")
				return
			}
			if err := Verdict(s.w, s.l, 0); s.l.Phase != saga.RunFailed || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %s: %v", c.why, s.phases(), err)
			}
			over := s.l
			s.see(s.l.Ops[0].Name+"/0", answer(map[string]string{"token": "late"}))
			if s.at(time.Minute); s.l != over {
				t.Errorf("%s: what comes after the end is written down", c.why)
			}
		})
	}
}

// TestNothingStartsWithAFailure: neither a dependent by a soft edge nor anything else is ordered in the pass that finds that a
// value is missing.
func TestNothingStartsWithAFailure(t *testing.T) {
	s := newStage(t, ops(
		`{name: a, type: Command, command: {script: "true", target: {server: s}}}`,
		`{name: b, type: Command, dependsOn: [{operation: a}], command: {script: "true", target: {server: s}, env: [{name: A, value: "${operations.a.outputs.k}"}]}}`,
		server("soft", ", dependsOn: [{operation: b, type: Soft}]"), server("after", ", dependsOn: [{operation: a}]")))
	s.see("a/0", ready).at(time.Second).want("Failed: a/0 Succeeded, b/0 Failed, soft/0 Omitted, after/0 Omitted")
}

// TestChild: what is in the POST.
func TestChild(t *testing.T) {
	s := newStage(t, `operations:
- name: servers
  type: ServerBatch
  serverBatch:
    forEach: [{key: web, size: 2xCPU}, {key: db, zone: fi-hel2, image: debian-13}]
    template: {labels: {team: a}, spec: {providerRef: {name: p}, size: 1xCPU, zone: fi-hel1, image: debian-12, deletionPolicy: Orphan}}
`)
	for n, want := range map[int]v1alpha1.ServerShape{
		0: {ProviderRef: v1alpha1.LocalRef{Name: "p"}, Size: "2xCPU", Zone: "fi-hel1", Image: "debian-12"},
		1: {ProviderRef: v1alpha1.LocalRef{Name: "p"}, Size: "1xCPU", Zone: "fi-hel2", Image: "debian-13"},
	} {
		action := Act(s.w, s.l, s.sights)[n]
		child := action.Child.(*v1alpha1.Server)
		if diff := cmp.Diff(want, child.Spec.ServerShape); diff != "" || child.Spec.DeletionPolicy != v1alpha1.DeletionOrphan {
			t.Error(diff, child.Spec.DeletionPolicy)
		}
		labels := map[string]string{"team": "a", v1alpha1.LabelWorkflow: "wf", v1alpha1.LabelOperation: "servers", v1alpha1.LabelKey: s.l.Key(n)}
		annotations := map[string]string{v1alpha1.AnnotationRun: "1", v1alpha1.AnnotationEffect: EffectCreated, v1alpha1.AnnotationAttempt: "1", v1alpha1.AnnotationPlanned: "1"}
		if diff := cmp.Diff(labels, child.Labels) + cmp.Diff(annotations, child.Annotations) + cmp.Diff([]string{v1alpha1.Finalizer}, child.Finalizers); diff != "" {
			t.Error(diff)
		}
		if child.Namespace != "default" || child.Name != v1alpha1.ChildName("wf", "servers", s.l.Key(n)) || s.w.Places(s.l).Of(child.Name) != n || action.Name != child.Name {
			t.Errorf("it is named %s/%s", child.Namespace, child.Name)
		}
	}
	if s.w.Places(s.l).Of("somebody-else") != -1 {
		t.Error("a foreign name is an instance")
	}
}
