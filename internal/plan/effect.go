package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
)

// Values of AnnotationEffect: what a run did to a child. They are written together with the change itself.
const (
	EffectCreated  = "Created"
	EffectUpdated  = "Updated"  // AnnotationPrevious holds what it replaced
	EffectReplaced = "Replaced" // another one of its name had to go first
	EffectAdopted  = "Adopted"  // it stood without an owner
	EffectReverted = "Reverted" // the run's change was taken back
)

// maxPrevious bounds what is kept of a child before it is changed: annotations are 256 KiB in all.
const maxPrevious = 128 << 10

// fields are what a workflow writes of a child, as they were.
type fields struct {
	Labels map[string]string `json:"labels,omitempty"`
	Spec   json.RawMessage   `json:"spec"`
}

// Rewrite changes a child, as it is now, into what the action asks for. It is part of the same write as the annotations that say which run did it
// and what was there before. Doing it twice changes nothing more. The error is Terminal.
func (a ChildAction) Rewrite(live Child) error {
	switch a.Do {
	case Update:
		return overwrite(live, a.Child, EffectUpdated)
	case Adopt, Ensure:
		if change := forced(live, a.Child); change != "" {
			return fault.New(fault.Terminal, fault.ReasonNameTaken, "%s %s stands without an owner and differs in what cannot be changed: %s", a.Kind, a.Name, change)
		}
		return overwrite(live, a.Child, EffectAdopted)
	case Revert, Release:
		return a.putBack(live)
	case Retreat:
		return a.leave(live)
	case Switch:
		if server, ok := live.(*v1alpha1.Server); ok {
			server.Spec.Power = a.Power
		}
		return nil
	}
	return fmt.Errorf("a bug in keelway: %s rewrites nothing", a.Do)
}

// overwrite gives a child the fields that are wanted. What it was like before this run is kept, once.
func overwrite(live, wanted Child, effect string) error {
	notes := maps.Clone(live.GetAnnotations())
	if notes == nil {
		notes = map[string]string{}
	}
	before, err := keep(live)
	if err != nil {
		return err
	}
	asked := wanted.GetAnnotations()
	if effect == EffectAdopted || notes[v1alpha1.AnnotationRun] != asked[v1alpha1.AnnotationRun] || notes[v1alpha1.AnnotationEffect] == EffectReverted {
		if len(before) > maxPrevious {
			return fault.New(fault.Terminal, fault.ReasonInvalid,
				"%s is %d bytes long as it is, and at most %d are kept to put them back: make it smaller in two steps", live.GetName(), len(before), maxPrevious)
		}
		notes[v1alpha1.AnnotationEffect], notes[v1alpha1.AnnotationPrevious] = effect, before
	}
	for _, note := range []string{v1alpha1.AnnotationRun, v1alpha1.AnnotationAttempt, v1alpha1.AnnotationPlanned} {
		notes[note] = asked[note]
	}
	live.SetAnnotations(notes)
	labels := maps.Clone(live.GetLabels())
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, wanted.GetLabels())
	live.SetLabels(labels)
	switch to := live.(type) {
	case *v1alpha1.Server:
		to.Spec = *wanted.(*v1alpha1.Server).Spec.DeepCopy()
	case *v1alpha1.TaskService:
		from := wanted.(*v1alpha1.TaskService).Spec.DeepCopy() // how it is rolled out and looked after is not the workflow's
		to.Spec.Version, to.Spec.Servers, to.Spec.Parameters, to.Spec.ParametersFrom = from.Version, from.Servers, from.Parameters, from.ParametersFrom
	}
	return nil
}

// keep writes down the fields of a child.
func keep(live Child) (string, error) {
	spec, err := json.Marshal(specOf(live))
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(fields{Labels: live.GetLabels(), Spec: spec})
	return string(text), err
}

func specOf(child Child) any {
	switch c := child.(type) {
	case *v1alpha1.Server:
		return c.Spec
	case *v1alpha1.TaskService:
		return c.Spec
	case *v1alpha1.Run:
		return c.Spec
	}
	return nil
}

// putBack gives a child the fields that it had before this run changed it. A run that has not changed it leaves its fields alone, and
// writes all the same: who still means to change it finds that it is too late.
func (a ChildAction) putBack(live Child) error {
	notes := maps.Clone(live.GetAnnotations())
	if notes == nil {
		notes = map[string]string{}
	}
	run := strconv.Itoa(int(a.Run))
	if previous := notes[v1alpha1.AnnotationPrevious]; notes[v1alpha1.AnnotationRun] == run && previous != "" {
		if err := restore(live, previous); err != nil {
			return err
		}
	}
	delete(notes, v1alpha1.AnnotationPrevious)
	notes[v1alpha1.AnnotationRun], notes[v1alpha1.AnnotationEffect] = run, EffectReverted
	notes[v1alpha1.AnnotationAttempt] = strconv.Itoa(int(max(a.Attempt, attemptOf(live))))
	live.SetAnnotations(notes)
	if a.Do == Release {
		live.SetOwnerReferences(withoutController(live.GetOwnerReferences()))
	}
	return nil
}

func restore(live Child, previous string) error {
	var before fields
	err := json.Unmarshal([]byte(previous), &before)
	if err == nil {
		live.SetLabels(before.Labels)
		switch c := live.(type) {
		case *v1alpha1.Server:
			c.Spec = v1alpha1.ServerSpec{}
			err = json.Unmarshal(before.Spec, &c.Spec)
		case *v1alpha1.TaskService:
			c.Spec = v1alpha1.TaskServiceSpec{}
			err = json.Unmarshal(before.Spec, &c.Spec)
		}
	}
	if err != nil {
		return fault.New(fault.Terminal, fault.ReasonInvalid, "%s: its annotation %s was changed and cannot be read: %w", live.GetName(), v1alpha1.AnnotationPrevious, err)
	}
	return nil
}

func withoutController(owners []metav1.OwnerReference) (out []metav1.OwnerReference) {
	for _, owner := range owners {
		if owner.Controller == nil || !*owner.Controller {
			out = append(out, owner)
		}
	}
	return out
}
