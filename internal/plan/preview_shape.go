package plan

import (
	"fmt"
	"strings"

	"github.com/keelway/keelway/api/v1alpha1"
)

// shapeOf says in a few words what is made of an operation's instance, or what it does where it makes nothing.
func shapeOf(op *operation, wanted Child) string {
	switch c := wanted.(type) {
	case *v1alpha1.Server:
		return serverShape(c.Spec.ServerShape)
	case *v1alpha1.TaskService:
		text := c.Spec.Recipe
		if c.Spec.Version != "" {
			text += " " + c.Spec.Version
		}
		if op.open {
			return text
		}
		return text + " on " + counted(len(c.Spec.Servers.Names), "server")
	case *v1alpha1.Run:
		return runShape(op, c)
	}
	switch {
	case op.Wait != nil:
		return "waits " + op.Wait.Duration.Duration.String()
	case op.Power != nil:
		return powerShape(op.Power)
	case op.Approval != nil && op.Approval.Message != "":
		return "waits for approval: " + clip(op.Approval.Message, maxFieldValue)
	case op.Approval != nil:
		return "waits for approval"
	case op.Check != nil:
		return "asks whether " + clip(op.Check.Condition, maxFieldValue)
	}
	return ""
}

func serverShape(s v1alpha1.ServerShape) string {
	var words []string
	for _, word := range []string{s.Size, s.Image} {
		if word != "" {
			words = append(words, word)
		}
	}
	if s.Zone != "" {
		words = append(words, "in "+s.Zone)
	}
	return strings.Join(append(words, "from "+s.ProviderRef.Name), " ")
}

func runShape(op *operation, r *v1alpha1.Run) string {
	switch {
	case r.Spec.HTTP != nil:
		return "GET " + clip(r.Spec.HTTP.URL, maxFieldValue)
	case r.Spec.TCP != nil:
		return "connects to " + clip(r.Spec.TCP.Address, maxFieldValue)
	case op.Command != nil:
		return "runs " + brief(strings.TrimSpace(op.Command.Script))
	case r.Spec.Command != nil:
		return "checks by " + brief(strings.TrimSpace(r.Spec.Command.Script))
	}
	return ""
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
