package reconcile

import (
	"fmt"
	"regexp"
	"slices"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keelway/keelway/api/v1alpha1"
)

// Check returns what is wrong with an object's conditions, in plain sentences; none means that people, kubectl wait, kstatus
// and Argo CD all read it right. Every test of a controller ends with it. It speaks of an object at rest between two walks: a status
// that Record wrote within a walk has the phase of now and the conditions of before.
func Check(obj v1alpha1.Object) []string {
	c := &checker{obj: obj, deleting: !obj.GetDeletionTimestamp().IsZero()}
	c.generations()
	for i := range obj.GetConditions() {
		c.condition(&obj.GetConditions()[i])
	}
	c.summary()
	c.succeeded()
	c.phase()
	return c.problems
}

type checker struct {
	obj      v1alpha1.Object
	deleting bool
	problems []string
}

// require notes a problem unless ok.
func (c *checker) require(ok bool, format string, args ...any) {
	if !ok {
		c.problems = append(c.problems, fmt.Sprintf(format, args...))
	}
}

func (c *checker) is(condition string, status metav1.ConditionStatus) bool {
	found := Condition(c.obj, condition)
	return found != nil && found.Status == status
}

func (c *checker) has(condition string) bool { return Condition(c.obj, condition) != nil }

func (c *checker) generations() {
	observed, generation := c.obj.GetObservedGeneration(), c.obj.GetGeneration()
	c.require(observed <= generation, "observedGeneration %d is ahead of generation %d", observed, generation)
	if generation == 0 {
		return // not from an API server
	}
	c.require(observed != 0, "observedGeneration is 0: it is -1 before the first look and a generation afterwards")
	c.require((observed >= 1) == c.has(v1alpha1.ReadyCondition), "observedGeneration is %d and Ready present is %t: they come together",
		observed, c.has(v1alpha1.ReadyCondition))
}

// reasonForm is what the API server admits.
var reasonForm = regexp.MustCompile(`^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$`)

// condition checks what holds for every condition by itself.
func (c *checker) condition(one *metav1.Condition) {
	c.require(slices.Contains(conditionsOf(c.obj), one.Type), "condition %s does not belong to this kind", one.Type)
	c.require(reasonForm.MatchString(one.Reason), "%s has the reason %q", one.Type, one.Reason)
	c.require(len(one.Message) <= MaxMessage, "%s has a message of %d bytes, more than %d", one.Type, len(one.Message), MaxMessage)
	c.require(utf8.ValidString(one.Message), "%s has a message that is not UTF-8", one.Type)
	c.require(one.Status == metav1.ConditionTrue || one.Message != "", "%s=%s says nothing to people", one.Type, one.Status)
	c.require(!one.LastTransitionTime.IsZero(), "%s has no transition time", one.Type)
	c.require(one.ObservedGeneration >= min(1, c.obj.GetGeneration()) && one.ObservedGeneration <= c.obj.GetGeneration(),
		"%s has observedGeneration %d at generation %d", one.Type, one.ObservedGeneration, c.obj.GetGeneration())
	switch one.Type {
	case v1alpha1.ReconcilingCondition, v1alpha1.StalledCondition:
		c.require(one.Status == metav1.ConditionTrue, "%s is %s: it is removed when it is not True", one.Type, one.Status)
	case v1alpha1.ReadyCondition, v1alpha1.SucceededCondition:
		c.require(one.Status == metav1.ConditionTrue || one.Status == metav1.ConditionFalse, "%s is %s", one.Type, one.Status)
	}
}

// summary checks the three conditions that kstatus reads.
func (c *checker) summary() {
	ready := c.is(v1alpha1.ReadyCondition, metav1.ConditionTrue)
	reconciling, stalled := c.has(v1alpha1.ReconcilingCondition), c.has(v1alpha1.StalledCondition)
	c.require(!reconciling || !stalled, "Reconciling and Stalled are both present")
	c.require(!ready || !reconciling, "Ready is True and Reconciling is present")
	c.require(!ready || !stalled, "Ready is True and Stalled is present")
	c.require(!c.is(v1alpha1.ReadyCondition, metav1.ConditionFalse) || reconciling || stalled,
		"Ready is False, and neither Reconciling nor Stalled says why")
	c.require(c.has(v1alpha1.ReadyCondition) || !reconciling && !stalled, "Reconciling or Stalled is present and Ready is absent")
}

// succeeded checks the outcome of kinds that end. A deletion may come after any end.
func (c *checker) succeeded() {
	if !slices.Contains(conditionsOf(c.obj), v1alpha1.SucceededCondition) || c.deleting {
		return
	}
	ready := c.is(v1alpha1.ReadyCondition, metav1.ConditionTrue)
	if _, phase := phaseOf(c.obj); phase == string(v1alpha1.WorkflowPlanned) {
		c.require(!c.has(v1alpha1.SucceededCondition), "Succeeded is present, and only a plan was wanted")
		return
	}
	c.require(ready == c.is(v1alpha1.SucceededCondition, metav1.ConditionTrue), "Succeeded=True and Ready=True do not go together")
	c.require(!c.is(v1alpha1.SucceededCondition, metav1.ConditionFalse) || c.has(v1alpha1.StalledCondition),
		"Succeeded is False and Stalled is absent")
}

// conditionsOf lists the types of conditions that a kind may have.
func conditionsOf(obj v1alpha1.Object) []string {
	common := []string{v1alpha1.ReadyCondition, v1alpha1.ReconcilingCondition, v1alpha1.StalledCondition}
	switch obj.(type) {
	case *v1alpha1.Server:
		return append(common, v1alpha1.ProvisionedCondition, v1alpha1.ReachableCondition, v1alpha1.DriftedCondition)
	case *v1alpha1.TaskService:
		return append(common, v1alpha1.DriftedCondition)
	case *v1alpha1.Run, *v1alpha1.BatchWorkflow:
		return append(common, v1alpha1.SucceededCondition)
	}
	return common
}
