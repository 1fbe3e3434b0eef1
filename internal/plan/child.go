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

// child builds the object of an operation's n-th instance, complete: labels, annotations and finalizer are in the POST.
func (w *Workflow) child(l *saga.Ledger, k, n int, attempt int32) Child {
	op := &w.ops[k]
	child := w.build(op, n, w.lookup(l))
	i := l.Instance(k, n)
	w.dress(child, l, i, attempt)
	child.SetName(w.names[i])
	if l.Marks[i].Has(saga.Replaced) {
		child.GetAnnotations()[v1alpha1.AnnotationEffect] = EffectReplaced
	}
	if op.Command != nil && op.Command.Undo != "" {
		child.GetAnnotations()[v1alpha1.AnnotationUndo] = op.Command.Undo
	}
	return child
}

// build makes what an instance is about: its spec, and the labels of its template.
func (w *Workflow) build(op *operation, n int, lookup expr.Lookup) Child {
	switch op.child {
	case KindServer:
		return w.server(op, n)
	case KindTaskService:
		return w.taskService(op, n, lookup)
	}
	return w.run(op, n, lookup)
}

// dress gives a child of instance i what the workflow knows it by.
func (w *Workflow) dress(child Child, l *saga.Ledger, i int, attempt int32) {
	labels := maps.Clone(child.GetLabels())
	if labels == nil {
		labels = map[string]string{}
	}
	labels[v1alpha1.LabelWorkflow], labels[v1alpha1.LabelOperation], labels[v1alpha1.LabelKey] = w.name, l.Ops[l.OpOf(i)].Name, l.Key(i)
	child.SetLabels(labels)
	child.SetAnnotations(map[string]string{
		v1alpha1.AnnotationRun:     strconv.Itoa(int(l.Run)),
		v1alpha1.AnnotationEffect:  EffectCreated,
		v1alpha1.AnnotationAttempt: strconv.Itoa(int(attempt)),
		v1alpha1.AnnotationPlanned: strconv.FormatInt(l.Generation, 10),
	})
	child.SetFinalizers([]string{v1alpha1.Finalizer})
	child.SetNamespace(w.namespace)
}

func (w *Workflow) server(op *operation, n int) Child {
	template := &op.ServerBatch.Template
	s := &v1alpha1.Server{Spec: v1alpha1.ServerSpec{ServerShape: template.Spec.ServerShape, ServerPolicies: template.Spec.ServerPolicies}}
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

func (w *Workflow) taskService(op *operation, n int, lookup expr.Lookup) Child {
	choice, on := &op.TaskServiceBatch.Recipes[op.choice(n)], w.onServers(op, n)
	t := &v1alpha1.TaskService{Spec: v1alpha1.TaskServiceSpec{
		Recipe: choice.Name, Version: choice.Version, ParametersFrom: choice.ParametersFrom, Servers: v1alpha1.ServerTargets{Names: on},
	}}
	if choice.Parameters != nil {
		raw, _ := op.text.parameters[choice.Name].Expand(lookup) // start made sure that nothing is missing
		t.Spec.Parameters = &v1alpha1.Parameters{RawExtension: runtime.RawExtension{Raw: raw}}
	}
	return t
}

func (w *Workflow) run(op *operation, n int, lookup expr.Lookup) Child {
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
