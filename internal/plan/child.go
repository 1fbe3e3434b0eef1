package plan

import (
	"maps"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/expr"
	"github.com/keelway/keelway/internal/saga"
)

// Child is an object that a workflow makes: *Server, *TaskService or *Run.
type Child interface {
	metav1.Object
	runtime.Object
}

// EffectCreated is the value of AnnotationEffect on a child that the run made.
const EffectCreated = "Created"

// child builds the object of an operation's n-th instance, complete: labels, annotations and finalizer are in the POST.
func (w *Workflow) child(l *saga.Ledger, k, n int, attempt int32) Child {
	op := &w.ops[k]
	var child Child
	switch op.child {
	case KindServer:
		child = w.server(op, n)
	case KindTaskService:
		child = w.taskService(l, op, n)
	default:
		child = w.run(l, op, n)
	}
	labels := maps.Clone(child.GetLabels())
	if labels == nil {
		labels = map[string]string{}
	}
	labels[v1alpha1.LabelWorkflow], labels[v1alpha1.LabelOperation], labels[v1alpha1.LabelKey] = w.name, op.Name, op.key(n)
	child.SetLabels(labels)
	child.SetAnnotations(map[string]string{
		v1alpha1.AnnotationRun:     strconv.Itoa(int(l.Run)),
		v1alpha1.AnnotationEffect:  EffectCreated,
		v1alpha1.AnnotationAttempt: strconv.Itoa(int(attempt)),
	})
	child.SetFinalizers([]string{v1alpha1.Finalizer})
	child.SetNamespace(w.namespace)
	child.SetName(w.names[l.Instance(k, n)])
	return child
}

func (w *Workflow) server(op *operation, n int) Child {
	template := &op.ServerBatch.Template
	s := &v1alpha1.Server{Spec: v1alpha1.ServerSpec{ServerShape: template.Spec.ServerShape, DeletionPolicy: template.Spec.DeletionPolicy}}
	s.Labels = map[string]string{}
	for key, value := range template.Labels {
		s.Labels[key] = string(value)
	}
	if op.ServerBatch.ForEach != nil {
		item := op.ServerBatch.ForEach[n]
		override(&s.Spec.Size, item.Size)
		override(&s.Spec.Zone, item.Zone)
		override(&s.Spec.Image, item.Image)
	}
	return s
}

func override(field *string, value string) {
	if value != "" {
		*field = value
	}
}

func (w *Workflow) taskService(l *saga.Ledger, op *operation, n int) Child {
	choice := &op.TaskServiceBatch.Recipes[n]
	t := &v1alpha1.TaskService{Spec: v1alpha1.TaskServiceSpec{
		Recipe: choice.Name, Version: choice.Version, ParametersFrom: choice.ParametersFrom,
		Servers: v1alpha1.ServerTargets{Names: op.targets},
	}}
	if choice.Parameters != nil {
		raw, _ := op.text.parameters[choice.Name].Expand(w.lookup(l)) // start made sure that nothing is missing
		t.Spec.Parameters = &v1alpha1.Parameters{RawExtension: runtime.RawExtension{Raw: raw}}
	}
	return t
}

func (w *Workflow) run(l *saga.Ledger, op *operation, n int) Child {
	lookup := w.lookup(l)
	r := &v1alpha1.Run{}
	http, tcp, command := probes(op.Operation)
	switch {
	case http != nil:
		r.Spec.Action, r.Spec.HTTP = v1alpha1.RunHTTP, &v1alpha1.HTTPProbe{URL: expand(op.text.address, lookup)}
	case tcp != nil:
		r.Spec.Action, r.Spec.TCP = v1alpha1.RunTCP, &v1alpha1.TCPProbe{Address: expand(op.text.address, lookup)}
	default:
		script := command.DeepCopy()
		for v := range script.Env {
			script.Env[v].Value = expand(op.text.env[v], lookup)
		}
		r.Spec.Action, r.Spec.Command = v1alpha1.RunCommand, script
	}
	if len(op.targets) > 0 {
		r.Spec.Target = &v1alpha1.RunTarget{ServerRef: v1alpha1.LocalRef{Name: op.targets[n]}}
	}
	expect := (*v1alpha1.Expectation)(nil)
	if op.Check != nil {
		expect, r.Spec.Timeout = op.Check.Expect, op.Check.Timeout
	} else {
		expect, r.Spec.Timeout = op.Command.Expect, op.Command.Timeout
		r.Spec.OnUnknown, r.Spec.Verify = op.Command.OnUnknown, op.Command.Verify
	}
	if expect != nil {
		r.Spec.Expect = *expect
	}
	return r
}

func expand(t expr.Template, lookup expr.Lookup) string {
	text, _ := t.Expand(lookup) // start made sure that nothing is missing
	return text
}
